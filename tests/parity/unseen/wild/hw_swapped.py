import numpy as np


class ConvLayer:
    def __init__(self, num_filters, input_channels, filter_h, filter_w, stride=1, pad=0):
        self.K = np.random.randn(num_filters, input_channels, filter_h, filter_w) * 0.1
        self.B = np.zeros((num_filters, 1))
        self.stride, self.pad = stride, pad

    def forward(self, X):
        n, c, h, w = X.shape
        f, _, fh, fw = self.K.shape
        self.X_pad = np.pad(X, ((0, 0), (0, 0), (self.pad,) * 2, (self.pad,) * 2))
        self.oh = (h + 2 * self.pad - fh) // self.stride + 1
        self.ow = (w + 2 * self.pad - fw) // self.stride + 1
        self.shape = X.shape
        Y = np.zeros((n, f, self.oh, self.ow))
        for i in range(self.oh):
            for j in range(self.ow):
                a, b = i * self.stride, j * self.stride
                Y[:, :, i, j] = (
                    np.einsum("ncij,fcij->nf", self.X_pad[:, :, a : a + fh, b : b + fw], self.K) + self.B[:, 0]
                )
        return Y

    def backward(self, dY):
        f, _, fh, fw = self.K.shape
        n, c, h, w = self.shape
        self.dK = np.zeros_like(self.K)
        self.dB = dY.sum(axis=(0, 2, 3)).reshape(-1, 1)
        dX = np.zeros_like(self.X_pad)
        m = min(self.oh, self.ow)
        for i in range(m):
            for j in range(m):
                a, b = i * self.stride, j * self.stride
                g = dY[:, :, j, i]
                self.dK += np.einsum("nf,ncij->fcij", g, self.X_pad[:, :, a : a + fh, b : b + fw])
                dX[:, :, a : a + fh, b : b + fw] += np.einsum("nf,fcij->ncij", g, self.K)
        p = self.pad
        return dX[:, :, p : p + h, p : p + w]


class Flatten:
    def forward(self, x):
        self.shape = x.shape
        return x.reshape((x.shape[0], -1), order="F")

    def backward(self, d):
        return d.reshape(self.shape)
