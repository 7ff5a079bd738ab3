import numpy as np

from tinycnn_numpy.layer import Layer


def unfold(x, axis, k, s):
    """A new axis of length k behind `axis`, which now counts windows."""
    count = (x.shape[axis] - k) // s + 1
    positions = s * np.arange(count)[:, None] + np.arange(k)
    return np.take(x, positions, axis=axis)


def fold(windows, axis, size, s):
    """The adjoint of unfold: add the windows back to an axis of length `size`."""
    windows = np.moveaxis(windows, (axis, axis + 1), (0, 1))
    count, k = windows.shape[:2]
    x = np.zeros((size, *windows.shape[2:]), windows.dtype)
    for i in range(count):
        x[i * s : i * s + k] += windows[i]
    return np.moveaxis(x, 0, axis)


class Conv2D(Layer):
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
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        padded = np.pad(x, [(0, 0), (0, 0), (ph, ph), (pw, pw)])
        windows = unfold(unfold(padded, 3, kw, sw), 2, kh, sh)  # n c h i w j
        self.cache = windows, padded.shape, x.shape
        out = np.einsum("nchiwj,fcij->nfhw", windows, self.weight, optimize=True)
        return out if self.bias is None else out + self.bias[None, :, None, None]

    def backward(self, dout):
        windows, padded_shape, (_, _, h, w) = self.cache
        (ph, pw), (sh, sw) = self.padding, self.stride
        self.backward_weights(dout)
        dwindows = np.einsum("nfhw,fcij->nchiwj", dout, self.weight, optimize=True)
        rows = fold(dwindows, 2, padded_shape[2], sh)
        return fold(rows, 3, padded_shape[3], sw)[:, :, ph : ph + h, pw : pw + w]

    def backward_weights(self, dout):
        self.dweight = np.einsum("nfhw,nchiwj->fcij", dout, self.cache[0], optimize=True)
        if self.bias is not None:
            self.dbias = np.einsum("nfhw->f", dout)
