import math

import numpy as np


class CrossEntropyLoss:
    """Python floats: math.fsum adds every row exactly; the dtype of the logits comes back at the end."""

    def __call__(self, logits, labels):
        self.rows, self.dtype = [], logits.dtype
        losses = []
        for row, label in zip(logits.tolist(), labels.tolist()):
            top = max(row)
            powers = [math.exp(z - top) for z in row]
            total = math.fsum(powers)
            losses.append(top + math.log(total) - row[label])
            self.rows.append([p / total - (k == label) for k, p in enumerate(powers)])
        return self.dtype.type(math.fsum(losses) / len(losses))

    def backward(self):
        return (np.array(self.rows) / len(self.rows)).astype(self.dtype)
