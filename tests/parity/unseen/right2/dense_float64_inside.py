import numpy as np

from tinycnn_numpy.layer import Layer


class Dense(Layer):
    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        self.in_features = in_features
        self.out_features = out_features
        k = 1 / np.sqrt(in_features)
        self.weight = rng.uniform(-k, k, size=(out_features, in_features)).astype(dtype)
        if bias:
            self.bias = rng.uniform(-k, k, size=out_features).astype(dtype)

    def forward(self, x):
        self.cache = np.longdouble(x), x.dtype
        out = np.dot(self.cache[0], self.weight.T)
        if self.bias is not None:
            out = out + self.bias
        return out.astype(x.dtype)

    def backward(self, dout):
        x, dtype = self.cache
        wide = np.longdouble(dout)
        self.dweight = np.einsum("nm,nk->mk", wide, x).astype(dtype)
        if self.bias is not None:
            self.dbias = wide.sum(axis=0).astype(dtype)
        return np.dot(wide, self.weight).astype(dtype)
