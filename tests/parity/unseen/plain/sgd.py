from tinycnn_numpy.optim import Optimizer


class SGD(Optimizer):
    memory = ("momentum_buffer",)

    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.momentum = momentum
        self.nesterov = nesterov
        self.momentum_buffer = self.zeros()

    def step(self):
        self.steps += 1
        for p, buf in zip(self.parameters, self.momentum_buffer):
            g = p.grad + self.weight_decay * p.data
            buf *= self.momentum
            buf += g
            if self.nesterov:
                update = g + self.momentum * buf
            else:
                update = buf
            p.data[...] -= self.lr * update
