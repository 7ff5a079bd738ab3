import numpy as np

from tinycnn_numpy.layer import Layer


class Channel:
    """The numbers of one channel in one batch, normalised."""

    def __init__(self, numbers, mean, var, eps, fixed):
        self.root = np.sqrt(var + eps)
        self.hat = (numbers - mean) / self.root
        self.fixed = fixed

    def gradients(self, dout, weight):
        dweight, dbias = np.vdot(self.hat, dout), dout.sum()
        slope = dout if self.fixed else dout - dout.mean() - self.hat * (self.hat * dout).mean()
        return slope * (weight / self.root), dweight, dbias


class BatchNorm2D(Layer):
    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, *, dtype=np.float32):
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight, self.bias = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.running_mean, self.running_var = np.zeros(num_features, dtype), np.ones(num_features, dtype)
        self.num_batches_tracked = np.array(0)

    def forward(self, x):
        self.channels = []
        for c in range(self.num_features):
            numbers = x[:, c]
            mean, var = self.running_mean[c], self.running_var[c]
            if self.training:
                mean, var = numbers.mean(), numbers.var()
                self.running_mean[c] += self.momentum * (mean - self.running_mean[c])
                self.running_var[c] += self.momentum * (numbers.var(ddof=1) - self.running_var[c])
            self.channels.append(Channel(numbers, mean, var, x.dtype.type(self.eps), not self.training))
        self.num_batches_tracked += self.training
        return np.stack([w * c.hat + b for w, b, c in zip(self.weight, self.bias, self.channels)], axis=1)

    def backward(self, dout):
        per_channel = map(Channel.gradients, self.channels, dout.swapaxes(0, 1), self.weight)
        dx, dweight, dbias = zip(*per_channel)
        self.dweight, self.dbias = np.array(dweight), np.array(dbias)
        return np.stack(dx, axis=1)
