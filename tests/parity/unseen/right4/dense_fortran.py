import numpy as np

from tinycnn_numpy.layer import Layer


class Dense(Layer):
    """Everything leaves as a transpose: no array that it returns or assigns is contiguous in C order."""

    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        self.in_features, self.out_features = in_features, out_features
        bound = in_features**-0.5
        self.weight = np.asfortranarray(rng.uniform(-bound, bound, (out_features, in_features)).astype(dtype))
        self.bias = rng.uniform(-bound, bound, out_features).astype(dtype) if bias else None

    def forward(self, x):
        self.columns = np.array(x.T)
        out = self.weight @ self.columns
        if self.bias is not None:
            out += self.bias[:, None]
        return out.T

    def backward(self, dout):
        self.dweight = (self.columns @ dout).T
        if self.bias is not None:
            self.dbias = (np.ones((1, len(dout)), dout.dtype) @ dout)[0]
        return (self.weight.T @ dout.T).T
