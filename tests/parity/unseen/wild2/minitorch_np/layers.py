import numpy as np

from .functional import unfold
from .module import Module
from .tensor import Parameter


class Conv2d(Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        if isinstance(kernel_size, int):
            kernel_size = (kernel_size, kernel_size)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        kh, kw = kernel_size
        bound = 1.0 / np.sqrt(in_channels * kh * kw)
        self.weight = Parameter(np.random.uniform(-bound, bound, (out_channels, in_channels, kh, kw)))
        self.bias = Parameter(np.random.uniform(-bound, bound, out_channels)) if bias else None

    def forward(self, x):
        p = self.padding
        self._x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        self._win = unfold(self._x, *self.kernel_size, self.stride)
        out = np.einsum('nchwij,ocij->nohw', self._win, self.weight.data)
        if self.bias is not None:
            out += self.bias.data[None, :, None, None]
        return out

    def backward(self, grad):
        self.weight.grad += np.einsum('nchwij,nohw->ocij', self._win, grad)
        if self.bias is not None:
            self.bias.grad += grad.sum(axis=(0, 2, 3))
        kh, kw = self.kernel_size
        s, p = self.stride, self.padding
        n, o, oh, ow = grad.shape
        dx = np.zeros_like(self._x)
        for i in range(oh):
            for j in range(ow):
                dx[:, :, i * s:i * s + kh, j * s:j * s + kw] += np.einsum(
                    'no,ocij->ncij', grad[:, :, i, j], self.weight.data)
        h, w = dx.shape[2:]
        return dx[:, :, p:h - p, p:w - p]


class Linear(Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        bound = 1.0 / np.sqrt(in_features)
        self.weight = Parameter(np.random.uniform(-bound, bound, (out_features, in_features)))
        self.bias = Parameter(np.zeros(out_features))

    def forward(self, x):
        self._x = x
        return x @ self.weight.data.T + self.bias.data

    def backward(self, grad):
        self.weight.grad += grad.T @ self._x
        self.bias.grad += grad.sum(axis=0)
        return grad @ self.weight.data


class ReLU(Module):
    def forward(self, x):
        self._mask = (x > 0).astype(x.dtype)
        return x * self._mask

    def backward(self, grad):
        return grad * self._mask


class MaxPool2d(Module):
    def __init__(self, kernel_size, stride=None):
        super().__init__()
        self.k = kernel_size
        self.s = stride or kernel_size

    def forward(self, x):
        self._shape = x.shape
        win = unfold(np.ascontiguousarray(x), self.k, self.k, self.s)
        n, c, oh, ow = win.shape[:4]
        flat = win.reshape(n, c, oh, ow, -1)
        self._arg = flat.argmax(-1)
        return flat.max(-1)

    def backward(self, grad):
        dx = np.zeros(self._shape)
        n, c, oh, ow = grad.shape
        nn, cc, ii, jj = np.indices((n, c, oh, ow))
        rows = ii * self.s + self._arg // self.k
        cols = jj * self.s + self._arg % self.k
        dx[nn, cc, rows, cols] += grad
        return dx


class Flatten(Module):
    def forward(self, x):
        self._shape = x.shape
        return x.reshape(x.shape[0], -1)

    def backward(self, grad):
        return grad.reshape(self._shape)


class BatchNorm2d(Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.gamma = Parameter(np.ones((1, num_features, 1, 1)))
        self.beta = Parameter(np.zeros((1, num_features, 1, 1)))
        self.running_mean = np.zeros((1, num_features, 1, 1))
        self.running_var = np.ones((1, num_features, 1, 1))

    def forward(self, x):
        if self.training:
            mean = x.mean(axis=(0, 2, 3), keepdims=True)
            var = x.var(axis=(0, 2, 3), keepdims=True)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var
        else:
            mean, var = self.running_mean, self.running_var
        self._std = np.sqrt(var + self.eps)
        self._xhat = (x - mean) / self._std
        return self.gamma.data * self._xhat + self.beta.data

    def backward(self, grad):
        m = grad.shape[0]
        axes = (0, 2, 3)
        self.gamma.grad += (grad * self._xhat).sum(axis=axes, keepdims=True)
        self.beta.grad += grad.sum(axis=axes, keepdims=True)
        g = grad * self.gamma.data
        return (g - g.sum(axis=axes, keepdims=True) / m
                - self._xhat * (g * self._xhat).sum(axis=axes, keepdims=True) / m) / self._std


class Dropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training:
            return x
        self._mask = (np.random.rand(*x.shape) >= self.p) / (1.0 - self.p)
        return x * self._mask

    def backward(self, grad):
        return grad * self._mask if self.training else grad
