import numpy as np

from tinycnn_numpy.layer import Layer


class Dense(Layer):
    """Weight and bias are views of one vector, and so are their gradients."""

    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        self.in_features, self.out_features = in_features, out_features
        size = in_features * out_features
        self.theta = rng.uniform(-1, 1, size + (out_features if bias else 0)).astype(dtype)
        self.theta *= self.theta.dtype.type(in_features**-0.5)
        self.weight = self.theta[:size].reshape(out_features, in_features)
        self.bias = self.theta[size:] if bias else None

    def forward(self, x):
        self.cache = x
        out = np.inner(x, self.weight)
        return out if self.bias is None else np.add(out, self.bias, out=out)

    def backward(self, dout):
        dtheta = np.empty_like(self.theta)
        self.dweight = dtheta[: self.weight.size].reshape(self.weight.shape)
        np.matmul(dout.T, self.cache, out=self.dweight)
        if self.bias is not None:
            self.dbias = dtheta[self.weight.size :]
            np.sum(dout, axis=0, out=self.dbias)
        return np.inner(dout, self.weight.T)
