import numpy as np

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


class MaxPool2D(Layer):
    def __init__(self, kernel_size, stride=None, padding=0):
        self.kernel_size = pair(kernel_size)
        self.stride = self.kernel_size if stride is None else pair(stride)
        self.padding = pair(padding)

    def forward(self, x):
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=-np.inf)
        N, C, HP, WP = x_pad.shape
        OH, OW = (HP - KH) // SH + 1, (WP - KW) // SW + 1
        best = np.full((N, C, OH, OW), -np.inf, x.dtype)
        winner = np.zeros((N, C, OH, OW), int)
        for i in range(KH):
            for j in range(KW):
                pixels = x_pad[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW]
                better = pixels > best
                best = np.where(better, pixels, best)
                winner[better] = i * KW + j
        self.cache = winner, x.shape, x_pad.shape
        return best

    def backward(self, dout):
        winner, (N, C, H, W), (_, _, HP, WP) = self.cache
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        OH, OW = dout.shape[2:]
        rows = np.arange(OH)[:, None] * SH + winner // KW
        columns = np.arange(OW) * SW + winner % KW
        pixel = (rows * WP + columns).reshape(N * C, -1)
        dx_pad = np.zeros((N * C, HP * WP), dout.dtype)
        image = np.arange(N * C)[:, None]
        np.add.at(dx_pad, (image, pixel), dout.reshape(N * C, -1))
        dx_pad = dx_pad.reshape(N, C, HP, WP)
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
