"""Right code for a convolution, each class in another style."""

import numpy as np
from scipy.fft import irfft2, rfft2

import tinycnn_numpy as tn
from examples.experiments.ladder import fft, im2col, one_loop_a_pixel, six_loops, windows_einsum
from styles.shared import AnyConv, at, windows_of


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
