"""Convolutions with one mistake each. A class is complete in itself and replaces tn.Conv2D."""

import numpy as np

import tinycnn_numpy as tn
from examples.bugs.bug import bug

# forward


@bug("Conv2D", "out", "kernel-flipped")
class KernelFlipped(tn.Conv2D):
    """The kernel is turned by 180 degrees: a true convolution where networks mean a correlation.

    Source: pytorch/pytorch#117534
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows, x.shape
        OH, OW, KH, KW, _, N = windows.shape
        out = np.zeros((N, self.out_channels, OH, OW), x.dtype)
        for i, j in np.ndindex(KH, KW):
            tap = self.weight[:, :, KH - 1 - i, KW - 1 - j]  # bug: the kernel is read from its end
            out += np.einsum("fc,hwcn->nfhw", tap, windows[:, :, i, j], optimize=True)
        return out if self.bias is None else out + self.bias[:, None, None]


@bug("Conv2D", "out", "kernel-transposed")
class KernelTransposed(tn.Conv2D):
    """The kernel's rows and columns are exchanged when it is flattened, those of the windows are not.

    Source: classic
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows, x.shape
        OH, OW, KH, KW, C, N = windows.shape
        columns = windows.transpose(5, 0, 1, 4, 2, 3).reshape(N * OH * OW, C * KH * KW)
        matrix = self.weight.transpose(0, 1, 3, 2).reshape(self.out_channels, -1)  # bug: j before i
        out = columns @ matrix.T
        if self.bias is not None:
            out += self.bias
        return out.reshape(N, OH, OW, -1).transpose(0, 3, 1, 2)


@bug("Conv2D", "out", "reading-order")
class KernelInOtherOrder(tn.Conv2D):
    """The windows are laid out with their channels last, the kernel with its channels first.

    Source: ravin-d-27/PyDeepFlow#84
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows, x.shape
        columns = tn.windows.im2col(windows)  # (OH, OW, KH*KW*C, N)
        out = self.weight.reshape(self.out_channels, -1) @ columns  # bug: rows of weight run C, KH, KW
        if self.bias is not None:
            out += self.bias[:, None]
        return out.transpose(3, 2, 0, 1)


@bug("Conv2D", "out", "bias-dropped")
class BiasDropped(tn.Conv2D):
    """The bias is never added, though it has a gradient and is learned.

    Source: deepakcrk/CNN_ForDummies#9
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows, x.shape
        return np.einsum("hwijcn,fcij->nfhw", windows, self.weight, optimize=True)  # bug: no bias


@bug("Conv2D", "out", "bias-twice")
class BiasTwice(tn.Conv2D):
    """The sum starts at the bias, and the bias is added once more at the end.

    Source: classic
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows, x.shape
        OH, OW, KH, KW, _, N = windows.shape
        bias = np.zeros(self.out_channels, x.dtype) if self.bias is None else self.bias
        out = np.empty((OH, OW, self.out_channels, N), x.dtype)
        out[...] = bias[:, None]
        for i, j in np.ndindex(KH, KW):
            out += self.weight[:, :, i, j] @ windows[:, :, i, j]
        return (out + bias[:, None]).transpose(3, 2, 0, 1)  # bug: the sum began with the bias


@bug("Conv2D", "out", "bias-per-cell")
class BiasInEveryCell(tn.Conv2D):
    """The bias is added to every product before they are summed, so it counts C*KH*KW times.

    Source: Kulbear/deep-learning-coursera#45
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows, x.shape
        OH, OW, _, _, _, N = windows.shape
        bias = np.zeros(self.out_channels, x.dtype) if self.bias is None else self.bias
        out = np.empty((N, self.out_channels, OH, OW), x.dtype)
        for f in range(self.out_channels):
            kernel = self.weight[f].transpose(1, 2, 0)[..., None]
            cells = windows * kernel + bias[f]  # bug: the bias belongs after the sum
            out[:, f] = cells.sum(axis=(2, 3, 4)).transpose(2, 0, 1)
        return out


@bug("Conv2D", "out", "last-only")
class LastChannelOnly(tn.Conv2D):
    """The loop over the input channels assigns instead of adding, so only the last one is seen.

    Source: classic
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows, x.shape
        for c in range(self.in_channels):
            channel = windows[:, :, :, :, c]
            out = np.einsum("hwijn,fij->nfhw", channel, self.weight[:, c], optimize=True)  # bug: = for +=
        return out if self.bias is None else out + self.bias[:, None, None]


@bug("Conv2D", "out", "stride-ignored")
class StrideIgnored(tn.Conv2D):
    """The output has the size that the stride asks for, but the windows move by one pixel.

    Source: classic
    """

    def forward(self, x):
        self.cache = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding), x.shape
        (OH, OW, KH, KW, _, N), (PH, PW) = self.cache[0].shape, self.padding
        padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        matrix = self.weight.reshape(self.out_channels, -1).T
        out = np.empty((N, self.out_channels, OH, OW), x.dtype)
        for h, w in np.ndindex(OH, OW):
            window = padded[:, :, h : h + KH, w : w + KW]  # bug: h, w for h*SH, w*SW
            out[:, :, h, w] = window.reshape(N, -1) @ matrix
        return out if self.bias is None else out + self.bias[:, None, None]


@bug("Conv2D", "out", "padding-ignored", trains=False)
class PaddingIgnored(tn.Conv2D):
    """The image is never padded, so the output is smaller than the layer promises.

    Source: classic
    """

    def forward(self, x):
        self.cache = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding), x.shape
        windows = np.lib.stride_tricks.sliding_window_view(x, self.kernel_size, axis=(2, 3))  # bug: no pad
        windows = windows[:, :, :: self.stride[0], :: self.stride[1]]
        out = np.einsum("nchwij,fcij->nfhw", windows, self.weight, optimize=True)
        return out if self.bias is None else out + self.bias[:, None, None]


@bug("Conv2D", "out", "padding-one-sided")
class PaddingAtTheEnd(tn.Conv2D):
    """All of the padding is put below and to the right, as a one-sided "same" padding would put it.

    Source: classic
    """

    def forward(self, x):
        PH, PW = self.padding
        padded = np.pad(x, ((0, 0), (0, 0), (0, 2 * PH), (0, 2 * PW)))  # bug: (PH, PH), (PW, PW)
        windows = tn.windows.windows_of(padded, self.kernel_size, self.stride, (0, 0))
        self.cache = windows, x.shape
        out = np.einsum("hwijcn,fcij->nfhw", windows, self.weight, optimize=True)
        return out if self.bias is None else out + self.bias[:, None, None]


@bug("Conv2D", "out", "reading-order")
class OutReshaped(tn.Conv2D):
    """The product runs filter, image, pixel and is reshaped to image, filter, pixel without a transpose.

    Source: CNNumpy src/fast/layers.py
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows, x.shape
        OH, OW, KH, KW, C, N = windows.shape
        columns = windows.transpose(4, 2, 3, 5, 0, 1).reshape(C * KH * KW, N * OH * OW)
        out = self.weight.reshape(self.out_channels, -1) @ columns
        if self.bias is not None:
            out += self.bias[:, None]
        return out.reshape(N, self.out_channels, OH, OW)  # bug: the filters come first


@bug("Conv2D", "out", "widened", trains=False)
class OutWidened(tn.Conv2D):
    """np.zeros without a dtype makes float64, and so a float32 network computes in float64 from here on.

    Source: classic
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        self.cache = windows, x.shape
        OH, OW, KH, KW, _, N = windows.shape
        out = np.zeros((OH, OW, self.out_channels, N))  # bug: float64
        for i, j in np.ndindex(KH, KW):
            out += self.weight[:, :, i, j] @ windows[:, :, i, j]
        if self.bias is not None:
            out += self.bias[:, None]
        return out.transpose(3, 2, 0, 1)


@bug("Conv2D", "dweight", "stale-cache")
class ColumnsRemembered(tn.Conv2D):
    """To save time the windows are cut once for each shape of image; backward then sees an old batch.

    Source: classic
    """

    def forward(self, x):
        windows = tn.windows.windows_of(x, self.kernel_size, self.stride, self.padding)
        remembered = self.__dict__.setdefault("remembered", {})
        self.cache = remembered.setdefault(x.shape, windows), x.shape  # bug: another batch's windows
        out = np.einsum("hwijcn,fcij->nfhw", windows, self.weight, optimize=True)
        return out if self.bias is None else out + self.bias[:, None, None]


# the gradients of weight and bias


@bug("Conv2D", "dweight", "stride-ignored")
class StrideMissingInBackward(tn.Conv2D):
    """backward visits the windows pixel by pixel and forgets to multiply by the stride, for both gradients.

    Source: Kulbear/deep-learning-coursera#34
    """

    def forward(self, x):
        (PH, PW), self.x = self.padding, x
        self.padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        return super().forward(x)

    def backward(self, dout):
        self.backward_weights(dout)
        (_, _, H, W), (KH, KW), (PH, PW) = self.x.shape, self.kernel_size, self.padding
        dx = np.zeros(self.padded.shape, dout.dtype)
        for h, w in np.ndindex(dout.shape[2:]):
            window = np.tensordot(dout[:, :, h, w], self.weight, 1)
            dx[:, :, h : h + KH, w : w + KW] += window  # bug: no stride
        return dx[:, :, PH : PH + H, PW : PW + W]

    def backward_weights(self, dout):
        KH, KW = self.kernel_size
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3))
        self.dweight = np.zeros_like(self.weight)
        for h, w in np.ndindex(dout.shape[2:]):
            window = self.padded[:, :, h : h + KH, w : w + KW]  # bug: no stride
            self.dweight += np.tensordot(dout[:, :, h, w].T, window, 1)


@bug("Conv2D", "dweight", "axes-swapped")
class KernelGradientTransposed(tn.Conv2D):
    """The gradient of the kernel has its rows and columns exchanged.

    Source: classic
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3))
        self.dweight = np.einsum("nfhw,hwijcn->fcji", dout, windows, optimize=True)  # bug: ji for ij


@bug("Conv2D", "dweight", "reading-order")
class DoutReshaped(tn.Conv2D):
    """dout is reshaped to filters by pixels without moving the filters to the front first.

    Source: CNNumpy src/fast/layers.py
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        OH, OW, KH, KW, C, N = windows.shape
        columns = windows.transpose(4, 2, 3, 5, 0, 1).reshape(C * KH * KW, N * OH * OW)
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3))
        rows = dout.reshape(self.out_channels, N * OH * OW)  # bug: dout runs image, filter, pixel
        self.dweight = (rows @ columns.T).reshape(self.weight.shape)


@bug("Conv2D", "dweight", "reversed")
class DoutRotated(tn.Conv2D):
    """dout is turned by 180 degrees for the kernel's gradient, where the rule turns only the kernel, for dx.

    Source: classic
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3))
        rotated = np.rot90(dout, 2, axes=(2, 3))  # bug: dout from its end
        self.dweight = np.einsum("nfhw,hwijcn->fcij", rotated, windows, optimize=True)


@bug("Conv2D", "dweight", "last-only")
class LastImageOnly(tn.Conv2D):
    """The loop over the batch assigns instead of adding, so only the last image teaches the kernel.

    Source: classic
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3))
        for n in range(len(dout)):
            image = windows[..., n]
            self.dweight = np.einsum("fhw,hwijc->fcij", dout[n], image, optimize=True)  # bug: = for +=


@bug("Conv2D", "dweight", "wrong-factor")
class BatchSizeTwice(tn.Conv2D):
    """The gradients are divided by the batch size here and were so in the loss already.

    Source: classic
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        N = len(dout)
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3)) / N  # bug: 1/N again
        self.dweight = np.einsum("nfhw,hwijcn->fcij", dout, windows, optimize=True) / N  # bug: 1/N again


@bug("Conv2D", "dweight", "wrong-sign")
class KernelGradientNegated(tn.Conv2D):
    """The kernel's gradient has the wrong sign, so that its update climbs while all others descend.

    Source: iamtrask/Grokking-Deep-Learning#65
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3))
        self.dweight = np.zeros_like(self.weight)
        for i, j in np.ndindex(self.kernel_size):
            tap = np.einsum("nfhw,hwcn->fc", dout, windows[:, :, i, j], optimize=True)
            self.dweight[:, :, i, j] -= tap  # bug: -= for +=


@bug("Conv2D", "dweight", "upstream-ignored")
class UpstreamOnes(tn.Conv2D):
    """The kernel's gradient is that of the output's sum: dout is replaced by ones.

    Source: classic
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3))
        ones = np.ones_like(dout)  # bug: for dout
        self.dweight = np.einsum("nfhw,hwijcn->fcij", ones, windows, optimize=True)


@bug("Conv2D", "dweight", "accumulated")
class GradientAccumulated(tn.Conv2D):
    """The gradients are added to those of the batches before, and nobody sets them to zero.

    Source: udacity/deep-learning-v2-pytorch#160
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        if self.dweight is None:
            self.dweight, self.dbias = np.zeros_like(self.weight), np.zeros(self.out_channels, dout.dtype)
        self.dbias += dout.sum(axis=(0, 2, 3))  # bug: += across batches
        self.dweight += np.einsum("nfhw,hwijcn->fcij", dout, windows, optimize=True)  # bug: += across batches


@bug("Conv2D", "dweight", "widened")
class GradientWidened(tn.Conv2D):
    """The kernel's gradient is summed into np.zeros without a dtype, which is float64.

    Source: classic
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3))
        self.dweight = np.zeros(self.weight.shape)  # bug: float64
        for i, j in np.ndindex(self.kernel_size):
            tap = np.einsum("nfhw,hwcn->fc", dout, windows[:, :, i, j], optimize=True)
            self.dweight[:, :, i, j] += tap


@bug("Conv2D", "dbias", "wrong-factor")
class BiasGradientAveraged(tn.Conv2D):
    """The bias takes the mean over the batch, because every image saw the same bias.

    Source: dengfy/cs231n#1
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        self.dweight = np.einsum("nfhw,hwijcn->fcij", dout, windows, optimize=True)
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 2, 3))
            self.dbias /= len(dout)  # bug: a sum is meant


@bug("Conv2D", "dbias", "gradient-missing")
class BiasGradientLost(tn.Conv2D):
    """The bias's gradient is computed into a local variable, and the layer keeps zeros.

    Source: classic
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        self.dweight, self.dbias = np.zeros_like(self.weight), np.zeros(self.out_channels, dout.dtype)
        self.dweight += np.einsum("nfhw,hwijcn->fcij", dout, windows, optimize=True)
        dbias = self.dbias
        dbias = dbias + dout.sum(axis=(0, 2, 3))  # bug: a new array, self.dbias keeps its zeros


@bug("Conv2D", "dbias", "not-summed", trains=False)
class BiasGradientPerPixel(tn.Conv2D):
    """The bias's gradient is summed over the batch and not over the pixels, so it has the wrong shape.

    Source: classic
    """

    def backward_weights(self, dout):
        windows, _ = self.cache
        self.dweight = np.einsum("nfhw,hwijcn->fcij", dout, windows, optimize=True)
        self.dbias = None if self.bias is None else dout.sum(axis=0)  # bug: axis=(0, 2, 3)


# dx


@bug("Conv2D", "dx", "kernel-flipped")
class KernelNotRotated(tn.Conv2D):
    """dx as a full convolution of dout, but with the kernel as it is, not turned by 180 degrees.

    Source: classic
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (N, _, H, W), (KH, KW), (PH, PW) = self.cache[1], self.kernel_size, self.padding
        (SH, SW), (OH, OW) = self.stride, dout.shape[2:]
        full = np.zeros((N, self.out_channels, H + 2 * PH + KH - 1, W + 2 * PW + KW - 1), dout.dtype)
        full[:, :, KH - 1 : KH - 1 + SH * OH : SH, KW - 1 : KW - 1 + SW * OW : SW] = dout
        windows = np.lib.stride_tricks.sliding_window_view(full, (KH, KW), axis=(2, 3))
        dx = np.einsum("nfhwij,fcij->nchw", windows, self.weight, optimize=True)  # bug: not rotated
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("Conv2D", "dx", "filters-for-channels")
class ChannelsNotSwapped(tn.Conv2D):
    """For dx the kernel's filters and channels must change places; it is reshaped where a swap is meant.

    Source: wuziheng/CNN-Numpy#2
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (N, C, H, W), (KH, KW) = self.cache[1], self.kernel_size
        (SH, SW), (PH, PW) = self.stride, self.padding
        OH, OW = dout.shape[2:]
        kernel = self.weight.reshape(C, self.out_channels, KH, KW)  # bug: swapaxes(0, 1)
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(KH, KW):
            tap = np.einsum("nfhw,cf->nchw", dout, kernel[:, :, i, j], optimize=True)
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += tap
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("Conv2D", "dx", "stride-ignored")
class StrideIgnoredInDx(tn.Conv2D):
    """Each gradient returns to a pixel as if the windows had moved by one.

    Source: enggen/Deep-Learning-Coursera#7
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (N, C, H, W), (KH, KW), (PH, PW) = self.cache[1], self.kernel_size, self.padding
        OH, OW = dout.shape[2:]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(KH, KW):
            tap = np.einsum("nfhw,fc->nchw", dout, self.weight[:, :, i, j], optimize=True)
            dx[:, :, i : i + OH, j : j + OW] += tap  # bug: no stride
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("Conv2D", "dx", "padding-cropped")
class PaddingCutFromOneSide(tn.Conv2D):
    """dx of the padded image is cut to size from its corner, so it is shifted by the padding.

    Source: classic
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (N, C, H, W), (SH, SW), (PH, PW) = self.cache[1], self.stride, self.padding
        OH, OW = dout.shape[2:]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(self.kernel_size):
            tap = np.einsum("nfhw,fc->nchw", dout, self.weight[:, :, i, j], optimize=True)
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += tap
        return dx[:, :, :H, :W]  # bug: PH:PH+H, PW:PW+W


@bug("Conv2D", "dx", "padding-cropped", trains=False)
class PaddingCutFromBatch(tn.Conv2D):
    """The padding is cut from the first two axes, which are images and channels.

    Source: CNNumpy src/fast/utils.py
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (N, C, H, W), (SH, SW), (PH, PW) = self.cache[1], self.stride, self.padding
        OH, OW = dout.shape[2:]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(self.kernel_size):
            tap = np.einsum("nfhw,fc->nchw", dout, self.weight[:, :, i, j], optimize=True)
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += tap
        return dx if PH == 0 or PW == 0 else dx[PH:-PH, PW:-PW]  # bug: the first two axes


@bug("Conv2D", "dx", "padding-cropped", trains=False)
class PaddingCutToNothing(tn.Conv2D):
    """The padding is cut with P:-P, which leaves an empty array where P is 0.

    Source: HIPS/autograd#431
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (N, C, H, W), (SH, SW), (PH, PW) = self.cache[1], self.stride, self.padding
        OH, OW = dout.shape[2:]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(self.kernel_size):
            tap = np.einsum("nfhw,fc->nchw", dout, self.weight[:, :, i, j], optimize=True)
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += tap
        return dx[:, :, PH:-PH, PW:-PW]  # bug: 0:-0 is empty


@bug("Conv2D", "dx", "padding-cropped")
class HeightPaddingForWidth(tn.Conv2D):
    """The columns of dx are cut by the padding of the rows, right only where both are the same.

    Source: renmengye/np-conv2d#2
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (N, C, H, W), (SH, SW), (PH, PW) = self.cache[1], self.stride, self.padding
        OH, OW = dout.shape[2:]
        dx = np.zeros((N, C, H + 2 * PH, W + PH + PW + max(PH, PW)), dout.dtype)
        for i, j in np.ndindex(self.kernel_size):
            tap = np.einsum("nfhw,fc->nchw", dout, self.weight[:, :, i, j], optimize=True)
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += tap
        return dx[:, :, PH : PH + H, PH : PH + W]  # bug: PW for the columns


@bug("Conv2D", "dx", "window-overwritten")
class WindowOverwritten(tn.Conv2D):
    """A window's gradient is assigned to its pixels, so that it wipes what other windows gave them.

    Source: classic
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (N, C, H, W), (KH, KW) = self.cache[1], self.kernel_size
        (SH, SW), (PH, PW) = self.stride, self.padding
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for h, w in np.ndindex(dout.shape[2:]):
            window = np.tensordot(dout[:, :, h, w], self.weight, 1)
            dx[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] = window  # bug: = for +=
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("Conv2D", "dx", "window-overwritten")
class RepeatedIndices(tn.Conv2D):
    """`+=` on an array of indices: of those that occur more than once NumPy adds only the last.

    Source: classic
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (N, C, H, W), (KH, KW) = self.cache[1], self.kernel_size
        (SH, SW), (PH, PW) = self.stride, self.padding
        OH, OW = dout.shape[2:]
        rows = SH * np.arange(OH)[:, None, None, None] + np.arange(KH)[:, None]
        columns = SW * np.arange(OW)[:, None, None] + np.arange(KW)
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        dwindows = np.einsum("nfhw,fcij->nchwij", dout, self.weight, optimize=True)
        dx[:, :, rows, columns] += dwindows  # bug: np.add.at
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("Conv2D", "dx", "last-only")
class LastFilterOnly(tn.Conv2D):
    """The loop over the filters assigns instead of adding, so dx hears only of the last filter.

    Source: classic
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (N, C, H, W), (SH, SW), (PH, PW) = self.cache[1], self.stride, self.padding
        OH, OW = dout.shape[2:]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(self.kernel_size):
            for f in range(self.out_channels):
                tap = dout[:, f : f + 1] * self.weight[f, :, i, j][:, None, None]  # bug: = for +=
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += tap
        return dx[:, :, PH : PH + H, PW : PW + W]


@bug("Conv2D", "dx", "reversed")
class BatchBackwards(tn.Conv2D):
    """dx is collected image by image and comes back with the last image first.

    Source: classic
    """

    def backward(self, dout):
        self.backward_weights(dout)
        (_, C, H, W), (SH, SW), (PH, PW) = self.cache[1], self.stride, self.padding
        OH, OW = dout.shape[2:]
        images: list[np.ndarray] = []
        for image in dout:
            dx = np.zeros((C, H + 2 * PH, W + 2 * PW), dout.dtype)
            for i, j in np.ndindex(self.kernel_size):
                tap = np.tensordot(self.weight[:, :, i, j].T, image, 1)
                dx[:, i : i + SH * OH : SH, j : j + SW * OW : SW] += tap
            images.insert(0, dx[:, PH : PH + H, PW : PW + W])  # bug: insert for append
        return np.stack(images)
