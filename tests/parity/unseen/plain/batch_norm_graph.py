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

    def spread(self, v):
        return v.reshape(1, -1, 1, 1)

    def total(self, a):
        return a.sum(axis=(0, 2, 3), keepdims=True)

    def forward(self, x):
        gamma, beta = self.spread(self.weight), self.spread(self.bias)
        m = x.size // self.num_features
        if self.training:
            mu = self.total(x) / m
            xmu = x - mu
            sq = xmu * xmu
            var = self.total(sq) / m
            keep = 1 - self.momentum
            self.running_mean[:] = keep * self.running_mean + self.momentum * mu.flatten()
            self.running_var[:] = keep * self.running_var + self.momentum * var.flatten() * m / (m - 1)
            self.num_batches_tracked += 1
        else:
            xmu = x - self.spread(self.running_mean)
            var = self.spread(self.running_var).copy()
        sqrtvar = np.sqrt(var + self.eps)
        ivar = 1 / sqrtvar
        xhat = xmu * ivar
        gammax = gamma * xhat
        out = gammax + beta
        self.cache = xhat, xmu, ivar, sqrtvar, m, self.training
        return out

    def backward(self, dout):
        xhat, xmu, ivar, sqrtvar, m, training = self.cache
        gamma = self.spread(self.weight)
        self.dbias = self.total(dout).ravel()
        dgammax = dout
        self.dweight = self.total(dgammax * xhat).ravel()
        dxhat = dgammax * gamma
        dxmu1 = dxhat * ivar
        if not training:
            return dxmu1
        divar = self.total(dxhat * xmu)
        dsqrtvar = -divar / sqrtvar**2
        dvar = dsqrtvar * 0.5 * ivar
        dsq = dvar * np.ones_like(dout) / m
        dxmu2 = 2 * xmu * dsq
        dx1 = dxmu1 + dxmu2
        dmu = -self.total(dx1)
        dx2 = dmu * np.ones_like(dout) / m
        dx = dx1 + dx2
        return dx
