import numpy as np

from tinycnn_numpy.layer import Layer


class ReLU(Layer):
    """np.piecewise there, np.select back."""

    def forward(self, x):
        self.pieces = [x > 0, x <= 0]
        return np.piecewise(x, self.pieces, [lambda positive: positive, 0])

    def backward(self, dout):
        return np.select(self.pieces, [dout, np.zeros_like(dout)])
