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

    def update(self, old, new):
        old *= 1 - self.momentum
        old += self.momentum * new.ravel()

    def forward(self, x):
        axes = (0, 2, 3)
        M = x.size // x.shape[1]
        gamma, beta = self.weight[:, None, None], self.bias[:, None, None]
        if self.training:
            mean = x.mean(axis=axes, keepdims=True)
            centred = x - mean
            var = (centred**2).mean(axis=axes, keepdims=True)
            self.update(self.running_mean, mean)
            self.update(self.running_var, var * M / (M - 1))
            self.num_batches_tracked += 1
        else:
            centred = x - self.running_mean[:, None, None]
            var = self.running_var[:, None, None]
        inverse = 1 / np.sqrt(var + self.eps)
        x_hat = centred * inverse
        self.cache = centred, inverse, x_hat, M, self.training
        return gamma * x_hat + beta

    def backward(self, dout):
        axes = (0, 2, 3)
        centred, inverse, x_hat, M, training = self.cache
        self.dbias = dout.sum(axis=axes)
        self.dweight = (dout * x_hat).sum(axis=axes)
        dx_hat = dout * self.weight[:, None, None]
        dcentred = dx_hat * inverse
        if training:
            dinverse = (dx_hat * centred).sum(axis=axes, keepdims=True)
            dvar = -0.5 * inverse**3 * dinverse
            dcentred = dcentred + 2 * centred * dvar / M
            dmean = -dcentred.sum(axis=axes, keepdims=True)
            return dcentred + dmean / M
        return dcentred
