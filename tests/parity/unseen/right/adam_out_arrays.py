import numpy as np
import tinycnn_numpy as tn


class Adam(tn.Adam):
    def step(self):
        self.steps += 1
        b1, b2 = self.betas
        c1, c2 = 1 - b1**self.steps, 1 - b2**self.steps
        for p, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = np.array(p.grad)
            g += self.weight_decay * p.data
            np.multiply(m, b1, out=m)
            m += (1 - b1) * g
            np.multiply(v, b2, out=v)
            np.multiply(g, g, out=g)
            v += (1 - b2) * g
            np.sqrt(v / c2, out=g)
            g += self.eps
            np.divide(m / c1, g, out=g)
            p.data[...] -= self.lr * g
