from functools import cached_property

from tinycnn_numpy.optim import Optimizer


class SGD(Optimizer):
    """The buffers are allocated when somebody first asks for them; without momentum nobody does while stepping."""

    memory = ("momentum_buffer",)

    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov

    @cached_property
    def momentum_buffer(self):
        return self.zeros()

    def step(self):
        self.steps += 1
        for i, p in enumerate(self.parameters):
            g = p.grad + self.weight_decay * p.data if self.weight_decay else p.grad
            if self.momentum:
                buffer = self.momentum_buffer[i]
                buffer[...] = self.momentum * buffer + g
                g = g + self.momentum * buffer if self.nesterov else buffer
            p.data = p.data - self.lr * g
