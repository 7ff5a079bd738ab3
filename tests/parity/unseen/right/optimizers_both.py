import numpy as np
from tinycnn_numpy.optim import Optimizer


class SGD(Optimizer):
    memory = ("momentum_buffer",)

    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        Optimizer.__init__(self, parameters, lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov
        self.momentum_buffer = [np.zeros(p.data.shape, p.data.dtype) for p in self.parameters]

    def step(self):
        self.steps += 1
        for p, b in zip(self.parameters, self.momentum_buffer):
            g = self.weight_decay * p.data + p.grad
            b[:] = b * self.momentum + g
            p.data = p.data - self.lr * ((g + b * self.momentum) if self.nesterov else b)


class Adam(Optimizer):
    memory = ("exp_avg", "exp_avg_sq")

    def __init__(self, parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        Optimizer.__init__(self, parameters, lr, weight_decay)
        (self.b1, self.b2), self.eps = betas, eps
        self.exp_avg = [np.zeros(p.data.shape, p.data.dtype) for p in self.parameters]
        self.exp_avg_sq = [np.zeros(p.data.shape, p.data.dtype) for p in self.parameters]

    def step(self):
        self.steps += 1
        for p, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq):
            g = self.weight_decay * p.data + p.grad
            m[:] = self.b1 * m + (1 - self.b1) * g
            v[:] = self.b2 * v + (1 - self.b2) * g**2
            mhat = m / (1 - np.power(self.b1, self.steps).item())
            vhat = v / (1 - np.power(self.b2, self.steps).item())
            p.data = p.data - self.lr * mhat / (vhat**0.5 + self.eps)
