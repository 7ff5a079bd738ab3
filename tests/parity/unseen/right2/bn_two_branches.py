import numpy as np

from tinycnn_numpy.layer import Layer
from dataclasses import dataclass


@dataclass
class Trained:
    centred: np.ndarray
    root: np.ndarray

    def back(self, g):
        mean = lambda a: a.mean(axis=(0, 2, 3), keepdims=True)
        dvar = -mean(g * self.centred) / self.root**3  # twice dL/dvar, a mean over the batch
        dcentred = g / self.root + self.centred * dvar
        return dcentred - mean(dcentred)


@dataclass
class Evaluated:
    centred: np.ndarray
    root: np.ndarray

    def back(self, g):
        return g / self.root


class BatchNorm2D(Layer):
    """Training and evaluation remember different things, each with its own way back."""

    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, *, dtype=np.float32):
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight, self.bias = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.running_mean, self.running_var = np.zeros(num_features, dtype), np.ones(num_features, dtype)
        self.num_batches_tracked = np.zeros((), int)

    def forward(self, x):
        shape = (1, -1, 1, 1)
        if self.training:
            mean = np.mean(x, axis=(0, 2, 3))
            centred = x - mean.reshape(shape)
            var = np.mean(centred * centred, axis=(0, 2, 3))
            bessel = (x.size // len(var)) / (x.size // len(var) - 1)
            for old, new in ((self.running_mean, mean), (self.running_var, bessel * var)):
                np.multiply(old, 1 - self.momentum, out=old)
                np.add(old, self.momentum * new, out=old)
            self.num_batches_tracked[...] = self.num_batches_tracked + 1
        else:
            centred, var = x - self.running_mean.reshape(shape), self.running_var
        root = np.sqrt(var + self.eps).reshape(shape)
        self.cache = (Trained if self.training else Evaluated)(centred, root)
        return centred * (self.weight.reshape(shape) / root) + self.bias.reshape(shape)

    def backward(self, dout):
        kept = self.cache
        self.dbias = np.einsum("nchw->c", dout)
        self.dweight = np.einsum("nchw,nchw->c", dout, kept.centred) / kept.root.ravel()
        return kept.back(dout * self.weight.reshape(1, -1, 1, 1))
