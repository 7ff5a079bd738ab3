import numpy as np

from tinycnn_numpy.layer import Layer


class AvgPool2D(Layer):
    def __init__(self, kernel_size, stride=None, padding=0):
        stride = kernel_size if stride is None else stride
        self.KH, self.KW = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
        self.SH, self.SW = stride if isinstance(stride, tuple) else (stride, stride)
        self.PH, self.PW = padding if isinstance(padding, tuple) else (padding, padding)

    def forward(self, x):
        N, C, H, W = x.shape
        OH = int((H + 2 * self.PH - self.KH) / self.SH) + 1
        OW = int((W + 2 * self.PW - self.KW) / self.SW) + 1
        x_pad = np.pad(x, ((0, 0), (0, 0), (self.PH, self.PH), (self.PW, self.PW)))
        out = np.zeros((N, C, OH, OW), x.dtype)
        for n in range(N):
            for c in range(C):
                for i in range(OH):
                    for j in range(OW):
                        total = 0
                        for a in range(self.KH):
                            for b in range(self.KW):
                                total += x_pad[n, c, i * self.SH + a, j * self.SW + b]
                        out[n, c, i, j] = total / (self.KH * self.KW)
        self.cache = x.shape
        return out

    def backward(self, dout):
        N, C, H, W = self.cache
        OH, OW = dout.shape[2:]
        dx = np.zeros((N, C, H, W), dout.dtype)
        for n in range(N):
            for c in range(C):
                for i in range(OH):
                    for j in range(OW):
                        for a in range(self.KH):
                            for b in range(self.KW):
                                row = i * self.SH + a - self.PH
                                col = j * self.SW + b - self.PW
                                if 0 <= row < H and 0 <= col < W:
                                    dx[n, c, row, col] += dout[n, c, i, j] / (self.KH * self.KW)
        return dx
