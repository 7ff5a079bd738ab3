"""Flatten: an image becomes a row of numbers, nothing is computed."""

import math

import numpy as np

from tinycnn_numpy.checks import Array, check_array
from tinycnn_numpy.layer import Layer


class Flatten(Layer):
    """Read an image as a row, channels slowest, as PyTorch does.

    Forward:

        out[n, (c*H + h)*W + w] = x[n,c,h,w]

    Backward: each gradient goes back to its pixel.

        dx[n,c,h,w] = dout[n, (c*H + h)*W + w]

    x (N, C, H, W) -> out (N, C*H*W); fewer or more axes behind N will do as well.
    """

    def forward(self, x: Array) -> Array:
        check_array(self, "x", x, ("N", *np.shape(x)[1:]))
        self.cache = x.shape, x.dtype
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dout: Array) -> Array:
        x_shape, dtype = self.cache
        check_array(self, "dout", dout, (x_shape[0], math.prod(x_shape[1:])), dtype)
        return dout.reshape(x_shape)
