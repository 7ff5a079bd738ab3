"""Right code for batch normalisation and dropout, each class in another style."""

import numpy as np

import tinycnn_numpy as tn
from parity.doctor import plain


class BatchNorm2DInOnePass(plain.BatchNorm2D):
    """var = mean(x*x) - mean*mean; dx from dx_hat, as most course notes write it."""

    def forward(self, x):
        if self.training:
            mean, M = x.mean(axis=(0, 2, 3)), x.size // x.shape[1]
            var = (x * x).mean(axis=(0, 2, 3)) - mean * mean
            self.running_mean += x.dtype.type(self.momentum) * (mean - self.running_mean)
            self.running_var += x.dtype.type(self.momentum) * (var * M / (M - 1) - self.running_var)
        else:
            mean, var = self.running_mean, self.running_var
        root = np.sqrt(var + self.eps)
        scale = self.weight / root
        self.cache = x, (x - mean[:, None, None]) / root[:, None, None], root
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]

    def backward(self, dout):
        dx = super().backward(dout)
        if self.training:
            _, x_hat, root = self.cache
            M, dx_hat = dout.size // dout.shape[1], dout * self.weight[:, None, None]
            sums = (array.sum(axis=(0, 2, 3))[:, None, None] for array in (dx_hat, dx_hat * x_hat))
            first, second = sums
            dx = (M * dx_hat - first - x_hat * second) / M / root[:, None, None]
        return dx


class BatchNorm2DPlain(plain.BatchNorm2D):
    """Channel by channel in N, C, H, W."""


class DropoutPlain(plain.Dropout):
    """A mask and a scale, kept apart."""


class DropoutByChoice(tn.Dropout):
    """What is kept is drawn by another distribution, in float64."""

    def forward(self, x):
        if not self.training:
            self.kept = np.ones(x.shape, bool)
            return x.copy()
        self.kept = self.rng.binomial(1, 1 - self.p, x.shape).astype(bool)
        return np.where(self.kept, x / x.dtype.type(1 - self.p), x.dtype.type(0))

    def backward(self, dout):
        scale = dout.dtype.type(1 - self.p if self.training else 1)
        return np.where(self.kept, dout / scale, dout.dtype.type(0))
