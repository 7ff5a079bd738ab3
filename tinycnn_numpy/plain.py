"""Convolution and pooling as their formulas read: images stay N, C, H, W, every sum is an einsum.

Read this first. Interface and results are those of conv2d.py and pool.py, which compute the same in another
order of memory, for speed. The classes stand in a model like theirs: Sequential(conv=plain.Conv2D(...)).
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinycnn_numpy import conv2d, pool
from tinycnn_numpy.checks import Array, Pair, check_array, check_kernel_fits


class Conv2D(conv2d.Conv2D):
    """out = bias + windows * weight, summed over c, i, j. Arguments, shapes and errors are conv2d.Conv2D's.

    Forward, with S the stride and x already zero-padded:

        windows[n,c,h,w,i,j] = x[n, c, h*S + i, w*S + j]
        out[n,f,h,w]         = bias[f] + sum_cij windows[n,c,h,w,i,j] * weight[f,c,i,j]

    Backward: each gradient is the product of the other two factors, summed over the indices that it does not
    carry; then dx = dwindows, each entry added back to the pixel that it was read from.
    """

    def forward(self, x: Array) -> Array:  # (N, C, H, W)
        check_array(self, "x", x, ("N", self.in_channels, "H", "W"), self.weight.dtype)
        check_kernel_fits(self, x, self.kernel_size, self.padding)
        windows = windows_of(pad(x, self.padding), self.kernel_size, self.stride)
        self.cache = windows, x.shape
        out = np.einsum("nchwij,fcij->nfhw", windows, self.weight, optimize=True)
        return out if self.bias is None else out + self.bias[:, None, None]

    def backward(self, dout: Array) -> Array:  # (N, F, OH, OW)
        self.backward_weights(dout)
        _, x_shape = self.cache
        dwindows = np.einsum("nfhw,fcij->nchwij", dout, self.weight, optimize=True)
        return add_back(dwindows, x_shape, self.stride, self.padding)

    def backward_weights(self, dout: Array) -> None:
        windows, _ = self.cache
        N, _, OH, OW, *_ = windows.shape
        check_array(self, "dout", dout, (N, self.out_channels, OH, OW), self.weight.dtype)
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 2, 3))
        self.dweight = np.einsum("nfhw,nchwij->fcij", dout, windows, optimize=True)


class MaxPool2D(pool.MaxPool2D):
    """The largest of every window; backward, the winner takes all of dout. Of equal numbers the first wins.

    Arguments, shapes and errors are pool.MaxPool2D's. A NaN makes out NaN, and the first one wins.
    """

    def forward(self, x: Array) -> Array:  # (N, C, H, W)
        check_array(self, "x", x, ("N", "C", "H", "W"))
        check_kernel_fits(self, x, self.kernel_size, self.padding)
        windows = windows_of(pad(x, self.padding, -np.inf), self.kernel_size, self.stride)
        self.cache = windows, x.shape
        return windows.max(axis=(4, 5))

    def backward(self, dout: Array) -> Array:  # (N, C, OH, OW)
        windows, x_shape = self.cache
        check_array(self, "dout", dout, windows.shape[:4], windows.dtype)
        size = windows.shape[4] * windows.shape[5]
        winner = windows.reshape(*dout.shape, size).argmax(axis=4)
        dwindows = dout[..., None] * (winner[..., None] == np.arange(size))  # (N, C, OH, OW, KH*KW)
        return add_back(dwindows.reshape(windows.shape), x_shape, self.stride, self.padding)


class AvgPool2D(pool.AvgPool2D):
    """The mean of every window, padding counted as zeros; backward, each entry gets its equal share of dout.

    Arguments, shapes and errors are pool.AvgPool2D's.
    """

    def forward(self, x: Array) -> Array:  # (N, C, H, W)
        check_array(self, "x", x, ("N", "C", "H", "W"))
        check_kernel_fits(self, x, self.kernel_size, self.padding)
        windows = windows_of(pad(x, self.padding), self.kernel_size, self.stride)
        self.cache = windows, x.shape
        return windows.mean(axis=(4, 5))

    def backward(self, dout: Array) -> Array:  # (N, C, OH, OW)
        windows, x_shape = self.cache
        check_array(self, "dout", dout, windows.shape[:4], windows.dtype)
        share = dout / (windows.shape[4] * windows.shape[5])
        dwindows = np.broadcast_to(share[..., None, None], windows.shape)
        return add_back(dwindows, x_shape, self.stride, self.padding)


def pad(x: Array, padding: Pair, fill: float = 0.0) -> Array:
    """PH rows and PW columns of `fill` on every side of images (N, C, H, W)."""
    PH, PW = padding
    return np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], constant_values=fill)


def windows_of(padded: Array, kernel_size: Pair, stride: Pair) -> Array:
    """A view (N, C, OH, OW, KH, KW) of images (N, C, H, W), in which windows may overlap."""
    SH, SW = stride
    return sliding_window_view(padded, kernel_size, axis=(2, 3))[:, :, ::SH, ::SW]


def add_back(dwindows: Array, x_shape: tuple[int, ...], stride: Pair, padding: Pair) -> Array:
    """dx (N, C, H, W): each entry of dwindows (N, C, OH, OW, KH, KW) added to the pixel it was read from.

    For one i, j no two windows share a pixel, so `+=` loses nothing.
    """
    (H, W), (SH, SW), (PH, PW) = x_shape[2:], stride, padding
    *_, OH, OW, KH, KW = dwindows.shape
    dx = pad(np.zeros(x_shape, dwindows.dtype), padding)
    for i, j in np.ndindex(KH, KW):
        dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += dwindows[..., i, j]
    return dx[:, :, PH : PH + H, PW : PW + W]
