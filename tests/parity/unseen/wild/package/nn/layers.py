import numpy as np

from . import init
from .windows import cut, paste


class Module:
    def __call__(self, x):
        return self.forward(x)


class Conv2d(Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        fan_in = in_channels * kernel_size**2
        self.weight = init.kaiming((out_channels, in_channels, kernel_size, kernel_size), fan_in)
        self.bias = np.zeros(out_channels)

    def forward(self, x):
        self.shape = x.shape
        self.cols = cut(x, self.kernel_size, self.stride, self.padding)
        return np.einsum("ncijhw,fcij->nfhw", self.cols, self.weight) + self.bias[:, None, None]

    def backward(self, grad):
        self.weight_grad = np.einsum("ncijhw,nfhw->fcij", self.cols, grad)
        self.bias_grad = grad.sum(axis=(0, 2, 3))
        dcols = np.einsum("nfhw,fcij->ncijhw", grad, self.weight)
        return paste(dcols, self.shape, self.kernel_size, self.stride, self.padding)


class MaxPool2d(Module):
    def __init__(self, kernel_size, stride=None):
        self.kernel_size, self.stride = kernel_size, stride or kernel_size

    def forward(self, x):
        self.shape = x.shape
        cols = cut(x, self.kernel_size, self.stride, 0)
        n, c, k, _, h, w = cols.shape
        flat = cols.reshape(n, c, k * k, h, w)
        self.best = flat.argmax(axis=2)
        return flat.max(axis=2)

    def backward(self, grad):
        k = self.kernel_size
        n, c, h, w = grad.shape
        d = np.zeros((n, c, k * k, h, w))
        np.put_along_axis(d, self.best[:, :, None], grad[:, :, None], axis=2)
        return paste(d.reshape(n, c, k, k, h, w), self.shape, k, self.stride, 0)


class ReLU(Module):
    def forward(self, x):
        self.on = x > 0
        return np.where(self.on, x, 0.0)

    def backward(self, grad):
        return np.where(self.on, grad, 0.0)


class Linear(Module):
    def __init__(self, in_features, out_features):
        self.weight = init.kaiming((out_features, in_features), in_features)
        self.bias = np.zeros(out_features)

    def forward(self, x):
        self.x = x
        return x @ self.weight.T + self.bias

    def backward(self, grad):
        self.weight_grad, self.bias_grad = grad.T @ self.x, grad.sum(axis=0)
        return grad @ self.weight
