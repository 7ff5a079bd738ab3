import numpy as np

from tinycnn_numpy.layer import Layer


class AvgPool2D(Layer):
    """Running sums along the rows, then along the columns: a window is the difference of two of them, twice."""

    def __init__(self, kernel_size, stride=None, padding=0):
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )

    def forward(self, x):
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        self.cache = x.shape, x.dtype
        sums = x.astype(np.float64)
        for axis, k, s, p in ((2, KH, SH, PH), (3, KW, SW, PW)):
            sums = np.moveaxis(sums, axis, 0)
            padded = np.zeros((len(sums) + 2 * p + 1, *sums.shape[1:]))
            padded[p + 1 : p + 1 + len(sums)] = sums
            running = padded.cumsum(axis=0)  # running[i] is the sum of the first i
            sums = np.moveaxis((running[k:] - running[:-k])[::s], 0, axis)
        return (sums / (KH * KW)).astype(x.dtype)

    def backward(self, dout):
        (_, _, H, W), dtype = self.cache
        grad = dout.astype(np.float64)
        for axis, size, k, s, p in zip((2, 3), (H, W), self.kernel_size, self.stride, self.padding):
            grad = np.moveaxis(grad, axis, 0)
            wide = np.zeros((size + 2 * p + 1, *grad.shape[1:]))
            start = s * np.arange(len(grad))
            np.add.at(wide, start, grad)  # a window begins here ...
            np.subtract.at(wide, start + k, grad)  # ... and has ended there
            grad = np.moveaxis(wide.cumsum(axis=0)[p : p + size], 0, axis) / k
        return grad.astype(dtype)
