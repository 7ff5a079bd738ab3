import numpy as np

from tinycnn_numpy.layer import Layer
from numpy.lib.stride_tricks import as_strided


class Windowed(Layer):
    """Pads, and shows the windows of an image: a view that may also be added to, one kernel entry at a time."""

    def pad(self, x):
        (PH, PW), (N, C, H, W) = self.padding, x.shape
        padded = np.zeros((N, C, H + 2 * PH, W + 2 * PW), x.dtype)
        self.inside(padded)[...] = x
        return padded

    def inside(self, padded):
        (PH, PW), (H, W) = self.padding, padded.shape[2:]
        return padded[:, :, PH : H - PH, PW : W - PW]

    def view(self, padded):
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        N, C, H, W = padded.shape
        n, c, h, w = padded.strides
        shape = (KH, KW, N, C, (H - KH) // SH + 1, (W - KW) // SW + 1)
        return as_strided(padded, shape, (h, w, n, c, h * SH, w * SW))


class Linear(Windowed):
    """Weights over windows, without a bias."""

    def forward(self, x):
        self.cache = self.pad(x)
        return sum(
            np.einsum("fc,nchw->nfhw", self.weight[:, :, i, j], tap)
            for i, row in enumerate(self.view(self.cache))
            for j, tap in enumerate(row)
        )

    def backward(self, dout):
        taps = self.view(self.cache)
        self.dweight = np.moveaxis(np.einsum("nfhw,ijnchw->ijfc", dout, taps), (0, 1), (2, 3)).copy()
        dpadded = np.zeros_like(self.cache)
        dtaps = self.view(dpadded)
        for i, j in np.ndindex(self.kernel_size):
            dtaps[i, j] += np.einsum("fc,nfhw->nchw", self.weight[:, :, i, j], dout)
        return self.inside(dpadded)


class Conv2D(Linear):
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

    def forward(self, x):
        out = super().forward(x)
        if self.bias is not None:
            out += self.bias[:, None, None]
        return out

    def backward(self, dout):
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 2, 3))
        return super().backward(dout)
