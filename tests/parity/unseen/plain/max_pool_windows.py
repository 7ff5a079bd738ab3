import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


class MaxPool2D(Layer):
    def __init__(self, kernel_size, stride=None, padding=0):
        self.kernel_size = pair(kernel_size)
        self.stride = pair(kernel_size if stride is None else stride)
        self.padding = pair(padding)

    def forward(self, x):
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=-np.inf)
        windows = sliding_window_view(x_pad, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]
        N, C, OH, OW = windows.shape[:4]
        windows = windows.reshape(N, C, OH, OW, KH * KW)
        winner = windows.argmax(axis=4)
        out = windows.max(axis=4)
        self.cache = winner, x.shape
        return out

    def backward(self, dout):
        winner, (N, C, H, W) = self.cache
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        OH, OW = dout.shape[2:]
        dx_pad = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for a in range(KH):
            for b in range(KW):
                mask = winner == a * KW + b
                dx_pad[:, :, a : a + SH * OH : SH, b : b + SW * OW : SW] += mask * dout
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
