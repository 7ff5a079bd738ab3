import numpy as np


class Op:
    def __call__(self, x):
        raise NotImplementedError

    def gradient(self, dy):
        raise NotImplementedError

    @property
    def variables(self):
        return []


class Affine(Op):
    def __init__(self, n_in, n_out):
        self.w = np.random.randn(n_in, n_out) / np.sqrt(n_in)
        self.b = np.zeros(n_out)
        self.grads = [None, None]

    def __call__(self, x):
        self.x = x
        return x @ self.w + self.b

    def gradient(self, dy):
        self.grads = [self.x.T @ dy, dy.sum(axis=0)]
        return dy @ self.w.T

    @property
    def variables(self):
        return [self.w, self.b]


class Rectifier(Op):
    def __call__(self, x):
        self.y = np.maximum(x, 0)
        return self.y

    def gradient(self, dy):
        return dy * (self.y > 0)


class Conv(Op):
    """x (n, h, w, c); w (kh, kw, c, f)"""

    def __init__(self, kh, kw, c, f):
        self.w = np.random.randn(kh, kw, c, f) / np.sqrt(kh * kw * c)
        self.b = np.zeros(f)
        self.grads = [None, None]

    def __call__(self, x):
        kh, kw = self.w.shape[:2]
        self.x = x
        oh, ow = x.shape[1] - kh + 1, x.shape[2] - kw + 1
        return self.b + sum(x[:, i : i + oh, j : j + ow] @ self.w[i, j] for i in range(kh) for j in range(kw))

    def gradient(self, dy):
        kh, kw = self.w.shape[:2]
        oh, ow = dy.shape[1:3]
        dx, dw = np.zeros_like(self.x), np.zeros_like(self.w)
        for i in range(kh):
            for j in range(kw):
                dx[:, i : i + oh, j : j + ow] += dy @ self.w[i, j].T
                dw[i, j] = np.tensordot(self.x[:, i : i + oh, j : j + ow], dy, ([0, 1, 2], [0, 1, 2]))
        self.grads = [dw, dy.sum(axis=(0, 1, 2))]
        return dx
