import numpy as np
from ..core import Module, Parameter

AXES = (0, 2, 3)


def _c(v):
    return v[None, :, None, None]


class BatchNorm2d(Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum = eps, momentum
        self.gamma = Parameter(np.ones(num_features))
        self.beta = Parameter(np.zeros(num_features))
        self.running_mean = np.zeros(num_features)
        self.running_var = np.ones(num_features)

    def forward(self, x):
        if self.training:
            mean, var = x.mean(AXES), x.var(AXES)
            m = x.size / x.shape[1]
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * m / (m - 1) - self.running_var)
        else:
            mean, var = self.running_mean, self.running_var
        self.inv = 1 / np.sqrt(var + self.eps)
        self.xhat = (x - _c(mean)) * _c(self.inv)
        return _c(self.gamma.data) * self.xhat + _c(self.beta.data)

    def backward(self, grad):
        self.gamma.grad += (grad * self.xhat).sum(AXES)
        self.beta.grad += grad.sum(AXES)
        g = grad * _c(self.gamma.data * self.inv)
        if not self.training:
            return g
        return g - g.mean(AXES, keepdims=True) - self.xhat * (g * self.xhat).mean(AXES, keepdims=True)


class Dropout(Module):
    def __init__(self, p=0.5, seed=None):
        self.p = p
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        if not self.training or self.p == 0:
            self.mask = 1.0
        else:
            self.mask = (self.rng.random(x.shape) >= self.p) / (1 - self.p)
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask
