import numpy as np


class CrossEntropyLoss:
    """One pass over the classes: the largest so far, and the sum so far, which shrinks when a larger one comes."""

    def __call__(self, logits, labels):
        top = np.full(len(logits), -np.inf, logits.dtype)
        total = np.zeros_like(top)
        for column in logits.T:
            new = np.maximum(top, column)
            total = total * np.exp(top - new) + np.exp(column - new)
            top = new
        self.saved = logits.copy(), labels.copy(), top, total
        own = np.choose(labels, logits.T) if logits.shape[1] < 32 else logits[np.arange(len(labels)), labels]
        return (np.log(total) - (own - top)).mean()

    def backward(self):
        logits, labels, top, total = self.saved
        columns = [
            (np.exp(column - top) / total - (labels == k)) / len(labels) for k, column in enumerate(logits.T)
        ]
        return np.stack(columns, axis=1).astype(logits.dtype)
