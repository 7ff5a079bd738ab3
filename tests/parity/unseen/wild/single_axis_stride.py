import numpy as np


class AvgPool:
    """NHWC average pooling with pool size p and stride s"""

    def __init__(self, p, s):
        self.p, self.s = p, s

    def forward(self, x):
        self.x = x
        n, h, w, c = x.shape
        oh, ow = (h - self.p) // self.s + 1, (w - self.p) // self.s + 1
        out = np.zeros((n, oh, ow, c))
        for i in range(oh):
            for j in range(ow):
                out[:, i, j] = x[:, i * self.s : i * self.s + self.p, j * self.s : j * self.s + self.p].mean((1, 2))
        return out

    def backward(self, g):
        dx = np.zeros_like(self.x)
        area = self.p * self.p
        for i in range(g.shape[1]):
            for j in range(g.shape[2]):
                dx[:, i * self.s : i * self.s + self.p, j : j + self.p] += g[:, i : i + 1, j : j + 1] / area
        return dx


class Conv:
    def __init__(self, c_in, c_out, k, s):
        self.W = np.random.randn(k, k, c_in, c_out) * 0.1
        self.b = np.zeros((1, 1, 1, c_out))
        self.s = s

    def forward(self, x):
        self.x = x
        k, s = self.W.shape[0], self.s
        n, h, w, c = x.shape
        out = np.zeros((n, (h - k) // s + 1, (w - k) // s + 1, self.W.shape[3]))
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                out[:, i, j] = np.tensordot(x[:, i * s : i * s + k, j * s : j * s + k], self.W, 3)
        return out + self.b

    def backward(self, g):
        k, s = self.W.shape[0], self.s
        self.dW, self.db = np.zeros_like(self.W), g.sum((0, 1, 2), keepdims=True)
        dx = np.zeros_like(self.x)
        for n in range(len(g)):
            for i in range(g.shape[1]):
                for j in range(g.shape[2]):
                    self.dW += self.x[0, i * s : i * s + k, j * s : j * s + k, :, None] * g[n, i, j]
                    dx[n, i * s : i * s + k, j * s : j * s + k] += self.W @ g[n, i, j]
        return dx
