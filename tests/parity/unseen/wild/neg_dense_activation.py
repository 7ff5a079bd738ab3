import numpy as np


class Dense:
    """fully connected with the activation inside, like Keras"""

    def __init__(self, n_in, n_out, activation="sigmoid"):
        self.weights = np.random.randn(n_in, n_out) * 0.1
        self.bias = np.zeros(n_out)
        self.activation = activation

    def forward(self, x):
        self.x = x
        z = x @ self.weights + self.bias
        self.a = 1 / (1 + np.exp(-z)) if self.activation == "sigmoid" else np.maximum(z, 0)
        return self.a

    def backward(self, da):
        dz = da * self.a * (1 - self.a) if self.activation == "sigmoid" else da * (self.a > 0)
        self.dweights, self.dbias = self.x.T @ dz, dz.sum(0)
        return dz @ self.weights.T
