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

    def indices(self, x_shape):
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        N, C, H, W = x_shape
        OH = (H + 2 * PH - KH) // SH + 1
        OW = (W + 2 * PW - KW) // SW + 1
        i0 = np.tile(np.repeat(np.arange(KH), KW), C)
        i1 = SH * np.repeat(np.arange(OH), OW)
        j0 = np.tile(np.arange(KW), KH * C)
        j1 = SW * np.tile(np.arange(OW), OH)
        k = np.repeat(np.arange(C), KH * KW).reshape(-1, 1)
        return k, i0.reshape(-1, 1) + i1, j0.reshape(-1, 1) + j1, OH, OW

    def forward(self, x):
        PH, PW = self.padding
        N, C = x.shape[:2]
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        k, i, j, OH, OW = self.indices(x.shape)
        cols = x_pad[:, k, i, j].transpose(1, 2, 0).reshape(C * self.weight[0, 0].size, -1)
        out = self.weight.reshape(self.out_channels, -1) @ cols
        if self.bias is not None:
            out += self.bias.reshape(-1, 1)
        self.cache = cols, x.shape
        return out.reshape(self.out_channels, OH, OW, N).transpose(3, 0, 1, 2)

    def backward(self, dout):
        cols, x_shape = self.cache
        PH, PW = self.padding
        N, C, H, W = x_shape
        k, i, j, OH, OW = self.indices(x_shape)
        dout_flat = dout.transpose(1, 2, 3, 0).reshape(self.out_channels, -1)
        self.dweight = (dout_flat @ cols.T).reshape(self.weight.shape)
        if self.bias is not None:
            self.dbias = dout_flat.sum(axis=1)
        dcols = self.weight.reshape(self.out_channels, -1).T @ dout_flat
        dcols = dcols.reshape(len(cols), OH * OW, N).transpose(2, 0, 1)
        dx_pad = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dcols.dtype)
        np.add.at(dx_pad, (slice(None), k, i, j), dcols)
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
