"""Poolings with one mistake each. A class is complete in itself and replaces tn.MaxPool2D or tn.AvgPool2D."""

import numpy as np

import tinycnn_numpy as tn
from examples.bugs.bug import bug

# max pooling


@bug("MaxPool2D", "out", "zero-padding")
class ZeroPadding(tn.MaxPool2D):
    """The image is padded with zeros, which win over negative numbers; the padding must be -inf.

    Source: pytorch/pytorch#33384
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding, fill=0.0)  # bug: -inf
        out = windows.max(axis=(2, 3))
        self.cache = windows, out, x.shape
        return out.transpose(3, 2, 0, 1)


@bug("MaxPool2D", "out", "reading-order")
class TilesInterleaved(tn.MaxPool2D):
    """The fast way for windows that do not overlap, with the two axes of each split in the wrong order.

    Source: HIPS/autograd#245
    """

    def forward(self, x):
        out = super().forward(x)  # remembers the windows, and serves those that overlap
        if self.stride != self.kernel_size or self.padding != (0, 0):
            return out
        (N, C, OH, OW), (KH, KW) = out.shape, self.kernel_size
        tiles = x[:, :, : OH * KH, : OW * KW].reshape(N, C, KH, OH, KW, OW)  # bug: OH, KH, OW, KW
        return tiles.max(axis=(2, 4))


@bug("MaxPool2D", "out", "height-for-width")
class HeightStrideForWidth(tn.MaxPool2D):
    """The column of a window is computed with the stride of the rows, right only where both are the same.

    Source: Maratyszcza/NNPACK#16
    """

    def forward(self, x):
        out = super().forward(x).copy()
        (_, _, H, W), (KH, KW), (SH, _), (PH, PW) = x.shape, self.kernel_size, self.stride, self.padding
        padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=-np.inf)
        flat = padded.reshape(*x.shape[:2], (H + 2 * PH) * (W + 2 * PW))
        rows, columns = np.arange(KH)[:, None], np.arange(KW)
        for h, w in np.ndindex(out.shape[2:]):
            pixels = (h * SH + rows) * (W + 2 * PW) + w * SH + columns  # bug: w * SW
            out[:, :, h, w] = flat.take(pixels, axis=2, mode="clip").max(axis=(2, 3))
        return out


@bug("MaxPool2D", "dx", "window-overwritten")
class WinnerOverwritten(tn.MaxPool2D):
    """The last of several overlapping windows decides what a winning pixel gets: `=` where `+=` is meant.

    Source: FluxML/NNlib.jl#205
    """

    def backward(self, dout):
        windows, _, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        n, c = np.ogrid[:N, :C]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for h, w in np.ndindex(dout.shape[2:]):
            window = windows[h, w].transpose(3, 2, 0, 1).reshape(N, C, KH * KW)
            i, j = np.divmod(window.argmax(axis=2), KW)
            dx[n, c, h * SH + i, w * SW + j] = dout[:, :, h, w]  # bug: = for +=
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("MaxPool2D", "dx", "window-overwritten")
class WholeWindowAssigned(tn.MaxPool2D):
    """A window's gradient is assigned to all of its pixels, zeros included; right if windows do not overlap.

    Source: 0809zheng/CS231n-assignment2019#19
    """

    def backward(self, dout):
        windows, out, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for h, w in np.ndindex(dout.shape[2:]):
            mask = (windows[h, w] == out[h, w]).reshape(KH * KW, C, N)
            mask &= mask.cumsum(axis=0) == 1
            gradient = (mask * dout[:, :, h, w].T).reshape(KH, KW, C, N).transpose(3, 2, 0, 1)
            dx[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] = gradient  # bug: = for +=
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("MaxPool2D", "dx", "window-overwritten")
class WinnersRepeated(tn.MaxPool2D):
    """All winners at once with `+=` on arrays of indices: a pixel that wins twice is counted once.

    Source: devitocodes/joey#5
    """

    def backward(self, dout):
        windows, _, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        OH, OW = dout.shape[2:]
        best = windows.transpose(5, 4, 0, 1, 2, 3).reshape(N, C, OH, OW, KH * KW).argmax(axis=4)
        n, c, h, w = np.ogrid[:N, :C, :OH, :OW]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        dx[n, c, h * SH + best // KW, w * SW + best % KW] += dout  # bug: np.add.at
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("MaxPool2D", "dx", "ties-last")
class TiesLast(tn.MaxPool2D):
    """Of equal numbers the last in reading order wins, because the running maximum is replaced by an equal.

    Source: classic
    """

    def backward(self, dout):
        windows, _, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        OH, OW = dout.shape[2:]
        best, winner = np.full((OH, OW, C, N), -np.inf, dout.dtype), np.zeros((OH, OW, C, N), int)
        for i, j in np.ndindex(KH, KW):
            better = windows[:, :, i, j] >= best  # bug: > keeps the first
            best, winner = np.where(better, windows[:, :, i, j], best), np.where(better, i * KW + j, winner)
        n, c, h, w = np.ogrid[:N, :C, :OH, :OW]
        i, j = np.divmod(winner.transpose(3, 2, 0, 1), KW)
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        np.add.at(dx, (n, c, h * SH + i, w * SW + j), dout)
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("MaxPool2D", "dx", "ties-by-column")
class TiesByColumn(tn.MaxPool2D):
    """Of equal numbers the first of the first column wins, as in a language that stores columns first.

    Source: FluxML/NNlib.jl#205
    """

    def backward(self, dout):
        windows, out, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        OH, OW = dout.shape[2:]
        free = np.ones(out.shape, bool)
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for j, i in np.ndindex(KW, KH):  # bug: columns outside, rows inside
            winner = free & (windows[:, :, i, j] == out)
            free &= ~winner
            tap = dout * winner.transpose(3, 2, 0, 1)
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += tap
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("MaxPool2D", "dx", "ties-shared")
class TiesShared(tn.MaxPool2D):
    """Equal numbers share the gradient in equal parts.

    Source: tensorflow/tensorflow#4886
    """

    def backward(self, dout):
        windows, out, (N, C, H, W) = self.cache
        (SH, SW), (PH, PW), (OH, OW) = self.stride, self.padding, dout.shape[2:]
        winners = (windows == out[:, :, None, None]).astype(dout.dtype)
        winners /= winners.sum(axis=(2, 3), keepdims=True)  # bug: the first takes all
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(self.kernel_size):
            tap = dout * winners[:, :, i, j].transpose(3, 2, 0, 1)
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += tap
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("MaxPool2D", "dx", "ties-all")
class TiesAll(tn.MaxPool2D):
    """Each number that equals the maximum gets the whole gradient.

    Source: Theano/Theano#5248
    """

    def backward(self, dout):
        windows, out, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        dx = np.zeros((H + 2 * PH, W + 2 * PW, C, N), dout.dtype)
        for h, w in np.ndindex(dout.shape[2:]):
            mask = windows[h, w] == out[h, w]  # bug: several may be True
            dx[h * SH : h * SH + KH, w * SW : w * SW + KW] += mask * dout[:, :, h, w].T
        return dx[PH : PH + H, PW : PW + W].transpose(3, 2, 0, 1)


@bug("MaxPool2D", "dx", "gradient-spread")
class GradientSpread(tn.MaxPool2D):
    """Every pixel of a window gets an equal part of the gradient, as in average pooling.

    Source: classic
    """

    def backward(self, dout):
        _, _, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for h, w in np.ndindex(dout.shape[2:]):
            share = dout[:, :, h, w, None, None] / (KH * KW)  # bug: only the largest pixel moved out
            dx[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] += share
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("MaxPool2D", "dx", "first-only")
class ReturnInTheLoop(tn.MaxPool2D):
    """return is indented too far, so only the first window gives its gradient back. Networks still learn.

    Source: riccardoandreoni0/CNN-from-scratch#1
    """

    def backward(self, dout):
        windows, _, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        n, c = np.ogrid[:N, :C]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for h, w in np.ndindex(dout.shape[2:]):
            window = windows[h, w].transpose(3, 2, 0, 1).reshape(N, C, KH * KW)
            i, j = np.divmod(window.argmax(axis=2), KW)
            dx[n, c, h * SH + i, w * SW + j] += dout[:, :, h, w]
            return dx[:, :, PH : PH + H, PW : PW + W]  # bug: inside the loop
        return dx


@bug("MaxPool2D", "dx", "stride-ignored")
class PoolStrideIgnored(tn.MaxPool2D):
    """backward puts the windows at every pixel, whatever the stride.

    Source: classic
    """

    def backward(self, dout):
        windows, _, (N, C, H, W) = self.cache
        (KH, KW), (PH, PW), (OH, OW) = self.kernel_size, self.padding, dout.shape[2:]
        best = windows.transpose(5, 4, 0, 1, 2, 3).reshape(N, C, OH, OW, KH * KW).argmax(axis=4)
        n, c, h, w = np.ogrid[:N, :C, :OH, :OW]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        np.add.at(dx, (n, c, h + best // KW, w + best % KW), dout)  # bug: h * SH, w * SW
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("MaxPool2D", "dx", "padding-ignored")
class UnpaddedRead(tn.MaxPool2D):
    """backward looks for the largest pixel in the image before padding, at positions that count the padding.

    Source: ddbourgin/numpy-ml numpy_ml/neural_nets/layers/layers.py Pool2D
    """

    def forward(self, x):
        self.x = x
        return super().forward(x)

    def backward(self, dout):
        (N, C, H, W), (KH, KW), (SH, SW) = self.x.shape, self.kernel_size, self.stride
        PH, PW = self.padding
        x = np.pad(self.x, ((0, 0), (0, 0), (0, KH + PH), (0, KW + PW)), constant_values=-np.inf)
        n, c = np.ogrid[:N, :C]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for h, w in np.ndindex(dout.shape[2:]):
            window = x[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW]  # bug: x is not padded in front
            i, j = np.divmod(window.reshape(N, C, -1).argmax(axis=2), KW)
            dx[n, c, h * SH + i, w * SW + j] += dout[:, :, h, w]
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("MaxPool2D", "dx", "axes-swapped")
class WinnerTransposed(tn.MaxPool2D):
    """The winner's place in its window is split into column and row where it is row and column.

    Source: deeplearning4j/deeplearning4j#964
    """

    def backward(self, dout):
        windows, _, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        n, c = np.ogrid[:N, :C]
        dx = np.zeros((N, C, H + 2 * PH + KW, W + 2 * PW + KH), dout.dtype)
        for h, w in np.ndindex(dout.shape[2:]):
            window = windows[h, w].transpose(3, 2, 0, 1).reshape(N, C, KH * KW)
            j, i = np.divmod(window.argmax(axis=2), KW)  # bug: i, j
            dx[n, c, h * SH + i, w * SW + j] += dout[:, :, h, w]
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("MaxPool2D", "dx", "gradient-missing")
class PoolGradientMissing(tn.MaxPool2D):
    """The gradient is added to a copy, and the zeros are returned.

    Source: Halfish/cs231n#7
    """

    def backward(self, dout):
        windows, _, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        OH, OW = dout.shape[2:]
        best = windows.transpose(5, 4, 0, 1, 2, 3).reshape(N, C, OH, OW, KH * KW).argmax(axis=4)
        n, c, h, w = np.ogrid[:N, :C, :OH, :OW]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        np.add.at(dx.copy(), (n, c, h * SH + best // KW, w * SW + best % KW), dout)  # bug: dx stays zero
        return dx[:, :, PH : PH + H, PW : PW + W]


# average pooling


@bug("AvgPool2D", "out", "real-cells-only")
class RealCellsOnly(tn.AvgPool2D):
    """The mean counts only the pixels of the image, where PyTorch counts the padding too.

    Source: BVLC/caffe#6297
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows.shape, x.shape, x.dtype
        real = tn.windows.windows_of(np.ones_like(x), self.kernel_size, self.stride, self.padding)
        out = windows.sum(axis=(2, 3)) / real.sum(axis=(2, 3))  # bug: KH*KW
        return out.transpose(3, 2, 0, 1)


@bug("AvgPool2D", "out", "widened", trains=False)
class CountWidened(tn.AvgPool2D):
    """np.prod returns a NumPy integer, and since NumPy 2 float32 divided by that is float64.

    Source: numpy/numpy#21103
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows.shape, x.shape, x.dtype
        out = windows.sum(axis=(2, 3)) / np.prod(self.kernel_size)  # bug: math.prod
        return out.transpose(3, 2, 0, 1)


@bug("AvgPool2D", "out", "reading-order")
class ImagesAndChannelsMixed(tn.AvgPool2D):
    """The means run channel, image, pixel and are reshaped to image, channel, pixel without a transpose.

    Source: CNNumpy src/fast/layers.py
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows.shape, x.shape, x.dtype
        OH, OW, KH, KW, C, N = windows.shape
        columns = windows.transpose(4, 2, 3, 5, 0, 1).reshape(C, KH * KW, N * OH * OW)
        return columns.mean(axis=1).reshape(N, C, OH, OW)  # bug: the channels come first


@bug("AvgPool2D", "dx", "wrong-factor")
class ShareNotDivided(tn.AvgPool2D):
    """Every pixel gets the whole gradient of its window, KH*KW times too much.

    Source: classic
    """

    def backward(self, dout):
        (OH, OW, KH, KW, C, N), (_, _, H, W), _ = self.cache
        (SH, SW), (PH, PW) = self.stride, self.padding
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(KH, KW):
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += dout  # bug: / (KH * KW)
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("AvgPool2D", "dx", "real-cells-only")
class ShareOfRealCells(tn.AvgPool2D):
    """forward divides by KH*KW, backward by the pixels that lie in the image: the two disagree.

    Source: tracel-ai/burn#5604
    """

    def backward(self, dout):
        (OH, OW, KH, KW, C, N), (_, _, H, W), _ = self.cache
        (SH, SW), (PH, PW) = self.stride, self.padding
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for h, w in np.ndindex(OH, OW):
            rows = min(h * SH + KH, PH + H) - max(h * SH, PH)
            columns = min(w * SW + KW, PW + W) - max(w * SW, PW)
            share = dout[:, :, h, w, None, None] / max(rows * columns, 1)  # bug: KH * KW
            dx[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] += share
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("AvgPool2D", "dx", "window-overwritten")
class ShareOverwritten(tn.AvgPool2D):
    """`=` where overlapping windows must add up.

    Source: classic
    """

    def backward(self, dout):
        (OH, OW, KH, KW, C, N), (_, _, H, W), _ = self.cache
        (SH, SW), (PH, PW) = self.stride, self.padding
        share = dout / (KH * KW)
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(KH, KW):
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] = share  # bug: = for +=
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("AvgPool2D", "dx", "stride-ignored")
class TilesRepeated(tn.AvgPool2D):
    """backward repeats every gradient KH x KW times side by side, as if the stride were the kernel's size.

    Source: classic
    """

    def backward(self, dout):
        (_, _, KH, KW, C, N), (_, _, H, W), _ = self.cache
        PH, PW = self.padding
        share = (dout / (KH * KW)).repeat(KH, axis=2).repeat(KW, axis=3)  # bug: no stride
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        rows, columns = min(dx.shape[2], share.shape[2]), min(dx.shape[3], share.shape[3])
        dx[:, :, :rows, :columns] = share[:, :, :rows, :columns]
        return dx[:, :, PH : PH + H, PW : PW + W]
