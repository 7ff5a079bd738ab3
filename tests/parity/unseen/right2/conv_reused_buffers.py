import numpy as np

from tinycnn_numpy.layer import Layer


class Conv2D(Layer):
    """The padded images and the columns live in buffers that are allocated anew only when sizes change."""

    _padded = _columns = None

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

    def _fit(self, name, shape, dtype):
        buffer = getattr(self, name)
        if buffer is None or buffer.shape != shape or buffer.dtype != dtype:
            buffer = np.zeros(shape, dtype)
            setattr(self, name, buffer)
        return buffer

    def forward(self, x):
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        N, C, H, W = x.shape
        padded = self._fit("_padded", (N, C, H + 2 * PH, W + 2 * PW), x.dtype)
        padded[:, :, PH : PH + H, PW : PW + W] = x  # the frame was zero and nobody writes there
        OH, OW = (padded.shape[2] - KH) // SH + 1, (padded.shape[3] - KW) // SW + 1
        columns = self._fit("_columns", (C, KH, KW, N, OH, OW), x.dtype)
        for i, j in np.ndindex(KH, KW):
            tap = padded[:, :, i : i + SH * (OH - 1) + 1 : SH, j : j + SW * (OW - 1) + 1 : SW]
            columns[:, i, j] = tap.swapaxes(0, 1)
        self.cache = x.shape
        out = self.weight.reshape(self.out_channels, -1) @ columns.reshape(C * KH * KW, -1)
        if self.bias is not None:
            out += self.bias[:, None]
        return out.reshape(-1, N, OH, OW).swapaxes(0, 1)

    def backward(self, dout):
        N, C, H, W = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        OH, OW = dout.shape[2:]
        g = dout.swapaxes(0, 1).reshape(self.out_channels, -1)
        self.dweight = (g @ self._columns.reshape(C * KH * KW, -1).T).reshape(self.weight.shape)
        if self.bias is not None:
            self.dbias = g.sum(axis=1)
        d = (self.weight.reshape(self.out_channels, -1).T @ g).reshape(self._columns.shape)
        dpadded = np.zeros((C, N, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(KH, KW):
            dpadded[:, :, i : i + SH * (OH - 1) + 1 : SH, j : j + SW * (OW - 1) + 1 : SW] += d[:, i, j]
        return dpadded.swapaxes(0, 1)[:, :, PH : PH + H, PW : PW + W]
