"""Flatten: an image becomes a row of numbers, nothing is computed."""

import math

import numpy as np

from tinycnn_numpy.checks import check_array
from tinycnn_numpy.layer import Layer


class Flatten(Layer):
    """x (N, C, H, W) -> out (N, C*H*W), channels slowest, as PyTorch flattens. Backward folds again."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        check_array(self, "x", x, ("N", *np.shape(x)[1:]))
        self.cache = x.shape, x.dtype
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dout: np.ndarray) -> np.ndarray:
        x_shape, dtype = self.cache
        check_array(self, "dout", dout, (x_shape[0], math.prod(x_shape[1:])), dtype)
        return dout.reshape(x_shape)
