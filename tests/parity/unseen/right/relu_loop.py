import numpy as np
from tinycnn_numpy.layer import Layer


class ReLU(Layer):
    def forward(self, x):
        self.shape = x.shape
        self.gate = [v > 0 for v in x.ravel()]
        return np.array([v if g else 0 for v, g in zip(x.ravel(), self.gate)], x.dtype).reshape(x.shape)

    def backward(self, dout):
        flat = np.array([v if g else 0 for v, g in zip(dout.ravel(), self.gate)], dout.dtype)
        return flat.reshape(self.shape)
