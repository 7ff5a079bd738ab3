"""Convolution: the same small linear map applied to every window of an image."""

import math
from typing import Any

import numpy as np

from tinycnn_numpy.checks import (
    Array,
    Pair,
    check_array,
    check_dtype,
    check_kernel_fits,
    check_pair,
    check_rng,
    check_size,
)
from tinycnn_numpy.layer import Layer
from tinycnn_numpy.windows import (
    blocks_of_rows,
    im2col,
    images_first,
    pixels_first,
    windows_of,
    zeros_and_windows,
)


class Conv2D(Layer):
    """Slide F filters over an image (strictly a cross-correlation, as in PyTorch).

    Forward, with S the stride and x already zero-padded:

        windows[h,w,i,j,c,n] = x[n, c, h*S + i, w*S + j]
        out[n,f,h,w]         = bias[f] + sum_ijc weight[f,c,i,j] * windows[h,w,i,j,c,n]

    Backward: out is linear in each factor, so each gradient is the product of the other two, summed over the
    indices that it does not carry:

        dbias[f]              = sum_hwn dout[n,f,h,w]
        dweight[f,c,i,j]      = sum_hwn dout[n,f,h,w] * windows[h,w,i,j,c,n]
        dwindows[h,w,i,j,c,n] = sum_f   weight[f,c,i,j] * dout[n,f,h,w]
        dx                    = dwindows, each entry added back to the pixel that it was read from

    The code computes in the order of memory (see windows.py), where out and dout run h,w,f,n. With i,j,c
    read as one index, out is then one matrix product for each pixel h,w, for all images at once; so is
    dwindows for each i,j. It takes a block of rows at a time, whose columns fit the processor's cache: those
    of a whole batch would be KH*KW times the images.

    x (N, C, H, W) -> out (N, F, OH, OW), OH = (H + 2*padding - KH) // stride + 1.
    weight (F, C, KH, KW), bias (F,), both uniform within 1/sqrt(C*KH*KW) at first, as PyTorch draws them.
    Raises ValueError for a wrong argument, shape or dtype.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        bias: bool = True,
        *,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ):
        self.in_channels = check_size(self, "in_channels", in_channels)
        self.out_channels = check_size(self, "out_channels", out_channels)
        self.kernel_size = check_pair(self, "kernel_size", kernel_size)
        self.stride = check_pair(self, "stride", stride)
        self.padding = check_pair(self, "padding", padding, at_least=0)
        dtype = check_dtype(self, dtype)
        check_rng(self, rng)
        shape = (self.out_channels, self.in_channels, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype)
        self.bias = rng.uniform(-bound, bound, self.out_channels).astype(dtype) if bias else None

    def forward(self, x: Array) -> Array:  # (N, C, H, W)
        check_array(self, "x", x, ("N", self.in_channels, "H", "W"), self.weight.dtype)
        check_kernel_fits(self, x, self.kernel_size, self.padding)
        windows = windows_of(x, self.kernel_size, self.stride, self.padding)
        (OH, OW, *_, N), F = windows.shape, self.out_channels
        matrix, bias = self.matrix(), 0 if self.bias is None else np.repeat(self.bias, N).reshape(F, N)
        out = np.empty((OH, OW, F, N), x.dtype)
        for rows in blocks_of_rows(windows):
            np.matmul(matrix, im2col(windows[rows]), out=out[rows])  # (F, KH*KW*C) @ (.., KH*KW*C, N)
            out[rows] += bias
        self.cache = windows, x.shape
        return images_first(out)

    def backward(self, dout: Array) -> Array:  # (N, F, OH, OW)
        self.backward_weights(dout)
        _, x_shape = self.cache
        dout = pixels_first(dout)
        kernel = self.weight.transpose(2, 3, 1, 0).copy()  # (KH, KW, C, F)
        dx, dx_windows = zeros_and_windows(x_shape, dout.dtype, self.kernel_size, self.stride, self.padding)
        for rows in blocks_of_rows(dx_windows):
            for i, j in np.ndindex(self.kernel_size):
                dx_windows[rows, :, i, j] += kernel[i, j] @ dout[rows]  # (C, F) @ (.., F, N) -> (.., C, N)
        return dx

    def backward_weights(self, dout: Array) -> None:
        windows, _ = self.cache
        (OH, OW, KH, KW, C, N), F = windows.shape, self.out_channels
        check_array(self, "dout", dout, (N, F, OH, OW), self.weight.dtype)
        dout = pixels_first(dout)
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 1)).sum(axis=1)
        dmatrix = np.zeros((KH * KW * C, F), dout.dtype)
        for rows in blocks_of_rows(windows):
            dout_rows = dout[rows].swapaxes(2, 3).copy()  # (.., N, F)
            dmatrix += (im2col(windows[rows]) @ dout_rows).sum(axis=(0, 1))
        self.dweight = dmatrix.reshape(KH, KW, C, F).transpose(3, 2, 0, 1)

    def matrix(self) -> Array:
        """weight as (F, KH*KW*C): a row for each filter, its entries in the order of a window."""
        return self.weight.transpose(0, 2, 3, 1).reshape(self.out_channels, -1)
