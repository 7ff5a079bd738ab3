import numpy as np

from tinycnn_numpy.optim import Optimizer


class Base(Optimizer):
    def step(self):
        self.steps += 1
        for i, p in enumerate(self.parameters):
            grad = p.grad
            if self.weight_decay:
                grad = grad + self.weight_decay * p.data
            delta = self.direction(i, grad)
            p.data = p.data - self.lr * delta


class SGD(Base):
    memory = ("momentum_buffer",)

    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.momentum = momentum
        self.nesterov = nesterov
        self.momentum_buffer = self.zeros()

    def direction(self, i, grad):
        if self.momentum == 0:
            return grad
        if self.steps == 1:
            self.momentum_buffer[i] = grad.copy()
        else:
            self.momentum_buffer[i] = self.momentum * self.momentum_buffer[i] + grad
        if self.nesterov:
            return grad + self.momentum * self.momentum_buffer[i]
        return self.momentum_buffer[i]


class Adam(Base):
    memory = ("exp_avg", "exp_avg_sq")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.b1, self.b2 = betas
        self.eps = eps
        self.exp_avg, self.exp_avg_sq = self.zeros(), self.zeros()
        self.b1_t = self.b2_t = 1.0

    def step(self):
        self.b1_t *= self.b1
        self.b2_t *= self.b2
        super().step()

    def direction(self, i, grad):
        self.exp_avg[i] = self.b1 * self.exp_avg[i] + (1 - self.b1) * grad
        self.exp_avg_sq[i] = self.b2 * self.exp_avg_sq[i] + (1 - self.b2) * grad * grad
        mean = self.exp_avg[i] / (1 - self.b1_t)
        square = self.exp_avg_sq[i] / (1 - self.b2_t)
        return mean / (np.sqrt(square) + self.eps)
