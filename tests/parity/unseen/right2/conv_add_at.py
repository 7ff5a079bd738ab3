import numpy as np

from tinycnn_numpy.layer import Layer


class Conv2D(Layer):
    """One flat list of pixels for every window; np.add.at brings the gradients back."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )
        bound = float(in_channels * self.kernel_size[0] * self.kernel_size[1]) ** -0.5
        shape = (out_channels, in_channels, *self.kernel_size)
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_channels).astype(dtype) if bias else None

    def pixels(self, height, width):
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        top = SH * np.arange((height - KH) // SH + 1)
        left = SW * np.arange((width - KW) // SW + 1)
        window = (np.arange(KH)[:, None] * width + np.arange(KW)).ravel()
        corner = (top[:, None] * width + left).ravel()
        return corner[:, None] + window, (len(top), len(left))

    def forward(self, x):
        (PH, PW), (N, C, H, W) = self.padding, x.shape
        flat = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW))).reshape(N, C, -1)
        pixels, size = self.pixels(H + 2 * PH, W + 2 * PW)
        col = flat[:, :, pixels]  # (N, C, windows, KH*KW)
        kernel = self.weight.reshape(*self.weight.shape[:2], -1)
        out = np.tensordot(kernel, col, axes=((1, 2), (1, 3))).swapaxes(0, 1)
        if self.bias is not None:
            out = out + self.bias[:, None]
        self.cache = col, pixels, flat.shape, x.shape
        return out.reshape(N, -1, *size)

    def backward(self, dout):
        col, pixels, flat_shape, (N, C, H, W) = self.cache
        PH, PW = self.padding
        g = dout.reshape(*dout.shape[:2], -1)
        self.dweight = np.tensordot(g, col, axes=((0, 2), (0, 2))).reshape(self.weight.shape)
        if self.bias is not None:
            self.dbias = g.sum(axis=-1).sum(axis=0)
        kernel = self.weight.reshape(*self.weight.shape[:2], -1)
        dcol = np.tensordot(g, kernel, axes=(1, 0)).transpose(0, 2, 1, 3)
        dflat = np.zeros(flat_shape, dout.dtype)
        np.add.at(dflat, (slice(None), slice(None), pixels), dcol)
        return dflat.reshape(N, C, H + 2 * PH, W + 2 * PW)[:, :, PH : H + PH, PW : W + PW]
