// The strip: every tensor of the network from left to right, and below each its gradient.

import { flat, indicesOf, shapeOf } from "./arrays.js";
import { cellOf, everyCell, grid, keyOf, mark, paint } from "./cells.js";
import { CLASSES, el, number, placeOf, replace, share, titleOf, write, written } from "./dom.js";
import { gradientOf } from "./network.js";
import { termsOf, usersOf, valueOf } from "./terms.js";

const STATIONS = [
  { title: "image", stage: "", names: ["x"] },
  { title: "filters", stage: "conv", names: ["conv.weight", "conv.bias"] },
  { title: "convolution", stage: "conv", names: ["conv.out"] },
  { title: "ReLU", stage: "relu", names: ["relu.out"] },
  { title: "max pool", stage: "pool", names: ["pool.out"] },
  { title: "dense weights", stage: "fc", names: ["fc.weight", "fc.bias"] },
  { title: "logits", stage: "fc", names: ["fc.out"] },
];

export const SHOWN = [...STATIONS.flatMap((station) => station.names), "loss.probs", "loss.loss"];

/** Rows of indices of a tensor, map by map. */
function mapsOf(name, shape) {
  const rows = (prefix, [H, W]) =>
    Array.from({ length: H }, (_, h) => Array.from({ length: W }, (_, w) => [...prefix, h, w]));
  if (name === "fc.weight") {
    const block = (m, c) => [0, 1, 2].map((h) => [0, 1, 2].map((w) => [m, (c * 3 + h) * 3 + w]));
    return indicesOf([shape[0], 4]).map(([m, c]) => block(m, c));
  }
  if (shape.length < 2) return [indicesOf(shape).map((index) => [index])];
  return indicesOf(shape.slice(0, -2)).map((prefix) => rows(prefix, shape.slice(-2)));
}

const captions = new Map();

function tensor(name, side, shape) {
  const head = el("figcaption", el("span.name", tensorOf({ name, side })));
  captions.set(`${name} ${side}`, head);
  const label = `${titleOf(name)}, ${side === "value" ? "values" : "gradients"}, ${shape.join(" by ") || "one number"}`;
  return el(
    "figure",
    { class: `tensor ${name.replace(".", "-")} ${side}`, "data-tensor": `${name} ${side}` },
    head,
    grid(name, side, mapsOf(name, shape), label),
  );
}

/** The strip as an element; `app` has tensors and the store's situation. */
export function buildStrip(app) {
  const shape = (name) => shapeOf(app.situation.state[name] ?? app.tensors[name]);
  const station = ({ title, stage, names }) =>
    el(
      "section",
      { class: `station ${stage || "image"}`, "aria-label": title },
      el("h2", title),
      el("div.pass.forward", names.map((name) => tensor(name, "value", shape(name)))),
      el("div.pass.backward", names.map((name) => tensor(name, "gradient", shape(name)))),
    );
  const loss = el(
    "section.station.loss",
    { "aria-label": "loss" },
    el("h2", "loss"),
    el("div.pass.forward", tensor("loss.probs", "value", [2]), tensor("loss.loss", "value", []), decision),
    el("div.pass.backward", el("p.starts", "dL/dL = 1: here the way back begins"), legend()),
  );
  const rails = el(
    "div.rails",
    { "aria-hidden": "true" },
    el("span.rail.forward", "forward →"),
    el("span.rail.backward", "← backward"),
  );
  return el("div.strip", el("div.stations", rails, STATIONS.map(station), loss));
}

function legend() {
  const key = (kind, said) => el("span", el(`span.cell.${kind}`), said);
  return el(
    "p.legend",
    key("pos.d20", "above 0"),
    key("neg.d20", "below 0"),
    key("nil", "exactly 0"),
    el("span", "± largest of the tensor; a quarter of it is half as deep"),
    key("nil.chosen", "chosen"),
    key("nil.lit", "in the sum"),
    key("nil.also", "looked at, counts 0 times"),
    key("nil.to", "goes on to"),
    key("nil.wrong", "not as it should be"),
    key("hatched", "predict first"),
  );
}

const decision = el("p.decision");

/** What the network says of the image, and whether that is its label. */
function decide({ tensors }) {
  const probs = tensors["loss.probs"],
    says = Number(probs[1] > probs[0]);
  const verdict = says === tensors.label ? "right" : "wrong";
  write(decision, `says ${CLASSES[says]} (${share(probs[says])}): ${verdict}`);
}

export function hasGradient(name) {
  return !name.startsWith("loss");
}

/** The tensor that a side of a cell is found in: "conv.out" or "relu.dx". */
export function tensorOf({ name, side }) {
  return side === "value" ? name : gradientOf(name);
}

export function numberAt(app, { name, side, index }) {
  return valueOf(app.tensors, app.situation.state, tensorOf({ name, side }), index);
}

const painted = new Map(); // "conv.out value" -> its cells, in the order of flat

function cellsOf(name, side, array) {
  const key = `${name} ${side}`;
  if (!painted.has(key))
    painted.set(key, indicesOf(shapeOf(array)).map((index) => cellOf(name, side, index)));
  return painted.get(key);
}

/** Repaint all cells; mark those that differ from the right network. */
export function paintStrip(app) {
  decide(app);
  for (const name of SHOWN)
    for (const side of hasGradient(name) ? ["value", "gradient"] : ["value"]) {
      const found = tensorOf({ name, side }),
        { state } = app.situation;
      const array = state[found] ?? app.tensors[found],
        right = state[found] ?? app.right[found];
      const values = flat(array),
        others = array === right ? values : flat(right),
        scale = Math.max(...values.map(Math.abs));
      let wrong = 0;
      cellsOf(name, side, array).forEach((node, i) => {
        const differs = Math.abs(values[i] - others[i]) > 1e-12 * scale;
        if (differs) wrong++;
        paint(node, values[i], scale, differs);
      });
      caption(`${name} ${side}`, wrong ? `${wrong} wrong` : `±${number(scale, 2)}`, wrong);
    }
}

function caption(key, text, wrong) {
  const node = captions.get(key);
  if (node.said === text) return;
  node.said = text;
  replace(node, node.firstChild, el("span", { class: wrong ? "scale bad" : "scale" }, text));
}

/** Every cell says its place and number to those who cannot see it. */
export function labelStrip(app) {
  for (const node of everyCell()) node.setAttribute("aria-label", inWords(app, node.at));
}

export function inWords(app, { name, side, index }) {
  const value = number(numberAt(app, { name, side: "value", index }));
  const gradient = hasGradient(name) ? number(numberAt(app, { name, side: "gradient", index })) : "";
  const place = [titleOf(name), placeOf(name, index)].filter(Boolean).join(", ");
  if (isVeiled(app, name)) return `${place}: predict first`;
  if (!gradient) return `${place}: ${value}`;
  return side === "value"
    ? `${place}: ${value}, gradient ${gradient}`
    : `gradient of ${place}: ${gradient}, value ${value}`;
}

/** Whether the guide hides a number, for it asks for it. */
const isVeiled = (app, name) => app.veiled?.has(`${name} value`) || app.veiled?.has(`${name} gradient`);

/** The same for the pointer: the number first, for there may be little room. */
export function inShort(app, { name, side, index }) {
  const said = isVeiled(app, name) ? "predict first" : number(numberAt(app, { name, side, index }));
  return `${said}  ${written(tensorOf({ name, side }), index)}: ${[titleOf(name), placeOf(name, index)].filter(Boolean).join(", ")}`;
}

const PLACE = {
  // where the strip shows a tensor of the network
  "loss.dlogits": ["fc.out", "gradient"],
  "flatten.dx": ["pool.out", "gradient"],
  "pool.dx": ["relu.out", "gradient"],
  "relu.dx": ["conv.out", "gradient"],
  "conv.dx": ["x", "gradient"],
};

export function shownAs(name, index) {
  const weight = name.replace(/\.d(weight|bias)$/, ".$1");
  const [shown, side] = PLACE[name] ?? (weight === name ? [name, "value"] : [weight, "gradient"]);
  return { name: shown, side, index };
}

/** Light the cells that a number was made from, and those that it goes on to; while the guide asks, none. */
export function light(app, chosen, of = chosen) {
  const marks = new Map();
  const put =
    (text) =>
    ([name, index]) => {
      const place = shownAs(name, index);
      marks.set(keyOf(place.name, place.side, place.index), text);
    };
  const name = tensorOf(of),
    { tensors, asking } = app,
    { state } = app.situation;
  if (!asking) {
    if (!(name in state) && name !== "x") {
      const { terms, also = [] } = termsOf(tensors, state, name, of.index);
      also.forEach(put(" also"));
      terms.forEach(({ cells, times }) => cells.forEach(put(times === 0 ? " also" : " lit")));
    }
    for (const [next, places] of usersOf(tensors, state, name, of.index))
      for (const place of places) put(" to")([next, place]);
  }
  const chosenKey = keyOf(chosen.name, chosen.side, chosen.index);
  marks.set(chosenKey, `${marks.get(chosenKey) ?? ""} chosen`);
  mark(marks);
}

export function lightCells(chosen, cells) {
  const marks = new Map(
    cells.map(([name, index]) => {
      const place = shownAs(name, index);
      return [keyOf(place.name, place.side, place.index), " lit strong"];
    }),
  );
  const chosenKey = keyOf(chosen.name, chosen.side, chosen.index);
  marks.set(chosenKey, `${marks.get(chosenKey) ?? ""} chosen`);
  mark(marks);
}
