import numpy as np

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


class Conv2D(Layer):
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = pair(kernel_size)
        self.stride = pair(stride)
        self.padding = pair(padding)
        shape = (out_channels, in_channels, *self.kernel_size)
        bound = (shape[1] * shape[2] * shape[3]) ** -0.5
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_channels).astype(dtype) if bias else None

    def pad(self, x):
        PH, PW = self.padding
        return np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))

    def forward(self, x):
        x_pad = self.pad(x)
        N, C, HP, WP = x_pad.shape
        F, (KH, KW), (SH, SW) = self.out_channels, self.kernel_size, self.stride
        out = np.zeros((N, F, 1 + (HP - KH) // SH, 1 + (WP - KW) // SW), x.dtype)
        for n in range(N):
            for f in range(F):
                for i, top in enumerate(range(0, HP - KH + 1, SH)):
                    for j, left in enumerate(range(0, WP - KW + 1, SW)):
                        for c in range(C):
                            patch = x_pad[n, c, top : top + KH, left : left + KW]
                            out[n, f, i, j] += np.sum(patch * self.weight[f, c])
                        if self.bias is not None:
                            out[n, f, i, j] += self.bias[f]
        self.cache = x
        return out

    def backward(self, dout):
        x = self.cache
        H, W = x.shape[2:]
        x_pad = self.pad(x)
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        N, F, OH, OW = dout.shape
        dx_pad = np.zeros_like(x_pad)
        dw = np.zeros_like(self.weight)
        if self.bias is not None:
            self.dbias = np.zeros_like(self.bias)
        for n in range(N):
            for f in range(F):
                for i in range(OH):
                    for j in range(OW):
                        top, left = i * SH, j * SW
                        window = x_pad[n, :, top : top + KH, left : left + KW]
                        dw[f] += dout[n, f, i, j] * window
                        dx_pad[n, :, top : top + KH, left : left + KW] += dout[n, f, i, j] * self.weight[f]
                        if self.bias is not None:
                            self.dbias[f] += dout[n, f, i, j]
        self.dweight = dw
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
