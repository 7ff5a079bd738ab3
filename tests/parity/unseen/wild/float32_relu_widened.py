import numpy as np


class ReLU:
    def forward(self, x):
        self.grad = np.where(x >= 0, 1.0, 0.0)
        return x * self.grad

    def backward(self, dy):
        return dy * self.grad


class MaxPool:
    """NCHW, k x k, stride k, the image must divide"""

    def __init__(self, k):
        self.k = k

    def forward(self, x):
        k = self.k
        n, c, h, w = x.shape
        assert h % k == 0 and w % k == 0, "does not divide"
        t = x.reshape(n, c, h // k, k, w // k, k).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // k, w // k, k * k)
        self.arg, self.shape = t.argmax(-1), x.shape
        return t.max(-1)

    def backward(self, dy):
        k = self.k
        n, c, h, w = self.shape
        onehot = np.eye(k * k)[self.arg] * dy[..., None]
        t = onehot.reshape(n, c, h // k, w // k, k, k).transpose(0, 1, 2, 4, 3, 5)
        return t.reshape(n, c, h, w)
