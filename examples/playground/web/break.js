// Break it: a mistake of the museum in the place of a layer, and what turns wrong.

import { flat } from "./arrays.js";
import { chart } from "./chart.js";
import { checkAll } from "./differences.js";
import { el, number, replace } from "./dom.js";
import { MISTAKES, networkWith, stageOf } from "./mistakes.js";
import { TINY, batchGradients, gradientOf, step } from "./network.js";
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

function differ(given, expected) {
  const right = flat(expected),
    scale = Math.max(1e-300, ...right.map(Math.abs));
  return flat(given).some((value, i) => Math.abs(value - right[i]) > 1e-12 * scale);
}

/** What the right layer gives in the place of the wrong one, for what comes to it there. */
function rightInPlace({ tensors, situation: { state } }, stage) {
  if (stage === "loss") return { dlogits: TINY.loss.backward(tensors["loss.probs"], tensors.label) };
  const p = { weight: state[`${stage}.weight`], bias: state[`${stage}.bias`] },
    [x, out, dout] = [`${stage}.x`, `${stage}.out`, gradientOf(`${stage}.out`)].map((name) => tensors[name]);
  const layer = TINY.stages[stage];
  return { out: layer.forward(p, x), ...layer.backward(p, x, out, dout) };
}

/** Tensors that differ from the right network: `own` where the layer does wrong, others inherit what it did. */
export function wrongTensors(app) {
  const stage = stageOf(store.mistake),
    right = rightInPlace(app, stage);
  const own = (name) => {
    const [where, tensor] = name.split(".");
    return where === stage && tensor in right && differ(app.tensors[name], right[tensor]);
  };
  return ORDER.filter((name) => differ(app.tensors[name], app.right[name])).map((name) => ({
    name,
    own: own(name),
  }));
}

const HIDDEN_HERE = {
  ZeroPasses: ", for where a gradient arrives no number before the ReLU is exactly 0",
  TiesShared: ", for no window that gets a gradient has its largest number twice",
  GradientOfSum: ", for with one image N is 1",
};

/** What central differences see of it: they ask for pixels and weights alone. */
function seen(wrong, { count, agree, crossed }) {
  const off = count - agree - crossed;
  if (off) return el("strong.bad", `${off} of ${count} disagree.`);
  const names = wrong.map(({ name }) => name),
    stopped = names.length && !names.some((name) => /weight|bias|conv.dx/.test(name));
  return [
    el("strong.good", "see nothing"),
    stopped ? `: what is wrong in ${names.join(", ")} meets a shut ReLU and reaches no weight and no pixel.` : ".",
  ];
}

/** What the two losses tell, from the start to their ends. */
function moral([right, broken], mistake) {
  const [start, end, wrongEnd] = [right[0][1], right.at(-1)[1], broken.at(-1)[1]];
  if (right.every(([, loss], i) => Math.abs(loss - broken[i][1]) <= 1e-12 * loss))
    return data.mistakes[mistake].layer === "Conv2D"
      ? "It is the same: conv.dx is the gradient of the image, and training does not use it."
      : "It is the same: on these images the mistake does not show.";
  if (!(wrongEnd <= start)) return "It rises: here the loss itself tells.";
  if (start - wrongEnd < 0.2 * (start - end)) return "It hardly falls, and does not say why.";
  return "A loss that falls proves nothing.";
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

/** "KernelNotRotated" -> "kernel not rotated" */
const inWords = (name) => name.replace(/\B[A-Z]/g, " $&").toLowerCase();

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
          name ? [el("b", facts.layer), ` ${inWords(name)}`] : "none: the right network",
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
    replace(
      said,
      el("h3", `${facts.layer}, ${facts.tensor}: ${facts.sentence}`),
      el("pre", el("code", `${facts.code}  # bug: ${facts.meant}`)),
      wrong.length
        ? el(
            "ul.verdicts",
            wrong.map(({ name, own }) =>
              el("li", { class: own ? "bad" : "" }, own ? "✗ wrong " : "↳ inherited ", el("code", name)),
            ),
          )
        : el("p.good", `✓ No number differs here: this situation hides the mistake${HIDDEN_HERE[mistake] ?? ""}.`),
      el("p", "Central differences: ", seen(wrong, checkAll(app.network, app.situation, app.tensors))),
      el("p", "The doctor, of ", el("code", facts.tensor), ": ", el("q", facts.said)),
      el(
        "p.note",
        `Source: ${facts.source}; class ${mistake} in examples/bugs; `,
        el("code", `python -m parity explain ${facts.cause}`),
      ),
    );
    if (training.key?.[0] === app.situation.state && training.key?.[1] === mistake) return;
    training.key = [app.situation.state, mistake];
    replace(training, el("p.note", "Training both from here, 80 steps …"));
    losses([TINY, networkWith(mistake)], app.situation.state, 80, 0.2, (curves) => {
      const [right, broken] = curves,
        end = curves.map((curve) => number(curve.at(-1)[1], 3));
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
          `From these weights the loss ends at ${end[0]} without and ${end[1]} with the mistake. ${moral(curves, mistake)}`,
        ),
      );
    });
  },
};
