"""all layers, one helper for the windows"""
import math

import numpy as np
from tinycnn_numpy.layer import Layer


def pair(v):
    return tuple(v) if isinstance(v, (list, tuple)) else (v, v)


def unfold(x, k, s, p, value=0.0):
    x = np.pad(x, ((0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])), constant_values=value)
    oh, ow = (x.shape[2] - k[0]) // s[0] + 1, (x.shape[3] - k[1]) // s[1] + 1
    out = np.empty((*x.shape[:2], oh, ow, k[0] * k[1]), x.dtype)
    for q in range(k[0] * k[1]):
        i, j = divmod(q, k[1])
        out[..., q] = x[:, :, i : i + s[0] * (oh - 1) + 1 : s[0], j : j + s[1] * (ow - 1) + 1 : s[1]]
    return out


def fold(d, shape, k, s, p):
    n, c, h, w = shape
    x = np.zeros((n, c, h + 2 * p[0], w + 2 * p[1]), d.dtype)
    oh, ow = d.shape[2:4]
    for q in range(k[0] * k[1]):
        i, j = divmod(q, k[1])
        x[:, :, i : i + s[0] * (oh - 1) + 1 : s[0], j : j + s[1] * (ow - 1) + 1 : s[1]] += d[..., q]
    return x[:, :, p[0] : p[0] + h, p[1] : p[1] + w]


class Conv2D(Layer):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32):
        self.geometry = pair(kernel_size), pair(stride), pair(padding)
        self.kernel_size, self.stride, self.padding = self.geometry
        bound = 1 / math.sqrt(in_channels * math.prod(self.kernel_size))
        draw = lambda *shape: rng.uniform(-bound, bound, shape).astype(dtype)
        self.weight = draw(out_channels, in_channels, *self.kernel_size)
        self.bias = draw(out_channels) if bias else None

    def forward(self, x):
        u = unfold(x, *self.geometry)
        self.cache = u, x.shape
        out = np.einsum("nchwq,fcq->nfhw", u, self.weight.reshape(*self.weight.shape[:2], -1))
        return out if self.bias is None else out + self.bias[:, None, None]

    def backward(self, dout):
        u, shape = self.cache
        flat = self.weight.reshape(*self.weight.shape[:2], -1)
        self.dweight = np.einsum("nfhw,nchwq->fcq", dout, u).reshape(self.weight.shape)
        if self.bias is not None:
            self.dbias = dout.sum((0, 2, 3))
        return fold(np.einsum("nfhw,fcq->nchwq", dout, flat), shape, *self.geometry)


class MaxPool2D(Layer):
    def __init__(self, kernel_size, stride=None, padding=0):
        self.geometry = pair(kernel_size), pair(kernel_size if stride is None else stride), pair(padding)
        self.kernel_size, self.stride, self.padding = self.geometry

    def forward(self, x):
        u = unfold(x, *self.geometry, value=-np.inf)
        self.cache = u.argmax(-1), x.shape
        return u.max(-1)

    def backward(self, dout):
        arg, shape = self.cache
        k = math.prod(self.kernel_size)
        return fold((arg[..., None] == np.arange(k)) * dout[..., None], shape, *self.geometry)


class AvgPool2D(MaxPool2D):
    def forward(self, x):
        self.cache = x.shape
        return unfold(x, *self.geometry).mean(-1)

    def backward(self, dout):
        k = math.prod(self.kernel_size)
        return fold(np.repeat(dout[..., None] / k, k, axis=-1), self.cache, *self.geometry)


class ReLU(Layer):
    def forward(self, x):
        self.cache = np.sign(np.maximum(x, 0))
        return np.maximum(x, 0)

    def backward(self, dout):
        return dout * self.cache


class Flatten(Layer):
    def forward(self, x):
        self.cache = x.shape
        return x.reshape(x.shape[0], -1)

    def backward(self, dout):
        return dout.reshape(self.cache)


class Dense(Layer):
    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        bound = in_features**-0.5
        self.weight = rng.uniform(-bound, bound, (out_features, in_features)).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_features).astype(dtype) if bias else None

    def forward(self, x):
        self.cache = x
        return np.tensordot(x, self.weight, (1, 1)) + (0 if self.bias is None else self.bias)

    def backward(self, dout):
        self.dweight = np.tensordot(dout, self.cache, (0, 0))
        if self.bias is not None:
            self.dbias = np.sum(dout, 0)
        return np.tensordot(dout, self.weight, (1, 0))


class CrossEntropyLoss:
    def __call__(self, logits, labels):
        return self.forward(logits, labels)

    def forward(self, logits, labels):
        z = logits - logits.max(axis=1)[:, None]
        self.probs = np.exp(z) / np.exp(z).sum(axis=1)[:, None]
        self.labels = labels
        correct = z[np.arange(len(z)), labels]
        return (np.log(np.exp(z).sum(axis=1)) - correct).mean()

    def backward(self):
        hot = self.labels[:, None] == np.arange(self.probs.shape[1])
        return (self.probs - hot).astype(self.probs.dtype) / len(hot)
