"""Convolution: the same small linear map applied to every window of an image."""

import math

import numpy as np

from tinycnn_numpy.checks import check_array, check_dtype, check_pair, check_size
from tinycnn_numpy.layer import Layer
from tinycnn_numpy.windows import batch_first, batch_last, windows_of, zeros_and_windows


class Conv2D(Layer):
    """Slide F filters over an image (strictly a cross-correlation, as in PyTorch).

    Forward, with S the stride and x already zero-padded:

        windows[c,i,j,h,w,n] = x[n, c, h*S + i, w*S + j]
        out[f,h,w,n]         = bias[f] + sum_cij weight[f,c,i,j] * windows[c,i,j,h,w,n]

    Backward: out is linear in each factor, so each gradient is the product of the other two, summed over the
    indices that it does not carry:

        dbias[f]              = sum_hwn dout[f,h,w,n]
        dweight[f,c,i,j]      = sum_hwn dout[f,h,w,n] * windows[c,i,j,h,w,n]
        dwindows[c,i,j,h,w,n] = sum_f   weight[f,c,i,j] * dout[f,h,w,n]
        dx                    = dwindows, each entry added back to the pixel that it was read from

    With c,i,j read as one index and h,w,n as another, every sum is a matrix product; `columns` is that matrix.

    x (N, C, H, W) -> out (N, F, OH, OW), OH = (H + 2*padding - KH) // stride + 1.
    weight (F, C, KH, KW), bias (F,), both uniform within 1/sqrt(C*KH*KW) at first, as PyTorch draws them.
    Raises ValueError for a wrong argument, shape or dtype.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride=1,
        padding=0,
        bias: bool = True,
        *,
        rng: np.random.Generator,
        dtype=np.float32,
    ):
        self.in_channels = check_size(self, "in_channels", in_channels)
        self.out_channels = check_size(self, "out_channels", out_channels)
        self.kernel_size = check_pair(self, "kernel_size", kernel_size)
        self.stride = check_pair(self, "stride", stride)
        self.padding = check_pair(self, "padding", padding, at_least=0)
        dtype = check_dtype(self, dtype)
        shape = (self.out_channels, self.in_channels, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype)
        self.bias = rng.uniform(-bound, bound, self.out_channels).astype(dtype) if bias else None

    def forward(self, x: np.ndarray) -> np.ndarray:  # (N, C, H, W)
        check_array(self, "x", x, ("N", self.in_channels, "H", "W"), self.weight.dtype)
        windows = windows_of(x, self.kernel_size, self.stride, self.padding)
        C, KH, KW, OH, OW, N = windows.shape
        F = self.out_channels
        columns = windows.reshape(C * KH * KW, OH * OW * N)
        out = self.weight.reshape(F, C * KH * KW) @ columns  # (F, OH*OW*N)
        if self.bias is not None:
            out += self.bias[:, None]
        self.cache = columns, windows.shape, x.shape
        return batch_first(out.reshape(F, OH, OW, N))

    def backward(self, dout: np.ndarray) -> np.ndarray:  # (N, F, OH, OW)
        columns, (C, KH, KW, OH, OW, N), x_shape = self.cache
        F = self.out_channels
        check_array(self, "dout", dout, (N, F, OH, OW), self.weight.dtype)
        dout = batch_last(dout).reshape(F, OH * OW * N)
        if self.bias is not None:
            self.dbias = dout.sum(axis=1)
        self.dweight = (columns @ dout.T).T.reshape(F, C, KH, KW)
        dwindows = (self.weight.reshape(F, C * KH * KW).T @ dout).reshape(C, KH, KW, OH, OW, N)
        dx, dx_windows = zeros_and_windows(x_shape, dout.dtype, self.kernel_size, self.stride, self.padding)
        for i, j in np.ndindex(KH, KW):
            dx_windows[:, i, j] += dwindows[:, i, j]
        return dx
