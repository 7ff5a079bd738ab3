"""Layers as dataclasses. backward returns (dx, grads) and never touches the weights."""
from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Tuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass
class Linear:
    in_features: int
    out_features: int
    seed: int = 0
    weight: Array = field(init=False)
    bias: Array = field(init=False)
    _x: Optional[Array] = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.weight = rng.standard_normal((self.in_features, self.out_features)) / np.sqrt(self.in_features)
        self.bias = np.zeros(self.out_features)

    def forward(self, x: Array) -> Array:
        self._x = x
        return np.einsum("ni,io->no", x, self.weight) + self.bias

    def backward(self, grad: Array) -> Tuple[Array, Dict[str, Array]]:
        assert self._x is not None, "call forward first"
        return np.einsum("no,io->ni", grad, self.weight), {
            "weight": np.einsum("ni,no->io", self._x, grad),
            "bias": grad.sum(0),
        }


@dataclass
class Conv2d:
    in_ch: int
    out_ch: int
    kernel: Tuple[int, int] = (3, 3)
    stride: Tuple[int, int] = (1, 1)
    padding: Tuple[int, int] = (0, 0)
    seed: int = 0
    weight: Array = field(init=False)
    bias: Array = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        fan_in = self.in_ch * self.kernel[0] * self.kernel[1]
        self.weight = rng.standard_normal((self.out_ch, self.in_ch, *self.kernel)) * (2 / fan_in) ** 0.5
        self.bias = np.zeros(self.out_ch)

    def _windows(self, xp: Array) -> Array:
        view = np.lib.stride_tricks.sliding_window_view(xp, self.kernel, axis=(2, 3))
        return view[:, :, ::self.stride[0], ::self.stride[1]]

    def forward(self, x: Array) -> Array:
        (ph, pw) = self.padding
        self._shape = x.shape
        self._xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        y = np.tensordot(self._windows(self._xp), self.weight, axes=([1, 4, 5], [1, 2, 3]))
        return y.transpose(0, 3, 1, 2) + self.bias[:, None, None]

    def backward(self, grad: Array) -> Tuple[Array, Dict[str, Array]]:
        dw = np.tensordot(grad, self._windows(self._xp), axes=([0, 2, 3], [0, 2, 3]))
        db = grad.sum(axis=(0, 2, 3))
        dxp = np.zeros_like(self._xp)
        (sh, sw), (kh, kw) = self.stride, self.kernel
        oh, ow = grad.shape[2:]
        for i in range(kh):
            for j in range(kw):
                dxp[:, :, i:i + sh * oh:sh, j:j + sw * ow:sw] += np.einsum("nohw,oc->nchw", grad, self.weight[:, :, i, j])
        (ph, pw), (_, _, h, w) = self.padding, self._shape
        return dxp[:, :, ph:ph + h, pw:pw + w], {"weight": dw, "bias": db}


@dataclass
class Relu:
    _on: Optional[npt.NDArray[np.bool_]] = field(default=None, init=False, repr=False)

    def forward(self, x: Array) -> Array:
        self._on = x > 0
        return np.where(self._on, x, 0.0)

    def backward(self, grad: Array) -> Tuple[Array, Dict[str, Array]]:
        return np.where(self._on, grad, 0.0), {}


@dataclass
class MaxPool:
    window: int = 2
    stride: int = 2

    def forward(self, x: Array) -> Array:
        self._x = x
        n, c, h, w = x.shape
        oh = (h - self.window) // self.stride + 1
        ow = (w - self.window) // self.stride + 1
        v = np.lib.stride_tricks.sliding_window_view(x, (self.window, self.window), axis=(2, 3))
        v = v[:, :, ::self.stride, ::self.stride].reshape(n, c, oh, ow, -1)
        self._arg = v.argmax(axis=-1)
        return np.take_along_axis(v, self._arg[..., None], axis=-1)[..., 0]

    def backward(self, grad: Array) -> Tuple[Array, Dict[str, Array]]:
        n, c, oh, ow = grad.shape
        dx = np.zeros_like(self._x)
        a, b, i, j = np.ogrid[:n, :c, :oh, :ow]
        r = i * self.stride + self._arg // self.window
        s = j * self.stride + self._arg % self.window
        np.add.at(dx, (a, b, r, s), grad)
        return dx, {}


@dataclass
class Flatten:
    _shape: Tuple[int, ...] = field(default=(), init=False)

    def forward(self, x: Array) -> Array:
        self._shape = x.shape
        return x.reshape(x.shape[0], -1)

    def backward(self, grad: Array) -> Tuple[Array, Dict[str, Array]]:
        return grad.reshape(self._shape), {}


@dataclass
class Embedding:
    vocab: int
    dim: int

    def __post_init__(self) -> None:
        self.table = np.random.default_rng(0).standard_normal((self.vocab, self.dim))

    def forward(self, idx: npt.NDArray[np.int64]) -> Array:
        self._idx = idx
        return self.table[idx]

    def backward(self, grad: Array) -> Tuple[None, Dict[str, Array]]:
        d = np.zeros_like(self.table)
        np.add.at(d, self._idx, grad)
        return None, {"table": d}


def cross_entropy(logits: Array, labels: npt.NDArray[np.int64]) -> Tuple[float, Array]:
    z = logits - logits.max(axis=1, keepdims=True)
    logz = np.log(np.exp(z).sum(axis=1))
    rows = np.arange(len(labels))
    loss = float((logz - z[rows, labels]).mean())
    g = np.exp(z - logz[:, None])
    g[rows, labels] -= 1.0
    return loss, g / len(labels)


@dataclass
class Adam:
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    t: int = 0
    state: Dict[Any, Tuple[Array, Array]] = field(default_factory=dict)

    def update(self, params: Dict[str, Array], grads: Dict[str, Array]) -> None:
        self.t += 1
        for k, g in grads.items():
            m, v = self.state.get(k, (np.zeros_like(g), np.zeros_like(g)))
            m = self.beta1 * m + (1 - self.beta1) * g
            v = self.beta2 * v + (1 - self.beta2) * g * g
            self.state[k] = (m, v)
            step = self.lr * np.sqrt(1 - self.beta2 ** self.t) / (1 - self.beta1 ** self.t)
            params[k] -= step * m / (np.sqrt(v) + self.eps * np.sqrt(1 - self.beta2 ** self.t))
