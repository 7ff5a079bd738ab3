// The layers of tinycnn_numpy once more, for one image: forward beside backward, the same letters.
//
//   forward(p, x) -> out                    p holds weight and bias where a layer learns
//   backward(p, x, out, dout) -> { dx, dweight, dbias }

import { zeros, shapeOf, indicesOf, shaped, flat, map } from "./arrays.js";

export const conv2d = {
  // out[f,h,w] = bias[f] + sum_cij weight[f,c,i,j] * x[c,h+i,w+j]
  forward({ weight, bias }, x) {
    const [F, C, KH, KW] = shapeOf(weight);
    const [, H, W] = shapeOf(x);
    const out = zeros([F, H - KH + 1, W - KW + 1]);
    for (let f = 0; f < F; f++)
      for (let h = 0; h + KH <= H; h++)
        for (let w = 0; w + KW <= W; w++) {
          let sum = bias[f];
          for (let c = 0; c < C; c++)
            for (let i = 0; i < KH; i++) {
              const weights = weight[f][c][i];
              const pixels = x[c][h + i];
              for (let j = 0; j < KW; j++) sum += weights[j] * pixels[w + j];
            }
          out[f][h][w] = sum;
        }
    return out;
  },

  // dbias[f]          = sum_hw dout[f,h,w]
  // dweight[f,c,i,j]  = sum_hw dout[f,h,w] * x[c,h+i,w+j]
  // dx[c,h+i,w+j]    += sum_f  dout[f,h,w] * weight[f,c,i,j]
  backward({ weight, bias }, x, out, dout) {
    const [, C, KH, KW] = shapeOf(weight);
    const [F, OH, OW] = shapeOf(dout);
    const dx = zeros(shapeOf(x));
    const dweight = zeros(shapeOf(weight));
    const dbias = zeros(shapeOf(bias));
    for (let f = 0; f < F; f++)
      for (let h = 0; h < OH; h++)
        for (let w = 0; w < OW; w++) {
          const d = dout[f][h][w];
          dbias[f] += d;
          for (let c = 0; c < C; c++)
            for (let i = 0; i < KH; i++) {
              const weights = weight[f][c][i];
              const pixels = x[c][h + i];
              const dweights = dweight[f][c][i];
              const dpixels = dx[c][h + i];
              for (let j = 0; j < KW; j++) {
                dweights[j] += d * pixels[w + j];
                dpixels[w + j] += d * weights[j];
              }
            }
        }
    return { dx, dweight, dbias };
  },
};

export const relu = {
  // out = max(x, 0)
  forward(p, x) {
    return map((value) => Math.max(value, 0), x);
  },

  // dx = dout * [x > 0]
  backward(p, x, out, dout) {
    return { dx: map((value, d) => (value > 0 ? d : 0), x, dout) };
  },
};

export const maxPool2d = {
  // out[c,h,w] = max_ij x[c, 2*h + i, 2*w + j]
  forward(p, x) {
    const [C, H, W] = shapeOf(x);
    const out = zeros([C, H >> 1, W >> 1]);
    for (const [c, h, w] of indicesOf(shapeOf(out))) {
      const [i, j] = winner(x[c], h, w);
      out[c][h][w] = x[c][i][j];
    }
    return out;
  },

  // dx[c,i,j] = dout[c,h,w] if i,j won the window h,w, else 0
  backward(p, x, out, dout) {
    const dx = zeros(shapeOf(x));
    for (const [c, h, w] of indicesOf(shapeOf(dout))) {
      const [i, j] = winner(x[c], h, w);
      dx[c][i][j] = dout[c][h][w];
    }
    return { dx };
  },
};

/** The pixel that is the largest of window h,w; of equal numbers the first in reading order. */
export function winner(image, h, w) {
  let best = [2 * h, 2 * w];
  for (const [i, j] of windowOf(h, w)) if (image[i][j] > image[best[0]][best[1]]) best = [i, j];
  return best;
}

export function windowOf(h, w) {
  return [
    [2 * h, 2 * w],
    [2 * h, 2 * w + 1],
    [2 * h + 1, 2 * w],
    [2 * h + 1, 2 * w + 1],
  ];
}

export const flatten = {
  // out[(c*H + h)*W + w] = x[c,h,w]
  forward(p, x) {
    return flat(x);
  },

  // dx[c,h,w] = dout[(c*H + h)*W + w]
  backward(p, x, out, dout) {
    return { dx: shaped(dout, shapeOf(x)) };
  },
};

export const dense = {
  // out[m] = bias[m] + sum_k x[k] * weight[m,k]
  forward({ weight, bias }, x) {
    return weight.map((row, m) => row.reduce((sum, value, k) => sum + x[k] * value, bias[m]));
  },

  // dbias[m]     = dout[m]
  // dweight[m,k] = dout[m] * x[k]
  // dx[k]        = sum_m dout[m] * weight[m,k]
  backward({ weight }, x, out, dout) {
    const dweight = dout.map((d) => x.map((value) => d * value));
    const dx = x.map((_, k) => dout.reduce((sum, d, m) => sum + d * weight[m][k], 0));
    return { dx, dweight, dbias: dout.slice() };
  },
};

export const crossEntropy = {
  // probs[k] = exp(logits[k]) / sum_j exp(logits[j])        loss = -log probs[label]
  forward(logits, label) {
    const largest = Math.max(...logits);
    const shifted = logits.map((value) => value - largest); // exp cannot overflow
    const log = Math.log(shifted.reduce((sum, value) => sum + Math.exp(value), 0));
    const logProbs = shifted.map((value) => value - log);
    return { loss: -logProbs[label], probs: logProbs.map(Math.exp) };
  },

  // dlogits[k] = (probs[k] - [k is label]) / N
  backward(probs, label, N = 1) {
    return probs.map((value, k) => (value - (k === label ? 1 : 0)) / N);
  },
};
