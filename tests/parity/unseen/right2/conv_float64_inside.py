import numpy as np

from tinycnn_numpy.layer import Layer
from numpy.lib.stride_tricks import sliding_window_view


class Conv2D(Layer):
    """Every sum is taken in float64; only what leaves the layer has the dtype of the weight."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )
        bound = float(in_channels * self.kernel_size[0] * self.kernel_size[1]) ** -0.5
        shape = (out_channels, in_channels, *self.kernel_size)
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_channels).astype(dtype) if bias else None

    def out_of(self, array):
        return array.astype(self.weight.dtype)

    def forward(self, x):
        (SH, SW), (PH, PW) = self.stride, self.padding
        big = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        self.cache = sliding_window_view(big, self.kernel_size, (2, 3))[:, :, ::SH, ::SW], big.shape
        out = np.einsum("nchwij,fcij->nfhw", self.cache[0], self.weight.astype(np.float64), optimize=True)
        if self.bias is not None:
            out += self.bias.astype(np.float64)[:, None, None]
        return self.out_of(out)

    def backward(self, dout):
        windows, shape = self.cache
        (SH, SW), (PH, PW) = self.stride, self.padding
        dout = dout.astype(np.float64)
        self.dweight = self.out_of(np.einsum("nfhw,nchwij->fcij", dout, windows, optimize=True))
        if self.bias is not None:
            self.dbias = self.out_of(dout.sum(axis=(0, 2, 3)))
        big = np.zeros(shape)
        for h, w in np.ndindex(dout.shape[2:]):
            patch = big[:, :, h * SH :, w * SW :][:, :, : self.kernel_size[0], : self.kernel_size[1]]
            patch += np.tensordot(dout[:, :, h, w], self.weight.astype(np.float64), axes=1)
        return self.out_of(big[:, :, PH : shape[2] - PH, PW : shape[3] - PW])
