import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


def unfold(x, kernel_size, stride, padding):
    (KH, KW), (SH, SW), (PH, PW) = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
    N, C, H, W = x.shape
    OH, OW = (H - KH) // SH + 1, (W - KW) // SW + 1
    sn, sc, sh, sw = x.strides
    shape, strides = (N, C, KH, KW, OH, OW), (sn, sc, sh, sw, sh * SH, sw * SW)
    return as_strided(x, shape, strides).reshape(N, C * KH * KW, OH * OW), OH, OW


def fold(cols, x_shape, kernel_size, stride, padding, OH, OW):
    (KH, KW), (SH, SW), (PH, PW) = kernel_size, stride, padding
    N, C, H, W = x_shape
    cols = cols.reshape(N, C, KH, KW, OH, OW)
    x = np.zeros((N, C, H + 2 * PH, W + 2 * PW), cols.dtype)
    for a in range(KH):
        for b in range(KW):
            x[:, :, a : a + SH * OH : SH, b : b + SW * OW : SW] += cols[:, :, a, b]
    return x[:, :, PH : PH + H, PW : PW + W]


class Conv2D(Layer):
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        shape = (out_channels, in_channels, *self.kernel_size)
        bound = (shape[1] * shape[2] * shape[3]) ** -0.5
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_channels).astype(dtype) if bias else None

    def forward(self, x):
        cols, OH, OW = unfold(x, self.kernel_size, self.stride, self.padding)
        out = self.weight.reshape(self.out_channels, -1) @ cols
        if self.bias is not None:
            out = out + self.bias.reshape(1, -1, 1)
        self.cache = cols, x.shape
        return out.reshape(x.shape[0], self.out_channels, OH, OW)

    def backward(self, dout):
        cols, x_shape = self.cache
        N, F, OH, OW = dout.shape
        grad = dout.reshape(N, F, OH * OW)
        self.dweight = (grad @ cols.transpose(0, 2, 1)).sum(axis=0).reshape(self.weight.shape)
        if self.bias is not None:
            self.dbias = grad.sum(axis=(0, 2))
        dcols = self.weight.reshape(F, -1).T @ grad
        return fold(dcols, x_shape, self.kernel_size, self.stride, self.padding, OH, OW)
