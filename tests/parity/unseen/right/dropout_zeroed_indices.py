import numpy as np
from tinycnn_numpy.layer import Layer


class Dropout(Layer):
    def __init__(self, p=0.5, *, rng):
        self.p, self.rng = float(p), rng

    def forward(self, x):
        self.dropped = None
        if not self.training:
            return x
        self.dropped = np.flatnonzero(self.rng.uniform(size=x.size) < self.p)
        return self._apply(x)

    def _apply(self, a):
        out = a / (1.0 - self.p)
        flat = out.reshape(-1)
        flat[self.dropped] = 0
        return flat.reshape(a.shape)

    def backward(self, dout):
        return dout if self.dropped is None else self._apply(dout)
