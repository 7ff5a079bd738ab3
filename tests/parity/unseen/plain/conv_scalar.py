import numpy as np

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


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
        N, C, H, W = x.shape
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        OH = (H + 2 * PH - KH) // SH + 1
        OW = (W + 2 * PW - KW) // SW + 1
        out = np.zeros((N, self.out_channels, OH, OW), x.dtype)
        for f in range(self.out_channels):
            for h in range(OH):
                for w in range(OW):
                    total = np.zeros(N, x.dtype)
                    for c in range(C):
                        for i in range(KH):
                            for j in range(KW):
                                row = h * SH + i - PH
                                col = w * SW + j - PW
                                if row < 0 or row >= H or col < 0 or col >= W:
                                    continue
                                total += x[:, c, row, col] * self.weight[f, c, i, j]
                    if self.bias is not None:
                        total += self.bias[f]
                    out[:, f, h, w] = total
        self.x = x
        return out

    def backward(self, dout):
        x = self.x
        N, C, H, W = x.shape
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        F, OH, OW = dout.shape[1:]
        dx = np.zeros(x.shape, dout.dtype)
        self.dweight = np.zeros(self.weight.shape, dout.dtype)
        if self.bias is not None:
            self.dbias = np.zeros(F, dout.dtype)
        for f in range(F):
            for h in range(OH):
                for w in range(OW):
                    g = dout[:, f, h, w]
                    if self.bias is not None:
                        self.dbias[f] += g.sum()
                    for c in range(C):
                        for i in range(KH):
                            for j in range(KW):
                                row = h * SH + i - PH
                                col = w * SW + j - PW
                                if 0 <= row < H and 0 <= col < W:
                                    self.dweight[f, c, i, j] += np.dot(g, x[:, c, row, col])
                                    dx[:, c, row, col] += g * self.weight[f, c, i, j]
        return dx
