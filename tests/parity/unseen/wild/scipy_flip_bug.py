import numpy as np
from scipy.signal import convolve2d, correlate2d


class ConvLayer:
    def __init__(self, in_channels, out_channels, kernel_size):
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        scale = np.sqrt(2 / (in_channels * kernel_size**2))
        self.W = np.random.normal(0, scale, (out_channels, in_channels, kernel_size, kernel_size))
        self.b = np.zeros(out_channels)

    def forward(self, x):
        self.x = x
        maps = []
        for img in x:
            for w, b in zip(self.W, self.b):
                maps.append(sum(correlate2d(ch, k, mode="valid") for ch, k in zip(img, w)) + b)
        return np.array(maps).reshape(len(x), self.out_channels, *maps[0].shape)

    def backward(self, grad):
        self.dW = np.zeros_like(self.W)
        dx = np.zeros_like(self.x)
        for n in range(len(self.x)):
            for f in range(self.out_channels):
                for c in range(self.in_channels):
                    self.dW[f, c] += correlate2d(self.x[n, c], grad[n, f], mode="valid")
                    dx[n, c] += correlate2d(grad[n, f], self.W[f, c], mode="full")
        self.db = np.sum(grad, axis=(0, 2, 3))
        return dx


class MeanPool:
    def __init__(self, size):
        self.size = size

    def forward(self, x):
        k = self.size
        self.shape = x.shape
        box = np.ones((k, k)) / k**2
        out = [[convolve2d(ch, box, mode="valid")[::k, ::k] for ch in img] for img in x]
        return np.array(out)

    def backward(self, grad):
        k = self.size
        dx = np.zeros(self.shape)
        up = np.repeat(np.repeat(grad, k, axis=2), k, axis=3) / k**2
        dx[:, :, : up.shape[2], : up.shape[3]] = up
        return dx
