import numpy as np

from tinycnn_numpy.layer import Layer


class BatchNorm2D(Layer):
    """Welford's running mean and sum of squares, image by image, in float64."""

    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, *, dtype=np.float32):
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight, self.bias = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.running_mean, self.running_var = np.zeros(num_features, dtype), np.ones(num_features, dtype)
        self.num_batches_tracked = np.zeros((), int)

    def statistics(self, x):
        count, mean, squares = 0, np.zeros(x.shape[1]), np.zeros(x.shape[1])
        for image in x.astype(np.float64):
            flat = image.reshape(len(image), -1)
            delta = flat.mean(axis=1) - mean
            total = count + flat.shape[1]
            squares += flat.var(axis=1) * flat.shape[1] + delta**2 * count * flat.shape[1] / total
            mean += delta * flat.shape[1] / total
            count = total
        return mean, squares, count

    def forward(self, x):
        mean, var = self.running_mean.astype(np.float64), self.running_var.astype(np.float64)
        if self.training:
            mean, squares, count = self.statistics(x)
            var, keep = squares / count, 1 - self.momentum
            self.running_mean[...] = keep * self.running_mean + self.momentum * mean
            self.running_var[...] = keep * self.running_var + self.momentum * squares / (count - 1)
            self.num_batches_tracked += 1
        root = np.sqrt(var + self.eps)[:, None, None]
        x_hat = (x - mean[:, None, None]) / root
        self.cache = x_hat, root, self.training
        return (self.weight[:, None, None] * x_hat + self.bias[:, None, None]).astype(x.dtype)

    def backward(self, dout):
        x_hat, root, training = self.cache
        wide = dout.astype(np.float64)
        dbias, dweight = wide.sum(axis=(0, 2, 3)), (wide * x_hat).sum(axis=(0, 2, 3))
        self.dbias, self.dweight = dbias.astype(dout.dtype), dweight.astype(dout.dtype)
        if training:
            M = wide.size // len(dbias)
            wide = wide - (dbias[:, None, None] + x_hat * dweight[:, None, None]) / M
        return (self.weight[:, None, None] / root * wide).astype(dout.dtype)
