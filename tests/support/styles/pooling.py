"""Right code for max and average pooling, each class in another style."""

import math

import numpy as np

from styles.convolution import Conv2DByFullConvolution
from styles.shared import AnyPool, at


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
