// Step: against the gradient, once or many times.

import { at, flat, indicesOf, shapeOf } from "./arrays.js";
import { chart } from "./chart.js";
import { el, figure, number, replace, write, written } from "./dom.js";
import { goTo } from "./lens.js";
import { batchGradients, forward, step } from "./network.js";
import { change, data, endOfSeries, images, store } from "./store.js";

let built = null,
  playing = null;
let run = null, // { lr, first, losses: [{ loss, state }, ...] }: steps at one rate, of which `first` is the start
  before = null; // the run before it, to compare

function batch() {
  const { x, label } = store.situation;
  return store.images === "all" ? [images, data.labels] : [[x], [label]];
}

/** How many steps of the run led to a state; below 0 if it was set otherwise, by Reset say. */
const stepsTo = (state) => run?.losses.findIndex((entry) => entry.state === state) ?? -1;

/** The run that a step from here belongs to: another rate or other weights begin a new one. */
function runFrom(loss, state) {
  const here = stepsTo(state);
  if (here >= 0 && run.lr === store.lr) {
    run.losses.length = here + 1; // after Undo
    return;
  }
  if (run?.losses.length > 1) before = run;
  run = { lr: store.lr, first: here < 0 ? 0 : run.first + here, losses: [{ loss, state }] };
}

function forget() {
  run = before = null;
}

/** One step of SGD from where the network stands; in a row of steps all are undone together. */
export function takeStep(app, kind = null) {
  const { x, state, label } = store.situation;
  const { loss, gradients } = batchGradients(app.network, state, ...batch());
  runFrom(loss, state);
  const after = step(state, gradients, store.lr);
  if (!Object.values(after).flatMap(flat).every(Number.isFinite)) {
    stop();
    return say("The weights have left all bounds: take a smaller learning rate. Undo brings them back.");
  }
  run.losses.push({ loss: meanLoss(app, after), state: after });
  change({ situation: { x, state: after, label } }, kind);
  return say(`step ${run.first + run.losses.length - 1}: loss ${number(run.losses.at(-1).loss, 5)}`);
}

function meanLoss(app, state) {
  const [given, labels] = batch();
  return (
    given.reduce((sum, image, n) => sum + forward(app.network, state, image, labels[n])["loss.loss"], 0) /
    given.length
  );
}

function correct(app, state) {
  const [given, labels] = batch();
  const right = (image, n) => forward(app.network, state, image, labels[n])["loss.probs"][labels[n]] > 0.5;
  return [given.filter(right).length, given.length];
}

/** What the slope promises of the next step, and what the step gives. */
function foretold(app, loss, gradients) {
  const squares = Object.values(gradients)
    .flatMap(flat)
    .reduce((sum, grad) => sum + grad * grad, 0);
  const promised = store.lr * squares,
    fall = loss - meanLoss(app, step(app.situation.state, gradients, store.lr));
  const verdict = !store.lr
    ? "A step of 0 moves nothing."
    : fall < 0
      ? "The step is too long: it lands higher on the other side."
      : fall === 0
        ? "The loss is as low as it gets here."
        : Math.abs(fall - promised) < 0.1 * promised
      ? "The step is short: the slope hardly changes on the way."
      : "The step is long: the slope changes on the way.";
  const alone =
    fall > 0 && store.images === "one"
      ? " On one image even a very long step lowers the loss: no other image pulls the other way."
      : "";
  return `The slope promises that the next step lowers the loss by lr × sum gradient² = ${number(promised)}; it ${fall < 0 ? "raises" : "lowers"} it by ${number(Math.abs(fall))}. ${verdict}${alone}`;
}

/** The loss up to the state that is shown, and paler the run before; null without a step. */
function curves(state) {
  const here = stepsTo(state),
    old = here > 0 ? before : run;
  const points = ({ first, losses }) =>
    losses.map(({ loss }, i) => [first + i, loss]).filter(([, loss]) => Number.isFinite(loss));
  const now = here > 0 ? points({ ...run, losses: run.losses.slice(0, here + 1) }) : [],
    past = old ? points(old) : [];
  if (now.length + past.length < 2) return null;
  const words = [];
  if (now.length)
    words.push(`loss over ${now.at(-1)[0]} steps, from ${number(now[0][1], 3)} to ${number(now.at(-1)[1], 3)}`);
  if (past.length) words.push(`before, with lr ${old.lr}, to ${number(past.at(-1)[1], 3)}`);
  return chart({
    curves: [
      { kind: "before", points: past, end: `lr ${old?.lr}` },
      { kind: "plain", points: now },
    ].filter((curve) => curve.points.length),
    words: words.join("; "),
    xLabel: "step",
    yLabel: "mean loss",
  });
}

function say(text) {
  built.live.textContent = text;
}

function stop() {
  if (!playing) return;
  clearInterval(playing);
  playing = null;
  endOfSeries();
  built.play.textContent = "Play";
}

export const train = {
  title: "Step",
  build(panel, app) {
    const lr = el("input", { type: "text", inputmode: "decimal", id: "lr", size: "6", autocomplete: "off" });
    const error = el("span.error", { role: "alert" });
    lr.addEventListener("change", () => {
      const value = Number(lr.value.replace(",", "."));
      const fine = lr.value.trim() !== "" && value >= 0 && value <= 100;
      error.textContent = fine
        ? ""
        : `learning rate is ${lr.value || "empty"}, expected a number from 0 to 100`;
      if (fine) change({ lr: value });
    });
    const which = el(
      "select",
      { id: "images" },
      el("option", { value: "all" }, "20 images of lines"),
      el("option", { value: "one" }, "this image alone"),
    );
    which.addEventListener("change", () => {
      forget();
      change({ images: which.value });
    });
    const one = el("button", { onclick: () => takeStep(app) }, "One step");
    const play = el(
      "button",
      { onclick: () => {
          if (playing) return stop();
          endOfSeries();
          play.textContent = "Stop";
          playing = setInterval(() => takeStep(app, "play"), 60);
          return null;
        },
      },
      "Play",
    );
    const clear = el(
      "button",
      { onclick: () => {
          forget();
          train.render(app);
        },
      },
      "Clear curve",
    );
    const live = el("span.note", { role: "status" }),
      outlook = el("p.outlook");
    const curve = el("section"),
      movers = el("section");
    replace(
      panel,
      el(
        "div.columns",
        el(
          "section",
          el("p.formula", "weight −= lr × gradient"),
          el(
            "p.row-of-fields",
            el("label", { for: "lr" }, "learning rate"),
            lr,
            el("span.pair", el("label", { for: "images" }, "on"), which),
            error,
          ),
          el("p.buttons", one, play, clear, live),
          outlook,
          el(
            "p.note",
            "The loss is a mean over N images: dlogits = (probs − y) / N, and every gradient inherits the 1/N.",
          ),
        ),
        curve,
        movers,
      ),
    );
    built = { outlook, lr, which, curve, movers, live, play };
  },
  render(app) {
    const { outlook, lr, which, curve, movers } = built;
    if (document.activeElement !== lr) lr.value = String(store.lr);
    which.value = store.images;
    const { state } = app.situation,
      [right, count] = correct(app, state),
      { loss, gradients } = batchGradients(app.network, state, ...batch());
    replace(
      curve,
      curves(state) ?? el("p.note", "No step yet: the loss curve begins with the first."),
      el("p", `mean loss ${number(loss, 5)}, ${right} of ${count} right`),
    );
    write(outlook, foretold(app, loss, gradients));
    const found = Object.keys(state).flatMap((name) =>
      indicesOf(shapeOf(state[name])).map((index) => ({ name, index, grad: at(gradients[name], index) })),
    );
    found.sort((a, b) => Math.abs(b.grad) - Math.abs(a.grad));
    const rows = found.slice(0, 6).map(({ name, index, grad }) => {
      const old = at(state[name], index);
      return el(
        "tr",
        el(
          "th",
          { scope: "row" },
          el("button.link", { onclick: () => goTo({ name, index, side: "gradient" }) }, written(name, index)),
        ),
        [old, grad, old - store.lr * grad].map((value) => el("td", figure(value))),
      );
    });
    replace(
      movers,
      el(
        "table",
        el(
          "caption",
          `What the next step moves most: the largest of 114 gradients${store.images === "all" ? " (means over 20 images, of which the strip shows one)" : ""}`,
        ),
        el(
          "thead",
          el("tr", ["weight", "now", "gradient", "after"].map((head) => el("th", { scope: "col" }, head))),
        ),
        el("tbody", rows),
      ),
    );
  },
  leave: stop,
};
