import numpy as np

from tinycnn_numpy.layer import Layer


class Dense(Layer):
    """The matrix in blocks of two by two, as a cache would like it; the last block of a row may be smaller."""

    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        self.in_features, self.out_features = in_features, out_features
        bound = in_features**-0.5
        self.weight = rng.uniform(-bound, bound, (out_features, in_features)).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_features).astype(dtype) if bias else None

    def blocks(self):
        for m in range(0, self.out_features, 2):
            for k in range(0, self.in_features, 2):
                yield slice(m, m + 2), slice(k, k + 2)

    def forward(self, x):
        self.x = x
        out = np.zeros((len(x), self.out_features), x.dtype)
        if self.bias is not None:
            out[:] = self.bias
        for m, k in self.blocks():
            out[:, m] += x[:, k] @ self.weight[m, k].T
        return out

    def backward(self, dout):
        dx, self.dweight = np.zeros_like(self.x), np.empty_like(self.weight)
        for m, k in self.blocks():
            self.dweight[m, k] = dout[:, m].T @ self.x[:, k]
            dx[:, k] += dout[:, m] @ self.weight[m, k]
        if self.bias is not None:
            self.dbias = np.array([column.sum() for column in dout.T])
        return dx
