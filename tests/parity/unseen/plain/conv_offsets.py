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

    def sizes(self, x_shape):
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        HP, WP = x_shape[2] + 2 * PH, x_shape[3] + 2 * PW
        return HP, WP, (HP - KH) // SH + 1, (WP - KW) // SW + 1

    def forward(self, x):
        N, C, H, W = x.shape
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        HP, WP, OH, OW = self.sizes(x.shape)
        x_pad = np.zeros((N, C, HP, WP), x.dtype)
        x_pad[:, :, PH : PH + H, PW : PW + W] = x
        out = np.zeros((N, self.out_channels, OH, OW), x.dtype)
        for i in range(KH):
            for j in range(KW):
                shifted = x_pad[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW]
                out += np.einsum("nchw,fc->nfhw", shifted, self.weight[:, :, i, j])
        if self.bias is not None:
            out += self.bias[None, :, None, None]
        self.x_pad = x_pad
        self.x_shape = x.shape
        return out

    def backward(self, dout):
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        N, C, H, W = self.x_shape
        HP, WP, OH, OW = self.sizes(self.x_shape)
        self.dweight = np.zeros_like(self.weight)
        dx_pad = np.zeros((N, C, HP, WP), dout.dtype)
        for i in range(KH):
            for j in range(KW):
                rows = slice(i, i + SH * OH, SH)
                cols = slice(j, j + SW * OW, SW)
                shifted = self.x_pad[:, :, rows, cols]
                self.dweight[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, shifted)
                dx_pad[:, :, rows, cols] += np.einsum("nfhw,fc->nchw", dout, self.weight[:, :, i, j])
        if self.bias is not None:
            self.dbias = np.einsum("nfhw->f", dout)
        return dx_pad[:, :, PH : HP - PH, PW : WP - PW]
