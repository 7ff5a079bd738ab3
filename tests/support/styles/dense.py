"""Right code for a dense layer, each class in another style."""

import math
from operator import mul

import numpy as np

import tinycnn_numpy as tn
from styles.shared import AnyDense


class DenseByEinsum(AnyDense):
    """einsum for every sum."""

    def forward(self, x):
        self.x = x
        out = np.einsum("nk,mk->nm", x, self.weight)
        return out if self.bias is None else out + self.bias

    def backward(self, dout):
        self.dweight, self.dbias = np.einsum("nm,nk->mk", dout, self.x), np.einsum("nm->m", dout)
        return np.einsum("nm,mk->nk", dout, self.weight)


class DenseByDotWithoutOptions:
    """np.dot, weights from a generator of its own, always a bias; dweight is a transposed view."""

    def __init__(self, in_features, out_features):
        self.weight = np.random.default_rng().normal(0, 0.1, (out_features, in_features)).astype(np.float32)
        self.bias = np.zeros(out_features, np.float32)

    def forward(self, x):
        self.x = x
        return np.dot(x, self.weight.T) + self.bias

    def backward(self, dout):
        self.dbias = np.dot(np.ones(len(dout), dout.dtype), dout)
        self.dweight = np.dot(self.x.T, dout).T
        return np.dot(dout, self.weight)


class DenseByOuterProducts(AnyDense, tn.Layer):
    """A loop over the batch: outer products for the gradient, which is read-only; a Layer of the library."""

    def forward(self, x):
        self.cache, bias = x, 0 if self.bias is None else self.bias
        return np.stack([self.weight @ row + bias for row in x])

    def backward(self, dout):
        self.dweight = sum(np.outer(d, row) for d, row in zip(dout, self.cache, strict=True))
        self.dweight.flags.writeable = False
        if self.bias is not None:
            self.dbias = sum(dout)
        return np.stack([self.weight.T @ d for d in dout])


class DenseByExactSums(AnyDense):
    """Every sum by math.fsum: in float32 the right answer almost to the last bit; without cache."""

    def product(self, a, b):
        sums = [math.fsum(map(mul, row, column)) for row in a.tolist() for column in b.T.tolist()]
        return np.array(sums, a.dtype).reshape(len(a), b.shape[1])

    def forward(self, x):
        self.x, out = x, self.product(x, self.weight.T)
        return out if self.bias is None else out + self.bias

    def backward(self, dout):
        self.dweight = self.product(dout.T, self.x)
        self.dbias = np.array([math.fsum(column) for column in dout.T.tolist()], dout.dtype)
        return self.product(dout, self.weight)
