import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


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
        SH, SW = self.stride
        PH, PW = self.padding
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        windows = sliding_window_view(x_pad, self.kernel_size, axis=(2, 3))
        windows = windows[:, :, ::SH, ::SW]
        out = np.einsum("nchwij,fcij->nfhw", windows, self.weight)
        if self.bias is not None:
            out += self.bias[:, None, None]
        self.cache = windows, x.shape
        return out

    def backward(self, dout):
        windows, (N, C, H, W) = self.cache
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        OH, OW = dout.shape[2:]
        self.dweight = np.einsum("nfhw,nchwij->fcij", dout, windows)
        if self.bias is not None:
            self.dbias = np.einsum("nfhw->f", dout)
        dwindows = np.einsum("nfhw,fcij->ncijhw", dout, self.weight)
        dx_pad = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i in range(KH):
            for j in range(KW):
                dx_pad[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += dwindows[:, :, i, j]
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
