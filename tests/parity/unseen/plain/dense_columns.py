import numpy as np

from tinycnn_numpy.layer import Layer


class Dense(Layer):
    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        self.in_features, self.out_features = in_features, out_features
        bound = in_features**-0.5
        self.weight = rng.uniform(-bound, bound, (out_features, in_features)).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_features).astype(dtype) if bias else None

    def forward(self, x):
        A = x.T
        W, b = self.weight, self.bias
        Z = np.dot(W, A)
        if b is not None:
            Z = Z + b.reshape(-1, 1)
        self.cache = A, Z
        return Z.T

    def backward(self, dout):
        A, Z = self.cache
        W, b = self.weight, self.bias
        dZ = dout.T
        m = A.shape[1]
        self.dweight = np.zeros_like(W)
        for i in range(m):
            self.dweight += np.outer(dZ[:, i], A[:, i])
        if b is not None:
            self.dbias = np.sum(dZ, axis=1)
        dA = np.dot(W.T, dZ)
        return dA.T
