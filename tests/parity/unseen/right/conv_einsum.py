import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinycnn_numpy.layer import Layer


def as_pair(v):
    return (v, v) if np.isscalar(v) else tuple(v)


class Conv2D(Layer):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = map(as_pair, (kernel_size, stride, padding))
        r = 1 / float(np.sqrt(in_channels * np.prod(self.kernel_size)))
        self.weight = rng.uniform(-r, r, (out_channels, in_channels) + self.kernel_size).astype(dtype)
        self.bias = rng.uniform(-r, r, out_channels).astype(dtype) if bias else None

    def forward(self, x):
        (ph, pw), (sh, sw) = self.padding, self.stride
        xp = np.pad(x, [(0, 0), (0, 0), (ph, ph), (pw, pw)])
        win = sliding_window_view(xp, self.kernel_size, (2, 3))[:, :, ::sh, ::sw]
        self.cache = x.shape, xp.shape, win
        y = np.einsum("nchwij,fcij->nfhw", win, self.weight)
        return y if self.bias is None else y + self.bias[None, :, None, None]

    def backward(self, dout):
        x_shape, xp_shape, win = self.cache
        (ph, pw), (sh, sw) = self.padding, self.stride
        self.dweight = np.einsum("nfhw,nchwij->fcij", dout, win)
        if self.bias is not None:
            self.dbias = np.einsum("nfhw->f", dout)
        dxp = np.zeros(xp_shape, dout.dtype)
        view = sliding_window_view(dxp, self.kernel_size, (2, 3), writeable=True)[:, :, ::sh, ::sw]
        for i, j in np.ndindex(*self.kernel_size):
            view[..., i, j] += np.einsum("nfhw,fc->nchw", dout, self.weight[:, :, i, j])
        return dxp[:, :, ph : ph + x_shape[2], pw : pw + x_shape[3]]
