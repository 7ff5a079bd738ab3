import numpy as np
from tinycnn_numpy.layer import Layer


class BatchNorm2D(Layer):
    """backward as the chain of nine small steps"""

    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, *, dtype=np.float32):
        self.eps, self.momentum = float(eps), float(momentum)
        self.weight, self.bias = np.ones(num_features, dtype=dtype), np.zeros(num_features, dtype=dtype)
        self.running_mean = np.zeros(num_features, dtype=dtype)
        self.running_var = np.ones(num_features, dtype=dtype)
        self.num_batches_tracked = np.zeros((), dtype=np.int64)

    def forward(self, x):
        ax = (0, 2, 3)
        if not self.training:
            s = np.sqrt(self.running_var + self.eps)[:, None, None]
            hat = (x - self.running_mean[:, None, None]) / s
            self.cache = ("eval", hat, s)
            return hat * self.weight[:, None, None] + self.bias[:, None, None]
        m = x.size // x.shape[1]
        mu = x.mean(ax, keepdims=True)
        xmu = x - mu
        sq = xmu**2
        var = sq.mean(ax, keepdims=True)
        root = np.sqrt(var + self.eps)
        ivar = 1 / root
        hat = xmu * ivar
        self.cache = ("train", hat, xmu, ivar, root)
        self.running_mean[:] += self.momentum * (mu.ravel() - self.running_mean)
        self.running_var[:] += self.momentum * (var.ravel() * m / (m - 1) - self.running_var)
        self.num_batches_tracked += 1
        return hat * self.weight[:, None, None] + self.bias[:, None, None]

    def backward(self, dout):
        ax = (0, 2, 3)
        mode, hat, *rest = self.cache
        self.dbias = dout.sum(ax)
        self.dweight = (dout * hat).sum(ax)
        dhat = dout * self.weight[:, None, None]
        if mode == "eval":
            return dhat / rest[0]
        xmu, ivar, root = rest
        m = dout.size // dout.shape[1]
        divar = (dhat * xmu).sum(ax, keepdims=True)
        dxmu1 = dhat * ivar
        droot = -divar / root**2
        dvar = droot / (2 * root)
        dsq = np.broadcast_to(dvar / m, xmu.shape)
        dxmu2 = 2 * xmu * dsq
        dx1 = dxmu1 + dxmu2
        dmu = -dx1.sum(ax, keepdims=True)
        return dx1 + dmu / m
