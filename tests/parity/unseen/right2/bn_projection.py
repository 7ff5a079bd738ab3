import numpy as np

from tinycnn_numpy.layer import Layer


class BatchNorm2D(Layer):
    """Each channel is one vector of M numbers; dx is what is left of dout without its parts along 1 and x_hat."""

    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, *, dtype=np.float32):
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight, self.bias = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.running_mean, self.running_var = np.zeros(num_features, dtype), np.ones(num_features, dtype)
        self.num_batches_tracked = np.zeros((), int)

    def forward(self, x):
        N, C, H, W = x.shape
        rows = x.transpose(1, 0, 2, 3).reshape(C, -1)
        M = rows.shape[1]
        if self.training:
            mean = rows.mean(axis=1)
            deviation = rows - mean[:, None]
            var = np.einsum("cm,cm->c", deviation, deviation) / M
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * M / (M - 1) - self.running_var)
            self.num_batches_tracked += 1
        else:
            deviation, var = rows - self.running_mean[:, None], self.running_var
        scale = (var + self.eps) ** -0.5
        x_hat = deviation * scale[:, None]
        self.cache = x_hat, scale, self.training
        out = self.weight[:, None] * x_hat + self.bias[:, None]
        return out.reshape(C, N, H, W).transpose(1, 0, 2, 3)

    def backward(self, dout):
        x_hat, scale, training = self.cache
        N, C, H, W = dout.shape
        g = dout.transpose(1, 0, 2, 3).reshape(C, -1)
        basis = np.stack([np.ones_like(x_hat), x_hat])  # of length M, up to eps
        self.dbias, self.dweight = parts = np.einsum("bcm,cm->bc", basis, g)
        if training:
            g = g - np.einsum("bc,bcm->cm", parts, basis) / x_hat.shape[1]
        dx = (self.weight * scale)[:, None] * g
        return dx.reshape(C, N, H, W).transpose(1, 0, 2, 3)
