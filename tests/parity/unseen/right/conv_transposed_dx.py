import numpy as np
from tinycnn_numpy import Conv2D as Base


def correlate(x, k):
    """valid, stride 1: x (N, C, H, W), k (F, C, KH, KW)"""
    v = np.lib.stride_tricks.sliding_window_view(x, k.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,fcij->nfhw", v, k)


class Conv2D(Base):
    def forward(self, x):
        (ph, pw), (sh, sw) = self.padding, self.stride
        self.xp, self.hw = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw))), x.shape[2:]
        out = correlate(self.xp, self.weight)[:, :, ::sh, ::sw]
        return out if self.bias is None else out + self.bias.reshape(1, -1, 1, 1)

    def backward(self, dout):
        self.backward_weights(dout)
        kh, kw = self.kernel_size
        ph, pw = self.padding
        around = np.pad(self.stretch(dout), ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
        dxp = correlate(around, self.weight[:, :, ::-1, ::-1].swapaxes(0, 1))
        return dxp[:, :, ph : ph + self.hw[0], pw : pw + self.hw[1]]

    def stretch(self, dout):
        (sh, sw), (kh, kw) = self.stride, self.kernel_size
        n, f = dout.shape[:2]
        wide = np.zeros((n, f, self.xp.shape[2] - kh + 1, self.xp.shape[3] - kw + 1), dout.dtype)
        wide[:, :, ::sh, ::sw] = dout
        return wide

    def backward_weights(self, dout):
        wide = self.stretch(dout)
        self.dweight = correlate(self.xp.swapaxes(0, 1), wide.swapaxes(0, 1)).swapaxes(0, 1)
        if self.bias is not None:
            self.dbias = dout.reshape(*dout.shape[:2], -1).sum(axis=-1).sum(axis=0)
