import numpy as np

from tinycnn_numpy.layer import Layer


class Flatten(Layer):
    def forward(self, x):
        self.cache = x.shape
        out = x.reshape(x.shape[0], -1)
        return out

    def backward(self, dout):
        x_shape = self.cache
        dx = dout.reshape(x_shape)
        return dx
