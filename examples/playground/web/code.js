// Code: the stage in the lens, four times: its mathematics, by hand in NumPy, in PyTorch, and on this page.

import { el, replace } from "./dom.js";
import { data } from "./store.js";
import { tensorOf } from "./strip.js";

let panelOf = null;

/** The stage that made the chosen number, and which of its passes. */
export function stageOfCell(chosen) {
  const found = tensorOf(chosen);
  if (found === "x" || /\.(weight|bias)$/.test(found))
    return [found === "x" ? "conv" : found.split(".")[0], "forward"];
  const [stage, tensor] = found.split(".");
  return [stage, tensor.startsWith("d") ? "backward" : "forward"];
}

const KEPT = {
  conv: "the image and the filters",
  relu: "its output",
  pool: "its input and the places of the winners",
  flatten: "the shape of its input",
  fc: "its input and the weights",
  loss: "the log-probabilities and the label",
};

/** The chosen number's tensor, as a line of PyTorch names it. */
const model = ({ name }) => (/weight|bias/.test(name) ? `model.${name}` : name.replace(/\.out$/, "_out"));

export const code = {
  title: "Code",
  build(panel) {
    panelOf = panel;
  },
  render(app) {
    const [stage, pass] = stageOfCell(app.chosen),
      facts = data.stages[stage];
    const layer = stage === "loss" ? app.network.loss : app.network.stages[stage];
    const wanted = tensorOf(app.chosen).split(".")[1] ?? "out",
      isWanted = (text) => text.startsWith(`${wanted} `) || text.startsWith(`${wanted}[`),
      mark = (marked) => ({ class: marked ? "wanted" : "" });
    const rows = facts[pass].map(({ maths, code: made }) =>
      el(
        "tr",
        el("td", maths.map((text) => el("code", mark(isWanted(text)), text))),
        el("td", mark(maths.some(isWanted)), lines(made)),
      ),
    );
    const torch =
      pass === "forward"
        ? [lines([facts.lines[1]]), el("p.note", "forward: nothing more to write")]
        : [
            lines(["loss.backward()", `${model(app.chosen)}.grad`]),
            el(
              "p.note",
              `Autograd finds the backward pass by itself, from what it kept of the forward pass: here ${KEPT[stage]}. ${/weight|bias/.test(app.chosen.name) ? "" : "It hands out the gradient of a number in between only where retain_grad() was called before, of the image where it requires_grad."}`,
            ),
          ];
    const own = dedent(layer[pass].toString());
    replace(
      panelOf,
      el("h3", `${stage}, ${pass}: ${facts.hand} by hand, ${facts.torch} in PyTorch`),
      el(
        "div.columns.code",
        el(
          "table.aligned",
          el(
            "caption",
            "tinycnn_numpy: beside each equation the lines that compute it, without those that check and remember",
          ),
          el(
            "thead",
            el("tr", el("th", { scope: "col" }, "mathematics"), el("th", { scope: "col" }, "NumPy")),
          ),
          el("tbody", rows),
        ),
        el(
          "section",
          el("h4", "PyTorch"),
          torch,
          el("p.note", "The whole network so, proven equal: ", el("code", "python -m examples.side_by_side")),
          el("h4", "JavaScript, as this page runs it"),
          lines(own.split("\n")),
        ),
      ),
    );
    if (panelOf.of === app.chosen) return;
    panelOf.of = app.chosen;
    panelOf.scrollTop = 0;
  },
};

/** Lines of code, each with its indent; what does not fit goes on further in. */
function lines(list) {
  const line = (text) => el("code", { style: `--indent:${text.search(/\S|$/)}ch` }, text.trim());
  return el("pre", list.map(line));
}

function dedent(text) {
  const lines = text.split("\n"),
    later = lines.slice(1).filter((line) => line.trim()),
    deep = Math.min(...later.map((line) => line.search(/\S/)));
  return [lines[0], ...lines.slice(1).map((line) => line.slice(deep))].join("\n");
}
