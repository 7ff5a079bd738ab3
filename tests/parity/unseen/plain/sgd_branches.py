from tinycnn_numpy.optim import Optimizer


class SGD(Optimizer):
    memory = ("momentum_buffer",)

    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov
        self.momentum_buffer = self.zeros()

    def step(self):
        self.steps += 1
        for i, p in enumerate(self.parameters):
            grad = p.grad.copy()
            if self.weight_decay != 0:
                grad += self.weight_decay * p.data
            velocity = self.momentum_buffer[i]
            if self.momentum != 0:
                velocity[...] = self.momentum * velocity + grad
                if self.nesterov:
                    grad += self.momentum * velocity
                else:
                    grad = velocity
            else:
                velocity[...] = grad
            p.data -= self.lr * grad
