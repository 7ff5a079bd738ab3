import numpy as np


class Convolution:
    """(N, C, H, W), valid, stride 1, F filters"""

    def __init__(self, C, F, K):
        self.W = np.random.randn(F, C, K, K) * 0.1
        self.b = np.zeros(F)

    def forward(self, x):
        self.x = x
        K = self.W.shape[-1]
        N, C, H, W = x.shape
        out = np.zeros((N, self.W.shape[0], H - K + 1, W - K + 1))
        for a in range(K):
            for c in range(K):
                out += np.einsum("fc,nchw->nfhw", self.W[:, :, a, c], x[:, :, a : H - K + 1 + a, c : W - K + 1 + c])
        for f in range(len(self.b)):
            out[:, f] += self.b[f]
        return out

    def backward(self, dout):
        K = self.W.shape[-1]
        H, W = self.x.shape[2:]
        self.dW = np.zeros_like(self.W)
        dx = np.zeros_like(self.x)
        for a in range(K):
            for c in range(K):
                part = self.x[:, :, a : H - K + 1 + a, c : W - K + 1 + c]
                self.dW[:, :, a, c] = np.einsum("nfhw,nchw->fc", dout, part)
                dx[:, :, a : H - K + 1 + a, c : W - K + 1 + c] += np.einsum(
                    "nfhw,fc->nchw", dout, self.W[:, :, a, c]
                )
        self.db = dout[0].sum(axis=(1, 2))
        return dx
