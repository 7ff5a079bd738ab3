import math

import numpy as np


class Parameter:
    def __init__(self, data):
        self.data = np.asarray(data, dtype=np.float64)
        self.grad = None

    def zero_grad(self):
        self.grad = None

    def accumulate(self, g):
        self.grad = g if self.grad is None else self.grad + g


class Module:
    def __call__(self, *args):
        return self.forward(*args)

    def parameters(self):
        return [v for v in vars(self).values() if isinstance(v, Parameter)]


class Linear(Module):
    def __init__(self, in_features, out_features, bias=True):
        bound = 1 / math.sqrt(in_features)
        self.weight = Parameter(np.random.uniform(-bound, bound, (out_features, in_features)))
        self.bias = Parameter(np.zeros(out_features)) if bias else None

    def forward(self, x):
        self._x = x
        y = x @ self.weight.data.T
        return y + self.bias.data if self.bias is not None else y

    def backward(self, dy):
        self.weight.accumulate(dy.T @ self._x)
        if self.bias is not None:
            self.bias.accumulate(dy.sum(0))
        return dy @ self.weight.data


class Conv2d(Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        self.k, self.s, self.p = kernel_size, stride, padding
        bound = 1 / math.sqrt(in_channels * kernel_size * kernel_size)
        self.weight = Parameter(
            np.random.uniform(-bound, bound, (out_channels, in_channels, kernel_size, kernel_size))
        )
        self.bias = Parameter(np.random.uniform(-bound, bound, out_channels))

    def forward(self, x):
        p, k, s = self.p, self.k, self.s
        self._shape = x.shape
        self._xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        n, c, h, w = self._xp.shape
        st = self._xp.strides
        self._oh, self._ow = (h - k) // s + 1, (w - k) // s + 1
        self._view = np.lib.stride_tricks.as_strided(
            self._xp,
            (n, c, self._oh, self._ow, k, k),
            (st[0], st[1], st[2] * s, st[3] * s, st[2], st[3]),
        )
        return np.einsum("nchwij,fcij->nfhw", self._view, self.weight.data) + self.bias.data.reshape(1, -1, 1, 1)

    def backward(self, dy):
        p, k, s = self.p, self.k, self.s
        self.weight.accumulate(np.einsum("nfhw,nchwij->fcij", dy, self._view))
        self.bias.accumulate(dy.sum(axis=(0, 2, 3)))
        dxp = np.zeros_like(self._xp)
        for i in range(k):
            for j in range(k):
                dxp[:, :, i : i + s * self._oh : s, j : j + s * self._ow : s][
                    :, :, : self._oh, : self._ow
                ] += np.einsum("nfhw,fc->nchw", dy, self.weight.data[:, :, i, j])
        return dxp[:, :, p : p + self._shape[2], p : p + self._shape[3]]


class SGD:
    def __init__(self, params, lr=0.01, momentum=0.0):
        self.params, self.lr, self.momentum = list(params), lr, momentum
        self.buf = [0.0] * len(self.params)

    def zero_grad(self):
        for p in self.params:
            p.zero_grad()

    def step(self):
        for i, p in enumerate(self.params):
            self.buf[i] = self.momentum * self.buf[i] + p.grad
            p.data = p.data - self.lr * self.buf[i]


class Adam:
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        self.params, self.lr, self.betas, self.eps, self.t = list(params), lr, betas, eps, 0
        self.m = [np.zeros_like(p.data) for p in self.params]
        self.v = [np.zeros_like(p.data) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.zero_grad()

    def step(self):
        b1, b2 = self.betas
        for i, p in enumerate(self.params):
            self.t += 1
            self.m[i] = b1 * self.m[i] + (1 - b1) * p.grad
            self.v[i] = b2 * self.v[i] + (1 - b2) * p.grad**2
            mh, vh = self.m[i] / (1 - b1**self.t), self.v[i] / (1 - b2**self.t)
            p.data = p.data - self.lr * mh / (np.sqrt(vh) + self.eps)
