import numpy as np

from tinycnn_numpy.layer import Layer


class MaxPool2D(Layer):
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
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=-np.inf)
        out = np.zeros((N, C, OH, OW), dtype=x.dtype)
        for i in range(OH):
            for j in range(OW):
                window = x_pad[:, :, i * SH : i * SH + KH, j * SW : j * SW + KW]
                out[:, :, i, j] = window.max(axis=(2, 3))
        self.cache = x_pad, x.shape
        return out

    def backward(self, dout):
        x_pad, (N, C, H, W) = self.cache
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        OH, OW = dout.shape[2:]
        dx_pad = np.zeros(x_pad.shape, dtype=dout.dtype)
        for n in range(N):
            for c in range(C):
                for i in range(OH):
                    for j in range(OW):
                        top, left = i * SH, j * SW
                        window = x_pad[n, c, top : top + KH, left : left + KW]
                        k = np.argmax(window)
                        a, b = k // KW, k % KW
                        dx_pad[n, c, top + a, left + b] += dout[n, c, i, j]
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
