import numpy as np
from numpy.lib.stride_tricks import as_strided
from tinycnn_numpy import Conv2D as Original


class Conv2D(Original):
    def _view(self, xp):
        n, c, H, W = xp.shape
        (kh, kw), (sh, sw) = self.kernel_size, self.stride
        a, b, d, e = xp.strides
        shape = (n, c, kh, kw, (H - kh) // sh + 1, (W - kw) // sw + 1)
        return as_strided(xp, shape, (a, b, d, e, d * sh, e * sw))

    def forward(self, x):
        ph, pw = self.padding
        self.xp = np.pad(np.ascontiguousarray(x), ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        v = self._view(self.xp)
        n, c, kh, kw, oh, ow = v.shape
        cols = v.reshape(n, c * kh * kw, oh * ow)
        out = np.matmul(self.weight.reshape(self.out_channels, -1), cols)
        if self.bias is not None:
            out = out + self.bias.reshape(-1, 1)
        self.cols, self.out_hw, self.x_hw = cols, (oh, ow), x.shape[2:]
        return out.reshape(n, self.out_channels, oh, ow)

    def backward(self, dout):
        self.backward_weights(dout)
        n, f = dout.shape[:2]
        dxp = np.zeros(self.xp.shape, dout.dtype)
        v = self._view(dxp)
        dcols = np.matmul(self.weight.reshape(f, -1).T, dout.reshape(n, f, -1)).reshape(v.shape)
        for a, b in np.ndindex(self.kernel_size):
            v[:, :, a, b] += dcols[:, :, a, b]
        (ph, pw), (h, w) = self.padding, self.x_hw
        return dxp[:, :, ph : ph + h, pw : pw + w]

    def backward_weights(self, dout):
        n, f = dout.shape[:2]
        d = dout.reshape(n, f, -1)
        self.dweight = np.einsum("nfp,nkp->fk", d, self.cols).reshape(self.weight.shape)
        self.dbias = None if self.bias is None else d.sum(axis=2).sum(axis=0)
