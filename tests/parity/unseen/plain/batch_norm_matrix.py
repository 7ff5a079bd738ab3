import numpy as np

from tinycnn_numpy.layer import Layer


class BatchNorm2D(Layer):
    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, *, dtype=np.float32):
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.running_mean, self.running_var = np.zeros(num_features, dtype), np.ones(num_features, dtype)
        self.num_batches_tracked = np.array(0)

    def forward(self, x):
        N, C, H, W = x.shape
        X = x.transpose(0, 2, 3, 1).reshape(-1, C)
        M = X.shape[0]
        if self.training:
            mu = X.mean(axis=0)
            var = X.var(axis=0)
            self.num_batches_tracked += 1
            self.running_mean += self.momentum * (mu - self.running_mean)
            self.running_var += self.momentum * (var * M / (M - 1) - self.running_var)
        else:
            mu, var = self.running_mean, self.running_var
        ivar = 1 / np.sqrt(var + self.eps)
        xhat = (X - mu) * ivar
        out = self.weight * xhat + self.bias
        self.cache = xhat, ivar, self.training
        return out.reshape(N, H, W, C).transpose(0, 3, 1, 2)

    def backward(self, dout):
        N, C, H, W = dout.shape
        xhat, ivar, training = self.cache
        D = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        M = D.shape[0]
        self.dbias = D.sum(axis=0)
        self.dweight = (D * xhat).sum(axis=0)
        dxhat = D * self.weight
        if training:
            dX = (M * dxhat - dxhat.sum(axis=0) - xhat * (dxhat * xhat).sum(axis=0)) * ivar / M
        else:
            dX = dxhat * ivar
        return dX.reshape(N, H, W, C).transpose(0, 3, 1, 2)
