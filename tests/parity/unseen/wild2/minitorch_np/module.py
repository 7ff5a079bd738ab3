from .tensor import Parameter


class Module:
    def __init__(self):
        self.training = True

    def forward(self, x):
        raise NotImplementedError

    def backward(self, grad):
        raise NotImplementedError

    def __call__(self, x):
        return self.forward(x)

    def parameters(self):
        return [v for v in self.__dict__.values() if isinstance(v, Parameter)]

    def train(self):
        self.training = True
        return self

    def eval(self):
        self.training = False
        return self


class Sequential(Module):
    def __init__(self, *modules):
        super().__init__()
        self.modules = list(modules)

    def forward(self, x):
        for m in self.modules:
            x = m(x)
        return x

    def backward(self, grad):
        for m in reversed(self.modules):
            grad = m.backward(grad)
        return grad

    def parameters(self):
        return [p for m in self.modules for p in m.parameters()]

    def train(self):
        for m in self.modules:
            m.train()
        return super().train()

    def eval(self):
        for m in self.modules:
            m.eval()
        return super().eval()
