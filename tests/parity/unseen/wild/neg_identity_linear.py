import numpy as np


class Activation:
    def __call__(self, z):
        return self.forward(z)


class Linear(Activation):
    """f(z) = z, for regression"""

    def forward(self, z):
        return z

    def backward(self, dout):
        return dout


class Tanh(Activation):
    def forward(self, z):
        self.a = np.tanh(z)
        return self.a

    def backward(self, dout):
        return dout * (1 - self.a**2)


class Sigmoid(Activation):
    def forward(self, z):
        self.a = 1 / (1 + np.exp(-z))
        return self.a

    def backward(self, dout):
        return dout * self.a * (1 - self.a)


class ELU(Activation):
    def forward(self, z):
        self.z = z
        return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))

    def backward(self, dout):
        return dout * np.where(self.z > 0, 1, np.exp(np.minimum(self.z, 0)))
