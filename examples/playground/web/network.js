// TinyCNN and MNISTCNN, stage by stage, and the two passes through them.

import { conv2d, relu, maxPool2d, flatten, dense, crossEntropy } from "./layers.js";
import { map } from "./arrays.js";

export const TINY = {
  stages: { conv: conv2d, relu, pool: maxPool2d, flatten, fc: dense },
  loss: crossEntropy,
};

export const MNIST = {
  stages: {
    conv1: conv2d,
    relu1: relu,
    pool1: maxPool2d,
    conv2: conv2d,
    relu2: relu,
    pool2: maxPool2d,
    flatten,
    fc: dense,
  },
  loss: crossEntropy,
};

/** weight and bias of a stage: from a state_dict, whose names are PyTorch's ("conv.weight"). */
function parametersOf(state, stage) {
  return { weight: state[`${stage}.weight`], bias: state[`${stage}.bias`] };
}

/** Every tensor of the forward pass: "x", "conv.out", ..., "loss.probs", "loss.loss". */
export function forward(network, state, x, label) {
  const tensors = { x, label };
  let value = x;
  for (const [stage, layer] of Object.entries(network.stages)) {
    tensors[`${stage}.x`] = value;
    value = tensors[`${stage}.out`] = layer.forward(parametersOf(state, stage), value);
  }
  const { loss, probs } = network.loss.forward(value, label);
  return { ...tensors, "loss.loss": loss, "loss.probs": probs };
}

/** ... and of the backward pass: "loss.dlogits", "fc.dx", "fc.dweight", ..., "conv.dx". */
export function run(network, state, x, label, N = 1) {
  const tensors = forward(network, state, x, label);
  let dout = (tensors["loss.dlogits"] = network.loss.backward(tensors["loss.probs"], label, N));
  for (const [stage, layer] of Object.entries(network.stages).reverse()) {
    const given = tensors[`${stage}.x`],
      out = tensors[`${stage}.out`];
    const gradients = layer.backward(parametersOf(state, stage), given, out, dout);
    for (const [name, array] of Object.entries(gradients)) tensors[`${stage}.${name}`] = array;
    dout = gradients.dx;
  }
  return tensors;
}

/** The mean loss of several images, and the gradient of every weight: the sum over the images. */
export function batchGradients(network, state, images, labels) {
  const N = images.length;
  let loss = 0,
    gradients = null;
  for (let n = 0; n < N; n++) {
    const tensors = run(network, state, images[n], labels[n], N);
    loss += tensors["loss.loss"] / N;
    const own = Object.fromEntries(Object.keys(state).map((name) => [name, tensors[gradientOf(name)]]));
    gradients = gradients ? added(gradients, own) : own;
  }
  return { loss, gradients };
}

/** "conv.weight" -> "conv.dweight", "conv.out" -> "relu.dx": where the gradient of a tensor is found. */
export function gradientOf(name) {
  const next = { x: "conv.dx", "conv.out": "relu.dx", "relu.out": "pool.dx", "pool.out": "flatten.dx" };
  const last = { "flatten.out": "fc.dx", "fc.out": "loss.dlogits" };
  return next[name] ?? last[name] ?? name.replace(/\.(weight|bias)$/, ".d$1");
}

/** One step of SGD: data -= lr * grad. */
export function step(state, gradients, lr) {
  const update = (name) => map((data, grad) => data - lr * grad, state[name], gradients[name]);
  return Object.fromEntries(Object.keys(state).map((name) => [name, update(name)]));
}

function added(a, b) {
  return Object.fromEntries(Object.keys(a).map((name) => [name, map((p, q) => p + q, a[name], b[name])]));
}
