import numpy as np


class BatchNorm2d:
    def __init__(self, num_channels, momentum=0.1, eps=1e-5):
        self.gamma = np.ones((1, num_channels, 1, 1))
        self.beta = np.zeros((1, num_channels, 1, 1))
        self.running_mean = np.zeros((1, num_channels, 1, 1))
        self.running_var = np.ones((1, num_channels, 1, 1))
        self.momentum, self.eps = momentum, eps
        self.training = True

    def forward(self, x):
        if self.training:
            mean = x.mean(axis=(0, 2, 3), keepdims=True)
            var = x.var(axis=(0, 2, 3), keepdims=True)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var
        else:
            mean, var = self.running_mean, self.running_var
        self.inv_std = 1 / np.sqrt(var + self.eps)
        self.x_hat = (x - mean) * self.inv_std
        return self.gamma * self.x_hat + self.beta

    def backward(self, grad):
        self.dgamma = (grad * self.x_hat).sum(axis=(0, 2, 3), keepdims=True)
        self.dbeta = grad.sum(axis=(0, 2, 3), keepdims=True)
        m = grad.shape[0]
        dxhat = grad * self.gamma
        s1 = dxhat.sum(axis=(0, 2, 3), keepdims=True)
        s2 = (dxhat * self.x_hat).sum(axis=(0, 2, 3), keepdims=True)
        return self.inv_std * (dxhat - s1 / m - self.x_hat * s2 / m)


class Dropout:
    def __init__(self, drop_prob=0.5):
        self.drop_prob = drop_prob
        self.training = True

    def forward(self, x):
        if not self.training:
            return x
        self.mask = np.random.rand(*x.shape) > self.drop_prob
        return x * self.mask / (1 - self.drop_prob)

    def backward(self, grad):
        return grad * self.mask
