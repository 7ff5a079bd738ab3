import numpy as np

from tinycnn_numpy.layer import Layer


class BatchNorm2D(Layer):
    """out = a * x + b for each channel, and dx = a * dout + p * x + q, with a, b, p and q found in float64."""

    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, *, dtype=np.float32):
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight, self.bias = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.running_mean, self.running_var = np.zeros(num_features, dtype), np.ones(num_features, dtype)
        self.num_batches_tracked = np.array(0)

    def forward(self, x):
        wide = np.moveaxis(x, 1, -1).astype(np.longdouble)
        mean, var = self.running_mean.astype(wide.dtype), self.running_var.astype(wide.dtype)
        M = wide[..., 0].size
        if self.training:
            mean = wide.mean(axis=(0, 1, 2))
            var = ((wide - mean) ** 2).mean(axis=(0, 1, 2))
            self.running_mean[:] = self.running_mean + self.momentum * (mean - self.running_mean)
            self.running_var[:] = self.running_var + self.momentum * (var * M / (M - 1) - self.running_var)
            self.num_batches_tracked += 1
        inverse = 1 / np.sqrt(var + self.eps)
        a = self.weight * inverse
        b = self.bias - a * mean
        self.saved = wide, mean, inverse, M, self.training
        return np.moveaxis((a * wide + b).astype(x.dtype), -1, 1)

    def backward(self, dout):
        wide, mean, inverse, M, trained = self.saved
        g = np.moveaxis(dout, 1, -1).astype(wide.dtype)
        dbias = g.sum(axis=(0, 1, 2))
        dweight = (g * (wide - mean)).sum(axis=(0, 1, 2)) * inverse
        a = self.weight * inverse
        p = -a * dweight * inverse / M if trained else 0
        q = -a * dbias / M - p * mean if trained else 0
        self.dbias, self.dweight = dbias.astype(dout.dtype), dweight.astype(dout.dtype)
        return np.moveaxis((a * g + p * wide + q).astype(dout.dtype), -1, 1)
