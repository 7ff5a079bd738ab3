// The guide: twelve predictions, each entered before the page shows what is so.

import { at, indicesOf, map, shapeOf } from "./arrays.js";
import { cellOf } from "./cells.js";
import { el, number, replace } from "./dom.js";
import { windowOf, winner } from "./layers.js";
import { TINY, run } from "./network.js";
import { change, data, store } from "./store.js";

const base = () => data.start;

/** The first cell of conv.out for which `fits` holds. */
function cellWhere(situation, fits) {
  const tensors = run(TINY, situation.state, situation.x, situation.label);
  return indicesOf(shapeOf(tensors["conv.out"])).find((index) => fits(tensors, index)) ?? [0, 0, 0];
}

const leak = (situation) =>
  cellWhere(situation, (t, index) => at(t["conv.out"], index) <= 0 && at(t["pool.dx"], index) !== 0);
const shut = (situation) => cellWhere(situation, (t, index) => at(t["conv.out"], index) < -0.05);
const busyWindow = (situation) => {
  const tensors = run(TINY, situation.state, situation.x, situation.label);
  return (
    indicesOf([4, 3, 3]).find(
      ([c, h, w]) =>
        tensors["pool.out"][c][h][w] > 0 &&
        tensors["flatten.dx"][c][h][w] !== 0 &&
        windowOf(h, w).filter(([i, j]) => tensors["relu.out"][c][i][j] > 0).length > 1,
    ) ?? [0, 0, 0]
  );
};
const allEqual = () => ({
  ...base(),
  x: map(() => 1, base().x),
  state: { ...base().state, "conv.bias": [1, 1, 1, 1] },
});
const dead = () => ({
  ...base(),
  state: { ...base().state, "conv.bias": [-100, ...base().state["conv.bias"].slice(1)] },
});

const LOGITS = ["fc.out gradient", "fc.bias gradient", "fc.weight gradient"];

/** ask(tensors, index) -> { question, options, answer } or { question, answer: a number }; why(...) comes after. */
const STEPS = [
  {
    cell: (s) => ["conv.out", shut(s), "value"],
    hide: ["relu.out value"],
    ask: (t, index) => ({
      question: `The convolution gives ${number(at(t["conv.out"], index), 3)} in the chosen cell. What does the ReLU make of it?`,
      options: ["the same number", "0", "its size without the sign"],
      answer: "0",
    }),
    why: () => "A ReLU lets pass what is above 0 and gives 0 for the rest.",
  },
  {
    cell: (s) => ["conv.out", leak(s), "gradient"],
    hide: ["conv.out gradient"],
    ask: (t, index) => ({
      question: `The convolution gives ${number(at(t["conv.out"], index), 3)} here, so the ReLU gives 0. A gradient of ${number(at(t["pool.dx"], index), 3)} arrives at the ReLU. Which gradient does the chosen cell get?`,
      options: ["0", number(at(t["pool.dx"], index), 3), "half of it"],
      answer: "0",
    }),
    why: () =>
      "The gate is shut, so the cell moves nothing, and what moves nothing has gradient 0. That is dx = dout * [x > 0].",
  },
  {
    cell: (s) => ["pool.out", busyWindow(s), "value"],
    hide: ["relu.out gradient", "conv.out gradient"],
    ask: (t, [c, h, w]) => ({
      question: `One window of the pool holds ${windowOf(h, w)
        .map(([i, j]) => number(t["relu.out"][c][i][j], 3))
        .join(", ")}. Its output has a gradient of ${number(t["flatten.dx"][c][h][w], 3)}. Which of the four gets it?`,
      options: windowOf(h, w)
        .map(([i, j]) => `row ${i}, column ${j}`)
        .concat("a quarter each"),
      answer: `row ${winner(t["relu.out"][c], h, w)[0]}, column ${winner(t["relu.out"][c], h, w)[1]}`,
    }),
    after: (s) => {
      const [c, h, w] = busyWindow(s),
        t = run(TINY, s.state, s.x, s.label);
      return ["relu.out", [c, ...winner(t["relu.out"][c], h, w)], "gradient"];
    },
    why: () =>
      "Only the largest number moved the output; the others could move a little and nothing would happen. The winner takes all.",
  },
  {
    situation: allEqual,
    cell: () => ["pool.out", [0, 1, 1], "value"],
    hide: ["relu.out gradient", "conv.out gradient"],
    ask: () => ({
      question:
        "Now every pixel is 1, and so is every bias of the convolution, which opens the ReLUs: the four numbers of each window are equal. Who gets the gradient?",
      options: ["all four, a quarter each", "the first in reading order", "all four, the whole of it"],
      answer: "the first in reading order",
    }),
    after: () => ["relu.out", [0, 2, 2], "gradient"],
    why: () =>
      "At a tie there is no derivative, and a rule must choose. PyTorch and this library take the first; other frameworks choose otherwise.",
  },
  {
    cell: (s) => ["fc.out", [s.label], "gradient"],
    hide: LOGITS,
    ask: (t) => ({
      question: `The right class has probability ${number(t["loss.probs"][t.label], 3)}. What is the gradient of its logit? Enter a number.`,
      answer: t["loss.dlogits"][t.label],
    }),
    why: (t) =>
      `It is the probability minus 1: ${number(t["loss.probs"][t.label], 3)} − 1. Below 0, for a larger logit of the right class lowers the loss.`,
  },
  {
    cell: (s) => ["fc.bias", [1 - s.label], "gradient"],
    hide: LOGITS,
    ask: (t) => ({
      question: `And the gradient of the bias of the other class? Its probability is ${number(t["loss.probs"][1 - t.label], 3)}.`,
      answer: t["fc.dbias"][1 - t.label],
    }),
    why: () =>
      "A bias is added to the logit as it is, so it has the logit's gradient; of a class that is not the label that is its probability.",
  },
  {
    cell: () => ["x", [0, 0, 0], "gradient"],
    ask: () => ({
      question:
        "Each filter reads the image in windows of 3 × 3. How many windows of one filter read the pixel in the corner?",
      answer: 1,
      exact: true,
    }),
    why: () =>
      "One. So at most one term of each filter stands in the sum of its gradient; a pixel in the middle is read by nine.",
  },
  {
    cell: () => ["conv.weight", [0, 0, 1, 1], "gradient"],
    ask: () => ({
      question:
        "A weight of a filter is used again in every window. From how many places does its gradient collect a term, those that are 0 counted as well?",
      answer: 36,
      exact: true,
    }),
    why: () =>
      "The output has 6 × 6 places, so 36. Most terms are 0 here: the pool sends its gradient to one cell in four, and a shut ReLU stops it.",
  },
  {
    situation: dead,
    cell: () => ["conv.weight", [0, 0, 0, 0], "gradient"],
    hide: ["conv.weight gradient", "conv.bias gradient", "conv.out gradient"],
    ask: () => ({
      question:
        "The bias of filter 0 was set to −100, so that its ReLUs are all shut. Which gradient do its weights get?",
      answer: 0,
      exact: true,
    }),
    why: () =>
      "No step on this image will change them: the filter is dead. Only another image or a larger bias opens it again.",
  },
  {
    mistake: "DoutReturned",
    cell: () => ["relu.out", [0, 0, 0], "value"],
    ask: () => ({
      question: "Somebody's ReLU hands on the gradient without the mask. What turns wrong?",
      options: [
        "the loss and all layers to the right of the ReLU",
        "the gradients to its left: of the convolution and of the image",
        "only the gradients of the dense layer",
      ],
      answer: "the gradients to its left: of the convolution and of the image",
    }),
    after: (s) => ["conv.out", leak(s), "gradient"],
    why: () =>
      "Backward runs from right to left: what lies to the left of the mistake is wrong. The loss is right, and so it tells you nothing. Look at Break it.",
  },
  {
    ask: (t, [m, k]) => ({
      question: `The chosen weight of the dense layer multiplies ${number(t["flatten.out"][k], 3)}, and the gradient of its logit is ${number(t["loss.dlogits"][m], 3)}. What is the weight's gradient?`,
      answer: t["fc.dweight"][m][k],
    }),
    pick: (t) => {
      const k = t["flatten.out"].findIndex((value) => value > 0.3);
      return ["fc.weight", [0, Math.max(k, 0)], "gradient"];
    },
    hide: ["fc.weight gradient"],
    why: () =>
      "The product of the two: what came in, times what comes back. So it is for every weight of the dense layer; a weight of the convolution adds up such products over its 36 places.",
  },
  {
    cell: () => ["fc.bias", [0], "value"],
    ask: (t) => ({
      question: `The gradient of this bias is ${number(t["fc.dbias"][0], 3)}. In which direction does a step of training move it?`,
      options: ["up", "down", "not at all"],
      answer: t["fc.dbias"][0] > 0 ? "down" : "up",
    }),
    why: () =>
      "Against its gradient, for the loss is to fall: weight −= lr × gradient. Take a step in Step and see.",
  },
];

let built = null,
  now = 0,
  started = false,
  given = [];

function setUp(app) {
  const step = STEPS[now],
    situation = step.situation?.() ?? base();
  const tensors = run(TINY, situation.state, situation.x, situation.label);
  const [name, index, side] = step.pick?.(tensors) ?? step.cell(situation);
  started = app.asking = true;
  veil(app, step.hide ?? []);
  const shown = app.veiled.has(`${name} ${side}`) ? "value" : side; // a frame under a veil is not seen
  change({ situation, mistake: "", selected: { name, index, side: shown } });
  ask(app, step, tensors, [name, index, side]);
  cellOf(name, shown, index).scrollIntoView({ block: "nearest" });
}

/** Cover the tensors that would give the answer away, "conv.out gradient" and the like. */
export function veil(app, hidden) {
  app.veiled = new Set(hidden);
  for (const figure of document.querySelectorAll(".tensor"))
    figure.classList.toggle("veiled", app.veiled.has(figure.dataset.tensor));
}

/** Ask question i, once more if it has been answered. */
function begin(app, i) {
  now = i;
  given[i] = undefined;
  setUp(app);
}

/** Show everything again. */
function uncover(app) {
  app.asking = false;
  veil(app, []);
}

const score = () => given.filter((entry) => entry?.right).length;

function ask(app, step, tensors, cell) {
  const [, index] = cell;
  const { question, options, answer, exact } = step.ask(tensors, index);
  const error = el("p.error", { role: "alert" });
  const field = options
    ? el(
        "fieldset",
        el("legend.hidden", "your prediction"),
        options.map((option, i) =>
          el(
            "div",
            el("input", { type: "radio", name: "guess", id: `guess-${i}`, value: option }),
            el("label", { for: `guess-${i}` }, option),
          ),
        ),
      )
    : el(
        "p.row-of-fields",
        el("label", { for: "guess" }, `your prediction ${exact ? "(exactly)" : "(5 % off is still right)"}`),
        el("input", { type: "text", inputmode: "decimal", id: "guess", size: "8", autocomplete: "off" }),
      );
  const result = el("div", { role: "status" });
  const form = el(
    "form",
    el("p.question", question),
    field,
    error,
    el("p.buttons", el("button", { type: "submit" }, "That is my prediction")),
    result,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.answered) return;
    const said = options
      ? form.querySelector(":checked")?.value
      : form.querySelector("#guess").value.replace("−", "-").replace(",", ".");
    if (said === undefined || said.trim?.() === "" || (!options && !Number.isFinite(Number(said)))) {
      error.textContent = options
        ? "Choose one first: a prediction teaches, an answer alone does not."
        : "Enter a number first: a prediction teaches, an answer alone does not.";
      return;
    }
    error.textContent = "";
    form.answered = true;
    uncover(app);
    const right = options
      ? said === answer
      : exact
        ? Number(said) === answer
        : Math.abs(Number(said) - answer) <= 0.05 * Math.abs(answer);
    given[now] = { said, right };
    for (const node of form.querySelectorAll("input")) node.disabled = true;
    form.querySelector("[type=submit]").hidden = true;
    const open = STEPS.findIndex((_, i) => !given[i]);
    const next = el(
      "button",
      { onclick: () => (open < 0 ? finish(app) : begin(app, open)) },
      open < 0 ? "See the score" : "Next",
    );
    replace(
      result,
      el(
        "p",
        { class: right ? "good" : "bad" },
        right ? "✓ So it is: " : "✗ It is ",
        options ? answer : number(answer, 3),
        ".",
      ),
      el("p", step.why(tensors, index)),
      el("p.buttons", next),
    );
    const [name, where, side] = step.after?.(store.situation) ?? cell;
    change({ selected: { name, index: where, side }, ...(step.mistake && { mistake: step.mistake }) });
    cellOf(name, side, where).scrollIntoView({ block: "nearest" });
    progress();
    next.focus();
  });
  replace(built.body, el("h3", `${now + 1} of ${STEPS.length}`), form);
  progress();
  form.querySelector("input")?.focus({ preventScroll: true });
}

function progress() {
  replace(
    built.progress,
    STEPS.map((_, i) =>
      el(
        "li",
        { class: given[i] ? (given[i].right ? "good" : "bad") : i === now && started ? "now" : "" },
        given[i] ? (given[i].right ? "✓" : "✗") : String(i + 1),
      ),
    ),
  );
}

function finish(app) {
  const again = (i) => el("button", { onclick: () => begin(app, i) }, `Try ${i + 1} again`);
  const anew = () => {
    given = [];
    begin(app, 0);
  };
  const missed = STEPS.map((_, i) => i).filter((i) => !given[i].right);
  replace(
    built.body,
    el("h3", `${score()} of ${STEPS.length} predicted`),
    el(
      "p",
      missed.length
        ? "The lens shows each of these sums with its numbers."
        : "All of them. Break it has mistakes that nobody has told you.",
    ),
    el("p.buttons", missed.map(again), el("button", { onclick: anew }, "Begin anew")),
  );
  built.body.querySelector("button").focus();
}

export const guide = {
  title: "Guide",
  build(panel, app) {
    const body = el("div.body-of-guide"),
      list = el("ol.progress", { "aria-label": "predictions" });
    built = { body, progress: list };
    replace(panel, el("div.guide", list, body));
    replace(
      body,
      el(
        "p",
        "Twelve questions about this network. Each asks for a prediction first; then the strip shows what is so, and why. It changes the image and the weights; Undo brings yours back.",
      ),
      el("p.buttons", el("button", { onclick: () => begin(app, 0) }, "Begin")),
    );
    progress();
  },
  render() {},
  enter(app) {
    if (started && !given[now]) setUp(app); // as it was asked
  },
  leave: uncover,
};
