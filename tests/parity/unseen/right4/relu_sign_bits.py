import numpy as np

from tinycnn_numpy.layer import Layer


class ReLU(Layer):
    """The sign bit, shifted over all bits, is a mask of ones where x is negative: no comparison of floats."""

    def forward(self, x):
        kind = np.dtype(f"i{x.itemsize}")
        bits = np.ascontiguousarray(x).view(kind)
        kept = bits & ~(bits >> (8 * x.itemsize - 1))
        self.open = kept != 0
        return kept.view(x.dtype)

    def backward(self, dout):
        bits = np.ascontiguousarray(dout).view(f"i{dout.itemsize}")
        return (bits * self.open).view(dout.dtype)
