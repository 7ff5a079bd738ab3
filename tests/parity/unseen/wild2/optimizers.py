import numpy as np

"""
Optimisers for my numpy network. Every layer of the network keeps
    layer.params = {'W': ..., 'b': ...}   and   layer.grads = {'W': ..., 'b': ...}
"""


class Optimizer(object):
    def __init__(self, lr):
        self.lr = lr

    def update(self, layers):
        for i, layer in enumerate(layers):
            for name in layer.params:
                self.update_param(layer, name, (i, name))

    def update_param(self, layer, name, key):
        raise NotImplementedError


class SGD(Optimizer):
    def __init__(self, lr=0.01, weight_decay=0.0):
        super().__init__(lr)
        self.weight_decay = weight_decay

    def update_param(self, layer, name, key):
        g = layer.grads[name] + self.weight_decay * layer.params[name]
        layer.params[name] -= self.lr * g


class SGDMomentum(Optimizer):
    def __init__(self, lr=0.01, momentum=0.9):
        super().__init__(lr)
        self.momentum = momentum
        self.velocity = {}

    def update_param(self, layer, name, key):
        if key not in self.velocity:
            self.velocity[key] = np.zeros_like(layer.params[name])
        v = self.velocity[key]
        v = self.momentum * v - self.lr * layer.grads[name]
        self.velocity[key] = v
        layer.params[name] -= v


class Adagrad(Optimizer):
    def __init__(self, lr=0.01, eps=1e-8):
        super().__init__(lr)
        self.eps = eps
        self.h = {}

    def update_param(self, layer, name, key):
        self.h[key] = self.h.get(key, 0) + layer.grads[name] ** 2
        layer.params[name] -= self.lr * layer.grads[name] / (np.sqrt(self.h[key]) + self.eps)


class RMSProp(Optimizer):
    def __init__(self, lr=0.001, rho=0.9, eps=1e-8):
        super().__init__(lr)
        self.rho, self.eps = rho, eps
        self.h = {}

    def update_param(self, layer, name, key):
        self.h[key] = self.rho * self.h.get(key, 0) + (1 - self.rho) * layer.grads[name] ** 2
        layer.params[name] -= self.lr * layer.grads[name] / (np.sqrt(self.h[key]) + self.eps)


class Adam(Optimizer):
    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        super().__init__(lr)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m, self.v = {}, {}

    def update_param(self, layer, name, key):
        g = layer.grads[name]
        self.m[key] = self.beta1 * self.m.get(key, np.zeros_like(g)) + (1 - self.beta1) * g
        self.v[key] = self.beta2 * self.v.get(key, np.zeros_like(g)) + (1 - self.beta2) * g ** 2
        layer.params[name] -= self.lr * self.m[key] / (np.sqrt(self.v[key]) + self.eps)


class StepDecay:
    """Learning rate schedule"""

    def __init__(self, optimizer, every=10, gamma=0.5):
        self.optimizer, self.every, self.gamma, self.epoch = optimizer, every, gamma, 0

    def step(self):
        self.epoch += 1
        if self.epoch % self.every == 0:
            self.optimizer.lr *= self.gamma
