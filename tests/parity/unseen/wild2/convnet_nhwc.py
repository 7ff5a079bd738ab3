"""NHWC convolutional network, vectorised with einsum and sliding windows."""
from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Dict, List, Tuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Layer(ABC):
    """Base class: fprop keeps whatever bprop needs."""

    params: Dict[str, np.ndarray] = {}
    grads: Dict[str, np.ndarray] = {}

    @abstractmethod
    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        ...

    @abstractmethod
    def bprop(self, grads_wrt_outputs: np.ndarray) -> np.ndarray:
        ...


class ConvolutionalLayer(Layer):
    def __init__(self, num_input_channels: int, num_output_channels: int,
                 kernel_dims: Tuple[int, int] = (3, 3), stride: int = 1,
                 padding: str = "same", rng=None):
        rng = rng or np.random.default_rng(0)
        kh, kw = kernel_dims
        self.kernel_dims = kernel_dims
        self.stride = stride
        self.padding = padding
        scale = np.sqrt(2.0 / (kh * kw * num_input_channels))
        self.params = {
            "kernels": rng.normal(0, scale, size=(kh, kw, num_input_channels, num_output_channels)),
            "biases": np.zeros(num_output_channels),
        }
        self.grads = {}

    def _pad_amount(self) -> Tuple[Tuple[int, int], Tuple[int, int]]:
        if self.padding == "valid":
            return (0, 0), (0, 0)
        kh, kw = self.kernel_dims
        return ((kh - 1) // 2, kh // 2), ((kw - 1) // 2, kw // 2)

    def fprop(self, inputs):
        ph, pw = self._pad_amount()
        self._in_shape = inputs.shape
        self._padded = np.pad(inputs, ((0, 0), ph, pw, (0, 0)))
        s = self.stride
        # (n, oh, ow, c, kh, kw)
        self._windows = sliding_window_view(self._padded, self.kernel_dims, axis=(1, 2))[:, ::s, ::s]
        return np.einsum("nhwcij,ijco->nhwo", self._windows, self.params["kernels"],
                         optimize=True) + self.params["biases"]

    def bprop(self, grads_wrt_outputs):
        g = grads_wrt_outputs
        self.grads["kernels"] = np.einsum("nhwcij,nhwo->ijco", self._windows, g, optimize=True)
        self.grads["biases"] = g.sum(axis=(0, 1, 2))
        kh, kw = self.kernel_dims
        s = self.stride
        _, oh, ow, _ = g.shape
        dpad = np.zeros_like(self._padded)
        for i in range(kh):
            for j in range(kw):
                dpad[:, i:i + s * oh:s, j:j + s * ow:s, :] += g @ self.params["kernels"][i, j].T
        (top, _), (left, _) = self._pad_amount()
        _, H, W, _ = self._in_shape
        return dpad[:, top:top + H, left:left + W, :]


class MaxPoolingLayer(Layer):
    """Non-overlapping pooling; the spatial size has to be divisible by pool_size."""

    def __init__(self, pool_size: int = 2):
        self.pool_size = pool_size

    def fprop(self, inputs):
        n, h, w, c = inputs.shape
        p = self.pool_size
        assert h % p == 0 and w % p == 0, "pool size must divide the image"
        blocks = inputs.reshape(n, h // p, p, w // p, p, c).transpose(0, 1, 3, 5, 2, 4)
        blocks = blocks.reshape(n, h // p, w // p, c, p * p)
        self._arg = blocks.argmax(axis=-1)
        self._shape = inputs.shape
        return blocks.max(axis=-1)

    def bprop(self, grads_wrt_outputs):
        n, h, w, c = self._shape
        p = self.pool_size
        d = np.zeros((n, h // p, w // p, c, p * p))
        np.put_along_axis(d, self._arg[..., None], grads_wrt_outputs[..., None], axis=-1)
        d = d.reshape(n, h // p, w // p, c, p, p).transpose(0, 1, 4, 2, 5, 3)
        return d.reshape(self._shape)


class AvgPoolingLayer(Layer):
    def __init__(self, pool_size: int = 2):
        self.pool_size = pool_size

    def fprop(self, inputs):
        n, h, w, c = inputs.shape
        p = self.pool_size
        self._shape = inputs.shape
        return inputs.reshape(n, h // p, p, w // p, p, c).mean(axis=(2, 4))

    def bprop(self, grads_wrt_outputs):
        p = self.pool_size
        return grads_wrt_outputs.repeat(p, axis=1).repeat(p, axis=2) / (p * p)


class GlobalAveragePoolingLayer(Layer):
    def fprop(self, inputs):
        self._shape = inputs.shape
        return inputs.mean(axis=(1, 2))

    def bprop(self, grads_wrt_outputs):
        n, h, w, c = self._shape
        return np.broadcast_to(grads_wrt_outputs[:, None, None, :] / (h * w), self._shape).copy()


class RectifiedLinear(Layer):
    def fprop(self, inputs):
        self._inputs = inputs
        return np.maximum(inputs, 0.0)

    def bprop(self, grads_wrt_outputs):
        return np.where(self._inputs > 0, grads_wrt_outputs, 0.0)


class ReshapeLayer(Layer):
    def fprop(self, inputs):
        self._shape = inputs.shape
        return inputs.reshape(len(inputs), -1)

    def bprop(self, grads_wrt_outputs):
        return grads_wrt_outputs.reshape(self._shape)


class AffineLayer(Layer):
    def __init__(self, input_dim: int, output_dim: int, rng=None):
        rng = rng or np.random.default_rng(0)
        # weights are kept as (output_dim, input_dim)
        self.params = {"weights": rng.normal(0, np.sqrt(2.0 / input_dim), size=(output_dim, input_dim)),
                       "biases": np.zeros(output_dim)}
        self.grads = {}

    def fprop(self, inputs):
        self._inputs = inputs
        return inputs.dot(self.params["weights"].T) + self.params["biases"]

    def bprop(self, grads_wrt_outputs):
        self.grads["weights"] = grads_wrt_outputs.T.dot(self._inputs)
        self.grads["biases"] = grads_wrt_outputs.sum(axis=0)
        return grads_wrt_outputs.dot(self.params["weights"])


class CrossEntropySoftmaxError:
    """Takes logits and one-hot targets."""

    def __call__(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        norm = outputs - outputs.max(-1, keepdims=True)
        log_prob = norm - np.log(np.exp(norm).sum(-1, keepdims=True))
        return -np.mean(np.sum(targets * log_prob, axis=1))

    def grad(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        p = np.exp(outputs - outputs.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return (p - targets) / outputs.shape[0]


class MultiLayerModel:
    def __init__(self, layers: List[Layer]):
        self.layers = layers

    def fprop(self, x):
        acts = [x]
        for l in self.layers:
            acts.append(l.fprop(acts[-1]))
        return acts

    def bprop(self, g):
        for l in self.layers[::-1]:
            g = l.bprop(g)
        return g


class MomentumLearningRule:
    def __init__(self, learning_rate: float = 1e-2, mom_coeff: float = 0.9):
        self.learning_rate = learning_rate
        self.mom_coeff = mom_coeff
        self.moms = None

    def update_params(self, params: List[np.ndarray], grads: List[np.ndarray]) -> None:
        if self.moms is None:
            self.moms = [np.zeros_like(p) for p in params]
        for p, m, g in zip(params, self.moms, grads):
            m *= self.mom_coeff
            m -= self.learning_rate * g
            p += m


if __name__ == "__main__":
    rng = np.random.default_rng(42)
    model = MultiLayerModel([ConvolutionalLayer(1, 8, rng=rng), RectifiedLinear(), MaxPoolingLayer(2),
                             ConvolutionalLayer(8, 16, rng=rng), RectifiedLinear(), AvgPoolingLayer(2),
                             ReshapeLayer(), AffineLayer(7 * 7 * 16, 10, rng=rng)])
    rule, err = MomentumLearningRule(), CrossEntropySoftmaxError()
    data = np.load("mnist-train.npz")
    x, t = data["inputs"].reshape(-1, 28, 28, 1), np.eye(10)[data["targets"]]
    for step in range(500):
        i = rng.choice(len(x), 50)
        y = model.fprop(x[i])[-1]
        model.bprop(err.grad(y, t[i]))
        ps = [l.params[k] for l in model.layers for k in l.params]
        gs = [l.grads[k] for l in model.layers for k in l.params]
        rule.update_params(ps, gs)
        if step % 50 == 0:
            print(step, err(y, t[i]))
