"""homework 3, group 12. Convolution is NHWC, dense layers are (batch, features)"""
import numpy as np
from numpy.lib.stride_tricks import as_strided

np.random.seed(12)


def windows(x, kh, kw, s):
    n, h, w, c = x.shape
    sn, sh, sw, sc = x.strides
    oh, ow = (h - kh) // s + 1, (w - kw) // s + 1
    return as_strided(x, (n, oh, ow, kh, kw, c), (sn, sh * s, sw * s, sh, sw, sc))


class ConvLayer:
    def __init__(self, n_in, n_out, k=3, stride=1, pad=0):
        self.W = np.random.randn(k, k, n_in, n_out) * np.sqrt(2. / (k * k * n_in))
        self.b = np.zeros(n_out)
        self.k, self.stride, self.pad = k, stride, pad

    def forward(self, x):
        p = self.pad
        self.xp = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
        self.win = windows(self.xp, self.k, self.k, self.stride)
        return np.tensordot(self.win, self.W, axes=([3, 4, 5], [0, 1, 2])) + self.b

    def backward(self, dout):
        self.dW = np.tensordot(self.win, dout, axes=([0, 1, 2], [0, 1, 2]))
        self.db = dout.sum(axis=(0, 1, 2))
        dx = np.zeros_like(self.xp)
        s, k = self.stride, self.k
        for i in range(dout.shape[1]):
            for j in range(dout.shape[2]):
                dx[:, i * s:i * s + k, j * s:j * s + k, :] += np.tensordot(dout[:, i, j, :], self.W, axes=([1], [3]))
        return dx


class MaxPoolLayer:
    """non overlapping windows, height and width must be divisible by k"""

    def __init__(self, k=2):
        self.k = k

    def forward(self, x):
        n, h, w, c = x.shape
        k = self.k
        self.x = x
        self.xr = x.reshape(n, h // k, k, w // k, k, c)
        self.out = self.xr.max(axis=(2, 4))
        return self.out

    def backward(self, dout):
        mask = self.xr == self.out[:, :, None, :, None, :]
        d = mask * dout[:, :, None, :, None, :]
        d = d / mask.sum(axis=(2, 4), keepdims=True)
        return d.reshape(self.x.shape)


class AvgPoolLayer:
    def __init__(self, k=2):
        self.k = k

    def forward(self, x):
        n, h, w, c = x.shape
        self.shape = x.shape
        return x.reshape(n, h // self.k, self.k, w // self.k, self.k, c).mean(axis=(2, 4))

    def backward(self, dout):
        d = np.repeat(np.repeat(dout, self.k, axis=1), self.k, axis=2)
        return d / self.k ** 2


class FlattenLayer:
    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dout):
        return dout.reshape(self.shape)


class DenseLayer:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out) * np.sqrt(2. / n_in)
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x.dot(self.W) + self.b

    def backward(self, dout):
        self.dW = self.x.T.dot(dout)
        self.db = dout.sum(0)
        return dout.dot(self.W.T)


class ReluLayer:
    def forward(self, x):
        self.x = x
        return x * (x > 0)

    def backward(self, dout):
        return dout * (self.x > 0)


def softmax(s):
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(scores, onehot):
    p = softmax(scores)
    loss = -np.mean(np.sum(onehot * np.log(p), axis=1))
    dscores = p - onehot
    return loss, dscores


def batches(X, Y, size):
    idx = np.random.permutation(len(X))
    for i in range(0, len(X), size):
        yield X[idx[i:i + size]], Y[idx[i:i + size]]


net = [ConvLayer(1, 3, 3), ReluLayer(), MaxPoolLayer(2), FlattenLayer(), DenseLayer(3 * 3 * 3, 2)]
X = np.random.rand(16, 8, 8, 1)
Y = np.eye(2)[(X[:, :4].mean(axis=(1, 2, 3)) > X[:, 4:].mean(axis=(1, 2, 3))).astype(int)]
for epoch in range(3):
    for xb, yb in batches(X, Y, 4):
        h = xb
        for layer in net:
            h = layer.forward(h)
        loss, d = cross_entropy(h, yb)
        for layer in reversed(net):
            d = layer.backward(d)
        for layer in net:
            if hasattr(layer, 'W'):
                layer.W -= 0.01 * layer.dW
                layer.b -= 0.01 * layer.db
    print('epoch', epoch, 'loss', loss)
