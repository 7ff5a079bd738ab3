import numpy as np

from tinycnn_numpy.layer import Layer


class Dropout(Layer):
    """The mask is remembered as single bits, eight to a byte."""

    def __init__(self, p=0.5, *, rng):
        self.p, self.rng = p, rng

    def apply(self, a):
        packed, shape = self.cache
        kept = np.unpackbits(packed, count=a.size).reshape(shape).view(bool)
        out = np.zeros_like(a)
        np.divide(a, 1 - self.p, out=out, where=kept)
        return out

    def forward(self, x):
        if not self.training:
            self.cache = None
            return x
        drawn = self.rng.random(x.size, dtype=np.float32) >= self.p
        self.cache = np.packbits(drawn), x.shape
        return self.apply(x)

    def backward(self, dout):
        return dout if self.cache is None else self.apply(dout)
