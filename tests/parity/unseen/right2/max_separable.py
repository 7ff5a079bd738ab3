import numpy as np

from tinycnn_numpy.layer import Layer


def best_along(x, axis, k, s):
    """The maxima of windows along one axis, and where each was found."""
    x = np.moveaxis(x, axis, -1)
    start = s * np.arange((x.shape[-1] - k) // s + 1)
    windows = x[..., start[:, None] + np.arange(k)]
    at = windows.argmax(axis=-1)
    return np.moveaxis(windows.max(axis=-1), -1, axis), np.moveaxis(start + at, -1, axis)


def back_along(dout, at, axis, size):
    shape = list(dout.shape)
    shape[axis] = size
    dx = np.zeros(shape, dout.dtype)
    grid = list(np.indices(dout.shape, sparse=True))
    grid[axis] = at
    np.add.at(dx, tuple(grid), dout)
    return dx


class MaxPool2D(Layer):
    """The maximum of each row of a window, then of these maxima. Of equal pixels the first in the first row wins."""

    def __init__(self, kernel_size, stride=None, padding=0):
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )

    def forward(self, x):
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=-np.inf)
        rows, columns_at = best_along(x_pad, 3, KW, SW)
        out, rows_at = best_along(rows, 2, KH, SH)
        self.cache = rows_at, columns_at, x_pad.shape
        return out

    def backward(self, dout):
        rows_at, columns_at, (_, _, H, W) = self.cache
        PH, PW = self.padding
        drows = back_along(dout, rows_at, 2, H)
        return back_along(drows, columns_at, 3, W)[:, :, PH : H - PH, PW : W - PW]
