import numpy as np
from tinycnn_numpy.layer import Layer


class AvgPool2D(Layer):
    def __init__(self, kernel_size, stride=None, padding=0):
        self.kernel_size = self._two(kernel_size)
        self.stride = self._two(stride or kernel_size)
        self.padding = self._two(padding)

    @staticmethod
    def _two(v):
        return v if isinstance(v, tuple) else (v, v)

    def forward(self, x):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        oh, ow = (xp.shape[2] - kh) // sh + 1, (xp.shape[3] - kw) // sw + 1
        total = np.zeros((*x.shape[:2], oh, ow), x.dtype)
        for a in range(kh):
            for b in range(kw):
                total += xp[:, :, a:, b:][:, :, ::sh, ::sw][:, :, :oh, :ow]
        self.cache = x.shape, xp.shape
        return total / (kh * kw)

    def backward(self, dout):
        (n, c, h, w), padded = self.cache
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        oh, ow = dout.shape[2:]
        share = dout * (1.0 / (kh * kw))
        dxp = np.zeros(padded, dout.dtype)
        for a in range(kh):
            for b in range(kw):
                dxp[:, :, a:, b:][:, :, ::sh, ::sw][:, :, :oh, :ow] += share
        return dxp[:, :, ph : ph + h, pw : pw + w]
