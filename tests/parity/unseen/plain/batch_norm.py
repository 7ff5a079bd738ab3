import numpy as np

from tinycnn_numpy.layer import Layer


class BatchNorm2D(Layer):
    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, *, dtype=np.float32):
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.weight = np.ones(num_features, dtype)
        self.bias = np.zeros(num_features, dtype)
        self.running_mean = np.zeros(num_features, dtype)
        self.running_var = np.ones(num_features, dtype)
        self.num_batches_tracked = np.array(0)

    def forward(self, x):
        N, C, H, W = x.shape
        if self.training:
            M = N * H * W
            mean = x.mean(axis=(0, 2, 3))
            var = x.var(axis=(0, 2, 3))
            unbiased = var * (M / (M - 1))
            self.running_mean[...] = (1 - self.momentum) * self.running_mean + self.momentum * mean
            self.running_var[...] = (1 - self.momentum) * self.running_var + self.momentum * unbiased
            self.num_batches_tracked += 1
        else:
            mean = self.running_mean.copy()
            var = self.running_var.copy()
        std = np.sqrt(var + self.eps)
        x_hat = (x - mean.reshape(1, C, 1, 1)) / std.reshape(1, C, 1, 1)
        out = self.weight.reshape(1, C, 1, 1) * x_hat + self.bias.reshape(1, C, 1, 1)
        self.cache = x_hat, std, self.training
        return out

    def backward(self, dout):
        x_hat, std, training = self.cache
        N, C, H, W = dout.shape
        M = N * H * W
        self.dbias = dout.sum(axis=(0, 2, 3))
        self.dweight = (dout * x_hat).sum(axis=(0, 2, 3))
        scale = (self.weight / std).reshape(1, C, 1, 1)
        if not training:
            return scale * dout
        mean_term = self.dbias.reshape(1, C, 1, 1) / M
        hat_term = x_hat * self.dweight.reshape(1, C, 1, 1) / M
        return scale * (dout - mean_term - hat_term)
