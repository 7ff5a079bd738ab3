import numpy as np

from tinycnn_numpy.layer import Layer


class AvgPool2D(Layer):
    def __init__(self, kernel_size, stride=None, padding=0):
        if stride is None:
            stride = kernel_size
        self.kernel_size = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
        self.stride = stride if isinstance(stride, tuple) else (stride, stride)
        self.padding = padding if isinstance(padding, tuple) else (padding, padding)

    def forward(self, x):
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        N, C, H, W = x.shape
        OH = (H + 2 * PH - KH) // SH + 1
        OW = (W + 2 * PW - KW) // SW + 1
        x_pad = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dtype=x.dtype)
        x_pad[:, :, PH : PH + H, PW : PW + W] = x
        out = np.zeros((N, C, OH, OW), dtype=x.dtype)
        for i in range(OH):
            for j in range(OW):
                h, w = i * SH, j * SW
                out[:, :, i, j] = x_pad[:, :, h : h + KH, w : w + KW].sum(axis=(2, 3)) / (KH * KW)
        self.cache = x.shape
        return out

    def backward(self, dout):
        N, C, H, W = self.cache
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        OH, OW = dout.shape[2:]
        dx_pad = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dtype=dout.dtype)
        for i in range(OH):
            for j in range(OW):
                h, w = i * SH, j * SW
                share = dout[:, :, i, j] / (KH * KW)
                dx_pad[:, :, h : h + KH, w : w + KW] += share[:, :, None, None]
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
