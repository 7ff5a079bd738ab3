import numpy as np
from numpy.lib.stride_tricks import as_strided

# y = layer(x);  dx = layer.grad(dy).  The weights are in layer.params, their gradients in layer.dparams (same order).


class Op:
    params, dparams = [], []

    def __call__(self, x):
        raise NotImplementedError

    def grad(self, dy):
        raise NotImplementedError


class Conv(Op):
    """x (N, C, H, W), kernel (kh, kw, C, F), no padding, stride 1"""

    def __init__(self, in_maps, out_maps, kh, kw):
        kernel = np.random.standard_normal((kh, kw, in_maps, out_maps)) * np.sqrt(2 / (kh * kw * in_maps))
        self.params = [kernel, np.zeros(out_maps)]
        self.dparams = [None, None]

    @staticmethod
    def windows(x, kh, kw):
        n, c, h, w = x.shape
        a, b, r, q = x.strides
        return as_strided(x, (n, h - kh + 1, w - kw + 1, c, kh, kw), (a, r, q, b, r, q))

    def __call__(self, x):
        kernel, bias = self.params
        self.win = self.windows(np.ascontiguousarray(x), *kernel.shape[:2])
        y = np.einsum('nhwcij,ijcf->nfhw', self.win, kernel)
        return y + bias.reshape(1, -1, 1, 1)

    def grad(self, dy):
        kernel, _ = self.params
        kh, kw = kernel.shape[:2]
        self.dparams[0] = np.einsum('nhwcij,nfhw->ijcf', self.win, dy)
        self.dparams[1] = dy.mean(axis=(0, 2, 3))
        full = np.ascontiguousarray(np.pad(dy, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1))))
        return np.einsum('nhwfij,ijcf->nchw', self.windows(full, kh, kw), np.flip(kernel, (0, 1)))


class MaxPool(Op):
    def __init__(self, k):
        self.k = k

    def __call__(self, x):
        n, c, h, w = x.shape
        k = self.k
        x = np.ascontiguousarray(x)
        a, b, r, q = x.strides
        self.shape = x.shape
        win = as_strided(x, (n, c, h // k, w // k, k, k), (a, b, r * k, q * k, r, q)).reshape(n, c, h // k, w // k, -1)
        self.best = win.argmax(-1)
        return win.max(-1)

    def grad(self, dy):
        dx = np.zeros(self.shape)
        n, c, i, j = np.indices(dy.shape)
        dx[n, c, i * self.k + self.best // self.k, j * self.k + self.best % self.k] = dy
        return dx


class Ravel(Op):
    def __call__(self, x):
        self.shape = x.shape
        return x.reshape(x.shape[0], -1)

    def grad(self, dy):
        return dy.reshape(self.shape)


class Dense(Op):
    def __init__(self, a, b):
        self.params = [np.random.standard_normal((a, b)) / np.sqrt(a), np.zeros(b)]
        self.dparams = [None, None]

    def __call__(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def grad(self, dy):
        self.dparams = [np.einsum('ni,nj->ij', self.x, dy), np.einsum('nj->j', dy)]
        return np.einsum('nj,ij->ni', dy, self.params[0])


class ReLU(Op):
    def __call__(self, x):
        self.pos = x > 0
        return self.pos * x

    def grad(self, dy):
        return self.pos * dy


class Swish(Op):
    def __call__(self, x):
        self.x, self.s = x, 1 / (1 + np.exp(-x))
        return x * self.s

    def grad(self, dy):
        return dy * (self.s + self.x * self.s * (1 - self.s))


class LogSoftmaxNLL:
    def __call__(self, scores, labels):
        self.labels = labels
        m = scores.max(axis=1, keepdims=True)
        self.logp = scores - m - np.log(np.exp(scores - m).sum(axis=1, keepdims=True))
        return -self.logp[np.arange(len(labels)), labels].mean()

    def grad(self):
        d = np.exp(self.logp)
        d[np.arange(len(self.labels)), self.labels] -= 1
        return d / len(self.labels)


class SGD:
    def __init__(self, ops, rate):
        self.ops, self.rate = ops, rate

    def step(self):
        for op in self.ops:
            for p, g in zip(op.params, op.dparams):
                p = p - self.rate * g


if __name__ == '__main__':
    ops = [Conv(1, 4, 3, 3), ReLU(), MaxPool(2), Ravel(), Dense(36, 10), Swish(), Dense(10, 3)]
    loss, opt = LogSoftmaxNLL(), SGD(ops, .1)
    x, y = np.random.rand(12, 1, 8, 8), np.random.randint(0, 3, 12)
    for it in range(10):
        h = x
        for op in ops:
            h = op(h)
        print(it, loss(h, y))
        d = loss.grad()
        for op in reversed(ops):
            d = op.grad(d)
        opt.step()
