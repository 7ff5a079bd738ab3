import numpy as np

from tinycnn_numpy.layer import Layer


class Dropout(Layer):
    def __init__(self, p=0.5, *, rng):
        self.p = p
        self.keep = 1 - p
        self.rng = rng

    def forward(self, x):
        if self.training:
            U = self.rng.random(x.shape)
            self.mask = np.where(U < self.keep, 1 / self.keep, 0).astype(x.dtype)
        else:
            self.mask = np.ones_like(x)
        out = x * self.mask
        return out

    def backward(self, dout):
        dx = dout * self.mask
        return dx
