"""ReLU, Flatten, Dense and Sequential with one mistake each. A class is complete in itself."""

import numpy as np

import tinycnn_numpy as tn
from examples.bugs.bug import bug

# ReLU


@bug("ReLU", "dx", "mask-missing")
class MaskAlwaysTrue(tn.ReLU):
    """The mask asks whether the output is >= 0, and the output always is: everything passes.

    Source: iamtrask/Grokking-Deep-Learning#13
    """

    def forward(self, x):
        self.cache = x * (x >= 0)
        return self.cache

    def backward(self, dout):
        return dout * (self.cache >= 0)  # bug: > 0


@bug("ReLU", "dx", "mask-missing")
class DoutReturned(tn.ReLU):
    """backward hands on what it got, as if the layer had not been there.

    Source: classic
    """

    def backward(self, dout):
        dx = np.empty_like(dout)
        dx[...] = dout  # bug: no mask
        return dx


@bug("ReLU", "dx", "mask-from-dout")
class MaskFromDout(tn.ReLU):
    """The gradient's own negative entries are set to zero instead of those where x was negative.

    Source: exacity/deeplearningbook-chinese#127
    """

    def backward(self, dout):
        dx = dout.copy()
        dx[dout < 0] = 0  # bug: x < 0
        return dx


@bug("ReLU", "dx", "mask-includes-zero")
class ZeroPasses(tn.ReLU):
    """The slope at 0 is taken as 1; PyTorch takes 0. Padded and dead pixels are exactly 0.

    Source: oreilly-japan/deep-learning-from-scratch common/functions.py
    """

    def forward(self, x):
        self.cache = x
        return np.maximum(x, 0)

    def backward(self, dout):
        slope = np.zeros_like(self.cache)
        slope[self.cache >= 0] = 1  # bug: > 0
        return dout * slope


@bug("ReLU", "dx", "mask-inverted")
class MaskInverted(tn.ReLU):
    """The mask marks what must be stopped, and backward reads it as what may pass.

    Source: classic
    """

    def forward(self, x):
        self.cache = x <= 0
        out = x.copy()
        out[self.cache] = 0
        return out

    def backward(self, dout):
        return dout * self.cache  # bug: ~self.cache


@bug("ReLU", "dx", "upstream-ignored")
class SlopeOnly(tn.ReLU):
    """backward returns the slope alone: what came from above is overwritten instead of multiplied.

    Source: haifengl/smile#528
    """

    def backward(self, dout):
        dx = dout.copy()
        dx[...] = self.cache > 0  # bug: *=
        return dx


@bug("ReLU", "x", "input-modified")
class ReluInPlace(tn.ReLU):
    """forward zeroes the negative numbers in the array that it was given.

    Source: classic
    """

    def forward(self, x):
        x[x < 0] = 0  # bug: x belongs to the layer before
        self.cache = x
        return x


@bug("ReLU", "dout", "input-modified")
class DoutZeroed(tn.ReLU):
    """backward zeroes entries of the array that it was given and returns that array.

    Source: classic
    """

    def backward(self, dout):
        dout[self.cache <= 0] = 0  # bug: dout belongs to the layer above
        return dout


@bug("ReLU", "dx", "widened", trains=False)
class SlopeWidened(tn.ReLU):
    """np.where of two Python numbers makes float64.

    Source: classic
    """

    def backward(self, dout):
        slope = np.where(self.cache > 0, 1.0, 0.0)  # bug: float64
        return dout * slope


# Flatten


@bug("Flatten", "out", "reading-order")
class ChannelsLast(tn.Flatten):
    """Rows are flattened height, width, channel, as in Keras and Flax; PyTorch has the channels slowest.

    Source: gzuidhof/nn-transfer#16
    """

    def forward(self, x):
        self.cache = x.shape, x.dtype
        return x.transpose(0, 2, 3, 1).reshape(len(x), -1)  # bug: no transpose


@bug("Flatten", "out", "reading-order")
class FortranOrder(tn.Flatten):
    """Rows are flattened with the first index fastest, as MATLAB does.

    Source: keras-team/keras#13830
    """

    def forward(self, x):
        self.cache = x.shape, x.dtype
        return x.reshape(len(x), -1, order="F")  # bug: order="C"


@bug("Flatten", "out", "reading-order")
class ImagesMixed(tn.Flatten):
    """reshape(-1, N).T has the right shape, but every row holds pixels of all images.

    Source: classic
    """

    def forward(self, x):
        self.cache = x.shape, x.dtype
        return x.reshape(-1, len(x)).T  # bug: reshape(len(x), -1)


@bug("Flatten", "dx", "reading-order")
class FoldedChannelsLast(tn.Flatten):
    """forward flattens channel, height, width and backward folds height, width, channel.

    Source: classic
    """

    def backward(self, dout):
        (N, C, H, W), _ = self.cache
        return dout.reshape(N, H, W, C).transpose(0, 3, 1, 2)  # bug: reshape(N, C, H, W)


# Dense


@bug("Dense", "out", "weight-transposed", trains=False)
class WeightTransposed(tn.Dense):
    """x @ weight where x @ weight.T is meant, which only a square weight allows.

    Source: pytorch/pytorch#2159
    """

    def forward(self, x):
        self.cache = x
        out = x @ self.weight  # bug: weight.T
        return out if self.bias is None else out + self.bias


@bug("Dense", "dx", "weight-transposed", trains=False)
class WeightTransposedInDx(tn.Dense):
    """dx = dout @ weight.T where dout @ weight is meant, which only a square weight allows.

    Source: classic
    """

    def backward(self, dout):
        self.backward_weights(dout)
        return dout @ self.weight.T  # bug: weight


@bug("Dense", "out", "bias-dropped")
class DenseBiasDropped(tn.Dense):
    """The bias is not added.

    Source: classic
    """

    def forward(self, x):
        self.cache = x
        return np.einsum("nk,mk->nm", x, self.weight, optimize=True)  # bug: no bias


@bug("Dense", "out", "stale-cache")
class TransposeRemembered(tn.Dense):
    """The transposed weight is copied once, at the first forward, and never again: training does not show.

    Source: classic
    """

    def forward(self, x):
        self.cache = x
        if "transposed" not in self.__dict__:
            self.transposed = self.weight.T.copy()  # bug: a copy, the optimiser changes weight
        out = x @ self.transposed
        return out if self.bias is None else out + self.bias


@bug("Dense", "dweight", "wrong-factor")
class DenseBatchSizeTwice(tn.Dense):
    """Both gradients are divided by the batch size, which the loss has done already.

    Source: CNNumpy src/fast/layers.py
    """

    def backward_weights(self, dout):
        x = self.cache
        m = x.shape[0]
        self.dweight = (dout.T @ x) / m  # bug: 1/m again
        self.dbias = None if self.bias is None else dout.sum(axis=0) / m  # bug: 1/m again


@bug("Dense", "dweight", "wrong-factor")
class GradientDoubled(tn.Dense):
    """A stray factor 2 in the weight's gradient.

    Source: bighuang624/Andrew-Ng-Deep-Learning-notes#10
    """

    def backward_weights(self, dout):
        self.dweight = np.dot(dout.T, self.cache) * 2  # bug: no 2
        self.dbias = None if self.bias is None else dout.sum(axis=0)


@bug("Dense", "dweight", "last-only")
class LastSampleOnly(tn.Dense):
    """The outer products of a batch are assigned one after the other, and the last remains.

    Source: classic
    """

    def backward_weights(self, dout):
        self.dbias = None if self.bias is None else dout.sum(axis=0)
        for d, x in zip(dout, self.cache, strict=True):
            self.dweight = np.outer(d, x)  # bug: = for +=


@bug("Dense", "dweight", "axes-swapped", trains=False)
class WeightGradientTransposed(tn.Dense):
    """x.T @ dout is the gradient of a weight (in, out); this weight is (out, in).

    Source: classic
    """

    def backward_weights(self, dout):
        self.dbias = None if self.bias is None else dout.sum(axis=0)
        self.dweight = self.cache.T @ dout  # bug: dout.T @ x


@bug("Dense", "dweight", "gradient-missing", trains=False)
class WeightGradientLocal(tn.Dense):
    """The weight's gradient is computed and thrown away: `self.` is missing.

    Source: classic
    """

    def backward_weights(self, dout):
        dweight = np.zeros_like(self.weight)
        dweight += dout.T @ self.cache  # bug: self.dweight
        self.dbias = None if self.bias is None else dout.sum(axis=0)


@bug("Dense", "dbias", "summed-over-all")
class BiasGradientOneNumber(tn.Dense):
    """dout is summed over batch and outputs, so that all biases get the same gradient.

    Source: rasbt/stat453-deep-learning-ss21#5
    """

    def backward_weights(self, dout):
        self.dweight = dout.T @ self.cache
        if self.bias is not None:
            self.dbias = np.zeros_like(self.bias)
            self.dbias += dout.sum()  # bug: axis=0


@bug("Dense", "dbias", "wrong-factor")
class BiasGradientMean(tn.Dense):
    """The bias's gradient is a mean over the batch where it is a sum.

    Source: kvfrans/notes#5
    """

    def backward_weights(self, dout):
        self.dweight = dout.T @ self.cache
        self.dbias = None if self.bias is None else dout.mean(axis=0)  # bug: sum


@bug("Dense", "dbias", "not-summed", trains=False)
class BiasGradientPerSample(tn.Dense):
    """The bias's gradient is dout itself, right for a batch of one and never summed for more.

    Source: mlpack/mlpack#3679
    """

    def backward_weights(self, dout):
        self.dweight = dout.T @ self.cache
        self.dbias = None if self.bias is None else dout.copy()  # bug: sum(axis=0)


@bug("Dense", "weight", "updated-too-early")
class UpdatedTooEarly(tn.Dense):
    """backward takes the step itself, before the gradient has gone through the weight.

    Source: VikParuchuri/zero_to_gpt#12
    """

    def backward(self, dout):
        self.backward_weights(dout)
        self.weight -= 0.01 * self.dweight  # bug: dx needs the weight of forward
        return dout @ self.weight


# Sequential


@bug("Sequential", "dweight", "gradient-missing", trains=False)
class FirstLayerSkipped(tn.Sequential):
    """The loop over the layers ends one too early, so the first layer never sees its gradient.

    Source: classic
    """

    def backward(self, dout):
        layers = list(self.stages.values())
        for k in range(len(layers) - 1, 0, -1):  # bug: -1 for 0
            dout = layers[k].backward(dout)
        return dout

    def backward_weights(self, dout):
        self.backward(dout)
