import numpy as np

from tinycnn_numpy.layer import Layer
from numpy.lib.stride_tricks import sliding_window_view


class MaxPool2D(Layer):
    """A mask over every window, open at the first entry that equals the maximum."""

    def __init__(self, kernel_size, stride=None, padding=0):
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )

    def forward(self, x):
        (SH, SW), (PH, PW) = self.stride, self.padding
        padded = np.full((*x.shape[:2], x.shape[2] + 2 * PH, x.shape[3] + 2 * PW), -np.inf, x.dtype)
        padded[:, :, PH : PH + x.shape[2], PW : PW + x.shape[3]] = x
        windows = sliding_window_view(padded, self.kernel_size, (2, 3))[:, :, ::SH, ::SW]
        flat = windows.reshape(*windows.shape[:4], -1)
        out = flat.max(axis=-1)
        equal = flat == out[..., None]
        self.cache = (equal & (equal.cumsum(axis=-1) == 1)).reshape(windows.shape), x.shape
        return out

    def backward(self, dout):
        mask, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for h in range(dout.shape[2]):
            for w in range(dout.shape[3]):
                dx[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] += mask[:, :, h, w] * dout[:, :, h, w, None, None]
        return dx[:, :, PH : PH + H, PW : PW + W]
