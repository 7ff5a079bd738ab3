import numpy as np

from ..utils.metrics import accuracy  # noqa: F401


class CrossEntropyLoss:
    def __call__(self, logits, labels):
        z = logits - logits.max(axis=1, keepdims=True)
        self.p = np.exp(z)
        self.p = self.p / self.p.sum(axis=1, keepdims=True)
        self.labels = labels
        return -np.mean(np.log(self.p[np.arange(len(labels)), labels]))

    def backward(self):
        d = self.p
        d[np.arange(len(self.labels)), self.labels] -= 1
        return d / len(self.labels)
