"""Wrong implementations, each with one mistake that students make, and the row that must reject it."""

import numpy as np

import tinycnn_numpy as tn
from parity import compare, compare_loss, compare_optimizers
from tinycnn_numpy.windows import images_first, pixels_first, windows_of, zeros_and_windows

# convolution


class FlippedKernel(tn.Conv2D):
    """A true convolution where a correlation is meant."""

    def matrix(self):
        return self.weight[:, :, ::-1, ::-1].transpose(0, 2, 3, 1).reshape(self.out_channels, -1)


class MeanTwice(tn.Conv2D):
    """1/N once in the loss and once more here."""

    def backward_weights(self, dout):
        super().backward_weights(dout)
        self.dweight = self.dweight / len(dout)


class DroppedBias(tn.Conv2D):
    def forward(self, x):
        return super().forward(x) - self.bias[:, None, None]


class BiasOverBatchOnly(tn.Conv2D):
    """The bias collects from the batch but takes the mean of the pixels."""

    def backward_weights(self, dout):
        super().backward_weights(dout)
        self.dbias = dout.mean(axis=(2, 3)).sum(axis=0)


class UpsideDownGradient(tn.Conv2D):
    """dout read from the wrong end: a dout of ones would not notice."""

    def backward_weights(self, dout):
        super().backward_weights(dout[:, :, ::-1])


class ShuffledBatch(tn.Conv2D):
    def backward(self, dout):
        return super().backward(dout)[::-1]


class SwappedKernelAxes(tn.Conv2D):
    def backward_weights(self, dout):
        super().backward_weights(dout)
        self.dweight = self.dweight.swapaxes(2, 3)


class StrideIgnoredInBackward(tn.Conv2D):
    def backward(self, dout):
        stride, self.stride = self.stride, (1, 1)
        self.backward_weights(dout)
        (_, _, OH, OW), (KH, KW), x_shape = dout.shape, self.kernel_size, self.cache[1]
        dx, windows = zeros_and_windows(x_shape, dout.dtype, self.kernel_size, (1, 1), self.padding)
        for i, j in np.ndindex(KH, KW):
            windows[:OH, :OW, i, j] += self.weight[:, :, i, j].T @ pixels_first(dout)
        self.stride = stride
        return dx


class PaddingCutFromOneSide(tn.Conv2D):
    def backward(self, dout):
        self.backward_weights(dout)
        (PH, PW), (N, C, H, W) = self.padding, self.cache[1]
        padded = (N, C, H + 2 * PH, W + 2 * PW)
        dx, windows = zeros_and_windows(padded, dout.dtype, self.kernel_size, self.stride, (0, 0))
        for i, j in np.ndindex(self.kernel_size):
            windows[:, :, i, j] += self.weight[:, :, i, j].T.copy() @ pixels_first(dout)
        return dx[:, :, :H, :W]


class AssignedNotAdded(tn.Conv2D):
    """`=` where overlapping windows need `+=`."""

    def backward(self, dout):
        self.backward_weights(dout)
        dx, windows = zeros_and_windows(
            self.cache[1], dout.dtype, self.kernel_size, self.stride, self.padding
        )
        for i, j in np.ndindex(self.kernel_size):
            windows[:, :, i, j] = self.weight[:, :, i, j].T.copy() @ pixels_first(dout)
        return dx


class StaleCache(tn.Conv2D):
    """Remembers the first batch for ever."""

    def forward(self, x):
        first = self.__dict__.get("cache")
        out = super().forward(x)
        self.cache = first or self.cache
        return out


class GradientAccumulated(tn.Conv2D):
    """PyTorch's habit without its zero_grad."""

    def backward_weights(self, dout):
        before = self.dweight
        super().backward_weights(dout)
        self.dweight = self.dweight if before is None else self.dweight + before


class TinyFactor(tn.Conv2D):
    """A gradient that is off by one in ten thousand."""

    def backward_weights(self, dout):
        super().backward_weights(dout)
        self.dweight = self.dweight * np.float32(1.0001)


class WrongSign(tn.Conv2D):
    def backward(self, dout):
        return -super().backward(dout)


class WidenedToFloat64(tn.Conv2D):
    def forward(self, x):
        return super().forward(x).astype(np.float64)

    def backward(self, dout):
        return super().backward(dout.astype(self.weight.dtype))


class InputModified(tn.Conv2D):
    def forward(self, x):
        out = super().forward(x)
        x *= 2
        return out


class GradientWiped(tn.Conv2D):
    """Right results, but dout is overwritten on the way."""

    def backward(self, dout):
        dx = super().backward(dout)
        dout[...] = 0
        return dx


class ShortWayWrong(tn.Conv2D):
    """backward is right and backward_weights, which training calls, is not."""

    def backward(self, dout):
        dx = super().backward(dout)
        self.dweight = self.dweight / 2
        return dx

    def backward_weights(self, dout):
        super().backward_weights(dout)
        self.dweight = self.dweight * 2


# pooling, ReLU, flatten, dense


class TiesShared(tn.MaxPool2D):
    def backward(self, dout):
        windows, out, x_shape = self.cache
        winners = windows == out[:, :, None, None]
        share = pixels_first(dout) / winners.sum(axis=(2, 3), dtype=dout.dtype)
        dx, dx_windows = self.zeros_and_windows(x_shape, dout.dtype)
        for i, j in np.ndindex(self.kernel_size):
            dx_windows[:, :, i, j] += share * winners[:, :, i, j]
        return dx


class LastMaximumWins(tn.MaxPool2D):
    def backward(self, dout):
        windows, out, x_shape = self.cache
        dx, dx_windows = self.zeros_and_windows(x_shape, dout.dtype)
        undecided = np.ones(out.shape, bool)
        for i, j in reversed(list(np.ndindex(self.kernel_size))):
            winner = undecided & (windows[:, :, i, j] == out)
            undecided ^= winner
            dx_windows[:, :, i, j] += pixels_first(dout) * winner
        return dx


class ZeroPadding(tn.MaxPool2D):
    def windows_of(self, x, fill):
        return super().windows_of(x, 0.0)


class RealCellsOnly(tn.AvgPool2D):
    """Padding left out of the count."""

    def forward(self, x):
        out = super().forward(x)
        real = windows_of(np.ones_like(x), self.kernel_size, self.stride, self.padding).mean(axis=(2, 3))
        return out / images_first(real)


class MaskFromGradient(tn.ReLU):
    def backward(self, dout):
        return dout * (dout > 0)


class ZeroLetsPass(tn.ReLU):
    """>= where > is meant."""

    def forward(self, x):
        self.x = x
        return super().forward(x)

    def backward(self, dout):
        return dout * (self.x >= 0)


class OnesForMask(tn.ReLU):
    def backward(self, dout):
        return dout


class InPlaceReLU(tn.ReLU):
    """out written over x: the stage before it must not be blamed."""

    def forward(self, x):
        self.cache = np.maximum(x, 0, out=x)
        return x


class ChannelsLast(tn.Flatten):
    def forward(self, x):
        super().forward(x)
        return x.transpose(0, 2, 3, 1).reshape(len(x), -1)


class TransposedWeight(tn.Dense):
    def forward(self, x):
        super().forward(x)
        return x @ self.weight + self.bias


# loss and optimisers


class SumForMean(tn.CrossEntropyLoss):
    def forward(self, logits, labels):
        return super().forward(logits, labels) * logits.dtype.type(len(labels))


class MissingMean(tn.CrossEntropyLoss):
    """The gradient of the sum beside the value of the mean."""

    def backward(self):
        return super().backward() * len(self.cache[1])


class NoShift(tn.CrossEntropyLoss):
    """exp without the largest logit taken off."""

    def forward(self, logits, labels):
        super().forward(logits, labels)
        with np.errstate(all="ignore"):
            probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            return -np.log(probs[np.arange(len(labels)), labels]).mean()


class NoBiasCorrection(tn.Adam):
    def step(self):
        self.steps = 10**6
        super().step()


class EpsInsideRoot(tn.Adam):
    def step(self):
        self.steps += 1
        for p, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            m[...] = self.betas[0] * m + (1 - self.betas[0]) * p.grad
            v[...] = self.betas[1] * v + (1 - self.betas[1]) * p.grad**2
            m_hat, v_hat = m / (1 - self.betas[0] ** self.steps), v / (1 - self.betas[1] ** self.steps)
            p.data[...] -= self.lr * m_hat / np.sqrt(v_hat + self.eps)


class DampedMomentum(tn.SGD):
    """b = momentum * b + (1 - momentum) * g, as other books have it."""

    def step(self):
        for p, b in zip(self.parameters, self.momentum_buffer, strict=True):
            b[...] = self.momentum * b + (1 - self.momentum) * (p.grad + self.weight_decay * p.data)
            p.data[...] -= self.lr * b


class DecoupledDecay(tn.Adam):
    """AdamW under Adam's name."""

    def step(self):
        for p in self.parameters:
            p.data[...] *= 1 - self.lr * self.weight_decay
        decay, self.weight_decay = self.weight_decay, 0.0
        super().step()
        self.weight_decay = decay


RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 2, 7, 6)).astype(np.float32)
TIES = RNG.integers(-2, 3, (3, 2, 7, 6)).astype(np.float32)


def conv(cls, stride=1, padding=1):
    return compare(cls(2, 3, (3, 3), stride, padding, rng=np.random.default_rng(1)), X.copy())


def in_a_model(relu):
    return tn.Sequential(conv=tn.Conv2D(2, 3, 3, rng=np.random.default_rng(1)), relu=relu)


def loss(cls, scale):
    rng = np.random.default_rng(2)
    return compare_loss(
        cls(), (scale * rng.standard_normal((5, 4))).astype(np.float32), rng.integers(4, size=5)
    )


def optimizer(cls, **settings):
    return compare_optimizers(cls(tn.TinyCNN(rng=np.random.default_rng(1)).parameters(), **settings))


PLANTED = [  # the mistake, the check, the first row that must reject it
    (FlippedKernel, lambda: conv(FlippedKernel), "Conv2D out"),
    (MeanTwice, lambda: conv(MeanTwice), "Conv2D dweight"),
    (DroppedBias, lambda: conv(DroppedBias), "Conv2D out"),
    (BiasOverBatchOnly, lambda: conv(BiasOverBatchOnly), "Conv2D dbias"),
    (UpsideDownGradient, lambda: conv(UpsideDownGradient), "Conv2D dweight"),
    (ShuffledBatch, lambda: conv(ShuffledBatch), "Conv2D dx"),
    (SwappedKernelAxes, lambda: conv(SwappedKernelAxes), "Conv2D dweight"),
    (StrideIgnoredInBackward, lambda: conv(StrideIgnoredInBackward, stride=2), "Conv2D dx"),
    (PaddingCutFromOneSide, lambda: conv(PaddingCutFromOneSide), "Conv2D dx"),
    (AssignedNotAdded, lambda: conv(AssignedNotAdded), "Conv2D dx"),
    (StaleCache, lambda: conv(StaleCache), "Conv2D dweight"),
    (GradientAccumulated, lambda: conv(GradientAccumulated), "Conv2D dweight"),
    (TinyFactor, lambda: conv(TinyFactor), "Conv2D dweight"),
    (WrongSign, lambda: conv(WrongSign), "Conv2D dx"),
    (WidenedToFloat64, lambda: conv(WidenedToFloat64), "Conv2D out"),
    (InputModified, lambda: conv(InputModified), "input x"),
    (GradientWiped, lambda: conv(GradientWiped), "Conv2D dout"),
    (ShortWayWrong, lambda: conv(ShortWayWrong), "Conv2D dweight of backward_weights"),
    (InPlaceReLU, lambda: compare(in_a_model(InPlaceReLU()), X), "relu x"),
    (TiesShared, lambda: compare(TiesShared(2), TIES), "MaxPool2D dx"),
    (LastMaximumWins, lambda: compare(LastMaximumWins(2), TIES), "MaxPool2D dx"),
    (ZeroPadding, lambda: compare(ZeroPadding(3, 2, 1), X - 5), "MaxPool2D out"),
    (RealCellsOnly, lambda: compare(RealCellsOnly(3, 2, 1), X), "AvgPool2D out"),
    (MaskFromGradient, lambda: compare(MaskFromGradient(), X), "ReLU dx"),
    (ZeroLetsPass, lambda: compare(ZeroLetsPass(), TIES), "ReLU dx"),
    (OnesForMask, lambda: compare(OnesForMask(), X), "ReLU dx"),
    (ChannelsLast, lambda: compare(ChannelsLast(), X), "Flatten out"),
    (
        TransposedWeight,
        lambda: compare(TransposedWeight(6, 6, rng=np.random.default_rng(1)), X[0, 0]),
        "Dense out",
    ),
    (SumForMean, lambda: loss(SumForMean, 1), "loss loss"),
    (MissingMean, lambda: loss(MissingMean, 1), "loss dlogits"),
    (NoShift, lambda: loss(NoShift, 200), "loss loss"),
    (NoBiasCorrection, lambda: optimizer(NoBiasCorrection), "10 steps 0.weight"),
    (EpsInsideRoot, lambda: optimizer(EpsInsideRoot, eps=1e-3), "10 steps 0.weight"),
    (DampedMomentum, lambda: optimizer(DampedMomentum, lr=0.1, momentum=0.9), "10 steps 0.weight"),
    (DecoupledDecay, lambda: optimizer(DecoupledDecay, weight_decay=0.1), "10 steps 0.weight"),
]
