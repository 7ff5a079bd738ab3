import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class LSTM:
    """one step: x (N, D), h and c (N, H)"""

    def __init__(self, D, H):
        self.Wx, self.Wh = np.random.randn(D, 4 * H) * 0.1, np.random.randn(H, 4 * H) * 0.1
        self.b = np.zeros(4 * H)

    def forward(self, x, h, c):
        H = h.shape[1]
        a = x @ self.Wx + h @ self.Wh + self.b
        i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
        g = np.tanh(a[:, 3 * H :])
        c_next = f * c + i * g
        t = np.tanh(c_next)
        self.cache = x, h, c, i, f, o, g, t
        return o * t, c_next

    def backward(self, dh_next, dc_next):
        x, h, c, i, f, o, g, t = self.cache
        dc = dc_next + dh_next * o * (1 - t**2)
        da = np.hstack(
            [dc * g * i * (1 - i), dc * c * f * (1 - f), dh_next * t * o * (1 - o), dc * i * (1 - g**2)]
        )
        self.dWx, self.dWh, self.db = x.T @ da, h.T @ da, da.sum(0)
        return da @ self.Wx.T, da @ self.Wh.T, dc * f


class Embedding:
    def __init__(self, vocab, dim):
        self.W = np.random.randn(vocab, dim) * 0.01

    def forward(self, idx):
        self.idx = idx
        return self.W[idx]

    def backward(self, dout):
        self.dW = np.zeros_like(self.W)
        np.add.at(self.dW, self.idx, dout)
