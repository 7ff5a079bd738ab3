import numpy as np


class Conv:
    def __init__(self, in_ch, out_ch, ksize, stride=1, pad=0):
        self.W = np.random.normal(0, np.sqrt(2 / (in_ch * ksize**2)), (out_ch, in_ch, ksize, ksize))
        self.b = np.zeros((1, out_ch, 1, 1))
        self.stride, self.pad = stride, pad

    def forward(self, x):
        k, s, p = self.W.shape[2], self.stride, self.pad
        self.x_shape = x.shape
        self.xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        win = np.lib.stride_tricks.sliding_window_view(self.xp, (k, k), axis=(2, 3))[:, :, ::s, ::s]
        self.win = win
        return np.tensordot(win, self.W, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2) + self.b

    def backward(self, dy):
        k, s, p = self.W.shape[2], self.stride, self.pad
        n = dy.shape[0]
        self.grad_W = np.tensordot(dy, self.win, axes=((0, 2, 3), (0, 2, 3))) / n
        self.grad_b = dy.sum(axis=(0, 2, 3), keepdims=True) / n
        dxp = np.zeros_like(self.xp)
        for i in range(dy.shape[2]):
            for j in range(dy.shape[3]):
                dxp[:, :, i * s : i * s + k, j * s : j * s + k] += np.tensordot(dy[:, :, i, j], self.W, axes=(1, 0))
        h, w = self.x_shape[2:]
        return dxp[:, :, p : p + h, p : p + w]

    def update(self, lr):
        self.W -= lr * self.grad_W
        self.b -= lr * self.grad_b


class Linear:
    def __init__(self, n_in, n_out):
        self.W = np.random.normal(0, np.sqrt(2 / n_in), (n_in, n_out))
        self.b = np.zeros((n_out,))

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dy):
        self.grad_W = np.dot(self.x.T, dy)
        self.grad_b = dy.sum(axis=0)
        return np.dot(dy, self.W.T)

    def update(self, lr):
        self.W -= lr * self.grad_W
        self.b -= lr * self.grad_b


class AvgPooling:
    def __init__(self, ksize, stride):
        self.k, self.s = ksize, stride

    def forward(self, x):
        self.x_shape = x.shape
        win = np.lib.stride_tricks.sliding_window_view(x, (self.k, self.k), axis=(2, 3))
        return win[:, :, :: self.s, :: self.s].mean(axis=(4, 5))

    def backward(self, dy):
        dx = np.zeros(self.x_shape)
        for i in range(dy.shape[2]):
            for j in range(dy.shape[3]):
                a, b = i * self.s, j * self.s
                dx[:, :, a : a + self.k, b : b + self.k] += dy[:, :, i, j, None, None] / self.k**2
        return dx
