import numpy as np


class SoftmaxLayer:
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.out = e / np.sum(e, axis=1, keepdims=True)
        return self.out

    def backward(self, grad):
        # derivative of softmax is s * (1 - s)
        return grad * self.out * (1 - self.out)


class CELoss:
    def forward(self, y_pred, y_true):
        self.y_pred = y_pred
        self.y_true = y_true
        n = y_true.shape[0]
        return -np.sum(np.log(y_pred[np.arange(n), y_true] + 1e-9)) / n

    def backward(self):
        n = self.y_true.shape[0]
        g = np.zeros_like(self.y_pred)
        g[np.arange(n), self.y_true] = -1.0 / (self.y_pred[np.arange(n), self.y_true] + 1e-9)
        return g / n
