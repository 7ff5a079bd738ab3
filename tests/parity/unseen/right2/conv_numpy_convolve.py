import numpy as np

from tinycnn_numpy.layer import Layer


class Conv2D(Layer):
    """Row by row with np.correlate and np.convolve, which know one axis only."""

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

    def forward(self, x):
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        N, C, HP, WP = x_pad.shape
        out = np.zeros((N, self.out_channels, (HP - KH) // SH + 1, (WP - KW) // SW + 1), x.dtype)
        for n, f, h in np.ndindex(out.shape[:3]):
            for c, i in np.ndindex(C, KH):
                row = np.correlate(x_pad[n, c, h * SH + i], self.weight[f, c, i], "valid")
                out[n, f, h] += row[::SW]
            if self.bias is not None:
                out[n, f, h] += self.bias[f]
        self.cache = x_pad, x.shape
        return out

    def backward(self, dout):
        x_pad, x_shape = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        C, WP = x_pad.shape[1], x_pad.shape[3]
        dx_pad, self.dweight = np.zeros_like(x_pad), np.zeros_like(self.weight)
        row = np.zeros(WP - KW + 1, dout.dtype)
        for n, f, h in np.ndindex(dout.shape[:3]):
            row[::SW] = dout[n, f, h]
            for c, i in np.ndindex(C, KH):
                dx_pad[n, c, h * SH + i] += np.convolve(row, self.weight[f, c, i])
                self.dweight[f, c, i] += np.correlate(x_pad[n, c, h * SH + i], row, "valid")
        if self.bias is not None:
            self.dbias = dout.sum((0, 2, 3))
        return dx_pad[:, :, PH : PH + x_shape[2], PW : PW + x_shape[3]]
