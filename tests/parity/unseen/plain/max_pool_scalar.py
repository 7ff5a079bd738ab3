import numpy as np

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


class MaxPool2D(Layer):
    def __init__(self, kernel_size, stride=None, padding=0):
        self.kernel_size = pair(kernel_size)
        self.stride = pair(stride) if stride is not None else self.kernel_size
        self.padding = pair(padding)

    def forward(self, x):
        N, C, H, W = x.shape
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        OH = 1 + (H + 2 * PH - KH) // SH
        OW = 1 + (W + 2 * PW - KW) // SW
        out = np.zeros((N, C, OH, OW), x.dtype)
        self.rows = np.zeros((N, C, OH, OW), int)
        self.cols = np.zeros((N, C, OH, OW), int)
        for n in range(N):
            for c in range(C):
                for i in range(OH):
                    for j in range(OW):
                        top, left = i * SH - PH, j * SW - PW
                        best = -np.inf
                        for row in range(max(top, 0), min(top + KH, H)):
                            for col in range(max(left, 0), min(left + KW, W)):
                                if x[n, c, row, col] > best:
                                    best = x[n, c, row, col]
                                    self.rows[n, c, i, j] = row
                                    self.cols[n, c, i, j] = col
                        out[n, c, i, j] = best
        self.x_shape = x.shape
        return out

    def backward(self, dout):
        N, C, OH, OW = dout.shape
        dx = np.zeros(self.x_shape, dout.dtype)
        for n in range(N):
            for c in range(C):
                for i in range(OH):
                    for j in range(OW):
                        row = self.rows[n, c, i, j]
                        col = self.cols[n, c, i, j]
                        dx[n, c, row, col] += dout[n, c, i, j]
        return dx
