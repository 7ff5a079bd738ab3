"""A student's file: the ReLU forgets its mask, Dense is right."""

import numpy as np


class ReLU:
    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, dout):
        return dout


class Dense:
    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        bound = 1 / np.sqrt(in_features)
        self.weight = rng.uniform(-bound, bound, (out_features, in_features)).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_features).astype(dtype) if bias else None

    def forward(self, x):
        self.x = x
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def backward(self, dout):
        self.dweight = dout.T @ self.x
        if self.bias is not None:
            self.dbias = dout.sum(axis=0)
        return dout @ self.weight
