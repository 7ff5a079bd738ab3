"""Cross-entropy: how surprised the network is by the right answer."""

from typing import Any

import numpy as np

from tinycnn_numpy.checks import UNLIKE_ARRAYS, Array, check_array, check_number


class CrossEntropyLoss:
    """Softmax and the negative log of the right class's probability, averaged over the batch, in one step.

    Forward, j and k over the classes:

        probs[n,k] = exp(logits[n,k]) / sum_j exp(logits[n,j])
        loss       = mean_n -log probs[n, labels[n]]

    Backward: the derivatives of log and exp cancel, one reason to fuse the two.

        dlogits[n,k] = (probs[n,k] - [k is labels[n]]) / N

    label_smoothing s keeps the network from being too sure: of each label's weight of 1 a part s goes to all
    classes alike, which makes the loss (1 - s) of the above and s of what it is on average over all labels:

        target[n,k]  = (1 - s) * [k is labels[n]] + s / classes
        loss         = mean_n -sum_k target[n,k] * log probs[n,k]
        dlogits[n,k] = (probs[n,k] - target[n,k]) / N

    Fused they are also stable: no vanished probability meets a log. Adding a constant to all logits of a
    row changes nothing, so the largest is subtracted first: exp cannot overflow.

    logits (N, classes), labels (N,) of any integer dtype. An empty batch has loss NaN, as in PyTorch; a
    label of -100 is an error here, where PyTorch ignores that row. Raises IndexError for a label outside
    0 .. classes-1 and ValueError for a wrong shape, dtype or label_smoothing.
    """

    cache: tuple[Array, Array] | None = None

    def __init__(self, label_smoothing: float = 0.0):
        self.label_smoothing = check_number("CrossEntropyLoss", "label_smoothing", label_smoothing, below=1)

    def __call__(self, logits: Array, labels: Array) -> np.floating[Any]:
        return self.forward(logits, labels)

    def forward(self, logits: Array, labels: Array) -> np.floating[Any]:
        check_array("CrossEntropyLoss", "logits", logits, ("N", "classes"))
        check_labels(labels, *logits.shape)
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        N = len(labels)
        if not N:
            return logits.dtype.type(np.nan)
        loss, s = -log_probs[np.arange(N), labels].mean(), self.label_smoothing
        return (1 - s) * loss - s * log_probs.mean() if s else loss

    def backward(self) -> Array:
        if self.cache is None:
            raise RuntimeError("CrossEntropyLoss: backward was called before forward")
        log_probs, labels = self.cache
        (N, classes), s = log_probs.shape, self.label_smoothing
        target = np.full_like(log_probs, s / classes)
        target[np.arange(N), labels] += 1 - s
        return (np.exp(log_probs) - target) / max(N, 1)


def check_labels(labels: Array, N: int, classes: int) -> None:
    """Raise ValueError (shape, dtype) or IndexError (value) unless labels are N integers < classes."""
    if not isinstance(labels, np.ndarray) or isinstance(labels, UNLIKE_ARRAYS):
        raise ValueError(f"CrossEntropyLoss: labels are a {type(labels).__name__}, expected a NumPy array")
    if labels.shape != (N,):
        raise ValueError(f"CrossEntropyLoss: labels have shape {np.shape(labels)}, expected ({N},)")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"CrossEntropyLoss: labels have dtype {labels.dtype}, expected integers")
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        raise IndexError(f"CrossEntropyLoss: label {labels[outside][0]}, expected 0 to {classes - 1}")
