import numpy as np


class Linear:
    """Examples are COLUMNS: A_prev (n_in, m), W (n_out, n_in), b (n_out, 1)"""

    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_out, n_in) * np.sqrt(2.0 / n_in)
        self.b = np.zeros((n_out, 1))

    def forward(self, A_prev):
        self.A_prev = A_prev
        return self.W.dot(A_prev) + self.b

    def backward(self, dZ):
        self.dW = np.dot(dZ, self.A_prev.T)
        self.db = np.sum(dZ, axis=1, keepdims=True)
        return np.dot(self.W.T, dZ)


def relu(Z):
    A = np.maximum(0, Z)
    return A, Z


def relu_backward(dA, cache):
    Z = cache
    dZ = np.array(dA, copy=True)
    dZ[Z <= 0] = 0
    return dZ
