// The gradient once more, from the loss alone: (L(w + h) - L(w - h)) / 2h.

import { at, changed, flat, indicesOf, shapeOf } from "./arrays.js";
import { windowOf, winner } from "./layers.js";
import { forward, gradientOf } from "./network.js";

/** The situation { state, x, label } with one weight or pixel moved by h. */
function moved({ state, x, label }, name, index, h) {
  if (name === "x") return { state, x: changed(x, index, at(x, index) + h), label };
  return { state: { ...state, [name]: changed(state[name], index, at(state[name], index) + h) }, x, label };
}

/** [L(w + h), L(w - h)] */
export function lossesBeside(network, situation, name, index, h) {
  return [h, -h].map((by) => {
    const there = moved(situation, name, index, by);
    return forward(network, there.state, there.x, there.label)["loss.loss"];
  });
}

export function centralDifference(network, situation, name, index, h) {
  const [plus, minus] = lossesBeside(network, situation, name, index, h);
  return (plus - minus) / (2 * h);
}

/** Where a ReLU opens or shuts, or another pixel wins a window, between w - h and w + h: in words. */
export function kinks(network, situation, name, index, h) {
  const [minus, here, plus] = [-h, 0, h].map((by) => {
    const there = moved(situation, name, index, by);
    return forward(network, there.state, there.x, there.label);
  });
  const crossed = [];
  for (const [c, i, j] of indicesOf(shapeOf(here["conv.out"]))) {
    const gates = [minus, here, plus].map((t) => t["conv.out"][c][i][j] > 0);
    if (new Set(gates).size > 1) crossed.push(`ReLU [${c},${i},${j}] ${gates[2] ? "opens" : "shuts"}`);
  }
  for (const [c, i, j] of indicesOf(shapeOf(here["pool.out"]))) {
    const winners = [minus, here, plus].map((t) => `${winner(t["relu.out"][c], i, j)}`);
    const alive = [minus, here, plus].some((t) =>
      windowOf(i, j).some(([a, b]) => t["relu.out"][c][a][b] > 0),
    );
    if (alive && new Set(winners).size > 1) crossed.push(`pool [${c},${i},${j}] changes its winner`);
  }
  return crossed;
}

export const STEPS = Array.from({ length: 23 }, (_, i) => 10 ** (-1 - i / 2)); // 1e-1 to 1e-12

/** For every h the difference, its distance from backprop's gradient, and whether a kink was crossed. */
export function errorCurve(network, situation, gradient, name, index) {
  return STEPS.map((h) => {
    const difference = centralDifference(network, situation, name, index, h);
    const kinked = kinks(network, situation, name, index, h).length > 0;
    return { h, difference, error: Math.abs(difference - gradient), kinked };
  });
}

/** How many of all pixels and weights agree with their difference to 1e-6, and which is the farthest off. */
export function checkAll(network, situation, tensors, h = 1e-5) {
  const all = { x: situation.x, ...situation.state };
  const scale = Math.max(
    1,
    ...Object.keys(all).flatMap((name) => flat(tensors[gradientOf(name)]).map(Math.abs)),
  );
  let agree = 0,
    count = 0,
    crossed = 0,
    worst = { gap: 0, name: "x", index: [0, 0, 0] };
  for (const [name, array] of Object.entries(all))
    for (const index of indicesOf(shapeOf(array))) {
      const gap = Math.abs(
        centralDifference(network, situation, name, index, h) - at(tensors[gradientOf(name)], index),
      );
      count++;
      if (gap <= 1e-6 * scale) agree++;
      else if (kinks(network, situation, name, index, h).length) crossed++;
      if (gap > worst.gap) worst = { gap, name, index };
    }
  return { agree, count, crossed, worst };
}
