import numpy as np


class LayerBase:
    def __init__(self):
        self.parameters, self.gradients, self.derived_variables = {}, {}, {}

    def summary(self):
        return {k: v.shape for k, v in self.parameters.items()}


class FullyConnected(LayerBase):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.parameters["W"] = np.random.randn(n_in, n_out) / np.sqrt(n_in)
        self.parameters["b"] = np.zeros((1, n_out))

    def forward(self, X):
        self.X = X
        return X @ self.parameters["W"] + self.parameters["b"]

    def backward(self, dLdY):
        self.gradients["W"] = self.X.T @ dLdY / len(self.X)
        self.gradients["b"] = dLdY.sum(axis=0, keepdims=True) / len(self.X)
        return dLdY @ self.parameters["W"].T


class CrossEntropy:
    """loss of class probabilities y_pred against one-hot y, mean over the examples"""

    @staticmethod
    def loss(y, y_pred):
        eps = np.finfo(float).eps
        return -np.sum(y * np.log(y_pred + eps)) / len(y)

    @staticmethod
    def grad(y, y_pred):
        # w.r.t. the logits that went through softmax
        return (y_pred - y) / len(y)
