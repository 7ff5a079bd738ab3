import numpy as np

from tinycnn_numpy.layer import Layer


class AvgPool2D(Layer):
    """Every pixel lists the windows that read it; np.bincount sums with weights, image by image."""

    def __init__(self, kernel_size, stride=None, padding=0):
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )

    def pairs(self, H, W):
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        OH, OW = (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1
        h, w, i, j = np.ogrid[:OH, :OW, :KH, :KW]
        row, column = np.broadcast_arrays(h * SH + i - PH, w * SW + j - PW)
        real = (row >= 0) & (row < H) & (column >= 0) & (column < W)
        window = np.broadcast_to(h * OW + w, real.shape)
        return (row * W + column)[real], window[real], (OH, OW)

    def forward(self, x):
        N, C, H, W = x.shape
        pixel, window, size = self.pairs(H, W)
        self.cache = x.shape, pixel, window
        area = self.kernel_size[0] * self.kernel_size[1]
        sums = [np.bincount(window, image[pixel], size[0] * size[1]) for image in x.reshape(N * C, -1)]
        return (np.array(sums) / area).astype(x.dtype).reshape(N, C, *size)

    def backward(self, dout):
        (N, C, H, W), pixel, window = self.cache
        area = self.kernel_size[0] * self.kernel_size[1]
        sums = [np.bincount(pixel, image[window], H * W) for image in dout.reshape(N * C, -1)]
        return (np.array(sums) / area).astype(dout.dtype).reshape(N, C, H, W)
