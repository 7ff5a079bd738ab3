"""Batch normalisation: every channel is brought to mean 0 and variance 1, then scaled and shifted."""

from typing import Any

import numpy as np

from tinycnn_numpy.checks import Array, check_array, check_dtype, check_number, check_size
from tinycnn_numpy.layer import Layer
from tinycnn_numpy.windows import images_first, pixels_first


class BatchNorm2D(Layer):
    """Normalise each channel over the batch: torch's nn.BatchNorm2d.

    Forward in training, M = N*H*W the numbers of a channel:

        mean[c]        = sum_nhw x[n,c,h,w] / M
        var[c]         = sum_nhw (x[n,c,h,w] - mean[c])**2 / M
        x_hat[n,c,h,w] = (x[n,c,h,w] - mean[c]) / sqrt(var[c] + eps)
        out[n,c,h,w]   = weight[c] * x_hat[n,c,h,w] + bias[c]

    Backward. Every x moves the mean and the variance of its channel, and through them every out: the two
    terms that are subtracted in dx.

        dbias[c]    = sum_nhw dout[n,c,h,w]
        dweight[c]  = sum_nhw dout[n,c,h,w] * x_hat[n,c,h,w]
        dx[n,c,h,w] = weight[c] / sqrt(var[c] + eps)
                      * (dout[n,c,h,w] - dbias[c] / M - x_hat[n,c,h,w] * dweight[c] / M)

    Each forward in training also moves the running statistics, var with M - 1 in place of M:

        running_mean = (1 - momentum) * running_mean + momentum * mean      running_var likewise

    In evaluation the running statistics stand for mean and var. They do not depend on x, so the two terms
    of dx are gone. Without images the statistics stay as they are (PyTorch still counts the batch).

    x (N, C, H, W) -> out of the same shape. weight (C,) is 1 at first and bias (C,) is 0. Raises ValueError
    for a wrong argument, shape or dtype, and in training for a single number a channel.
    """

    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, *, dtype: Any = np.float32
    ):
        self.num_features = check_size(self, "num_features", num_features)
        self.eps = check_number(self, "eps", eps)
        self.momentum = check_number(self, "momentum", momentum)
        dtype = check_dtype(self, dtype)
        self.weight, self.bias = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.running_mean, self.running_var = np.zeros(num_features, dtype), np.ones(num_features, dtype)
        self.num_batches_tracked = np.array(0)

    def forward(self, x: Array) -> Array:  # (N, C, H, W)
        check_array(self, "x", x, ("N", self.num_features, "H", "W"), self.weight.dtype)
        x = pixels_first(x)  # (H, W, C, N): a channel's numbers are summed over the axes 0, 1 and 3
        mean, var = self.running_mean[:, None], self.running_var[:, None]
        if self.training and x.size:
            M = x.size // self.num_features
            if M == 1:
                raise ValueError(f"{self}: x has 1 number a channel, expected more than 1 in training")
            mean = x.mean(axis=(0, 1, 3))[:, None]
            var = np.square(x - mean).mean(axis=(0, 1, 3))[:, None]
            self.track(mean[:, 0], var[:, 0] * (M / (M - 1)))
        root = np.sqrt(var + self.eps)  # (C, 1), as are mean and var
        x_hat = (x - mean) / root
        self.cache = x_hat, root, self.training
        return images_first(self.weight[:, None] * x_hat + self.bias[:, None])

    def track(self, mean: Array, var: Array) -> None:
        self.running_mean[...] = (1 - self.momentum) * self.running_mean + self.momentum * mean
        self.running_var[...] = (1 - self.momentum) * self.running_var + self.momentum * var
        self.num_batches_tracked += 1

    def backward(self, dout: Array) -> Array:  # (N, C, H, W)
        x_hat, root, training = self.cache
        check_array(self, "dout", dout, images_first(x_hat).shape, x_hat.dtype)
        dout = pixels_first(dout)
        self.dbias = dout.sum(axis=(0, 1, 3))
        self.dweight = (dout * x_hat).sum(axis=(0, 1, 3))
        dx = dout
        if training:
            M = max(x_hat.size // self.num_features, 1)
            dx = dout - self.dbias[:, None] / M - x_hat * (self.dweight[:, None] / M)
        return images_first(self.weight[:, None] / root * dx)
