import numpy as np


class BatchNorm1d:
    """(N, D), every column normalised"""

    def __init__(self, dim, eps=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(dim), np.zeros(dim)
        self.running_mean, self.running_var = np.zeros(dim), np.ones(dim)
        self.eps, self.momentum, self.training = eps, momentum, True

    def forward(self, x):
        if not self.training:
            return self.gamma * (x - self.running_mean) / np.sqrt(self.running_var + self.eps) + self.beta
        mu, var = x.mean(0), x.var(0)
        self.std = np.sqrt(var + self.eps)
        self.xhat = (x - mu) / self.std
        n = len(x)
        self.running_mean += self.momentum * (mu - self.running_mean)
        self.running_var += self.momentum * (var * n / max(n - 1, 1) - self.running_var)
        return self.gamma * self.xhat + self.beta

    def backward(self, dout):
        self.dbeta, self.dgamma = dout.sum(0), (dout * self.xhat).sum(0)
        n = len(dout)
        return self.gamma / self.std * (dout - self.dbeta / n - self.xhat * self.dgamma / n)


class LayerNorm:
    def __init__(self, dim, eps=1e-5):
        self.gamma, self.beta, self.eps = np.ones(dim), np.zeros(dim), eps

    def forward(self, x):
        self.std = np.sqrt(x.var(-1, keepdims=True) + self.eps)
        self.xhat = (x - x.mean(-1, keepdims=True)) / self.std
        return self.gamma * self.xhat + self.beta

    def backward(self, dout):
        self.dbeta, self.dgamma = dout.sum(0), (dout * self.xhat).sum(0)
        d = dout * self.gamma
        return (d - d.mean(-1, keepdims=True) - self.xhat * (d * self.xhat).mean(-1, keepdims=True)) / self.std
