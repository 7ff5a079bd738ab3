"""Right code for SGD and Adam, each class in another style."""

import math

import numpy as np

from styles.shared import AnyAdam, AnySGD


class SGDInPlace(AnySGD):
    """Everything in place, with one buffer for each parameter in a dict by index."""

    def update(self, i, data, g):
        b = self.state.setdefault(i, np.zeros_like(data))
        b *= self.momentum
        b += g
        g += self.momentum * b
        data -= self.lr * (g if self.nesterov else b)


class SGDByVelocity(AnySGD):
    """The buffer holds -lr * b, in a dict by id: the same while lr stays what it was."""

    def update(self, i, data, g):
        key, push = id(self.parameters[i]), -self.lr * g
        self.state[key] = velocity = self.momentum * self.state.get(key, 0.0) + push
        data += push + self.momentum * velocity if self.nesterov else velocity


class SGDInFloat64(AnySGD):
    """A float64 buffer that starts as the first gradient, as PyTorch's does; cast at the end."""

    def update(self, i, data, g):
        g = g.astype(np.float64)
        self.state[i] = b = self.momentum * self.state[i] + g if i in self.state else g
        data[...] = data.astype(np.float64) - self.lr * (g + self.momentum * b if self.nesterov else b)


class SGDWithoutOptions:
    """Only the learning rate."""

    def __init__(self, parameters, lr):
        self.parameters, self.lr = parameters, lr

    def step(self):
        for p in self.parameters:
            np.subtract(p.data, self.lr * p.grad, out=p.data)


class AdamInPlace(AnyAdam):
    """Everything in place, with two means for each parameter in a dict by index."""

    def update(self, i, data, g):
        m, v = self.state.setdefault(i, (np.zeros_like(data), np.zeros_like(data)))
        m *= self.beta1
        m += (1 - self.beta1) * g
        v *= self.beta2
        v += (1 - self.beta2) * g**2
        root = np.sqrt(v / (1 - self.beta2**self.steps))
        data -= self.lr * (m / (1 - self.beta1**self.steps)) / (root + self.eps)


class AdamByStepSize(AnyAdam):
    """Both corrections in the step size, with eps scaled to match; a dict by id."""

    def update(self, i, data, g):
        key, root = id(self.parameters[i]), math.sqrt(1 - self.beta2**self.steps)
        m, v = self.state.get(key, (0.0, 0.0))
        m, v = self.beta1 * m + (1 - self.beta1) * g, self.beta2 * v + (1 - self.beta2) * g * g
        self.state[key] = m, v
        data -= self.lr * root / (1 - self.beta1**self.steps) * m / (np.sqrt(v) + self.eps * root)


class AdamInFloat64(AnyAdam):
    """A float64 state cast at the end; the corrected means themselves, as weighted means of all gradients."""

    def update(self, i, data, g):
        g = g.astype(np.float64)
        m, v = self.state.get(i, (g, g * g))
        m = m + (g - m) * (1 - self.beta1) / (1 - self.beta1**self.steps)
        v = v + (g * g - v) * (1 - self.beta2) / (1 - self.beta2**self.steps)
        self.state[i] = m, v
        data[...] = data.astype(np.float64) - self.lr * m / (v**0.5 + self.eps)


class AdamWithoutOptions(AdamInPlace):
    """Everything in place; only the learning rate can be chosen."""

    def __init__(self, parameters, lr=0.001):
        super().__init__(parameters, lr)
