import math

import numpy as np

from tinycnn_numpy.layer import Layer


class Dense(Layer):
    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features)
        self.weight = rng.uniform(-bound, bound, (out_features, in_features)).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_features).astype(dtype) if bias else None

    def forward(self, x):
        self.cache = x
        out = x @ self.weight.T
        if self.bias is not None:
            out = out + self.bias
        return out

    def backward(self, dout):
        x = self.cache
        self.dweight = dout.T @ x
        if self.bias is not None:
            self.dbias = dout.sum(axis=0)
        dx = dout @ self.weight
        return dx
