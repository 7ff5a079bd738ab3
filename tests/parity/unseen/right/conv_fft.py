import numpy as np
from tinycnn_numpy import Conv2D as Base


class Conv2D(Base):
    """the convolution theorem; computed in float64, given back in the dtype of x"""

    def forward(self, x):
        (ph, pw), (sh, sw), (kh, kw) = self.padding, self.stride, self.kernel_size
        self.xp = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        self.dtype, self.hw = x.dtype, x.shape[2:]
        H, W = self.xp.shape[2:]
        self.size = (H + kh, W + kw)
        X = np.fft.rfft2(self.xp, self.size)
        K = np.fft.rfft2(self.weight.astype(np.float64), self.size)
        full = np.fft.irfft2(np.einsum("nchw,fchw->nfhw", X, K.conj()), self.size)
        out = full[:, :, : H - kh + 1 : sh, : W - kw + 1 : sw]
        if self.bias is not None:
            out = out + self.bias[:, None, None]
        return out.astype(self.dtype)

    def backward(self, dout):
        (ph, pw), (sh, sw), (kh, kw) = self.padding, self.stride, self.kernel_size
        H, W = self.xp.shape[2:]
        wide = np.zeros((*dout.shape[:2], H - kh + 1, W - kw + 1))
        wide[:, :, ::sh, ::sw] = dout
        D = np.fft.rfft2(wide, self.size)
        K = np.fft.rfft2(self.weight.astype(np.float64), self.size)
        X = np.fft.rfft2(self.xp, self.size)
        dx = np.fft.irfft2(np.einsum("nfhw,fchw->nchw", D, K), self.size)[:, :, :H, :W]
        dw = np.fft.irfft2(np.einsum("nchw,nfhw->fchw", X, D.conj()), self.size)[:, :, :kh, :kw]
        self.dweight = dw.astype(self.dtype)
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 2, 3))
        return dx[:, :, ph : ph + self.hw[0], pw : pw + self.hw[1]].astype(self.dtype)

    def backward_weights(self, dout):
        self.backward(dout)
