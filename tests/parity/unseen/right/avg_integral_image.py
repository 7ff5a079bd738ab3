import numpy as np
from tinycnn_numpy import AvgPool2D as Base


class AvgPool2D(Base):
    """sums of rectangles from a summed-area table, in float64"""

    def forward(self, x):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw))).astype(np.float64)
        t = np.pad(xp.cumsum(2).cumsum(3), ((0, 0), (0, 0), (1, 0), (1, 0)))
        s = t[:, :, kh:, kw:] - t[:, :, :-kh, kw:] - t[:, :, kh:, :-kw] + t[:, :, :-kh, :-kw]
        self.cache = x.shape, xp.shape, s.shape
        return (s[:, :, ::sh, ::sw] / (kh * kw)).astype(x.dtype)

    def backward(self, dout):
        (n, c, h, w), padded, full = self.cache
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        ds = np.zeros(full)
        ds[:, :, ::sh, ::sw] = dout / (kh * kw)
        diff = np.zeros((n, c, padded[2] + 1, padded[3] + 1))
        H, W = full[2:]
        diff[:, :, :H, :W] += ds
        diff[:, :, kh : kh + H, :W] -= ds
        diff[:, :, :H, kw : kw + W] -= ds
        diff[:, :, kh : kh + H, kw : kw + W] += ds
        dxp = diff.cumsum(2).cumsum(3)
        return dxp[:, :, ph : ph + h, pw : pw + w].astype(dout.dtype)
