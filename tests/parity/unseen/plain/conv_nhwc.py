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
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        x = x.transpose(0, 2, 3, 1)
        N, H, W, C = x.shape
        F = self.out_channels
        x_pad = np.pad(x, ((0, 0), (PH, PH), (PW, PW), (0, 0)))
        OH = (H - KH + 2 * PH) // SH + 1
        OW = (W - KW + 2 * PW) // SW + 1
        kernel = self.weight.transpose(2, 3, 1, 0).reshape(KH * KW * C, F)
        out = np.zeros((N, OH, OW, F), x.dtype)
        for i in range(OH):
            for j in range(OW):
                y0, x0 = i * SH, j * SW
                patch = x_pad[:, y0 : y0 + KH, x0 : x0 + KW, :].reshape(N, -1)
                out[:, i, j, :] = patch @ kernel
        if self.bias is not None:
            out += self.bias
        self.cache = x_pad, kernel
        return out.transpose(0, 3, 1, 2)

    def backward(self, dout):
        x_pad, kernel = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        dout = dout.transpose(0, 2, 3, 1)
        N, OH, OW, F = dout.shape
        C = x_pad.shape[3]
        dkernel = np.zeros_like(kernel)
        dx_pad = np.zeros_like(x_pad)
        for i in range(OH):
            for j in range(OW):
                y0, x0 = i * SH, j * SW
                patch = x_pad[:, y0 : y0 + KH, x0 : x0 + KW, :].reshape(N, -1)
                g = dout[:, i, j, :]
                dkernel += patch.T @ g
                dpatch = g @ kernel.T
                dx_pad[:, y0 : y0 + KH, x0 : x0 + KW, :] += dpatch.reshape(N, KH, KW, C)
        self.dweight = dkernel.reshape(KH, KW, C, F).transpose(3, 2, 0, 1)
        if self.bias is not None:
            self.dbias = dout.reshape(-1, F).sum(axis=0)
        H, W = x_pad.shape[1] - 2 * PH, x_pad.shape[2] - 2 * PW
        dx = dx_pad[:, PH : PH + H, PW : PW + W, :]
        return dx.transpose(0, 3, 1, 2)
