// Break it: a mistake of the museum in the place of a layer, and what turns wrong.

import { flat } from "./arrays.js";
import { chart } from "./chart.js";
import { checkAll } from "./differences.js";
import { el, number, replace } from "./dom.js";
import { MISTAKES, networkWith, stageOf } from "./mistakes.js";
import { TINY, batchGradients, step } from "./network.js";
import { change, data, images, store } from "./store.js";

const ORDER = [
  // of computation
  "conv.out",
  "relu.out",
  "pool.out",
  "flatten.out",
  "fc.out",
  "loss.loss",
  "loss.dlogits",
  "fc.dweight",
  "fc.dbias",
  "fc.dx",
  "flatten.dx",
  "pool.dx",
  "relu.dx",
  "conv.dweight",
  "conv.dbias",
  "conv.dx",
];

/** Tensors that differ from the right network: the first is wrong by itself, the others inherit it. */
export function wrongTensors(app) {
  const differs = (name) => {
    const right = flat(app.right[name]),
      scale = Math.max(1e-300, ...right.map(Math.abs));
    return flat(app.tensors[name]).some((value, i) => Math.abs(value - right[i]) > 1e-12 * scale);
  };
  const own = store.mistake ? stageOf(store.mistake) : "";
  const after = (name) => (own === "loss" ? name === "loss.dlogits" : name.startsWith(`${own}.`));
  return ORDER.filter(differs).map((name) => ({ name, own: after(name) }));
}

/** The losses of some steps on the images of the page; `tell` gets them, unless somebody asks for others first. */
function losses(networks, state, count, lr, tell) {
  const states = networks.map(() => state),
    found = networks.map(() => []);
  const some = (from) => {
    for (let i = from; i < Math.min(count, from + 4); i++)
      networks.forEach((network, n) => {
        const { loss, gradients } = batchGradients(network, states[n], images, data.labels);
        found[n].push([i, loss]);
        states[n] = step(states[n], gradients, lr);
      });
    if (from + 4 < count) waiting = setTimeout(() => some(from + 4));
    else tell(found);
  };
  clearTimeout(waiting);
  waiting = setTimeout(() => some(0), 150);
}

let built = null,
  waiting = null;

export const breakIt = {
  title: "Break it",
  build(panel) {
    const choice = (name) => {
      const radio = el("input", { type: "radio", name: "mistake", value: name, id: `mistake-${name}` });
      radio.addEventListener("change", () => change({ mistake: name }));
      const facts = data.mistakes[name];
      return el(
        "div",
        radio,
        el(
          "label",
          { for: `mistake-${name}` },
          name ? [el("b", facts.layer), ` ${facts.tensor}: ${facts.cause}`] : "none: the right network",
        ),
      );
    };
    const list = el("fieldset.mistakes", el("legend", "one mistake"), ["", ...MISTAKES].map(choice));
    const said = el("section"),
      training = el("section");
    replace(panel, el("div.columns.breaking", list, said, training));
    built = { list, said, training };
  },
  render(app) {
    const { list, said, training } = built,
      { mistake } = store;
    list.querySelector(`[value="${mistake}"]`).checked = true;
    if (!mistake) {
      replace(
        said,
        el(
          "p",
          "Choose one of the mistakes that people have really made. It takes the place of a layer, and the strip marks every number that is no longer what it should be with a corner.",
        ),
      );
      replace(training);
      clearTimeout(waiting);
      training.key = said.key = null;
      return;
    }
    const facts = data.mistakes[mistake],
      wrong = wrongTensors(app);
    if (said.key?.[0] === app.situation && said.key?.[1] === mistake) return;
    said.key = [app.situation, mistake];
    const all = checkAll(app.network, app.situation, app.tensors);
    const unseen = all.count - all.agree - all.crossed;
    replace(
      said,
      el("h3", `${facts.layer}: ${facts.sentence}`),
      el("pre", el("code", `${facts.code}  # bug: ${facts.meant}`)),
      el("p.note", `Source: ${facts.source}; class ${mistake} in examples/bugs`),
      wrong.length
        ? el(
            "ul.verdicts",
            wrong.map(({ name, own }) =>
              el("li", { class: own ? "bad" : "" }, own ? "✗ wrong " : "↳ inherited ", el("code", name)),
            ),
          )
        : el("p.good", "✓ No number differs here: this situation hides the mistake."),
      el(
        "p",
        "Central differences: ",
        unseen
          ? el("strong.bad", `${unseen} of ${all.count} disagree`)
          : el("strong.good", "see nothing"),
        unseen || !wrong.length ? "." : ": the forward pass itself is another, and its gradient fits it.",
      ),
      el("p", "Diagnosis: ", el("q", facts.what), ` ${facts.why}`),
      el("p.note", el("code", `python -m parity explain ${facts.cause}`)),
    );
    if (training.key?.[0] === app.situation.state && training.key?.[1] === mistake) return;
    training.key = [app.situation.state, mistake];
    replace(training, el("p.note", "Training both from here, 80 steps …"));
    losses([TINY, networkWith(mistake)], app.situation.state, 80, 0.2, ([right, broken]) => {
      const end = [right, broken].map((curve) => number(curve.at(-1)[1], 3));
      replace(
        training,
        chart({
          curves: [
            { name: "right", kind: "plain", points: right },
            { name: "with the mistake", kind: "broken", points: broken },
          ],
          words: `Loss over 80 steps: right ends at ${end[0]}, with the mistake at ${end[1]}`,
          xLabel: "step, 20 images, lr 0.2",
          yLabel: "loss",
        }),
        el(
          "p.note",
          `From these weights the loss ends at ${end[0]} without and ${end[1]} with the mistake. A loss that falls proves nothing.`,
        ),
      );
    });
  },
};
