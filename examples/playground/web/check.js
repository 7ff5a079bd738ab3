// Check: the gradient of one weight or pixel against central differences, over every h.

import { indicesOf, shapeOf } from "./arrays.js";
import { chart } from "./chart.js";
import { centralDifference, checkAll, errorCurve, kinks, lossesBeside } from "./differences.js";
import { el, figure, number, replace, written } from "./dom.js";
import { gradientOf } from "./network.js";
import { EDITABLE } from "./lens.js";
import { change, store } from "./store.js";
import { valueOf } from "./terms.js";

let built = null;

/** The pixel or weight that is looked at; of a number that is computed, a weight that it was made from. */
export function checked(app) {
  const { name, index } = app.chosen;
  if (EDITABLE.includes(name)) return { name, index };
  return index.length === 3
    ? { name: "conv.weight", index: [index[0], 0, 1, 1] }
    : { name: "fc.bias", index: [index[0] ?? app.tensors.label] };
}

/** How many of all differences agree with backprop, and which is farthest off. */
function sayAll(app, node, h) {
  const { agree, count, crossed, worst } = checkAll(app.network, app.situation, app.tensors, h);
  const wrong = count - agree - crossed,
    why = store.mistake ? " disagree" : h > 1e-5 ? " are off, for the loss bends: h is too large" : " are off by rounding: h is too small",
    place = { name: worst.name, index: worst.index, side: "gradient" };
  replace(
    node,
    el(
      "strong",
      { class: agree < count ? "bad" : "good" },
      `${agree < count ? "✗" : "✓"} ${agree} of ${count} agree`,
    ),
    ` to 1e−6 with h = ${number(h, 3)}`,
    crossed ? `; kink crossed: ${crossed}` : "",
    wrong ? `; ${wrong}${why}` : "",
    agree < count && [
      "; farthest off is ",
      el("button.link", { onclick: () => change({ selected: place }) }, written(worst.name, worst.index)),
      ` by ${number(worst.gap, 2)}`,
    ],
    ".",
  );
}

/** How many digits the subtraction of the two losses leaves. */
function cancellation(plus, minus) {
  if (plus === minus) return "The two losses are the same number: nothing is left of their difference.";
  const shared = Math.max(0, Math.floor(-Math.log10(Math.abs(plus - minus) / Math.max(plus, minus))));
  return `They share ${shared} of about 16 digits, which cancel. The ${Math.max(0, 16 - shared)} that are left, and their rounding, are divided by 2h.`;
}

let later = null;

export const check = {
  title: "Check",
  build(panel) {
    const slider = el("input", { type: "range", min: "-12", max: "-1", step: "0.25", id: "h" });
    slider.addEventListener("input", () => change({ h: 10 ** Number(slider.value) }));
    const options = EDITABLE.flatMap((name) =>
      indicesOf(shapeOf(name === "x" ? store.situation.x : store.situation.state[name])).map((index) =>
        el("option", { value: `${name}~${index.join(".")}` }, written(name, index)),
      ),
    );
    const select = el("select", { id: "which" }, options);
    select.addEventListener("change", () => {
      const [name, index] = select.value.split("~");
      change({ selected: { name, index: index.split(".").map(Number), side: "gradient" } });
    });
    const said = el("div"),
      curve = el("div.beside"),
      every = el("p.every");
    replace(
      panel,
      el(
        "div.columns.checking",
        el(
          "section",
          every,
          el(
            "p.note",
            "The loss alone tells the slope: move one number a little up and down and see how the loss moves. No backward pass is needed, only two forward passes for each of the 178 numbers.",
          ),
          el("p.row-of-fields", el("label", { for: "which" }, "pixel or weight"), select),
          el("p.row-of-fields", el("label", { for: "h" }, "h"), slider, el("output", { for: "h" })),
        ),
        said,
        curve,
      ),
    );
    built = { slider, select, said, curve, every, panel };
  },
  render(app) {
    const { slider, select, said, curve, every, panel } = built,
      { h } = store;
    const { name, index } = checked(app);
    slider.value = Math.log10(h);
    panel.querySelector("output").textContent = `${number(h, 3)}`;
    select.value = `${name}~${index.join(".")}`;
    const situation = app.situation,
      gradient = valueOf(app.tensors, situation.state, gradientOf(name), index);
    const difference = centralDifference(app.network, situation, name, index, h);
    const crossed = kinks(app.network, situation, name, index, h);
    const [plus, minus] = lossesBeside(app.network, situation, name, index, h);
    const gap = Math.abs(difference - gradient);
    replace(
      said,
      el("h3", written(name, index)),
      !EDITABLE.includes(app.chosen.name) &&
        el(
          "p.note",
          `${written(app.chosen.name, app.chosen.index)} is computed; this weight is one that it was made from.`,
        ),
      el(
        "p",
        { class: crossed.length ? "bad" : "good" },
        crossed.length
          ? `✗ kink crossed between w − h and w + h: ${crossed.slice(0, 3).join("; ")}${crossed.length > 3 ? ` and ${crossed.length - 3} more` : ""}. The difference mixes the slopes on both sides; backprop has the one at w.`
          : "✓ no kink between w − h and w + h.",
      ),
      el(
        "dl.ledger",
        el("dt", "backprop"),
        el("dd", figure(gradient, 10)),
        el("dt", "(L(w + h) − L(w − h)) / 2h"),
        el("dd", figure(difference, 10)),
        el("dt", "they differ by"),
        el("dd", number(gap, 3)),
        el("dt", "L(w + h)"),
        el("dd", number(plus, 16)),
        el("dt", "L(w − h)"),
        el("dd", number(minus, 16)),
      ),
      el("p", cancellation(plus, minus)),
    );
    const of = [app.tensors, name, `${index}`];
    if (!curve.of?.every((part, i) => part === of[i])) {
      curve.of = of;
      curve.points = errorCurve(app.network, situation, gradient, name, index);
    }
    const { points } = curve;
    replace(
      curve,
      chart({
        curves: [{ name: "error", kind: "main", points: points.map((p) => [p.h, p.error]) }],
        words: `How far the difference is from backprop: smallest ${number(Math.min(...points.map((p) => p.error)), 2)}`,
        xLabel: "h",
        yLabel: "error of the difference over h",
        logX: true,
        logY: true,
        mark: h,
        hollow: ([x]) => points.find((p) => p.h === x).kinked,
      }),
      el(
        "p.note",
        "On the right the curve bends (h too large, error falls with h²), on the left rounding takes over (error grows with 1/h). Hollow: a kink was crossed, a place where a ReLU or a maximum switches and the slope jumps.",
      ),
    );
    const key = [situation, app.network, h];
    if (every.key?.every((part, i) => part === key[i])) return;
    clearTimeout(later);
    if (every.key?.[0] === situation) later = setTimeout(() => sayAll(app, every, h), 150); // the slider moves on
    else sayAll(app, every, h);
    every.key = key;
  },
};
