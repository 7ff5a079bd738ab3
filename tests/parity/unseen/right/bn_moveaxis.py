import numpy as np
from tinycnn_numpy import BatchNorm2D as Base


class BatchNorm2D(Base):
    """works on rows (N*H*W, C)"""

    def forward(self, x):
        rows = np.moveaxis(x, 1, -1)
        self.shape = rows.shape
        rows = rows.reshape(-1, x.shape[1])
        m = len(rows)
        if self.training:
            mu = rows.sum(0) / m
            centred = rows - mu
            var = (centred**2).sum(0) / m
            k = self.momentum
            self.running_mean *= 1 - k
            self.running_mean += k * mu
            self.running_var *= 1 - k
            self.running_var += k * (centred**2).sum(0) / (m - 1)
            self.num_batches_tracked += 1
        else:
            centred, var = rows - self.running_mean, self.running_var
        self.inv = 1 / np.sqrt(var + self.eps)
        self.hat = centred * self.inv
        self.was_training = self.training
        return np.moveaxis((self.weight * self.hat + self.bias).reshape(self.shape), -1, 1)

    def backward(self, dout):
        d = np.moveaxis(dout, 1, -1).reshape(-1, dout.shape[1])
        self.dbias, self.dweight = d.sum(0), (d * self.hat).sum(0)
        g = d * self.weight
        if self.was_training:
            g = g - g.mean(0) - self.hat * (g * self.hat).mean(0)
        return np.moveaxis((g * self.inv).reshape(self.shape), -1, 1)
