import numpy as np


class Conv2D:
    """input (N, H, W, C); W stored as (F, KH, KW, C)"""

    def __init__(self, in_channels, n_filters, kernel_size=(3, 3), stride=(1, 1)):
        self.kernel_size, self.stride = kernel_size, stride
        self.weights = np.random.randn(n_filters, *kernel_size, in_channels) * 0.1
        self.bias = np.zeros(n_filters)

    def forward(self, x):
        kh, kw = self.kernel_size
        sh, sw = self.stride
        n, h, w, c = x.shape
        oh, ow = (h - kh) // sh + 1, (w - kw) // sw + 1
        self.x = x
        cols = np.stack(
            [
                x[:, i * sh : i * sh + kh, j * sw : j * sw + kw, :].reshape(n, -1)
                for i in range(oh)
                for j in range(ow)
            ],
            axis=1,
        )
        self.cols = cols
        out = cols @ self.weights.reshape(len(self.weights), -1).T + self.bias
        return out.reshape(n, oh, ow, -1)

    def backward(self, dout):
        kh, kw = self.kernel_size
        sh, sw = self.stride
        n, oh, ow, f = dout.shape
        d = dout.reshape(n, oh * ow, f)
        # gradient of the kernel, back into its shape
        self.dweights = np.einsum("npk,npf->kf", self.cols, d).reshape(self.weights.shape)
        self.dbias = d.sum(axis=(0, 1))
        dcols = (d @ self.weights.reshape(f, -1)).reshape(n, oh, ow, kh, kw, -1)
        dx = np.zeros_like(self.x)
        for i in range(oh):
            for j in range(ow):
                dx[:, i * sh : i * sh + kh, j * sw : j * sw + kw, :] += dcols[:, i, j]
        return dx
