import numpy as np

from tinycnn_numpy.layer import Layer


class Gate(Layer):
    def forward(self, x):
        self.gate = self.open(x)
        out = x * self.gate
        return out

    def backward(self, dout):
        dx = dout * self.gate
        return dx


class ReLU(Gate):
    def open(self, x):
        gate = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            if x[index] > 0:
                gate[index] = 1
        return gate


class Dropout(Gate):
    def __init__(self, p=0.5, *, rng):
        self.p = p
        self.rng = rng

    def open(self, x):
        gate = np.ones(x.shape, x.dtype)
        if self.training:
            dropped = self.rng.random(x.shape) < self.p
            gate[dropped] = 0
            gate /= 1 - self.p
        return gate
