from math import sqrt

import numpy as np

from tinycnn_numpy.optim import Optimizer


class Adam(Optimizer):
    memory = ("exp_avg", "exp_avg_sq")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.beta1, self.beta2 = betas
        self.eps = eps
        self.exp_avg = self.zeros()
        self.exp_avg_sq = self.zeros()

    def step(self):
        self.steps += 1
        for p, exp_avg, exp_avg_sq in zip(self.parameters, self.exp_avg, self.exp_avg_sq):
            grad = p.grad
            if self.weight_decay != 0:
                grad = grad + self.weight_decay * p.data
            exp_avg *= self.beta1
            exp_avg += (1 - self.beta1) * grad
            exp_avg_sq *= self.beta2
            exp_avg_sq += (1 - self.beta2) * grad * grad
            bias_correction1 = 1 - self.beta1**self.steps
            bias_correction2 = 1 - self.beta2**self.steps
            denom = np.sqrt(exp_avg_sq) / sqrt(bias_correction2) + self.eps
            step_size = self.lr / bias_correction1
            p.data -= step_size * exp_avg / denom
