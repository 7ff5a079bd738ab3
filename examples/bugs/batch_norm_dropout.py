"""BatchNorm2D and Dropout with one mistake each. A class is complete in itself."""

import numpy as np

import tinycnn_numpy as tn
from examples.bugs.bug import bug

# BatchNorm2D


@bug("BatchNorm2D", "out", "ddof", trains=False)
class SampleVariance(tn.BatchNorm2D):
    """The variance that normalises divides by M - 1, as a statistics course teaches it.

    Source: classic
    """

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3), ddof=1)  # bug: ddof=0
        self.track(mean, var)
        root = np.sqrt(var + self.eps)
        x_hat = (x - mean[:, None, None]) / root[:, None, None]
        self.cache = x_hat.transpose(2, 3, 1, 0), root[:, None], self.training
        return self.weight[:, None, None] * x_hat + self.bias[:, None, None]


@bug("BatchNorm2D", "out", "eps-outside-root", trains=False)
class EpsOutsideRoot(tn.BatchNorm2D):
    """eps is added to the standard deviation, not to the variance.

    Source: classic
    """

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
            M = x.size // x.shape[1]
            self.track(mean, var * (M / (M - 1)))
        root = np.sqrt(var) + self.eps  # bug: sqrt(var + eps)
        x_hat = (x - mean[:, None, None]) / root[:, None, None]
        self.cache = x_hat.transpose(2, 3, 1, 0), root[:, None], self.training
        return self.weight[:, None, None] * x_hat + self.bias[:, None, None]


@bug("BatchNorm2D", "out", "wrong-axes", trains=False)
class ImageByImage(tn.BatchNorm2D):
    """Each image is normalised by its own statistics, which is instance normalisation.

    Source: classic
    """

    def forward(self, x):
        right = super().forward(x)
        if not self.training:
            return right
        mean, var = (
            x.mean(axis=(2, 3), keepdims=True),
            x.var(axis=(2, 3), keepdims=True),
        )  # bug: (0, 2, 3)
        x_hat = (x - mean) / np.sqrt(var + self.eps)
        return self.weight[:, None, None] * x_hat + self.bias[:, None, None]


@bug("BatchNorm2D", "out", "batch-in-evaluation", trains=False)
class AlwaysTheBatch(tn.BatchNorm2D):
    """The running statistics are kept and never used.

    Source: classic
    """

    def forward(self, x):
        if self.training:
            return super().forward(x)
        mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))  # bug: the running ones
        root = np.sqrt(var + self.eps)
        x_hat = (x - mean[:, None, None]) / root[:, None, None]
        self.cache = x_hat.transpose(2, 3, 1, 0), root[:, None], self.training
        return self.weight[:, None, None] * x_hat + self.bias[:, None, None]


@bug("BatchNorm2D", "running_var", "running-variance-biased", trains=False)
class BiasedRunningVariance(tn.BatchNorm2D):
    """The running variance takes the one that divides by M; PyTorch's divides by M - 1.

    Source: labmlai/annotated_deep_learning_paper_implementations normalization/batch_norm
    """

    def track(self, mean, var):
        M = self.count
        super().track(mean, var * ((M - 1) / M))  # bug: var

    def forward(self, x):
        self.count = x.size // x.shape[1]
        return super().forward(x)


@bug("BatchNorm2D", "running_mean", "momentum-reversed", trains=False)
class MomentumOfThePaper(tn.BatchNorm2D):
    """momentum weighs the old value, as in Keras; PyTorch's weighs the new one.

    Source: classic
    """

    def track(self, mean, var):
        self.running_mean[...] = (
            self.momentum * self.running_mean + (1 - self.momentum) * mean
        )  # bug: reversed
        self.running_var[...] = self.momentum * self.running_var + (1 - self.momentum) * var


@bug("BatchNorm2D", "dx", "statistics-constant", trains=False)
class ConstantStatistics(tn.BatchNorm2D):
    """backward multiplies by weight / root, as if mean and variance did not depend on x.

    Source: classic
    """

    def backward(self, dout):
        super().backward(dout)
        _, root, _ = self.cache
        return dout * (self.weight / root[:, 0])[:, None, None]  # bug: two terms are missing


@bug("BatchNorm2D", "dx", "images-counted", trains=False)
class DividedByImages(tn.BatchNorm2D):
    """The formula of the one-dimensional layer, with N for the number of images alone.

    Source: classic
    """

    def backward(self, dout):
        dx = super().backward(dout)
        x_hat, root, training = self.cache
        if not training:
            return dx
        x_hat, N = x_hat.transpose(3, 2, 0, 1), len(dout)
        terms = self.dbias[:, None, None] / N + x_hat * (self.dweight[:, None, None] / N)  # bug: N*H*W
        return (self.weight / root[:, 0])[:, None, None] * (dout - terms)


@bug("BatchNorm2D", "dweight", "not-normalised", trains=False)
class WeightGradientOfX(tn.BatchNorm2D):
    """dweight sums dout * x where x_hat is meant.

    Source: classic
    """

    def forward(self, x):
        self.x = x
        return super().forward(x)

    def backward(self, dout):
        dx = super().backward(dout)
        self.dweight = (dout * self.x).sum(axis=(0, 2, 3))  # bug: x_hat
        return dx


# Dropout


@bug("Dropout", "out", "scale-missing", trains=False)
class NotScaled(tn.Dropout):
    """What is kept does not grow, as in the first paper, and evaluation does not shrink either.

    Source: classic
    """

    def forward(self, x):
        super().forward(x)
        if self.training:
            self.cache = (self.cache > 0).astype(x.dtype)  # bug: / (1 - p)
        return x * self.cache


@bug("Dropout", "out", "scaled-twice", trains=False)
class ScaledTwice(tn.Dropout):
    """The mask is already scaled, and is scaled again.

    Source: classic
    """

    def forward(self, x):
        out = super().forward(x)
        return out / x.dtype.type(1 - self.p) if self.training else out  # bug: scaled already


@bug("Dropout", "out", "active-in-evaluation", trains=False)
class AlwaysOn(tn.Dropout):
    """The layer does not look at `training`.

    Source: classic
    """

    def forward(self, x):
        mask = self.rng.random(x.shape) >= self.p  # bug: only in training
        self.cache = mask / x.dtype.type(1 - self.p)
        return x * self.cache


@bug("Dropout", "dx", "mask-drawn-again", trains=False)
class AnotherMask(tn.Dropout):
    """backward draws anew.

    Source: classic
    """

    def backward(self, dout):
        if not self.training:
            return dout
        mask = self.rng.random(dout.shape) >= self.p  # bug: the mask of forward
        return dout * mask / dout.dtype.type(1 - self.p)


@bug("Dropout", "dx", "mask-missing", trains=False)
class GradientNotMasked(tn.Dropout):
    """backward hands on what it got.

    Source: classic
    """

    def backward(self, dout):
        return np.array(dout)  # bug: dout * mask / (1 - p)
