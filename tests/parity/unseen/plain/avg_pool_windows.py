import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


class AvgPool2D(Layer):
    def __init__(self, kernel_size, stride=None, padding=0):
        self.kernel_size = pair(kernel_size)
        self.stride = self.kernel_size if stride is None else pair(stride)
        self.padding = pair(padding)

    def forward(self, x):
        SH, SW = self.stride
        PH, PW = self.padding
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        windows = sliding_window_view(x_pad, self.kernel_size, axis=(2, 3))
        windows = windows[:, :, ::SH, ::SW]
        out = windows.mean(axis=(4, 5))
        self.cache = x.shape
        return out

    def backward(self, dout):
        N, C, H, W = self.cache
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        OH, OW = dout.shape[2:]
        share = dout / (KH * KW)
        dx_pad = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for a in range(KH):
            for b in range(KW):
                dx_pad[:, :, a : a + SH * OH : SH, b : b + SW * OW : SW] += share
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
