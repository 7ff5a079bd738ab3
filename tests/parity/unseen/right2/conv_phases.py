import numpy as np

from tinycnn_numpy.layer import Layer


class Conv2D(Layer):
    """A strided convolution as a sum of unstrided ones over the phases of the image."""

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

    def taps(self, x_pad, size):
        """Each entry i, j of the kernel with the view of x_pad that it meets: phase i % SH, shift i // SH."""
        (SH, SW), (OH, OW) = self.stride, size
        for i, j in np.ndindex(self.kernel_size):
            phase = x_pad[:, :, i % SH :: SH, j % SW :: SW]
            yield (i, j), phase[:, :, i // SH : i // SH + OH, j // SW : j // SW + OW]

    def forward(self, x):
        PH, PW = self.padding
        x_pad = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        size = tuple((n - k) // s + 1 for n, k, s in zip(x_pad.shape[2:], self.kernel_size, self.stride))
        out = np.zeros((len(x), self.out_channels, *size), x.dtype)
        if self.bias is not None:
            out += self.bias.reshape(1, -1, 1, 1)
        for (i, j), tap in self.taps(x_pad, size):
            out += np.einsum("fc,nchw->nfhw", self.weight[:, :, i, j], tap)
        self.cache = x_pad, x.shape[2:]
        return out

    def backward(self, dout):
        x_pad, (H, W) = self.cache
        PH, PW = self.padding
        dx_pad, self.dweight = np.zeros_like(x_pad), np.empty_like(self.weight)
        taps = zip(self.taps(x_pad, dout.shape[2:]), self.taps(dx_pad, dout.shape[2:]))
        for ((i, j), tap), (_, dtap) in taps:
            self.dweight[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, tap)
            dtap += np.einsum("fc,nfhw->nchw", self.weight[:, :, i, j], dout)
        if self.bias is not None:
            self.dbias = dout.sum(axis=3).sum(axis=2).sum(axis=0)
        return dx_pad[:, :, PH : PH + H, PW : PW + W]
