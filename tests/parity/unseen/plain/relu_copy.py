import numpy as np

from tinycnn_numpy.layer import Layer


class ReLU(Layer):
    def forward(self, x):
        out = x.copy()
        out[x <= 0] = 0
        self.cache = out
        return out

    def backward(self, dout):
        out = self.cache
        dx = np.array(dout)
        dx[out <= 0] = 0
        return dx
