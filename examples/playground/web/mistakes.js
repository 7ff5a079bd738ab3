// Mistakes of the museum (examples/bugs), under the names of their classes there. Each changes one line.

import { conv2d, relu, maxPool2d, flatten, dense, crossEntropy, windowOf } from "./layers.js";
import { TINY } from "./network.js";
import { zeros, shapeOf, indicesOf, map } from "./arrays.js";

/** The convolution's backward with another dx; `give` puts what the window h,w of filter f sends. */
function otherDx(give) {
  return (p, x, out, dout) => {
    const dx = zeros(shapeOf(x));
    for (const index of indicesOf(shapeOf(dout))) give(dx, p.weight, dout, ...index);
    return { ...conv2d.backward(p, x, out, dout), dx };
  };
}

const KERNEL = indicesOf([3, 3]);

const STAGE_MISTAKES = {
  DoutReturned: ["relu", { backward: (p, x, out, dout) => ({ dx: dout }) }], // no mask
  MaskFromDout: ["relu", { backward: (p, x, out, dout) => ({ dx: map((d) => Math.max(d, 0), dout) }) }],
  ZeroPasses: [
    "relu",
    {
      backward: (p, x, out, dout) => ({ dx: map((value, d) => (value >= 0 ? d : 0), x, dout) }), // > 0
    },
  ],
  TiesShared: [
    "pool",
    {
      backward(p, x, out, dout) {
        const dx = zeros(shapeOf(x));
        for (const [c, h, w] of indicesOf(shapeOf(dout))) {
          const winners = windowOf(h, w).filter(([i, j]) => x[c][i][j] === out[c][h][w]);
          for (const [i, j] of winners) dx[c][i][j] = dout[c][h][w] / winners.length; // the first takes all
        }
        return { dx };
      },
    },
  ],
  GradientSpread: [
    "pool",
    {
      backward(p, x, out, dout) {
        const dx = zeros(shapeOf(x));
        for (const [c, h, w] of indicesOf(shapeOf(dout)))
          for (const [i, j] of windowOf(h, w)) dx[c][i][j] = dout[c][h][w] / 4; // only the largest moved out
        return { dx };
      },
    },
  ],
  ReturnInTheLoop: [
    "pool",
    {
      backward(p, x, out, dout) {
        const first = map(() => 0, dout);
        first.forEach((image, c) => (image[0][0] = dout[c][0][0])); // the loop ends after one window
        return maxPool2d.backward(p, x, out, first);
      },
    },
  ],
  KernelFlipped: [
    "conv",
    {
      forward({ weight, bias }, x) {
        const turned = weight.map((f) =>
          f.map((kernel) => kernel.toReversed().map((row) => row.toReversed())),
        );
        return conv2d.forward({ weight: turned, bias }, x); // the kernel is read from its end
      },
    },
  ],
  KernelNotRotated: [
    "conv",
    {
      backward: otherDx((dx, weight, dout, f, h, w) => {
        for (const [i, j] of KERNEL) dx[0][h + i][w + j] += dout[f][h][w] * weight[f][0][2 - i][2 - j]; // i, j
      }),
    },
  ],
  WindowOverwritten: [
    "conv",
    {
      backward(p, x, out, dout) {
        const dx = zeros(shapeOf(x)),
          [F, OH, OW] = shapeOf(dout);
        for (const [h, w] of indicesOf([OH, OW]))
          for (const [i, j] of KERNEL) {
            dx[0][h + i][w + j] = 0; // = for +=: what other windows gave is wiped
            for (let f = 0; f < F; f++) dx[0][h + i][w + j] += dout[f][h][w] * p.weight[f][0][i][j];
          }
        return { ...conv2d.backward(p, x, out, dout), dx };
      },
    },
  ],
  KernelGradientTransposed: [
    "conv",
    {
      backward(p, x, out, dout) {
        const right = conv2d.backward(p, x, out, dout);
        const turn = (kernel) => kernel.map((row, i) => row.map((_, j) => kernel[j][i])); // ji for ij
        return { ...right, dweight: right.dweight.map((f) => f.map(turn)) };
      },
    },
  ],
  BiasGradientLost: [
    "conv",
    {
      backward(p, x, out, dout) {
        return { ...conv2d.backward(p, x, out, dout), dbias: p.bias.map(() => 0) };
      },
    },
  ],
  FoldedChannelsLast: [
    "flatten",
    {
      backward(p, x, out, dout) {
        const [C, , W] = shapeOf(x),
          dx = zeros(shapeOf(x));
        for (const [c, h, w] of indicesOf(shapeOf(x))) dx[c][h][w] = dout[(h * W + w) * C + c]; // (c*H + h)*W + w
        return { dx };
      },
    },
  ],
  GradientDoubled: [
    "fc",
    {
      backward(p, x, out, dout) {
        const right = dense.backward(p, x, out, dout);
        return { ...right, dweight: map((value) => 2 * value, right.dweight) }; // no 2
      },
    },
  ],
  LabelNotSubtracted: ["loss", { backward: (probs, label, N) => probs.map((value) => value / N) }],
  GradientOfSum: ["loss", { backward: (probs, label) => crossEntropy.backward(probs, label, 1) }], // / N
};

const RIGHT = { conv: conv2d, relu, pool: maxPool2d, flatten, fc: dense };

export const MISTAKES = Object.keys(STAGE_MISTAKES);

export function stageOf(mistake) {
  return STAGE_MISTAKES[mistake][0];
}

/** TinyCNN with one mistake in it; with none for "". */
export function networkWith(mistake) {
  if (!mistake) return TINY;
  const [stage, wrong] = STAGE_MISTAKES[mistake];
  if (stage === "loss") return { ...TINY, loss: { ...crossEntropy, ...wrong } };
  return { ...TINY, stages: { ...TINY.stages, [stage]: { ...RIGHT[stage], ...wrong } } };
}
