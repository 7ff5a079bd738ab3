import numpy as np

from tinycnn_numpy.layer import Layer


class AvgPool2D(Layer):
    """The mean moves towards each new pixel by 1/k of the difference; a window's pixels are met one after the other."""

    def __init__(self, kernel_size, stride=None, padding=0):
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )

    def meet(self, padded):
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        H, W = padded.shape[2:]
        for i, j in np.ndindex(KH, KW):
            yield padded[:, :, i : H - KH + i + 1 : SH, j : W - KW + j + 1 : SW]

    def forward(self, x):
        PH, PW = self.padding
        self.sizes = x.shape[2:]
        mean = 0.0
        for k, pixels in enumerate(self.meet(np.pad(x.astype(float), ((0, 0), (0, 0), (PH, PH), (PW, PW)))), 1):
            mean = mean + (pixels - mean) / k
        return mean.astype(x.dtype)

    def backward(self, dout):
        (H, W), (PH, PW) = self.sizes, self.padding
        dpadded = np.zeros((*dout.shape[:2], H + 2 * PH, W + 2 * PW), dout.dtype)
        share = dout / np.prod(self.kernel_size).astype(dout.dtype)
        for pixels in self.meet(dpadded):
            pixels += share
        return np.ascontiguousarray(dpadded[:, :, PH : PH + H, PW : PW + W])
