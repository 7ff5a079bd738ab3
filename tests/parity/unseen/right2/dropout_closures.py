import numpy as np

from tinycnn_numpy.layer import Layer


class Dropout(Layer):
    """forward leaves behind the function that backward is."""

    def __init__(self, p=0.5, *, rng):
        self.p, self.rng = p, rng

    def forward(self, x):
        self.cache = np.array if not self.training else self.dropped(x.shape, x.dtype)
        return self.cache(x)

    def dropped(self, shape, dtype):
        kept = self.rng.uniform(size=shape) > self.p
        factor = dtype.type(1 / (1 - self.p))

        def apply(a):
            return np.where(kept, a * factor, dtype.type(0))

        return apply

    def backward(self, dout):
        return self.cache(dout)
