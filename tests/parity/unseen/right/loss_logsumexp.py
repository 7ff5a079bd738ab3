import numpy as np
from scipy.special import log_softmax, logsumexp, softmax  # noqa: F401


class CrossEntropyLoss:
    def forward(self, logits, labels):
        self.logits, self.labels = logits, labels
        losses = logsumexp(logits, axis=1) - np.take_along_axis(logits, labels[:, None], 1)[:, 0]
        return losses.mean().astype(logits.dtype)

    __call__ = forward

    def backward(self):
        grad = softmax(self.logits, axis=1)
        onehot = np.eye(grad.shape[1], dtype=grad.dtype)[self.labels]
        return ((grad - onehot) / len(grad)).astype(self.logits.dtype)
