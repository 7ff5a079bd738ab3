// Where a number comes from: the terms of the sum that made it, each with the cells that it was read from.
//
//   termsOf(tensors, state, name, index) -> { terms: [{ value, cells: [[name, index], ...] }], rule, note }
//
// The terms add up to the number. A constant (the 1 that the loss subtracts) is no cell; `times` is one that the
// cells are multiplied by, 1 for an open gate or the largest of a window, else 0; `why` says why a term is 0.
// rule: the sum as a formula; note: why it is this one, and what is to be seen in it here.

import { at, indicesOf, shapeOf } from "./arrays.js";
import { windowOf, winner } from "./layers.js";

export function termsOf(tensors, state, name, index) {
  return RULES[name]({ tensors, state, index, ...reading(tensors, state) });
}

/** The value of a cell of any tensor or weight. */
export function valueOf(tensors, state, name, index) {
  return at(state[name] ?? tensors[name], index);
}

function reading(tensors, state) {
  const value = (name, index) => valueOf(tensors, state, name, index);
  const product = (...cells) => ({
    cells,
    value: cells.reduce((p, [name, index]) => p * value(name, index), 1),
  });
  const gated = (cell, open) => ({ cells: [cell], value: open ? value(...cell) : 0, times: Number(open) });
  const sent = (place, ...others) => ({
    ...product(["relu.dx", place], ...others),
    why: silence(tensors, place),
  });
  return { value, product, gated, sent };
}

const unfold = (k) => [Math.floor(k / 9), Math.floor(k / 3) % 3, k % 3]; // of fc's inputs: c, h, w

/** Why nothing came back to a place of the convolution: its ReLU is shut, or it is not its window's largest. */
function silence(tensors, [f, i, j]) {
  if (tensors["relu.dx"][f][i][j] !== 0) return "";
  if (!(tensors["conv.out"][f][i][j] > 0)) return "shut";
  return `${winner(tensors["relu.out"][f], i >> 1, j >> 1)}` === `${[i, j]}` ? "" : "not max";
}

/** The same of all places that a pixel or a weight is used at. */
function whyZero(tensors, places, whole = false) {
  const reasons = places.map((place) => silence(tensors, place)).filter(Boolean);
  const shut = reasons.filter((why) => why === "shut").length,
    rest = reasons.length - shut;
  const dead =
    whole && shut === places.length
      ? " The filter is dead: no step on this image moves it. Another image may open it, or a larger bias."
      : "";
  const said = [shut && `${shut} shut by the ReLU`, rest && `${rest} not the largest in the pool's window`];
  return reasons.length
    ? `Of the ${places.length} places that use it ${reasons.length} send nothing back: ${said.filter(Boolean).join(", ")}.${dead}`
    : "";
}

/** All places of a map of the convolution. */
const placesOf = (tensors, f) => indicesOf(shapeOf(tensors["relu.dx"][f])).map((place) => [f, ...place]);

/** Whether the largest number of the window c,h,w stands there more than once. */
export function tiedIn(tensors, [c, h, w]) {
  const largest = tensors["pool.out"][c][h][w];
  return windowOf(h, w).filter(([i, j]) => tensors["relu.out"][c][i][j] === largest).length > 1;
}

const NEXT = {
  // forward: the tensors that are made from a pixel or a weight
  x: ["conv.out"],
  "conv.weight": ["conv.out"],
  "conv.bias": ["conv.out"],
  "fc.weight": ["fc.out"],
  "fc.bias": ["fc.out"],
  // backward: those that are made from a gradient
  "loss.dlogits": ["fc.dweight", "fc.dbias", "flatten.dx"],
  "flatten.dx": ["pool.dx"],
  "pool.dx": ["relu.dx"],
  "relu.dx": ["conv.dweight", "conv.dbias", "conv.dx"],
};

/** [[tensor, indices], ...]: the cells in whose sums a number stands; a gradient only where its term is not 0. */
export function usersOf(tensors, state, name, index) {
  const given = name === "x" || name in state;
  const here = ([other, place]) => other === name && `${place}` === `${index}`;
  const uses = (next) => (place) =>
    termsOf(tensors, state, next, place).terms.some(
      ({ value, cells }) => (given || value !== 0) && cells.some(here),
    );
  return (NEXT[name] ?? []).map((next) => [next, indicesOf(shapeOf(tensors[next])).filter(uses(next))]);
}

const RULES = {
  "conv.out"({ state, index: [f, h, w], product }) {
    const kernel = indicesOf(shapeOf(state["conv.weight"][f]));
    const terms = kernel.map(([c, i, j]) => product(["conv.weight", [f, c, i, j]], ["x", [c, h + i, w + j]]));
    return {
      rule: `bias[f] + sum_cij weight[f,c,i,j] * x[c,h+i,w+j], f,h,w = ${[f, h, w]}`,
      terms: [...terms, product(["conv.bias", [f]])],
    };
  },
  "relu.out"({ index, value }) {
    const x = value("conv.out", index);
    return {
      rule: "max(x, 0)",
      terms: [{ value: Math.max(x, 0), cells: [["conv.out", index]] }],
      note: x > 0 ? "x is above 0: it passes as it is." : "x is not above 0: the gate is shut and gives 0.",
    };
  },
  "pool.out"({ tensors, index: [c, h, w], gated }) {
    const won = `${winner(tensors["relu.out"][c], h, w)}`;
    return {
      rule: `max_ij x[c,2*h+i,2*w+j], c,h,w = ${[c, h, w]}`,
      terms: windowOf(h, w).map((place) => gated(["relu.out", [c, ...place]], `${place}` === won)),
      note: tiedIn(tensors, [c, h, w])
        ? "A tie: of equal numbers the first in reading order wins."
        : "The other three are smaller: they count 0 times.",
    };
  },
  "fc.out"({ state, index: [m], product }) {
    const terms = state["fc.weight"][m].map((_, k) =>
      product(["fc.weight", [m, k]], ["pool.out", unfold(k)]),
    );
    return {
      rule: `bias[m] + sum_k x[k] * weight[m,k], m = ${m}`,
      terms: [...terms, product(["fc.bias", [m]])],
      note: "One number c added to all logits changes no probability and no gradient: exp(a + c) / sum exp(b + c) = exp(a) / sum exp(b), for the factor exp(c) cancels.",
    };
  },
  "loss.probs"({ tensors, index: [k] }) {
    return {
      rule: `exp(logits[k]) / sum exp(logits), k = ${k}`,
      terms: [{ value: tensors["loss.probs"][k], cells: [["fc.out", [k]]] }],
      also: tensors["fc.out"].map((_, j) => ["fc.out", [j]]).filter(([, [j]]) => j !== k),
    };
  },
  "loss.loss"({ tensors, label }) {
    const k = label ?? tensors.label;
    return {
      rule: "-log probs[label]",
      terms: [{ value: tensors["loss.loss"], cells: [["loss.probs", [k]]] }],
    };
  },
  "loss.dlogits"({ tensors, index: [k], product }) {
    const right = k === tensors.label;
    const terms = [product(["loss.probs", [k]])];
    if (right) terms.push({ value: -1, cells: [] });
    return {
      rule: `probs[k] - [k is label], k = ${k}`,
      terms,
      note: `loss = log(sum exp(logits)) − logits[label]. The first part rises with logit k by exp(logits[k]) / sum exp(logits), which is probs[k]; the second ${right ? "falls by 1, for k is the label" : "has no logit k, for k is not the label"}.`,
    };
  },
  "fc.dbias"({ index: [m], product }) {
    return {
      rule: `dout[m], m = ${m}`,
      note: "The bias is added to its logit as it is, with slope 1.",
      terms: [product(["loss.dlogits", [m]])],
    };
  },
  "fc.dweight"({ index: [m, k], product }) {
    return {
      rule: `dout[m] * x[k], m,k = ${[m, k]}`,
      note: "The logit contains weight × x[k], so x[k] is its slope in the weight.",
      terms: [product(["loss.dlogits", [m]], ["pool.out", unfold(k)])],
    };
  },
  "flatten.dx"({ state, index: [c, h, w], product }) {
    const k = (c * 3 + h) * 3 + w;
    return {
      rule: `sum_m dout[m] * weight[m,k], k = ${k}`,
      note: "Every logit reads it, so each sends a term. This is fc.dx, put back into maps: flatten computes nothing.",
      terms: state["fc.weight"].map((_, m) => product(["loss.dlogits", [m]], ["fc.weight", [m, k]])),
    };
  },
  "pool.dx"({ tensors, index: [c, i, j], gated }) {
    const [h, w] = [i >> 1, j >> 1],
      won = winner(tensors["relu.out"][c], h, w);
    const wins = won[0] === i && won[1] === j;
    return {
      rule: `dout[c,h,w] * [i,j is the winner], c,i,j = ${[c, i, j]}`,
      terms: [gated(["flatten.dx", [c, h, w]], wins)],
      also: [
        ["relu.out", [c, ...won]],
        ["pool.out", [c, h, w]],
      ],
      note: wins
        ? tiedIn(tensors, [c, h, w])
          ? "Of equal numbers this is the first in reading order: it takes all of the gradient."
          : "This pixel won its window, so it takes all of the gradient."
        : "Another pixel won this window: this one did not move the output, so it gets 0.",
    };
  },
  "relu.dx"({ index, value, gated }) {
    const open = value("conv.out", index) > 0;
    return {
      rule: "dout * [x > 0]",
      terms: [gated(["pool.dx", index], open)],
      also: [["conv.out", index]],
      note: open
        ? "x is above 0: the gate is open and the gradient passes."
        : "x is not above 0: the gate is shut, and what arrives counts 0 times.",
    };
  },
  "conv.dbias"({ tensors, index: [f], sent }) {
    const places = placesOf(tensors, f);
    return {
      rule: `sum_hw dout[f,h,w], f = ${f}`,
      terms: places.map((place) => sent(place)),
      note: `The bias is added at each of the 36 places, with slope 1: whatever comes back there counts. ${whyZero(tensors, places, true)}`,
    };
  },
  "conv.dweight"({ tensors, index: [f, c, i, j], sent }) {
    const places = placesOf(tensors, f);
    return {
      rule: `sum_hw dout[f,h,w] * x[c,h+i,w+j], f,c,i,j = ${[f, c, i, j]}`,
      note: `One weight works at all 36 places, at each with another pixel: its effects add up. ${whyZero(tensors, places, true)}`,
      terms: places.map(([, h, w]) => sent([f, h, w], ["x", [c, h + i, w + j]])),
    };
  },
  "conv.dx"({ tensors, state, index: [c, y, x], sent }) {
    const terms = [],
      [, OH, OW] = shapeOf(tensors["relu.dx"]);
    for (const [f, i, j] of indicesOf([state["conv.weight"].length, 3, 3])) {
      const [h, w] = [y - i, x - j]; // the window that reads this pixel with its entry i,j
      if (h >= 0 && h < OH && w >= 0 && w < OW)
        terms.push(sent([f, h, w], ["conv.weight", [f, c, i, j]]));
    }
    const places = terms.map(({ cells }) => cells[0][1]);
    return {
      rule: `sum_fij dout[f,h,w] * weight[f,c,i,j], h+i,w+j = ${[y, x]}`,
      terms,
      note: `One term for each window that reads the pixel. ${whyZero(tensors, places)}`,
    };
  },
};

export const EXPLAINED = Object.keys(RULES);
