import numpy as np

from tinycnn_numpy.optim import Optimizer


class Adam(Optimizer):
    memory = ("exp_avg", "exp_avg_sq")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.betas = betas
        self.eps = eps
        self.exp_avg = self.zeros()
        self.exp_avg_sq = self.zeros()

    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        t = self.steps
        for i in range(len(self.parameters)):
            p = self.parameters[i]
            m, v = self.exp_avg[i], self.exp_avg_sq[i]
            g = p.grad + self.weight_decay * p.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g**2
            m_hat = m / (1 - beta1**t)
            v_hat = v / (1 - beta2**t)
            p.data[...] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
