"""A tiny neural network library: parameters carry their gradient, gradients
accumulate until zero_grad() is called."""
from __future__ import annotations

from typing import Iterable, List, Optional, Tuple

import numpy as np

Array = np.ndarray


class Parameter:
    def __init__(self, data: Array) -> None:
        self.data = data
        self.grad = np.zeros_like(data)

    def zero_grad(self) -> None:
        self.grad = np.zeros_like(self.data)


class Module:
    training: bool = True

    def parameters(self) -> List[Parameter]:
        return [p for p in self.__dict__.values() if isinstance(p, Parameter)]

    def zero_grad(self) -> None:
        for p in self.parameters():
            p.zero_grad()

    def train(self) -> None:
        self.training = True

    def eval(self) -> None:
        self.training = False

    def __call__(self, x: Array) -> Array:
        return self.forward(x)

    def forward(self, x: Array) -> Array:
        raise NotImplementedError

    def backward(self, grad: Array) -> Array:
        raise NotImplementedError


class Linear(Module):
    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        bound = 1.0 / np.sqrt(in_features)
        self.weight = Parameter(np.random.uniform(-bound, bound, (out_features, in_features)))
        self.bias: Optional[Parameter] = Parameter(np.zeros(out_features)) if bias else None

    def forward(self, x: Array) -> Array:
        self._x = x
        out = x @ self.weight.data.T
        if self.bias is not None:
            out = out + self.bias.data
        return out

    def backward(self, grad: Array) -> Array:
        self.weight.grad += grad.T @ self._x
        if self.bias is not None:
            self.bias.grad = grad.sum(axis=0)
        return grad @ self.weight.data


class ReLU(Module):
    def forward(self, x: Array) -> Array:
        self._mask = x > 0
        return x * self._mask

    def backward(self, grad: Array) -> Array:
        return grad * self._mask


class Dropout(Module):
    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p < 1:
            raise ValueError("p must be in [0, 1)")
        self.p = p
        self._mask: Optional[Array] = None

    def forward(self, x: Array) -> Array:
        if not self.training:
            self._mask = None
            return x
        self._mask = (np.random.rand(*x.shape) >= self.p).astype(x.dtype) / (1 - self.p)
        return x * self._mask

    def backward(self, grad: Array) -> Array:
        return grad if self._mask is None else grad * self._mask


class LayerNorm(Module):
    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        self.weight = Parameter(np.ones(dim))
        self.bias = Parameter(np.zeros(dim))
        self.eps = eps

    def forward(self, x: Array) -> Array:
        mu = x.mean(-1, keepdims=True)
        self._inv = 1.0 / np.sqrt(x.var(-1, keepdims=True) + self.eps)
        self._xhat = (x - mu) * self._inv
        return self.weight.data * self._xhat + self.bias.data

    def backward(self, grad: Array) -> Array:
        self.weight.grad += (grad * self._xhat).sum(0)
        self.bias.grad += grad.sum(0)
        g = grad * self.weight.data
        return self._inv * (g - g.mean(-1, keepdims=True) - self._xhat * (g * self._xhat).mean(-1, keepdims=True))


class Conv2d(Module):
    def __init__(self, cin: int, cout: int, k: int, stride: int = 1, padding: int = 0) -> None:
        self.weight = Parameter(np.random.randn(cout, cin, k, k) * 0.1)
        self.bias = Parameter(np.zeros(cout))
        self.k, self.stride, self.padding = k, stride, padding

    def _out_size(self, h: int, w: int) -> Tuple[int, int]:
        return ((h + 2 * self.padding - self.k) // self.stride + 1,
                (w + 2 * self.padding - self.k) // self.stride + 1)

    def forward(self, x: Array) -> Array:
        p, s, k = self.padding, self.stride, self.k
        self._shape = x.shape
        oh, ow = self._out_size(x.shape[2], x.shape[3])
        self._xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        out = np.empty((x.shape[0], self.weight.data.shape[0], oh, ow))
        for i in range(oh):
            for j in range(ow):
                out[:, :, i, j] = np.einsum('nchw,fchw->nf', self._xp[:, :, i*s:i*s+k, j*s:j*s+k], self.weight.data)
        return out + self.bias.data.reshape(1, -1, 1, 1)

    def backward(self, grad: Array) -> Array:
        p, s, k = self.padding, self.stride, self.k
        dxp = np.zeros_like(self._xp)
        for i in range(grad.shape[2]):
            for j in range(grad.shape[3]):
                g = grad[:, :, i, j]
                self.weight.grad += np.einsum('nf,nchw->fchw', g, self._xp[:, :, i*s:i*s+k, j*s:j*s+k])
                dxp[:, :, i*s:i*s+k, j*s:j*s+k] += np.einsum('nf,fchw->nchw', g, self.weight.data)
        self.bias.grad += grad.sum(axis=(0, 2, 3))
        _, _, h, w = self._shape
        return dxp[:, :, p:p + h, p:p + w]


class CrossEntropyLoss:
    """Mean cross entropy of integer targets."""

    def __call__(self, logits: Array, target: Array) -> float:
        z = logits - logits.max(axis=1, keepdims=True)
        self._logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        self._target = target
        return float(-self._logp[np.arange(len(target)), target].mean())

    def backward(self) -> Array:
        n = len(self._target)
        grad = np.exp(self._logp)
        grad[np.arange(n), self._target] -= 1.0
        return grad / n


class SGD:
    def __init__(self, params: Iterable[Parameter], lr: float, momentum: float = 0.0,
                 weight_decay: float = 0.0) -> None:
        self.params = list(params)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.buf = [np.zeros_like(p.data) for p in self.params]

    def step(self) -> None:
        for p, b in zip(self.params, self.buf):
            g = p.grad + self.weight_decay * p.data
            b *= self.momentum
            b += g
            p.data -= self.lr * b

    def zero_grad(self) -> None:
        for p in self.params:
            p.zero_grad()


class Adam:
    def __init__(self, params: Iterable[Parameter], lr: float = 1e-3,
                 betas: Tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        self.params = list(params)
        self.lr, self.betas, self.eps = lr, betas, eps
        self.m = [np.zeros_like(p.data) for p in self.params]
        self.v = [np.zeros_like(p.data) for p in self.params]
        self.t = 0

    def step(self) -> None:
        b1, b2 = self.betas
        for i, p in enumerate(self.params):
            self.t += 1
            self.m[i] = b1 * self.m[i] + (1 - b1) * p.grad
            self.v[i] = b2 * self.v[i] + (1 - b2) * p.grad ** 2
            m_hat = self.m[i] / (1 - b1 ** self.t)
            v_hat = self.v[i] / (1 - b2 ** self.t)
            p.data -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


class Sequential(Module):
    def __init__(self, *layers: Module) -> None:
        self.layers = list(layers)

    def parameters(self) -> List[Parameter]:
        return [p for layer in self.layers for p in layer.parameters()]

    def forward(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer(x)
        return x

    def backward(self, grad: Array) -> Array:
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad
