import numpy as np


class Conv2D:
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        self.stride = stride
        self.W = np.random.randn(out_channels, in_channels, kernel_size, kernel_size) * 0.1
        self.b = np.zeros(out_channels)

    def correlate(self, x, W):
        k, s = W.shape[2], self.stride
        v = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::s, ::s]
        return np.einsum("nchwij,fcij->nfhw", v, W)

    def spread(self, y, W, size):
        k, s = W.shape[2], self.stride
        x = np.zeros((len(y), W.shape[1], *size))
        for i in range(y.shape[2]):
            for j in range(y.shape[3]):
                x[:, :, i * s : i * s + k, j * s : j * s + k] += np.einsum("nf,fcij->ncij", y[:, :, i, j], W)
        return x

    def weight_grad(self, x, y):
        k, s = self.W.shape[2], self.stride
        v = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::s, ::s]
        return np.einsum("nchwij,nfhw->fcij", v, y)

    def forward(self, x):
        self.x = x
        return self.correlate(x, self.W) + self.b[:, None, None]

    def backward(self, dout):
        self.dW, self.db = self.weight_grad(self.x, dout), dout.sum((0, 2, 3))
        return self.spread(dout, self.W, self.x.shape[2:])


class ConvTranspose2D(Conv2D):
    """W is (in_channels, out_channels, k, k): the adjoint of Conv2D"""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super().__init__(out_channels, in_channels, kernel_size, stride)
        self.b = np.zeros(out_channels)

    def forward(self, x):
        self.x = x
        k, s = self.W.shape[2], self.stride
        size = (x.shape[2] - 1) * s + k, (x.shape[3] - 1) * s + k
        return self.spread(x, self.W, size) + self.b[:, None, None]

    def backward(self, dout):
        self.dW, self.db = self.weight_grad(dout, self.x), dout.sum((0, 2, 3))
        return self.correlate(dout, self.W)
