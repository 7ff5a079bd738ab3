import numpy as np
from tinycnn_numpy.optim import Optimizer


class SGD(Optimizer):
    memory = ("momentum_buffer",)

    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov
        self.momentum_buffer = self.zeros()

    def step(self):
        self.steps = self.steps + 1
        for parameter, velocity in zip(self.parameters, self.momentum_buffer, strict=True):
            direction = self.direction(self.decayed(parameter), velocity)
            np.subtract(parameter.data, self.lr * direction, out=parameter.data)

    def decayed(self, parameter):
        return parameter.grad + parameter.data * self.weight_decay

    def direction(self, g, velocity):
        np.multiply(velocity, self.momentum, out=velocity)
        np.add(velocity, g, out=velocity)
        return g + self.momentum * velocity if self.nesterov else velocity
