"""Cross-entropies with one mistake each. A class is complete in itself and replaces tn.CrossEntropyLoss."""

import numpy as np

import tinycnn_numpy as tn
from examples.bugs.bug import bug

# the loss


@bug("CrossEntropyLoss", "loss", "wrong-factor")
class LossSummed(tn.CrossEntropyLoss):
    """The loss is the sum over the batch, the gradient that of the mean.

    Source: classic
    """

    def forward(self, logits, labels):
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        return -log_probs[np.arange(len(labels)), labels].sum()  # bug: mean


@bug("CrossEntropyLoss", "loss", "wrong-factor")
class MeanOverAllCells(tn.CrossEntropyLoss):
    """With one-hot labels, mean divides by all cells of the table instead of by its rows.

    Source: classic
    """

    def forward(self, logits, labels):
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        one_hot = np.zeros_like(logits)
        one_hot[np.arange(len(labels)), labels] = 1
        return -(one_hot * log_probs).mean()  # bug: sum(axis=1).mean()


@bug("CrossEntropyLoss", "loss", "wrong-factor")
class DividedByClasses(tn.CrossEntropyLoss):
    """The size of the wrong axis is taken for the batch size.

    Source: CNNumpy src/fast/layers.py
    """

    def forward(self, logits, labels):
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        batch_size = logits.shape[1]  # bug: shape[0]
        return -log_probs[np.arange(len(labels)), labels].sum() / batch_size


@bug("CrossEntropyLoss", "loss", "wrong-sign")
class LossNegated(tn.CrossEntropyLoss):
    """The minus before the logarithm is forgotten, and the loss is negative.

    Source: classic
    """

    def forward(self, logits, labels):
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        return log_probs[np.arange(len(labels)), labels].mean()  # bug: minus


@bug("CrossEntropyLoss", "loss", "no-max-shift")
class NoMaxShift(tn.CrossEntropyLoss):
    """exp of the logits as they are: from 89 on it overflows float32, and the loss is NaN.

    Source: CNNumpy src/fast/layers.py
    """

    def forward(self, logits, labels):
        with np.errstate(all="ignore"):
            e = np.exp(logits)  # bug: the row's maximum is not taken off
            log_probs = np.log(e / e.sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        return -log_probs[np.arange(len(labels)), labels].mean()


@bug("CrossEntropyLoss", "loss", "max-of-batch")
class ShiftByMaxOfBatch(tn.CrossEntropyLoss):
    """The largest logit of the whole batch is taken off every row; rows far below it vanish to 0 / 0.

    Source: manassharma07/crysx_nn#7
    """

    def forward(self, logits, labels):
        with np.errstate(all="ignore"):
            e = np.exp(logits - np.max(logits))  # bug: axis=1, keepdims=True
            log_probs = np.log(e / e.sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        return -log_probs[np.arange(len(labels)), labels].mean()


@bug("CrossEntropyLoss", "loss", "softmax-over-batch")
class SoftmaxDownTheBatch(tn.CrossEntropyLoss):
    """axis=0: the probabilities of a class sum to 1 over the batch, not those of an image over the classes.

    Source: classic
    """

    def forward(self, logits, labels):
        shifted = logits - logits.max(axis=0)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=0))  # bug: axis=1
        self.cache = log_probs, labels
        return -log_probs[np.arange(len(labels)), labels].mean()


@bug("CrossEntropyLoss", "loss", "softmax-over-batch")
class SoftmaxOverEverything(tn.CrossEntropyLoss):
    """np.sum without an axis: the probabilities of the whole batch sum to 1.

    Source: rickwierenga/MLFundamentals#1
    """

    def forward(self, logits, labels):
        shifted = logits - logits.max()
        log_probs = shifted - np.log(np.sum(np.exp(shifted)))  # bug: axis=1, keepdims=True
        self.cache = log_probs, labels
        return -np.mean(log_probs[np.arange(len(labels)), labels])


@bug("CrossEntropyLoss", "loss", "epsilon-in-log")
class EpsilonInLog(tn.CrossEntropyLoss):
    """A small number inside the logarithm keeps it finite and shifts every loss a little.

    Source: oreilly-japan/deep-learning-from-scratch common/functions.py
    """

    def forward(self, logits, labels):
        e = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probs = e / e.sum(axis=-1, keepdims=True)
        with np.errstate(divide="ignore"):
            self.cache = np.log(probs), labels
        right = probs[np.arange(len(labels)), labels]
        return -np.sum(np.log(right + 1e-7)) / len(labels)  # bug: + 1e-7


@bug("CrossEntropyLoss", "loss", "double-softmax")
class SoftmaxTwice(tn.CrossEntropyLoss):
    """The logits go through softmax once before a cross-entropy that applies it itself.

    Source: jaehong31/CGES#1
    """

    def forward(self, logits, labels):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs = e / e.sum(axis=1, keepdims=True)
        log_probs = probs - np.log(np.exp(probs).sum(axis=1, keepdims=True))  # bug: probs for logits
        self.cache = log_probs, labels
        return -log_probs[np.arange(len(labels)), labels].mean()


@bug("CrossEntropyLoss", "loss", "labels-shifted")
class LabelsFromOne(tn.CrossEntropyLoss):
    """Labels are taken to count from 1; label 0 then means the last class.

    Source: mlverse/torchvision#107
    """

    def forward(self, logits, labels):
        labels = labels.astype(int) - 1  # bug: they count from 0
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        return -log_probs[np.arange(len(labels)), labels].mean()


@bug("CrossEntropyLoss", "loss", "labels-crossed")
class EveryRowEveryLabel(tn.CrossEntropyLoss):
    """[:, labels] takes every label's column from every row, where each row has its own label.

    Source: classic
    """

    def forward(self, logits, labels):
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        return -log_probs[:, labels].mean()  # bug: [np.arange(N), labels]


@bug("CrossEntropyLoss", "loss", "last-only")
class LastRowsLoss(tn.CrossEntropyLoss):
    """The loop over the batch assigns instead of adding, so the loss is that of the last image, over N.

    Source: classic
    """

    def forward(self, logits, labels):
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        total = logits.dtype.type(0)
        for row, label in zip(log_probs, labels, strict=True):
            total = -row[label]  # bug: total - row[label]
        return total / logits.dtype.type(len(labels))


@bug("CrossEntropyLoss", "loss", "widened")
class LossWidened(tn.CrossEntropyLoss):
    """np.eye makes float64, and what it multiplies becomes float64.

    Source: classic
    """

    def forward(self, logits, labels):
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        one_hot = np.eye(logits.shape[1])[labels]  # bug: dtype=logits.dtype
        return -(one_hot * log_probs).sum() / len(labels)


@bug("CrossEntropyLoss", "logits", "input-modified")
class LogitsShiftedInPlace(tn.CrossEntropyLoss):
    """The row's maximum is taken off the caller's own logits.

    Source: classic
    """

    def forward(self, logits, labels):
        logits -= logits.max(axis=1, keepdims=True)  # bug: in place
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        return -log_probs[np.arange(len(labels)), labels].mean()


# its gradient


@bug("CrossEntropyLoss", "dlogits", "wrong-factor")
class GradientOfSum(tn.CrossEntropyLoss):
    """The loss is a mean, and its gradient is not divided by the batch size.

    Source: tensorflow/swift-apis#42
    """

    def backward(self):
        assert self.cache is not None
        log_probs, labels = self.cache
        dlogits = np.exp(log_probs)
        dlogits[np.arange(len(labels)), labels] -= 1
        return dlogits  # bug: / N


@bug("CrossEntropyLoss", "dlogits", "wrong-factor")
class GradientDividedTwice(tn.CrossEntropyLoss):
    """The gradient is divided by the batch size where the labels are subtracted and again on return.

    Source: classic
    """

    def backward(self):
        assert self.cache is not None
        log_probs, labels = self.cache
        N, classes = log_probs.shape
        one_hot = (labels[:, None] == np.arange(classes)).astype(log_probs.dtype)
        dlogits = (np.exp(log_probs) - one_hot) / N
        return dlogits / N  # bug: 1/N again


@bug("CrossEntropyLoss", "dlogits", "label-not-subtracted")
class LabelNotSubtracted(tn.CrossEntropyLoss):
    """The gradient is the probabilities themselves: no class is told that it was the right one.

    Source: classic
    """

    def backward(self):
        assert self.cache is not None
        log_probs, labels = self.cache
        dlogits = np.exp(log_probs)
        return dlogits / len(labels)  # bug: dlogits[n, labels[n]] -= 1


@bug("CrossEntropyLoss", "dlogits", "wrong-sign")
class TargetMinusProbs(tn.CrossEntropyLoss):
    """Labels minus probabilities: the direction that lowers the loss, in the place of the gradient.

    Source: classic
    """

    def backward(self):
        assert self.cache is not None
        log_probs, labels = self.cache
        dlogits = np.zeros_like(log_probs)
        dlogits[np.arange(len(labels)), labels] = 1
        dlogits -= np.exp(log_probs)  # bug: probabilities minus labels
        return dlogits / len(labels)


@bug("CrossEntropyLoss", "dlogits", "labels-crossed")
class LabelsOffEveryRow(tn.CrossEntropyLoss):
    """[:, labels] -= 1 lowers the column of every label of the batch in every row.

    Source: classic
    """

    def backward(self):
        assert self.cache is not None
        log_probs, labels = self.cache
        dlogits = np.exp(log_probs)
        dlogits[:, labels] -= 1  # bug: [np.arange(N), labels]
        return dlogits / len(labels)
