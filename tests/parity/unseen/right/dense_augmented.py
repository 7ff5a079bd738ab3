import numpy as np
from tinycnn_numpy.layer import Layer


class Dense(Layer):
    """the bias as one more input that is always 1"""

    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        r = 1 / np.sqrt(in_features)
        self.weight = rng.uniform(-r, r, (out_features, in_features)).astype(dtype)
        if bias:
            self.bias = rng.uniform(-r, r, out_features).astype(dtype)

    def forward(self, x):
        if self.bias is None:
            self.cache = x
            return np.inner(x, self.weight)
        self.cache = np.hstack([x, np.ones((len(x), 1), x.dtype)])
        return self.cache @ np.column_stack([self.weight, self.bias]).T

    def backward(self, dout):
        grad = dout.T @ self.cache
        if self.bias is None:
            self.dweight = grad
        else:
            self.dweight, self.dbias = grad[:, :-1], grad[:, -1]
        return dout @ self.weight
