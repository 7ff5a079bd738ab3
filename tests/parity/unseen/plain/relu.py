import numpy as np

from tinycnn_numpy.layer import Layer


class ReLU(Layer):
    def forward(self, x):
        out = np.maximum(x, 0)
        self.cache = x
        return out

    def backward(self, dout):
        x = self.cache
        mask = x > 0
        dx = dout * mask
        return dx
