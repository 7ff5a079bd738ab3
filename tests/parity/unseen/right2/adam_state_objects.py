from dataclasses import dataclass

import numpy as np

from tinycnn_numpy.optim import Optimizer


@dataclass
class State:
    m: np.ndarray
    v: np.ndarray

    def absorb(self, g, beta1, beta2):
        np.add(beta1 * self.m, (1 - beta1) * g, out=self.m)
        np.add(beta2 * self.v, (1 - beta2) * np.square(g), out=self.v)

    def direction(self, t, beta1, beta2, eps):
        """eps is scaled with the root, so that dividing both by the correction leaves eps as it is."""
        root = (1 - beta2**t) ** 0.5
        return self.m * (root / (1 - beta1**t)) / (np.sqrt(self.v) + eps * root)


class Adam(Optimizer):
    memory = ("exp_avg", "exp_avg_sq")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.betas, self.eps = betas, eps
        self.states = [State(m, v) for m, v in zip(self.zeros(), self.zeros())]

    exp_avg = property(lambda self: [state.m for state in self.states])
    exp_avg_sq = property(lambda self: [state.v for state in self.states])

    def step(self):
        self.steps += 1
        for p, state in zip(self.parameters, self.states):
            state.absorb(p.grad + self.weight_decay * p.data, *self.betas)
            p.data -= self.lr * state.direction(self.steps, *self.betas, self.eps)
