import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


def correlate(images, kernels):
    windows = sliding_window_view(images, kernels.shape[2:], axis=(2, 3))
    return np.tensordot(windows, kernels, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)


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
        out = correlate(x_pad, self.weight)[:, :, ::SH, ::SW]
        if self.bias is not None:
            out = out + self.bias.reshape(-1, 1, 1)
        self.cache = x_pad, x.shape
        return out

    def backward(self, dout):
        x_pad, x_shape = self.cache
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        N, F, OH, OW = dout.shape
        H, W = x_shape[2:]
        dilated = np.zeros((N, F, x_pad.shape[2] - KH + 1, x_pad.shape[3] - KW + 1), dout.dtype)
        dilated[:, :, ::SH, ::SW] = dout
        self.dweight = correlate(x_pad.swapaxes(0, 1), dilated.swapaxes(0, 1)).swapaxes(0, 1)
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 2, 3))
        turned = self.weight[:, :, ::-1, ::-1]
        full = np.pad(dilated, ((0, 0), (0, 0), (KH - 1, KH - 1), (KW - 1, KW - 1)))
        dx_pad = correlate(full, turned.swapaxes(0, 1))
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
