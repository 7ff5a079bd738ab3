import numpy as np

from tinycnn_numpy.layer import Layer


class Dropout(Layer):
    def __init__(self, p=0.5, *, rng):
        self.p = p
        self.rng = rng

    def forward(self, x):
        if not self.training:
            self.cache = None
            return x
        keep = 1 - self.p
        mask = (self.rng.random(x.shape) >= self.p).astype(x.dtype)
        self.cache = mask
        return x * mask / keep

    def backward(self, dout):
        mask = self.cache
        if mask is None:
            return dout
        return dout * mask / (1 - self.p)
