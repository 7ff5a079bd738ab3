import numpy as np

from tinycnn_numpy.optim import Optimizer


class Flat(Optimizer):
    """All parameters as one vector; what is remembered lies in vectors as well, of which `memory` shows views."""

    def views(self, vector):
        ends = np.cumsum([p.data.size for p in self.parameters])
        return [part.reshape(p.data.shape) for part, p in zip(np.split(vector, ends[:-1]), self.parameters)]

    def vector(self):
        return np.concatenate([z.ravel() for z in self.zeros()])

    def gradient(self):
        g = np.concatenate([p.grad.ravel() for p in self.parameters])
        if self.weight_decay:
            g += self.weight_decay * np.concatenate([p.data.ravel() for p in self.parameters])
        return g

    def step(self):
        self.steps += 1
        for p, move in zip(self.parameters, self.views(self.move(self.gradient()))):
            p.data[...] -= self.lr * move


class SGD(Flat):
    memory = ("momentum_buffer",)

    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov
        self.buffer = self.vector()
        self.momentum_buffer = self.views(self.buffer)

    def move(self, g):
        self.buffer *= self.momentum
        self.buffer += g
        return g + self.momentum * self.buffer if self.nesterov else self.buffer


class Adam(Flat):
    memory = ("exp_avg", "exp_avg_sq")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.betas, self.eps = betas, eps
        self.m, self.v = self.vector(), self.vector()
        self.exp_avg, self.exp_avg_sq = self.views(self.m), self.views(self.v)

    def move(self, g):
        beta1, beta2 = self.betas
        self.m += (1 - beta1) * (g - self.m)
        self.v += (1 - beta2) * (g * g - self.v)
        unbias1, unbias2 = (1 - beta**self.steps for beta in self.betas)
        return self.m / unbias1 / (np.sqrt(self.v / unbias2) + self.eps)
