import numpy as np


class CrossEntropyLoss:
    def forward(self, logits, labels):
        log_z = np.logaddexp.reduce(logits, axis=1)
        self.log_p = logits - log_z[:, np.newaxis]
        self.labels = labels
        return np.mean(log_z - logits[np.arange(len(logits)), labels])

    def __call__(self, *args):
        return self.forward(*args)

    def backward(self):
        g = np.exp(self.log_p)
        np.subtract.at(g, (np.arange(len(g)), self.labels), 1)
        g /= len(g)
        return g
