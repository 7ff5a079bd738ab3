import numpy as np


class HingeLoss:
    def forward(self, scores, y):
        n = len(y)
        right = scores[np.arange(n), y][:, None]
        self.m = np.maximum(0, scores - right + 1)
        self.m[np.arange(n), y] = 0
        self.y = y
        return self.m.sum() / n

    def backward(self):
        n = len(self.y)
        g = (self.m > 0).astype(float)
        g[np.arange(n), self.y] = -g.sum(1)
        return g / n


class BinaryCrossEntropy:
    def forward(self, p, t):
        self.p, self.t = np.clip(p, 1e-12, 1 - 1e-12), t
        return -np.mean(t * np.log(self.p) + (1 - t) * np.log(1 - self.p))

    def backward(self):
        return (self.p - self.t) / (self.p * (1 - self.p)) / self.t.size


class RMSprop:
    def __init__(self, lr=0.01, decay_rate=0.99):
        self.lr, self.decay_rate, self.h = lr, decay_rate, None

    def update(self, params, grads):
        if self.h is None:
            self.h = {k: np.zeros_like(v) for k, v in params.items()}
        for k in params:
            self.h[k] = self.decay_rate * self.h[k] + (1 - self.decay_rate) * grads[k] ** 2
            params[k] -= self.lr * grads[k] / (np.sqrt(self.h[k]) + 1e-7)
