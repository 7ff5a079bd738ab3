import numpy as np


class Param:
    def __init__(self, value):
        self.value = value
        self.grad = np.zeros_like(value)


class ReLULayer:
    def __init__(self):
        self.mask = None

    def forward(self, X):
        self.mask = X > 0
        return X * self.mask

    def backward(self, d_out):
        return d_out * self.mask

    def params(self):
        return {}


class FullyConnectedLayer:
    def __init__(self, n_input, n_output):
        self.W = Param(0.001 * np.random.randn(n_input, n_output))
        self.B = Param(0.001 * np.random.randn(1, n_output))
        self.X = None

    def forward(self, X):
        self.X = X
        return X @ self.W.value + self.B.value

    def backward(self, d_out):
        self.W.grad += self.X.T @ d_out
        self.B.grad += d_out.sum(axis=0, keepdims=True)
        return d_out @ self.W.value.T

    def params(self):
        return {"W": self.W, "B": self.B}


class ConvolutionalLayer:
    """X: batch, height, width, channels"""

    def __init__(self, in_channels, out_channels, filter_size, padding):
        self.filter_size = filter_size
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.padding = padding
        self.W = Param(np.random.randn(filter_size, filter_size, in_channels, out_channels))
        self.B = Param(np.zeros(out_channels))

    def forward(self, X):
        batch, height, width, channels = X.shape
        f, p = self.filter_size, self.padding
        self.X = np.pad(X, ((0, 0), (p, p), (p, p), (0, 0)))
        oh, ow = height + 2 * p - f + 1, width + 2 * p - f + 1
        out = np.zeros((batch, oh, ow, self.out_channels))
        flat_w = self.W.value.reshape(-1, self.out_channels)
        for y in range(oh):
            for x in range(ow):
                out[:, y, x, :] = self.X[:, y : y + f, x : x + f].reshape(batch, -1) @ flat_w + self.B.value
        return out

    def backward(self, d_out):
        batch, oh, ow, _ = d_out.shape
        f, p = self.filter_size, self.padding
        flat_w = self.W.value.reshape(-1, self.out_channels)
        dX = np.zeros_like(self.X)
        for y in range(oh):
            for x in range(ow):
                g = d_out[:, y, x, :]
                cell = self.X[:, y : y + f, x : x + f].reshape(batch, -1)
                self.W.grad += (cell.T @ g).reshape(self.W.value.shape)
                dX[:, y : y + f, x : x + f] += (g @ flat_w.T).reshape(batch, f, f, self.in_channels)
                self.B.grad += g.sum(axis=0)
        return dX[:, p : dX.shape[1] - p, p : dX.shape[2] - p]

    def params(self):
        return {"W": self.W, "B": self.B}


class MaxPoolingLayer:
    def __init__(self, pool_size, stride):
        self.pool_size = pool_size
        self.stride = stride
        self.X = None

    def forward(self, X):
        self.X = X
        b, h, w, c = X.shape
        k, s = self.pool_size, self.stride
        out = np.zeros((b, (h - k) // s + 1, (w - k) // s + 1, c))
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                out[:, y, x] = X[:, y * s : y * s + k, x * s : x * s + k].max(axis=(1, 2))
        return out

    def backward(self, d_out):
        k, s = self.pool_size, self.stride
        dX = np.zeros_like(self.X)
        for y in range(d_out.shape[1]):
            for x in range(d_out.shape[2]):
                cell = self.X[:, y * s : y * s + k, x * s : x * s + k]
                mask = cell == cell.max(axis=(1, 2), keepdims=True)
                share = d_out[:, y, x][:, None, None] / mask.sum(axis=(1, 2), keepdims=True)
                dX[:, y * s : y * s + k, x * s : x * s + k] += mask * share
        return dX

    def params(self):
        return {}


class Flattener:
    def forward(self, X):
        self.X_shape = X.shape
        return X.reshape(X.shape[0], -1)

    def backward(self, d_out):
        return d_out.reshape(self.X_shape)

    def params(self):
        return {}


def softmax_with_cross_entropy(predictions, target_index):
    z = predictions - predictions.max(axis=1, keepdims=True)
    probs = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    n = len(target_index)
    loss = -np.log(probs[np.arange(n), target_index]).mean()
    probs[np.arange(n), target_index] -= 1
    return loss, probs / n
