import numpy as np


class Activations:
    @staticmethod
    def relu(z):
        return np.clip(z, 0, None)

    @staticmethod
    def relu_prime(z):
        return (z > 0).astype("float32")


class Relu:
    def forward(self, x):
        self.z = x
        return Activations.relu(x)

    def backward(self, d):
        return d * Activations.relu_prime(self.z)


class FullyConnected:
    """backward gives back (dx, dW, db)"""

    def __init__(self, n_in, n_out):
        self.W = np.random.normal(0, 1 / n_in**0.5, (n_in, n_out))
        self.b = np.zeros((1, n_out))

    def forward(self, x):
        self.x = x.reshape(len(x), -1)
        self.x_shape = x.shape
        return self.x @ self.W + self.b

    def backward(self, d):
        return (d @ self.W.T).reshape(self.x_shape), self.x.T @ d, d.sum(0, keepdims=True)


class Convolution2D:
    def __init__(self, channels, filters, kernel, stride, pad):
        self.W = np.random.normal(0, 0.1, (filters, channels, kernel, kernel))
        self.b = np.zeros((filters, 1))
        self.stride, self.pad, self.kernel = stride, pad, kernel

    def forward(self, X):
        k, s, p = self.kernel, self.stride, self.pad
        n, c, h, w = X.shape
        if (h + 2 * p - k) % s or (w + 2 * p - k) % s:
            raise Exception("Invalid output dimension!")
        self.Xp = np.pad(X, [(0, 0), (0, 0), (p, p), (p, p)])
        oh, ow = (h + 2 * p - k) // s + 1, (w + 2 * p - k) // s + 1
        out = np.zeros((n, len(self.W), oh, ow))
        for y in range(oh):
            for x in range(ow):
                block = self.Xp[:, None, :, y * s : y * s + k, x * s : x * s + k]
                out[:, :, y, x] = (block * self.W[None]).sum(axis=(2, 3, 4)) + self.b.T
        return out

    def backward(self, d):
        k, s, p = self.kernel, self.stride, self.pad
        dXp, dW = np.zeros_like(self.Xp), np.zeros_like(self.W)
        for y in range(d.shape[2]):
            for x in range(d.shape[3]):
                g = d[:, :, y, x][:, :, None, None, None]
                dW += (g * self.Xp[:, None, :, y * s : y * s + k, x * s : x * s + k]).sum(axis=0)
                dXp[:, :, y * s : y * s + k, x * s : x * s + k] += (g * self.W[None]).sum(axis=1)
        H, W = self.Xp.shape[2:]
        return dXp[:, :, p : H - p, p : W - p], dW, d.sum(axis=(0, 2, 3)).reshape(-1, 1)
