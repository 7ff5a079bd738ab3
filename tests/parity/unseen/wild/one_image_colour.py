import numpy as np


class Conv:
    """image (h, w, c), filters (n, k, k, c)"""

    def __init__(self, num_filters, filter_size, in_channels):
        self.k = filter_size
        self.filters = np.random.randn(num_filters, filter_size, filter_size, in_channels) * 0.1
        self.bias = np.zeros(num_filters)

    def forward(self, image):
        self.image = image
        h, w, _ = image.shape
        k = self.k
        out = np.zeros((h - k + 1, w - k + 1, len(self.filters)))
        for i in range(h - k + 1):
            for j in range(w - k + 1):
                patch = image[i : i + k, j : j + k]
                out[i, j] = np.tensordot(self.filters, patch, axes=3) + self.bias
        return out

    def backprop(self, d_out, learn_rate):
        k = self.k
        d_filters = np.zeros_like(self.filters)
        d_image = np.zeros_like(self.image)
        for i in range(d_out.shape[0]):
            for j in range(d_out.shape[1]):
                patch = self.image[i : i + k, j : j + k]
                for f in range(len(self.filters)):
                    d_filters[f] += patch * d_out[i, j, f]
                    d_image[i : i + k, j : j + k] += self.filters[f] * d_out[i, j, f]
        self.filters += learn_rate * d_filters
        self.bias -= learn_rate * d_out.sum(axis=(0, 1))
        return d_image


class MaxPool2:
    def forward(self, image):
        self.image = image
        h, w, c = image.shape
        self.out = image[: h // 2 * 2, : w // 2 * 2].reshape(h // 2, 2, w // 2, 2, c).max(axis=(1, 3))
        return self.out

    def backprop(self, d_out):
        d = np.zeros_like(self.image)
        for i in range(d_out.shape[0]):
            for j in range(d_out.shape[1]):
                for c in range(d_out.shape[2]):
                    for a in range(2):
                        for b in range(2):
                            if self.image[2 * i + a, 2 * j + b, c] == self.out[i, j, c]:
                                d[2 * i + a, 2 * j + b, c] = d_out[i, j, c]
        return d
