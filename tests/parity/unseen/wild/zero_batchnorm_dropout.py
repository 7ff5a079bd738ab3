# coding: utf-8
import numpy as np


class Dropout:
    """http://arxiv.org/abs/1207.0580"""

    def __init__(self, dropout_ratio=0.5):
        self.dropout_ratio = dropout_ratio
        self.mask = None

    def forward(self, x, train_flg=True):
        if train_flg:
            self.mask = np.random.rand(*x.shape) > self.dropout_ratio
            return x * self.mask
        return x * (1.0 - self.dropout_ratio)

    def backward(self, dout):
        return dout * self.mask


class BatchNormalization:
    """4D inputs are normalised over (N, H, W) for every channel"""

    def __init__(self, gamma, beta, momentum=0.9, running_mean=None, running_var=None):
        self.gamma, self.beta, self.momentum = gamma, beta, momentum
        self.running_mean, self.running_var = running_mean, running_var
        self.dgamma = self.dbeta = None

    def forward(self, x, train_flg=True):
        C = x.shape[1]
        if self.running_mean is None:
            self.running_mean, self.running_var = np.zeros(C), np.zeros(C)
        rows = x.transpose(0, 2, 3, 1).reshape(-1, C)
        if train_flg:
            mu = rows.mean(axis=0)
            xc = rows - mu
            var = np.mean(xc**2, axis=0)
            self.std = np.sqrt(var + 10e-7)
            self.xn = xc / self.std
            self.n = len(rows)
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        else:
            self.xn = (rows - self.running_mean) / np.sqrt(self.running_var + 10e-7)
        out = self.gamma * self.xn + self.beta
        return out.reshape(x.shape[0], x.shape[2], x.shape[3], C).transpose(0, 3, 1, 2)

    def backward(self, dout):
        N, C, H, W = dout.shape
        d = dout.transpose(0, 2, 3, 1).reshape(-1, C)
        self.dbeta = d.sum(axis=0)
        self.dgamma = np.sum(self.xn * d, axis=0)
        dxn = self.gamma * d
        dxc = dxn / self.std
        dstd = -np.sum(dxn * self.xn / self.std, axis=0)
        dvar = 0.5 * dstd / self.std
        dxc += (2.0 / self.n) * (self.xn * self.std) * dvar
        dmu = np.sum(dxc, axis=0)
        dx = dxc - dmu / self.n
        return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2)
