import math

import numpy as np
from tinycnn_numpy.optim import Optimizer


class Adam(Optimizer):
    memory = ("exp_avg", "exp_avg_sq")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.betas, self.eps = tuple(betas), eps
        self.exp_avg, self.exp_avg_sq = self.zeros(), self.zeros()

    def step(self):
        self.steps += 1
        b1, b2 = self.betas
        step_size = self.lr / (1 - b1**self.steps)
        root_correction = math.sqrt(1 - b2**self.steps)
        for k, p in enumerate(self.parameters):
            g = p.grad + self.weight_decay * p.data if self.weight_decay else p.grad
            self.exp_avg[k][...] = b1 * self.exp_avg[k] + (1 - b1) * g
            self.exp_avg_sq[k][...] = b2 * self.exp_avg_sq[k] + (1 - b2) * np.square(g)
            p.data[...] -= step_size * self.exp_avg[k] / (np.sqrt(self.exp_avg_sq[k]) / root_correction + self.eps)
