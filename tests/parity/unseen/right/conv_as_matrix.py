import numpy as np
from tinycnn_numpy import Conv2D as Base


class Conv2D(Base):
    """the whole layer as one big dense matrix, column by column from unit images"""

    def forward(self, x):
        n, c, h, w = x.shape
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        oh, ow = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
        M = np.zeros((self.out_channels, oh, ow, c, h + 2 * ph, w + 2 * pw), x.dtype)
        for i in range(oh):
            for j in range(ow):
                M[:, i, j, :, i * sh : i * sh + kh, j * sw : j * sw + kw] = self.weight
        M = M[..., ph : ph + h, pw : pw + w].reshape(self.out_channels * oh * ow, c * h * w)
        self.M, self.x, self.ohw = M, x, (oh, ow)
        out = (x.reshape(n, -1) @ M.T).reshape(n, self.out_channels, oh, ow)
        if self.bias is not None:
            out = out + self.bias[:, None, None]
        return out

    def backward(self, dout):
        n = len(dout)
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        dM = dout.reshape(n, -1).T @ self.x.reshape(n, -1)
        dM = dM.reshape(self.out_channels, *self.ohw, *self.x.shape[1:])
        dM = np.pad(dM, [(0, 0)] * 4 + [(ph, ph), (pw, pw)])
        self.dweight = sum(
            dM[:, i, j, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
            for i in range(self.ohw[0])
            for j in range(self.ohw[1])
        )
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 2, 3))
        return (dout.reshape(n, -1) @ self.M).reshape(self.x.shape)

    def backward_weights(self, dout):
        self.backward(dout)
