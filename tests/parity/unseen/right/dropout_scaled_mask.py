import numpy as np
from tinycnn_numpy.layer import Layer


class Dropout(Layer):
    def __init__(self, p=0.5, *, rng):
        self.p, self.rng = p, rng
        self.scaled = 1

    def forward(self, x):
        self.scaled = 1
        if self.training and self.p > 0:
            mask = self.rng.random(size=x.shape) > self.p
            self.scaled = mask.astype(x.dtype) / x.dtype.type(1 - self.p)
        return x * self.scaled

    def backward(self, dout):
        return dout * self.scaled
