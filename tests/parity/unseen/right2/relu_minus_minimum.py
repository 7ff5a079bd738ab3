import numpy as np

from tinycnn_numpy.layer import Layer


class ReLU(Layer):
    """x minus its negative part; the cache is the set of places where it is shut."""

    def forward(self, x):
        self.cache = np.flatnonzero(x <= 0)
        return x - np.minimum(x, 0)

    def backward(self, dout):
        dx = dout.flatten()
        dx[self.cache] = 0
        return dx.reshape(dout.shape)
