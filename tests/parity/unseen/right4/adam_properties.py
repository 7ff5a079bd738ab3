import numpy as np

from tinycnn_numpy.optim import Optimizer


class Average:
    """An exponential average, and the same without its start at 0."""

    def __init__(self, beta, like):
        self.beta, self.value = beta, np.zeros_like(like)

    def follow(self, new):
        self.value += (1 - self.beta) * (new - self.value)

    def unbiased(self, count):
        return self.value / (1 - self.beta**count)


class Adam(Optimizer):
    """What is remembered lives in objects; exp_avg and exp_avg_sq are properties that show their arrays."""

    memory = ("exp_avg", "exp_avg_sq")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.betas, self.eps = betas, eps
        self.averages = [[Average(beta, p.data) for beta in betas] for p in self.parameters]

    @property
    def exp_avg(self):
        return [first.value for first, _ in self.averages]

    @property
    def exp_avg_sq(self):
        return [second.value for _, second in self.averages]

    def step(self):
        self.steps += 1
        for p, (first, second) in zip(self.parameters, self.averages):
            g = p.grad + self.weight_decay * p.data if self.weight_decay else p.grad
            first.follow(g)
            second.follow(g * g)
            p.data[...] -= self.lr * first.unbiased(self.steps) / (np.sqrt(second.unbiased(self.steps)) + self.eps)
