from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinycnn_numpy.layer import Layer


@dataclass
class Saved:
    xp: Any
    shape: tuple


@dataclass(eq=False, repr=False)
class Conv2D(Layer):
    in_channels: int
    out_channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    bias: Any = True
    rng: Any = field(kw_only=True)
    dtype: Any = field(default=np.float32, kw_only=True)

    def __post_init__(self):
        for name in ("kernel_size", "stride", "padding"):
            value = getattr(self, name)
            setattr(self, name, tuple(value) if isinstance(value, (list, tuple)) else (value, value))
        shape = (self.out_channels, self.in_channels, *self.kernel_size)
        bound = 1 / np.sqrt(np.prod(shape[1:]))
        self.weight = self.rng.uniform(-bound, bound, shape).astype(self.dtype)
        self.bias = self.rng.uniform(-bound, bound, shape[0]).astype(self.dtype) if self.bias else None

    def positions(self, dout_hw):
        for i in range(dout_hw[0]):
            for j in range(dout_hw[1]):
                top, left = i * self.stride[0], j * self.stride[1]
                yield i, j, slice(top, top + self.kernel_size[0]), slice(left, left + self.kernel_size[1])

    def forward(self, x):
        ph, pw = self.padding
        xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        hw = [(xp.shape[2 + d] - self.kernel_size[d]) // self.stride[d] + 1 for d in (0, 1)]
        out = np.empty((len(x), self.out_channels, *hw), x.dtype)
        for i, j, rows, cols in self.positions(hw):
            out[:, :, i, j] = np.einsum("ncij,fcij->nf", xp[:, :, rows, cols], self.weight)
        if self.bias is not None:
            out += self.bias[:, None, None]
        self.cache = Saved(xp, x.shape)
        return out

    def backward(self, dout):
        xp, (_, _, h, w) = self.cache.xp, self.cache.shape
        dxp, dweight = np.zeros_like(xp), np.zeros_like(self.weight)
        for i, j, rows, cols in self.positions(dout.shape[2:]):
            g = dout[:, :, i, j]
            dweight += np.einsum("nf,ncij->fcij", g, xp[:, :, rows, cols])
            dxp[:, :, rows, cols] += np.einsum("nf,fcij->ncij", g, self.weight)
        self.dweight = dweight
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 2, 3))
        ph, pw = self.padding
        return dxp[:, :, ph : ph + h, pw : pw + w]
