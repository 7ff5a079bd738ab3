import numpy as np


class SGDMomentum:
    def __init__(self, learning_rate=0.01, momentum=0.9):
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.v = {}

    def update(self, params, grads):
        for k in params:
            if k not in self.v:
                self.v[k] = np.zeros_like(params[k])
            self.v[k] = self.momentum * self.v[k] + self.learning_rate * grads[k]
            params[k] -= self.learning_rate * self.v[k]


class AdamOptimizer:
    def __init__(self, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.learning_rate, self.beta1, self.beta2, self.epsilon = learning_rate, beta1, beta2, epsilon
        self.m, self.v, self.t = {}, {}, 0

    def update(self, params, grads):
        self.t += 1
        for k, g in grads.items():
            m = self.m.get(k, 0)
            v = self.v.get(k, 0)
            self.m[k] = self.beta1 * m + (1 - self.beta1) * g
            self.v[k] = self.beta2 * v + (1 - self.beta2) * g
            m_hat = self.m[k] / (1 - self.beta1**self.t)
            v_hat = self.v[k] / (1 - self.beta2**self.t)
            params[k] -= self.learning_rate * m_hat / (np.sqrt(np.abs(v_hat)) + self.epsilon)
