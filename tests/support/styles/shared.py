"""What several styles share."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from examples.experiments.ladder import pad
from tinycnn_numpy.layer import Parameter


def pair(value):
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def at(i, j, dout, stride):
    """The pixels that entry i, j of every window reads: an index of images that are already padded."""
    (OH, OW), (SH, SW) = dout.shape[2:], stride
    return np.s_[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW]


def windows_of(x, kernel_size, stride):
    """(N, C, OH, OW, KH, KW), a view."""
    return sliding_window_view(x, kernel_size, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]


def crop(padded, padding):
    (H, W), (PH, PW) = padded.shape[2:], padding
    return padded[:, :, PH : H - PH, PW : W - PW]


def parameters_of(layer):
    if hasattr(layer, "parameters"):
        return layer.parameters()
    return [Parameter(layer, name) for name in ("weight", "bias") if getattr(layer, name, None) is not None]


class AnyConv:
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32
    ):
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        shape = (out_channels, in_channels, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_channels).astype(dtype) if bias else None

    def forward(self, x):
        self.x, zeros = pad(x, self.padding), np.zeros(len(self.weight), x.dtype)
        return self.convolve(self.x, self.weight, zeros if self.bias is None else self.bias)

    def backward(self, dout):
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3))
        self.dweight, dx = self.gradients(self.x, self.weight, dout)
        return crop(dx, self.padding)


class AnyPool:
    fill = 0.0

    def __init__(self, kernel_size, stride=None, padding=0):
        self.kernel_size, self.padding = pair(kernel_size), pair(padding)
        self.stride = self.kernel_size if stride is None else pair(stride)

    def forward(self, x):
        PH, PW = self.padding
        x = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], constant_values=self.fill)
        self.x, self.windows = x, windows_of(x, self.kernel_size, self.stride)
        return self.pool(x, self.windows, np.empty(self.windows.shape[:4], x.dtype))

    def backward(self, dout):
        return crop(self.spread(dout, np.zeros(self.x.shape, dout.dtype)), self.padding)


class AnyDense:
    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        bound = in_features**-0.5
        self.weight = rng.uniform(-bound, bound, (in_features, out_features)).astype(dtype).T  # Fortran order
        self.bias = rng.uniform(-bound, bound, out_features).astype(dtype) if bias else None


class OptimizerOfAnyKind:
    def step(self):
        self.steps += 1
        for i, p in enumerate(self.parameters):
            self.update(i, p.data, p.grad + self.weight_decay * p.data)


class AnySGD(OptimizerOfAnyKind):
    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        self.parameters, self.lr, self.weight_decay = list(parameters), lr, weight_decay
        self.momentum, self.nesterov, self.steps, self.state = momentum, nesterov, 0, {}


class AnyAdam(OptimizerOfAnyKind):
    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        self.parameters, self.lr, self.weight_decay = list(parameters), lr, weight_decay
        (self.beta1, self.beta2), self.eps, self.steps, self.state = betas, eps, 0, {}
