import numpy as np

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


class Conv2D(Layer):
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32
    ):
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair(kernel_size)
        self.stride = pair(stride)
        self.padding = pair(padding)
        fan_in = in_channels * self.kernel_size[0] * self.kernel_size[1]
        bound = 1 / np.sqrt(fan_in)
        shape = (out_channels, in_channels, self.kernel_size[0], self.kernel_size[1])
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype)
        self.bias = None
        if bias:
            self.bias = rng.uniform(-bound, bound, out_channels).astype(dtype)

    def forward(self, x):
        N, C, H, W = x.shape
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        OH = (H + 2 * PH - KH) // SH + 1
        OW = (W + 2 * PW - KW) // SW + 1
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        out = np.zeros((N, self.out_channels, OH, OW), dtype=x.dtype)
        for i in range(OH):
            for j in range(OW):
                patch = x_pad[:, :, i * SH : i * SH + KH, j * SW : j * SW + KW]
                for f in range(self.out_channels):
                    out[:, f, i, j] = np.sum(patch * self.weight[f], axis=(1, 2, 3))
        if self.bias is not None:
            out += self.bias.reshape(1, -1, 1, 1)
        self.cache = x_pad, x.shape
        return out

    def backward(self, dout):
        x_pad, x_shape = self.cache
        N, C, H, W = x_shape
        KH, KW = self.kernel_size
        SH, SW = self.stride
        PH, PW = self.padding
        _, F, OH, OW = dout.shape
        dx_pad = np.zeros_like(x_pad)
        self.dweight = np.zeros_like(self.weight)
        for i in range(OH):
            for j in range(OW):
                window = x_pad[:, :, i * SH : i * SH + KH, j * SW : j * SW + KW]
                for f in range(F):
                    g = dout[:, f, i, j].reshape(N, 1, 1, 1)
                    self.dweight[f] += np.sum(g * window, axis=0)
                    dx_pad[:, :, i * SH : i * SH + KH, j * SW : j * SW + KW] += g * self.weight[f]
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 2, 3))
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
