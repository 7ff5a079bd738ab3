"""Right layers, losses and optimisers as students write them, each in another style: STYLES lists them all.

Their interface is the library's, some without its optional parameters. The first class of every chapter holds
what the styles after it would repeat. All are right for finite numbers and a batch of at least one; what the
library checks and refuses, they do not.
"""

import math
from functools import reduce
from operator import mul

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft2, rfft2
from scipy.special import log_softmax, logsumexp, softmax

import tinycnn_numpy as tn
from examples.experiments.ladder import fft, im2col, one_loop_a_pixel, pad, six_loops, windows_einsum
from parity.doctor import plain
from tinycnn_numpy.layer import Parameter


def pair(value):
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def at(i, j, dout, stride):
    """The pixels that entry i, j of every window reads: an index of images that are already padded."""
    (OH, OW), (SH, SW) = dout.shape[2:], stride
    return np.s_[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW]


def windows_of(x, kernel_size, stride):
    """(N, C, OH, OW, KH, KW), a view."""
    return sliding_window_view(x, kernel_size, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]


def crop(padded, padding):
    (H, W), (PH, PW) = padded.shape[2:], padding
    return padded[:, :, PH : H - PH, PW : W - PW]


def parameters_of(layer):
    if hasattr(layer, "parameters"):
        return layer.parameters()
    return [Parameter(layer, name) for name in ("weight", "bias") if getattr(layer, name, None) is not None]


class AnyConv:
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32
    ):
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)
        shape = (out_channels, in_channels, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_channels).astype(dtype) if bias else None

    def forward(self, x):
        self.x, zeros = pad(x, self.padding), np.zeros(len(self.weight), x.dtype)
        return self.convolve(self.x, self.weight, zeros if self.bias is None else self.bias)

    def backward(self, dout):
        self.dbias = None if self.bias is None else dout.sum(axis=(0, 2, 3))
        self.dweight, dx = self.gradients(self.x, self.weight, dout)
        return crop(dx, self.padding)


class Conv2DByLoops(AnyConv):
    """Plain Python loops over everything, forward and backward."""

    def convolve(self, x, weight, bias):
        return six_loops(x, weight, bias, self.stride, (0, 0))

    def gradients(self, x, weight, dout):
        dx, dweight, (SH, SW) = np.zeros(x.shape, x.dtype), np.zeros(weight.shape, x.dtype), self.stride
        for n, f, h, w in np.ndindex(dout.shape):
            for c, i, j in np.ndindex(weight.shape[1:]):
                dweight[f, c, i, j] += dout[n, f, h, w] * x[n, c, h * SH + i, w * SW + j]
                dx[n, c, h * SH + i, w * SW + j] += dout[n, f, h, w] * weight[f, c, i, j]
        return dweight, dx


class Conv2DByPixelsInFloat64(AnyConv):
    """One loop over the pixels of out, in float64 inside and cast back at the end."""

    def convolve(self, x, weight, bias):
        wide = (array.astype(np.float64) for array in (x, weight, bias))
        return one_loop_a_pixel(*wide, self.stride, (0, 0)).astype(x.dtype)

    def gradients(self, x, weight, dout):
        x64, w64, dout64 = (array.astype(np.float64) for array in (x, weight, dout))
        dx, dweight, (KH, KW), (SH, SW) = x64 * 0, w64 * 0, self.kernel_size, self.stride
        for h, w in np.ndindex(dout.shape[2:]):
            window = np.s_[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW]
            dweight += np.tensordot(dout64[:, :, h, w], x64[window], (0, 0))
            dx[window] += np.tensordot(dout64[:, :, h, w], w64, 1)
        return dweight.astype(x.dtype), dx.astype(x.dtype)


class Conv2DByIm2col(AnyConv):
    """im2col through explicit index arrays, and np.add.at on the way back."""

    def convolve(self, x, weight, bias):
        numbers = windows_of(np.arange(x[0].size).reshape(1, *x.shape[1:]), self.kernel_size, self.stride)
        (_, C, OH, OW, KH, KW), F = numbers.shape, len(weight)
        self.index = numbers[0].transpose(0, 3, 4, 1, 2).reshape(C * KH * KW, OH * OW)
        self.columns = x.reshape(len(x), -1)[:, self.index]
        return (weight.reshape(F, -1) @ self.columns + bias[:, None]).reshape(len(x), F, OH, OW)

    def gradients(self, x, weight, dout):
        N, F, dx = len(x), len(weight), np.zeros((len(x), x[0].size), x.dtype)
        dout = dout.reshape(N, F, -1)
        np.add.at(dx, (slice(None), self.index), weight.reshape(F, -1).T @ dout)
        dweight = (dout @ self.columns.swapaxes(1, 2)).sum(axis=0)
        return dweight.reshape(weight.shape), dx.reshape(x.shape)


class Conv2DByEinsum(AnyConv):
    """Sliding windows and einsum; dweight is read-only."""

    def convolve(self, x, weight, bias):
        return windows_einsum(x, weight, bias, self.stride, (0, 0))

    def gradients(self, x, weight, dout):
        dwindows, dx = np.einsum("nfhw,fcij->ijnchw", dout, weight), np.zeros_like(x)
        for i, j in np.ndindex(self.kernel_size):
            dx[at(i, j, dout, self.stride)] += dwindows[i, j]
        dweight = np.einsum("nchwij,nfhw->fcij", windows_of(x, self.kernel_size, self.stride), dout)
        dweight.flags.writeable = False
        return dweight, dx


class Conv2DWithoutOptions(Conv2DByEinsum):
    """Sliding windows and einsum, and a constructor without stride, padding, bias and dtype."""

    def __init__(self, in_channels, out_channels, kernel_size, *, rng):
        super().__init__(in_channels, out_channels, kernel_size, rng=rng)


class Conv2DByTensordot(AnyConv):
    """Sliding windows and tensordot; np.bincount adds up the gradients of a pixel, in float64."""

    def convolve(self, x, weight, bias):
        windows = windows_of(x, self.kernel_size, self.stride)
        return np.moveaxis(np.tensordot(windows, weight, ((1, 4, 5), (1, 2, 3))) + bias, 3, 1)

    def gradients(self, x, weight, dout):
        numbers = windows_of(np.arange(x.size).reshape(x.shape), self.kernel_size, self.stride)
        dwindows = np.tensordot(dout, weight, (1, 0)).transpose(0, 3, 1, 2, 4, 5)
        dx = np.bincount(numbers.ravel(), dwindows.ravel(), x.size).astype(x.dtype)
        windows = windows_of(x, self.kernel_size, self.stride)
        return np.tensordot(dout, windows, ((0, 2, 3), (0, 2, 3))), dx.reshape(x.shape)


class Conv2DByFFT(AnyConv):
    """Products of spectra, forward and backward; the stride skips what was computed too much."""

    def convolve(self, x, weight, bias):
        return fft(x, weight, bias, self.stride, (0, 0))

    def gradients(self, x, weight, dout):
        size, dilated = x.shape[2:], np.zeros((*dout.shape[:2], *x.shape[2:]), x.dtype)
        dilated[at(0, 0, dout, self.stride)] = dout
        x_hat, dout_hat, weight_hat = rfft2(x), rfft2(dilated), rfft2(weight, size)
        dweight = irfft2(np.einsum("nchw,nfhw->fchw", x_hat, dout_hat.conj()), size)
        dx = irfft2(np.einsum("nfhw,fchw->nchw", dout_hat, weight_hat), size)
        return dweight[:, :, : weight.shape[2], : weight.shape[3]], dx


class Conv2DChannelsLast(AnyConv):
    """Images as (N, H, W, C) inside: a product over the last axis for each kernel position."""

    def convolve(self, x, weight, bias):
        images, (KH, KW), (SH, SW) = np.moveaxis(x, 1, 3).copy(), self.kernel_size, self.stride
        bottom, right = x.shape[2] - KH + 1, x.shape[3] - KW + 1
        spots = [np.s_[:, i : bottom + i : SH, j : right + j : SW] for i, j in np.ndindex(KH, KW)]
        self.parts = list(zip(np.ndindex(KH, KW), spots, strict=True))
        return np.moveaxis(sum(images[spot] @ weight[:, :, *ij].T for ij, spot in self.parts) + bias, 3, 1)

    def gradients(self, x, weight, dout):
        images, dout = np.moveaxis(x, 1, 3).copy(), np.moveaxis(dout, 1, 3)
        dimages, dkernel = np.zeros_like(images), np.zeros((*self.kernel_size, *weight.shape[:2]), x.dtype)
        for ij, spot in self.parts:
            dimages[spot] += dout @ weight[:, :, *ij]
            dkernel[ij] = np.tensordot(dout, images[spot], ((0, 1, 2), (0, 1, 2)))
        return np.moveaxis(dkernel, (2, 3), (0, 1)), np.moveaxis(dimages, 3, 1)


class Conv2DByKernelPositions(AnyConv, tn.Layer):
    """One loop over the kernel's entries, on top of the library's Layer; results in Fortran order."""

    def convolve(self, x, weight, bias):
        (N, _, H, W), (F, _, KH, KW), (SH, SW) = x.shape, weight.shape, self.stride
        out = np.zeros((N, F, (H - KH) // SH + 1, (W - KW) // SW + 1), x.dtype, order="F")
        out += bias[:, None, None]
        for i, j in np.ndindex(KH, KW):
            out += np.einsum("nchw,fc->nfhw", x[at(i, j, out, self.stride)], weight[:, :, i, j])
        return out

    def gradients(self, x, weight, dout):
        dx, dweight = np.zeros_like(x, order="F"), np.zeros_like(weight, order="F")
        for i, j in np.ndindex(self.kernel_size):
            spot = at(i, j, dout, self.stride)
            dx[spot] += np.einsum("nfhw,fc->nchw", dout, weight[:, :, i, j])
            dweight[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, x[spot])
        return dweight, dx


class Conv2DByFullConvolution(AnyConv):
    """dx is a full convolution of the dilated dout with the flipped kernel, dweight one of x with dout."""

    def convolve(self, x, weight, bias):
        return im2col(x, weight, bias, self.stride, (0, 0))

    def gradients(self, x, weight, dout):
        (N, F, OH, OW), (SH, SW), (_, C, KH, KW) = dout.shape, self.stride, weight.shape
        dilated = np.zeros((N, F, (OH - 1) * SH + 1, (OW - 1) * SW + 1), x.dtype)
        dilated[:, :, ::SH, ::SW] = dout
        images, filters, no_bias = x.swapaxes(0, 1), dilated.swapaxes(0, 1), np.zeros(C + F, x.dtype)
        dweight = im2col(images, filters, no_bias[:F], (1, 1), (0, 0))[:, :, :KH, :KW]
        flipped, dx = weight[:, :, ::-1, ::-1].swapaxes(0, 1), np.zeros_like(x)
        full = im2col(dilated, flipped, no_bias[:C], (1, 1), (KH - 1, KW - 1))
        dx[:, :, : full.shape[2], : full.shape[3]] = full  # no window reaches what is left
        return dweight.swapaxes(0, 1), dx


class AnyPool:
    fill = 0.0

    def __init__(self, kernel_size, stride=None, padding=0):
        self.kernel_size, self.padding = pair(kernel_size), pair(padding)
        self.stride = self.kernel_size if stride is None else pair(stride)

    def forward(self, x):
        PH, PW = self.padding
        x = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], constant_values=self.fill)
        self.x, self.windows = x, windows_of(x, self.kernel_size, self.stride)
        return self.pool(x, self.windows, np.empty(self.windows.shape[:4], x.dtype))

    def backward(self, dout):
        return crop(self.spread(dout, np.zeros(self.x.shape, dout.dtype)), self.padding)


class MaxPool2DByLoops(AnyPool):
    """A loop over every window, and argmax in it."""

    fill = -np.inf

    def pool(self, x, windows, out):
        self.winners = {}
        for n, c, h, w in np.ndindex(out.shape):
            i, j = np.unravel_index(windows[n, c, h, w].argmax(), self.kernel_size)
            self.winners[n, c, h, w] = n, c, h * self.stride[0] + i, w * self.stride[1] + j
            out[n, c, h, w] = x[self.winners[n, c, h, w]]
        return out

    def spread(self, dout, dx):
        for spot, winner in self.winners.items():
            dx[winner] += dout[spot]
        return dx


class MaxPool2DByReshape(MaxPool2DByLoops):
    """One reshape where the windows tile the image exactly, loops otherwise."""

    def pool(self, x, windows, out):
        N, C, OH, OW, KH, KW = windows.shape
        self.tiled = self.stride == (KH, KW) and x.shape[2:] == (OH * KH, OW * KW)
        if not self.tiled:
            return super().pool(x, windows, out)
        tiles = x.reshape(N, C, OH, KH, OW, KW).swapaxes(3, 4).reshape(N, C, OH, OW, KH * KW)
        self.first = tiles.argmax(axis=4)[..., None] == np.arange(KH * KW)
        return tiles.max(axis=4)

    def spread(self, dout, dx):
        if not self.tiled:
            return super().spread(dout, dx)
        tiles = (self.first * dout[..., None]).reshape(*dout.shape, *self.kernel_size)
        return tiles.swapaxes(3, 4).reshape(dx.shape)


class MaxPool2DBySlidingWindows(AnyPool):
    """Sliding windows, one argmax for all, and np.add.at on the way back; out in Fortran order."""

    fill = -np.inf

    def pool(self, x, windows, out):
        KW, winner = self.kernel_size[1], windows.reshape(*out.shape, -1).argmax(axis=-1)
        n, c, h, w = np.indices(out.shape)
        self.index = n, c, h * self.stride[0] + winner // KW, w * self.stride[1] + winner % KW
        return np.asfortranarray(x[self.index])

    def spread(self, dout, dx):
        np.add.at(dx, self.index, dout)
        return dx


class MaxPool2DByMask(AnyPool):
    """A mask of the maxima, of which a cumulative sum keeps the first."""

    fill = -np.inf

    def pool(self, x, windows, out):
        equal = (windows == windows.max(axis=(4, 5), keepdims=True)).reshape(*out.shape, -1)
        self.mask = (equal & (equal.cumsum(axis=-1) == 1)).reshape(windows.shape)
        return windows.max(axis=(4, 5))

    def spread(self, dout, dx):
        for i, j in np.ndindex(self.kernel_size):
            dx[at(i, j, dout, self.stride)] += dout * self.mask[..., i, j]
        return dx


class MaxPool2DWithoutOptions(MaxPool2DByMask):
    """A mask of the maxima, and a constructor with kernel_size alone."""

    def __init__(self, kernel_size):
        super().__init__(kernel_size)


class AvgPool2DByLoops(AnyPool):
    """A loop over every window; out has negative strides."""

    def pool(self, x, windows, out):
        out = out[:, :, ::-1, ::-1]
        for n, c, h, w in np.ndindex(out.shape):
            out[n, c, h, w] = windows[n, c, h, w].mean()
        return out

    def spread(self, dout, dx):
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        for h, w in np.ndindex(dout.shape[2:]):
            share = dout[:, :, h : h + 1, w : w + 1] / (KH * KW)
            dx[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] += share
        return dx


class AvgPool2DByConvolution(AnyPool):
    """A convolution of every channel with a constant kernel."""

    def pool(self, x, windows, out):
        rng = np.random.default_rng(0)
        conv = Conv2DByFullConvolution(1, 1, self.kernel_size, self.stride, bias=False, rng=rng)
        conv.weight = np.full((1, 1, *self.kernel_size), 1 / math.prod(self.kernel_size), x.dtype)
        self.conv = conv
        return conv.forward(x.reshape(-1, 1, *x.shape[2:])).reshape(out.shape)

    def spread(self, dout, dx):
        return self.conv.backward(dout.reshape(-1, 1, *dout.shape[2:])).reshape(dx.shape)


class AvgPool2DByIntegralImage(AnyPool):
    """Four corners of a cumulative sum, in float64 inside; backward the cumulative sum of four corners."""

    def signs_and_spots(self, out):
        for i, j in np.ndindex(2, 2):
            yield (-1) ** (i + j), at(i * self.kernel_size[0], j * self.kernel_size[1], out, self.stride)

    def pool(self, x, windows, out):
        sums = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (1, 0), (1, 0)]).cumsum(axis=2).cumsum(axis=3)
        totals = sum(sign * sums[spot] for sign, spot in self.signs_and_spots(out))
        return (totals / math.prod(self.kernel_size)).astype(x.dtype)

    def spread(self, dout, dx):
        steps = np.pad(dx.astype(np.float64), [(0, 0), (0, 0), (0, 1), (0, 1)])
        for sign, spot in self.signs_and_spots(dout):
            steps[spot] += sign * dout / math.prod(self.kernel_size)
        return steps.cumsum(axis=2).cumsum(axis=3)[:, :, :-1, :-1].astype(dout.dtype)


class AvgPool2DWithoutPadding(AvgPool2DByConvolution):
    """A convolution of every channel with a constant kernel, and a constructor without padding."""

    def __init__(self, kernel_size, stride=None):
        super().__init__(kernel_size, stride)


class ReLUByWhere:
    """np.where, forward and backward; without an attribute named cache."""

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, 0)

    def backward(self, dout):
        return np.where(self.x > 0, dout, 0)


class ReLUByAssignment:
    """Boolean assignment on a copy."""

    def forward(self, x):
        out, self.closed = x.copy(), x <= 0
        out[self.closed] = 0
        return out

    def backward(self, dout):
        dx = np.array(dout)
        dx[self.closed] = 0
        return dx


class ReLUByMask(tn.Layer):
    """A product with the mask, which is remembered; on top of the library's Layer."""

    def forward(self, x):
        self.cache = x > 0
        return x * self.cache

    def backward(self, dout):
        return dout * self.cache


class ReLUByAbsoluteValue:
    """(x + |x|) / 2, and the sign of that for the gradient."""

    def forward(self, x):
        self.out = (x + abs(x)) / 2
        return self.out

    def backward(self, dout):
        return dout * np.sign(self.out)


class ReLUReadOnly:
    """np.maximum and np.heaviside; what it returns is read-only."""

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        out, self.slope = np.maximum(x, 0), np.heaviside(x, 0)
        out.flags.writeable = False
        return out

    def backward(self, dout):
        return np.broadcast_to(dout * self.slope, dout.shape)


class FlattenByReshape:
    """reshape, and NumPy works out the length of a row."""

    def forward(self, x):
        self.shape = x.shape
        return x.reshape(x.shape[0], -1)

    def backward(self, dout):
        return dout.reshape(self.shape)


class FlattenByRows:
    """Every image to a list of its own; out is in Fortran order."""

    def forward(self, x):
        self.image = x.shape[1:]
        return np.array([image.ravel() for image in x], order="F")

    def backward(self, dout):
        return np.stack([row.reshape(self.image) for row in dout])


class FlattenReversed(tn.Layer):
    """Both ways through the reversed batch: the results have negative strides."""

    def forward(self, x):
        self.cache = x.shape
        return np.array(x[::-1]).reshape(len(x), math.prod(x.shape[1:]))[::-1]

    def backward(self, dout):
        return np.array(dout[::-1]).reshape(self.cache)[::-1]


class AnyDense:
    def __init__(self, in_features, out_features, bias=True, *, rng, dtype=np.float32):
        bound = in_features**-0.5
        self.weight = rng.uniform(-bound, bound, (in_features, out_features)).astype(dtype).T  # Fortran order
        self.bias = rng.uniform(-bound, bound, out_features).astype(dtype) if bias else None


class DenseByEinsum(AnyDense):
    """einsum for every sum."""

    def forward(self, x):
        self.x = x
        out = np.einsum("nk,mk->nm", x, self.weight)
        return out if self.bias is None else out + self.bias

    def backward(self, dout):
        self.dweight, self.dbias = np.einsum("nm,nk->mk", dout, self.x), np.einsum("nm->m", dout)
        return np.einsum("nm,mk->nk", dout, self.weight)


class DenseByDotWithoutOptions:
    """np.dot, weights from a generator of its own, always a bias; dweight is a transposed view."""

    def __init__(self, in_features, out_features):
        self.weight = np.random.default_rng().normal(0, 0.1, (out_features, in_features)).astype(np.float32)
        self.bias = np.zeros(out_features, np.float32)

    def forward(self, x):
        self.x = x
        return np.dot(x, self.weight.T) + self.bias

    def backward(self, dout):
        self.dbias = np.dot(np.ones(len(dout), dout.dtype), dout)
        self.dweight = np.dot(self.x.T, dout).T
        return np.dot(dout, self.weight)


class DenseByOuterProducts(AnyDense, tn.Layer):
    """A loop over the batch: outer products for the gradient, which is read-only; a Layer of the library."""

    def forward(self, x):
        self.cache, bias = x, 0 if self.bias is None else self.bias
        return np.stack([self.weight @ row + bias for row in x])

    def backward(self, dout):
        self.dweight = sum(np.outer(d, row) for d, row in zip(dout, self.cache, strict=True))
        self.dweight.flags.writeable = False
        if self.bias is not None:
            self.dbias = sum(dout)
        return np.stack([self.weight.T @ d for d in dout])


class DenseByExactSums(AnyDense):
    """Every sum by math.fsum: in float32 the right answer almost to the last bit; without cache."""

    def product(self, a, b):
        sums = [math.fsum(map(mul, row, column)) for row in a.tolist() for column in b.T.tolist()]
        return np.array(sums, a.dtype).reshape(len(a), b.shape[1])

    def forward(self, x):
        self.x, out = x, self.product(x, self.weight.T)
        return out if self.bias is None else out + self.bias

    def backward(self, dout):
        self.dweight = self.product(dout.T, self.x)
        self.dbias = np.array([math.fsum(column) for column in dout.T.tolist()], dout.dtype)
        return self.product(dout, self.weight)


class CrossEntropyLossByLogsumexp:
    """scipy.special's logsumexp and softmax; the loss is a Python float."""

    def forward(self, logits, labels):
        self.logits, self.labels = logits, labels
        right = np.take_along_axis(logits, labels.reshape(-1, 1).astype(np.intp), axis=1)
        return float(np.mean(logsumexp(logits, axis=1, keepdims=True) - right))

    def backward(self):
        dlogits = softmax(self.logits, axis=1)
        dlogits[range(len(self.labels)), self.labels] -= 1
        dlogits /= len(self.labels)
        return dlogits


class CrossEntropyLossByOneHot:
    """A one-hot matrix; the loss is a 0-d array."""

    def __call__(self, logits, labels):
        return self.forward(logits, labels)

    def forward(self, logits, labels):
        self.one_hot = np.eye(logits.shape[1], dtype=logits.dtype)[labels]
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.probs = exp / exp.sum(axis=1, keepdims=True)
        log_probs = logits - logits.max(axis=1, keepdims=True) - np.log(exp.sum(axis=1, keepdims=True))
        return np.array(-np.sum(self.one_hot * log_probs) / len(labels), logits.dtype)

    def backward(self):
        return (self.probs - self.one_hot) / len(self.probs)


class CrossEntropyLossByLoops:
    """A loop over the rows with Python's math; gradient and loss at once, in double precision inside."""

    def __call__(self, logits, labels):
        total, self.dlogits = 0.0, np.zeros(logits.shape, logits.dtype, order="F")
        for n, (row, label) in enumerate(zip(logits.tolist(), labels.tolist(), strict=True)):
            log_sum = max(row) + math.log(sum(math.exp(value - max(row)) for value in row))
            total += log_sum - row[label]
            for k, value in enumerate(row):
                self.dlogits[n, k] = (math.exp(value - log_sum) - (k == label)) / len(labels)
        return logits.dtype.type(total / len(labels))

    forward = __call__

    def backward(self):
        return self.dlogits


class CrossEntropyLossByLogSoftmax:
    """scipy.special's log_softmax; the gradient of every step by the chain rule, and read-only."""

    def forward(self, logits, labels):
        self.log_probs, self.labels = log_softmax(logits, axis=1), labels
        return -self.log_probs[np.arange(len(labels)), labels].mean()

    def backward(self):
        dlog_probs = np.zeros_like(self.log_probs)
        dlog_probs[np.arange(len(self.labels)), self.labels] = -1 / len(self.labels)
        dlogits = dlog_probs - np.exp(self.log_probs) * dlog_probs.sum(axis=1, keepdims=True)
        dlogits.flags.writeable = False
        return dlogits


class OptimizerOfAnyKind:
    def step(self):
        self.steps += 1
        for i, p in enumerate(self.parameters):
            self.update(i, p.data, p.grad + self.weight_decay * p.data)


class AnySGD(OptimizerOfAnyKind):
    def __init__(self, parameters, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        self.parameters, self.lr, self.weight_decay = list(parameters), lr, weight_decay
        self.momentum, self.nesterov, self.steps, self.state = momentum, nesterov, 0, {}


class SGDInPlace(AnySGD):
    """Everything in place, with one buffer for each parameter in a dict by index."""

    def update(self, i, data, g):
        b = self.state.setdefault(i, np.zeros_like(data))
        b *= self.momentum
        b += g
        g += self.momentum * b
        data -= self.lr * (g if self.nesterov else b)


class SGDByVelocity(AnySGD):
    """The buffer holds -lr * b, in a dict by id: the same while lr stays what it was."""

    def update(self, i, data, g):
        key, push = id(self.parameters[i]), -self.lr * g
        self.state[key] = velocity = self.momentum * self.state.get(key, 0.0) + push
        data += push + self.momentum * velocity if self.nesterov else velocity


class SGDInFloat64(AnySGD):
    """A float64 buffer that starts as the first gradient, as PyTorch's does; cast at the end."""

    def update(self, i, data, g):
        g = g.astype(np.float64)
        self.state[i] = b = self.momentum * self.state[i] + g if i in self.state else g
        data[...] = data.astype(np.float64) - self.lr * (g + self.momentum * b if self.nesterov else b)


class SGDWithoutOptions:
    """Only the learning rate."""

    def __init__(self, parameters, lr):
        self.parameters, self.lr = parameters, lr

    def step(self):
        for p in self.parameters:
            np.subtract(p.data, self.lr * p.grad, out=p.data)


class AnyAdam(OptimizerOfAnyKind):
    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        self.parameters, self.lr, self.weight_decay = list(parameters), lr, weight_decay
        (self.beta1, self.beta2), self.eps, self.steps, self.state = betas, eps, 0, {}


class AdamInPlace(AnyAdam):
    """Everything in place, with two means for each parameter in a dict by index."""

    def update(self, i, data, g):
        m, v = self.state.setdefault(i, (np.zeros_like(data), np.zeros_like(data)))
        m *= self.beta1
        m += (1 - self.beta1) * g
        v *= self.beta2
        v += (1 - self.beta2) * g**2
        root = np.sqrt(v / (1 - self.beta2**self.steps))
        data -= self.lr * (m / (1 - self.beta1**self.steps)) / (root + self.eps)


class AdamByStepSize(AnyAdam):
    """Both corrections in the step size, with eps scaled to match; a dict by id."""

    def update(self, i, data, g):
        key, root = id(self.parameters[i]), math.sqrt(1 - self.beta2**self.steps)
        m, v = self.state.get(key, (0.0, 0.0))
        m, v = self.beta1 * m + (1 - self.beta1) * g, self.beta2 * v + (1 - self.beta2) * g * g
        self.state[key] = m, v
        data -= self.lr * root / (1 - self.beta1**self.steps) * m / (np.sqrt(v) + self.eps * root)


class AdamInFloat64(AnyAdam):
    """A float64 state cast at the end; the corrected means themselves, as weighted means of all gradients."""

    def update(self, i, data, g):
        g = g.astype(np.float64)
        m, v = self.state.get(i, (g, g * g))
        m = m + (g - m) * (1 - self.beta1) / (1 - self.beta1**self.steps)
        v = v + (g * g - v) * (1 - self.beta2) / (1 - self.beta2**self.steps)
        self.state[i] = m, v
        data[...] = data.astype(np.float64) - self.lr * m / (v**0.5 + self.eps)


class AdamWithoutOptions(AdamInPlace):
    """Everything in place; only the learning rate can be chosen."""

    def __init__(self, parameters, lr=0.001):
        super().__init__(parameters, lr)


class SequentialByList:
    """A list, forwards and backwards; every stage is an attribute too."""

    def __init__(self, **stages):
        self.layers = list(stages.values())
        self.__dict__.update(stages)

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout):
        for layer in self.layers[::-1]:
            dout = layer.backward(dout)
        return dout

    backward_weights = backward

    def parameters(self):
        return [parameter for layer in self.layers for parameter in parameters_of(layer)]


class SequentialByReduce:
    """functools.reduce, both ways; neither parameters nor attributes for the stages."""

    def __init__(self, **stages):
        self.stages = stages

    def forward(self, x):
        return reduce(lambda value, layer: layer.forward(value), self.stages.values(), x)

    def backward(self, dout):
        return reduce(lambda value, layer: layer.backward(value), reversed(self.stages.values()), dout)


class SequentialByRecursion(tn.Layer):
    """The first stage, then a Sequential of the others; on top of the library's Layer."""

    def __init__(self, **stages):
        (self.name, self.first), *others = stages.items()
        self.others = SequentialByRecursion(**dict(others)) if others else None
        vars(self).update(stages)  # model.conv1 and so on

    def forward(self, x):
        out = self.first.forward(x)
        return out if self.others is None else self.others.forward(out)

    def backward(self, dout):
        return self.first.backward(dout if self.others is None else self.others.backward(dout))

    def named_parameters(self):
        yield from ((f"{self.name}.{p.name}", p) for p in parameters_of(self.first))
        yield from () if self.others is None else self.others.named_parameters()


class TinyCNNByAttributes:
    """One attribute for each layer, one line for each way; without rng or dtype."""

    def __init__(self):
        self.conv, self.relu = Conv2DByTensordot(1, 4, 3, rng=np.random.default_rng(0)), ReLUByWhere()
        self.pool, self.flatten = MaxPool2DWithoutOptions(2), FlattenByReshape()
        self.fc = DenseByDotWithoutOptions(36, 2)

    def forward(self, x):
        x = self.pool.forward(self.relu.forward(self.conv.forward(x)))
        return self.fc.forward(self.flatten.forward(x))

    def backward(self, dout):
        dout = self.flatten.backward(self.fc.backward(dout))
        return self.conv.backward(self.relu.backward(self.pool.backward(dout)))


class TinyCNNByInheritance(SequentialByList):
    """A list of layers whose results lie in unusual memory."""

    def __init__(self, *, rng, dtype=np.float32):
        super().__init__(
            conv=Conv2DByKernelPositions(1, 4, 3, rng=rng, dtype=dtype),
            relu=ReLUReadOnly(),
            pool=MaxPool2DBySlidingWindows(2),
            flatten=FlattenReversed(),
            fc=DenseByOuterProducts(36, 2, rng=rng, dtype=dtype),
        )


class MNISTCNNByRecursion(SequentialByRecursion):
    """A stage and the model after it, with the library's state_dict."""

    def __init__(self, *, rng, dtype=np.float32):
        super().__init__(
            conv1=Conv2DChannelsLast(1, 16, 3, rng=rng, dtype=dtype),
            relu1=ReLUByMask(),
            pool1=MaxPool2DByReshape(2),
            conv2=Conv2DByFullConvolution(16, 32, 3, rng=rng, dtype=dtype),
            relu2=ReLUByAssignment(),
            pool2=MaxPool2DByMask(2, 2),
            flatten=FlattenByReshape(),
            fc=DenseByEinsum(800, 10, rng=rng, dtype=dtype),
        )


class BatchNorm2DInOnePass(plain.BatchNorm2D):
    """var = mean(x*x) - mean*mean; dx from dx_hat, as most course notes write it."""

    def forward(self, x):
        if self.training:
            mean, M = x.mean(axis=(0, 2, 3)), x.size // x.shape[1]
            var = (x * x).mean(axis=(0, 2, 3)) - mean * mean
            self.running_mean += x.dtype.type(self.momentum) * (mean - self.running_mean)
            self.running_var += x.dtype.type(self.momentum) * (var * M / (M - 1) - self.running_var)
        else:
            mean, var = self.running_mean, self.running_var
        root = np.sqrt(var + self.eps)
        scale = self.weight / root
        self.cache = x, (x - mean[:, None, None]) / root[:, None, None], root
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]

    def backward(self, dout):
        dx = super().backward(dout)
        if self.training:
            _, x_hat, root = self.cache
            M, dx_hat = dout.size // dout.shape[1], dout * self.weight[:, None, None]
            sums = (array.sum(axis=(0, 2, 3))[:, None, None] for array in (dx_hat, dx_hat * x_hat))
            first, second = sums
            dx = (M * dx_hat - first - x_hat * second) / M / root[:, None, None]
        return dx


class BatchNorm2DPlain(plain.BatchNorm2D):
    """Channel by channel in N, C, H, W."""


class DropoutPlain(plain.Dropout):
    """A mask and a scale, kept apart."""


class DropoutByChoice(tn.Dropout):
    """What is kept is drawn by another distribution, in float64."""

    def forward(self, x):
        if not self.training:
            self.kept = np.ones(x.shape, bool)
            return x.copy()
        self.kept = self.rng.binomial(1, 1 - self.p, x.shape).astype(bool)
        return np.where(self.kept, x / x.dtype.type(1 - self.p), x.dtype.type(0))

    def backward(self, dout):
        scale = dout.dtype.type(1 - self.p if self.training else 1)
        return np.where(self.kept, dout / scale, dout.dtype.type(0))


STYLES: dict[str, list[type]] = {
    name: [value for key, value in list(globals().items()) if key.startswith(name)]
    for name in (
        *("Conv2D", "ReLU", "MaxPool2D", "AvgPool2D", "Flatten", "Dense", "CrossEntropyLoss", "SGD", "Adam"),
        *("BatchNorm2D", "Dropout", "Sequential", "TinyCNN", "MNISTCNN"),
    )
}
