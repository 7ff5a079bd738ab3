from tinycnn_numpy.optim import Optimizer


class SGD(Optimizer):
    """Each parameter has a coroutine that is sent gradients and gives back steps."""

    memory = ("momentum_buffer",)

    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov
        self.momentum_buffer = self.zeros()
        self.routines = [self.routine(i) for i in range(len(self.parameters))]
        for routine in self.routines:
            next(routine)

    def routine(self, i):
        step = None
        while True:
            gradient = yield step
            buffer = self.momentum_buffer[i]
            buffer *= self.momentum
            buffer += gradient
            step = gradient + self.momentum * buffer if self.nesterov else buffer

    def step(self):
        self.steps += 1
        for parameter, routine in zip(self.parameters, self.routines):
            gradient = parameter.grad + self.weight_decay * parameter.data
            parameter.data -= self.lr * routine.send(gradient)
