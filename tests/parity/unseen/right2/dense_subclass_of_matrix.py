import numpy as np

from tinycnn_numpy.layer import Layer


class Matrix(Layer):
    """out = x @ weight.T, one output feature at a time."""

    def forward(self, x):
        self.cache = x
        return np.stack([x @ row for row in self.weight], axis=1)

    def backward(self, dout):
        self.dweight = np.stack([column @ self.cache for column in dout.T])
        return sum(column[:, None] * row for column, row in zip(dout.T, self.weight))


class Shift(Layer):
    def forward(self, x):
        return x + self.bias

    def backward(self, dout):
        self.dbias = np.add.reduce(dout)
        return dout


class Dense(Matrix):
    """A matrix, and behind it a shift if there is a bias."""

    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        self.in_features, self.out_features = in_features, out_features
        bound = in_features**-0.5
        self.weight = rng.uniform(-bound, bound, (out_features, in_features)).astype(dtype)
        self.bias = rng.uniform(-bound, bound, (out_features,)).astype(dtype) if bias else None

    def forward(self, x):
        out = super().forward(x)
        return out if self.bias is None else Shift.forward(self, out)

    def backward(self, dout):
        if self.bias is not None:
            dout = Shift.backward(self, dout)
        return super().backward(dout)
