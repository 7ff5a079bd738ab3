"""Pooling: one number for every window of every channel, its largest or its mean."""

from functools import reduce
from typing import Any

import numpy as np

from tinycnn_numpy.checks import Array, Pair, check_array, check_kernel_fits, check_pair
from tinycnn_numpy.layer import Layer
from tinycnn_numpy.windows import images_first, pixels_first, windows_of, zeros_and_windows


class Pool2D(Layer):
    """What both poolings share: the windows. x (N, C, H, W) -> out (N, C, OH, OW).

    OH = (H + 2*padding - KH) // stride + 1; the stride is kernel_size unless given; padding is at most
    half of kernel_size. Raises ValueError for a wrong argument, shape or dtype (integer images too, which
    PyTorch accepts).
    """

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0):
        self.kernel_size: Pair = check_pair(self, "kernel_size", kernel_size)
        self.stride: Pair = check_pair(self, "stride", kernel_size if stride is None else stride)
        self.padding: Pair = check_pair(self, "padding", padding, at_least=0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(
                f"{self}: padding is {padding!r}, expected at most half of kernel_size {kernel_size!r}"
            )

    def windows_of(self, x: Array, fill: float) -> Array:
        check_array(self, "x", x, ("N", "C", "H", "W"))
        check_kernel_fits(self, x, self.kernel_size, self.padding)
        return windows_of(x, self.kernel_size, self.stride, self.padding, fill)  # (OH, OW, KH, KW, C, N)

    def zeros_and_windows(self, x_shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array]:
        return zeros_and_windows(x_shape, dtype, self.kernel_size, self.stride, self.padding)


class MaxPool2D(Pool2D):
    """Keep the largest number of every window; padding counts as -inf, so that it never wins.

        windows[h,w,i,j,c,n] = x[n, c, h*S + i, w*S + j]
        out[n,c,h,w]         = max_ij windows[h,w,i,j,c,n]

    Backward: only the winner of a window moved `out`, so the winner takes all of the gradient.

        dwindows[h,w,i,j,c,n] = dout[n,c,h,w] * [i,j is the winner]
        dx                    = dwindows, each entry added back to the pixel that it was read from

    Of equal numbers the first in reading order wins, as in PyTorch. A NaN in the window makes `out` NaN,
    and then there is no winner (in PyTorch the last NaN is). In a window of -inf alone, padding may win,
    and its gradient is lost. Where -0.0 and 0.0 tie, the sign of `out` is left open. An infinite dout
    gives NaN at the losers (0 * inf), and 0 in PyTorch.
    """

    def forward(self, x: Array) -> Array:  # (N, C, H, W)
        windows = self.windows_of(x, fill=-np.inf)
        out = reduce(np.maximum, (windows[:, :, i, j] for i, j in np.ndindex(self.kernel_size)))
        self.cache = windows, out, x.shape
        return images_first(out)

    def backward(self, dout: Array) -> Array:  # (N, C, OH, OW)
        windows, out, x_shape = self.cache
        check_array(self, "dout", dout, images_first(out).shape, out.dtype)
        dout = pixels_first(dout)
        dx, dx_windows = self.zeros_and_windows(x_shape, dout.dtype)
        undecided = np.ones(out.shape, bool)
        overlap = any(step < size for step, size in zip(self.stride, self.kernel_size, strict=True))
        for i, j in np.ndindex(self.kernel_size):
            winner = undecided & (windows[:, :, i, j] == out)
            undecided ^= winner  # of equal numbers the first wins
            if overlap:
                dx_windows[:, :, i, j] += dout * winner
            else:  # each pixel is in one window at most: written once, nothing to add to
                np.multiply(dout, winner, out=dx_windows[:, :, i, j])
        return dx


class AvgPool2D(Pool2D):
    """The mean of every window; padding counts as zeros, in the sum and in the count, as in PyTorch.

        windows[h,w,i,j,c,n] = x[n, c, h*S + i, w*S + j]
        out[n,c,h,w]         = sum_ij windows[h,w,i,j,c,n] / (KH*KW)

    Backward: every entry of a window moved `out` equally.

        dwindows[h,w,i,j,c,n] = dout[n,c,h,w] / (KH*KW)
        dx                    = dwindows, each entry added back to the pixel that it was read from
    """

    def forward(self, x: Array) -> Array:  # (N, C, H, W)
        windows = self.windows_of(x, fill=0.0)
        self.cache = windows.shape, x.shape, x.dtype
        return images_first(windows.mean(axis=(2, 3)))

    def backward(self, dout: Array) -> Array:  # (N, C, OH, OW)
        (OH, OW, KH, KW, C, N), x_shape, dtype = self.cache
        check_array(self, "dout", dout, (N, C, OH, OW), dtype)
        share = pixels_first(dout) / (KH * KW)
        dx, dx_windows = self.zeros_and_windows(x_shape, dtype)
        for i, j in np.ndindex(KH, KW):
            dx_windows[:, :, i, j] += share
        return dx
