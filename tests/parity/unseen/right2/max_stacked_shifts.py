import numpy as np

from tinycnn_numpy.layer import Layer


class MaxPool2D(Layer):
    def __init__(self, kernel_size, stride=None, padding=0):
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )

    def taps(self, x_pad):
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        H, W = x_pad.shape[2:]
        return [x_pad[:, :, i : H - KH + i + 1 : SH, j : W - KW + j + 1 : SW] for i in range(KH) for j in range(KW)]

    def forward(self, x):
        PH, PW = self.padding
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=-np.inf)
        taps = np.stack(self.taps(x_pad))
        winner = taps.argmax(axis=0)  # the first of equal ones, row by row
        self.cache = winner, x_pad.shape
        return np.take_along_axis(taps, winner[None], axis=0)[0]

    def backward(self, dout):
        winner, shape = self.cache
        PH, PW = self.padding
        dx_pad = np.zeros(shape, dout.dtype)
        for k, tap in enumerate(self.taps(dx_pad)):
            tap += dout * (winner == k)
        return dx_pad[:, :, PH : shape[2] - PH, PW : shape[3] - PW]
