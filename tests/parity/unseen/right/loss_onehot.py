import numpy as np


class CrossEntropyLoss:
    def __call__(self, logits, labels):
        return self.forward(logits, labels)

    def forward(self, logits, labels):
        onehot = np.zeros_like(logits)
        onehot[range(len(labels)), labels] = 1
        z = logits - logits.max(1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
        self.grad = (np.exp(log_p) - onehot) / len(labels)
        return -np.where(onehot == 1, log_p, 0).sum() / logits.dtype.type(len(labels))

    def backward(self):
        return self.grad.copy()
