import numpy as np
from tinycnn_numpy import Adam as Base


class Adam(Base):
    """keeps beta**t as running products"""

    power1 = power2 = 1.0

    def step(self):
        b1, b2 = self.betas
        self.power1 *= b1
        self.power2 *= b2
        self.steps += 1
        for p, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq):
            g = p.grad + self.weight_decay * p.data
            m += (1 - b1) * (g - m)
            v += (1 - b2) * (g * g - v)
            root = np.sqrt(v / (1 - self.power2))
            p.data[...] = p.data - self.lr * (m / (1 - self.power1)) / (root + self.eps)
