import numpy as np
from scipy.ndimage import uniform_filter  # noqa: F401  (first try)
from scipy.signal import convolve
from tinycnn_numpy import AvgPool2D as Base


class AvgPool2D(Base):
    def forward(self, x):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        self.shape = x.shape
        xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        box = np.full((1, 1, kh, kw), 1 / (kh * kw), x.dtype)
        dense = convolve(xp, box, mode="valid", method="direct")
        self.dense_shape = dense.shape
        return dense[:, :, ::sh, ::sw]

    def backward(self, dout):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        dense = np.zeros(self.dense_shape, dout.dtype)
        dense[:, :, ::sh, ::sw] = dout
        box = np.full((1, 1, kh, kw), 1 / (kh * kw), dout.dtype)
        dxp = convolve(dense, box, mode="full", method="direct")
        return dxp[:, :, ph : ph + self.shape[2], pw : pw + self.shape[3]]
