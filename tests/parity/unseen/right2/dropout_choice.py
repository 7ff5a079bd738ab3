import numpy as np

from tinycnn_numpy.layer import Layer


class Dropout(Layer):
    def __init__(self, p=0.5, *, rng):
        self.p = p
        self.rng = rng

    def forward(self, x):
        values, chances = [1.0], [1.0]
        if self.training:
            values, chances = [0.0, 1 / (1 - self.p)], [self.p, 1 - self.p]
        factors = np.array(values, x.dtype)
        self.cache = self.rng.choice(factors, x.shape, p=chances)
        return np.multiply(x, self.cache)

    def backward(self, dout):
        return np.multiply(dout, self.cache)
