"""Every window that a kernel sees, and the way back: what convolution and pooling share.

Images are (N, C, H, W) to whoever calls a layer. In memory they run H, W, C, N: all channels of all
images lie side by side for one pixel, for the next pixel, and so on. Then whatever a kernel does to a
pixel it does to one long run of memory.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinycnn_numpy.checks import Array, Pair

MEGABYTE = 2**20


def pixels_first(x: Array) -> Array:
    """(N, C, H, W) -> (H, W, C, N), contiguous; nothing is copied when the memory already runs this way."""
    return np.ascontiguousarray(x.transpose(2, 3, 1, 0))


def images_first(x: Array) -> Array:
    """(H, W, C, N) -> (N, C, H, W): the same memory, seen with the usual axes."""
    return x.transpose(3, 2, 0, 1)


def windows_of(x: Array, kernel_size: Pair, stride: Pair, padding: Pair, fill: float = 0.0) -> Array:
    """The windows of images (N, C, H, W): a view (OH, OW, KH, KW, C, N), in which they may overlap.

    windows[h,w,i,j,c,n] = x[n, c, h*SH + i, w*SW + j]                x already padded with `fill`
    """
    PH, PW = padding
    x = pixels_first(x)
    if padding != (0, 0):
        x = np.pad(x, [(PH, PH), (PW, PW), (0, 0), (0, 0)], constant_values=fill)
    return _slide(x, kernel_size, stride)


def im2col(windows: Array) -> Array:
    """(OH, OW, KH, KW, C, N) -> (OH, OW, KH*KW*C, N), each window a column; copies what overlaps."""
    OH, OW, KH, KW, C, N = windows.shape
    return windows.reshape(OH, OW, KH * KW * C, N)


def blocks_of_rows(windows: Array) -> list[slice]:
    """The rows of windows (OH, ...) in slices of about a megabyte, which fits a processor's cache."""
    rows = max(1, MEGABYTE // max(1, windows[0].nbytes))
    return [slice(start, start + rows) for start in range(0, len(windows), rows)]


def zeros_and_windows(
    x_shape: tuple[int, ...], dtype: Any, kernel_size: Pair, stride: Pair, padding: Pair
) -> tuple[Array, Array]:
    """The way back: an image `dx` of zeros (N, C, H, W), and its windows, through which to add to it.

        dx_windows[:, :, i, j] += ...         adds to the pixels dx[n, c, h*SH + i, w*SW + j]

    A pixel that several windows read collects from all of them. For one i, j at a time no two windows
    share a pixel, so `+=` is safe; over all i, j at once it would not be. What is added to the padding
    does not show in dx.
    """
    N, C, H, W = x_shape
    PH, PW = padding
    padded = np.zeros((H + 2 * PH, W + 2 * PW, C, N), dtype)
    return images_first(padded[PH : PH + H, PW : PW + W]), _slide(padded, kernel_size, stride)


def _slide(padded: Array, kernel_size: Pair, stride: Pair) -> Array:
    (SH, SW), write = stride, padded.flags.writeable
    windows = sliding_window_view(padded, kernel_size, axis=(0, 1), writeable=write)  # (.., C, N, KH, KW)
    return windows[::SH, ::SW].transpose(0, 1, 4, 5, 2, 3)  # (OH, OW, KH, KW, C, N)
