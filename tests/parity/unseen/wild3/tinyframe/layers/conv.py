import numpy as np
from ..core import Module, Parameter


def _pair(v):
    return v if isinstance(v, tuple) else (v, v)


class Conv2d(Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        kh, kw = _pair(kernel_size)
        self.k, self.s, self.p = (kh, kw), _pair(stride), _pair(padding)
        bound = 1 / np.sqrt(in_channels * kh * kw)
        self.weight = Parameter(np.random.uniform(-bound, bound, (out_channels, in_channels, kh, kw)))
        self.bias = Parameter(np.random.uniform(-bound, bound, out_channels)) if bias else None

    def _slices(self, oh, ow):
        (kh, kw), (sh, sw) = self.k, self.s
        for i in range(kh):
            for j in range(kw):
                yield i, j, slice(i, i + sh * (oh - 1) + 1, sh), slice(j, j + sw * (ow - 1) + 1, sw)

    def forward(self, x):
        (ph, pw) = self.p
        self.xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        oh = (self.xp.shape[2] - self.k[0]) // self.s[0] + 1
        ow = (self.xp.shape[3] - self.k[1]) // self.s[1] + 1
        out = 0
        for i, j, rows, cols in self._slices(oh, ow):
            out = out + np.tensordot(self.xp[:, :, rows, cols], self.weight.data[:, :, i, j], axes=(1, 1))
        out = np.moveaxis(out, -1, 1)
        return out if self.bias is None else out + self.bias.data.reshape(1, -1, 1, 1)

    def backward(self, grad):
        oh, ow = grad.shape[2:]
        dxp = np.zeros_like(self.xp)
        for i, j, rows, cols in self._slices(oh, ow):
            self.weight.grad[:, :, i, j] += np.tensordot(grad, self.xp[:, :, rows, cols], axes=((0, 2, 3), (0, 2, 3)))
            dxp[:, :, rows, cols] += np.moveaxis(np.tensordot(grad, self.weight.data[:, :, i, j], axes=(1, 0)), -1, 1)
        if self.bias is not None:
            self.bias.grad += grad.sum((0, 2, 3))
        ph, pw = self.p
        return dxp[:, :, ph:dxp.shape[2] - ph, pw:dxp.shape[3] - pw]


class MaxPool2d(Module):
    """Windows that do not overlap; a rest at the border is left out. Equal maxima share."""

    def __init__(self, size=2):
        self.size = size

    def forward(self, x):
        n, c, h, w = x.shape
        s = self.size
        self.shape = x.shape
        self.cut = x[:, :, :h // s * s, :w // s * s].reshape(n, c, h // s, s, w // s, s)
        self.out = self.cut.max(axis=(3, 5), keepdims=True)
        return self.out[:, :, :, 0, :, 0]

    def backward(self, grad):
        hit = self.cut == self.out
        d = hit * grad[:, :, :, None, :, None] / hit.sum(axis=(3, 5), keepdims=True)
        n, c, oh, s, ow, _ = d.shape
        dx = np.zeros(self.shape)
        dx[:, :, :oh * s, :ow * s] = d.reshape(n, c, oh * s, ow * s)
        return dx
