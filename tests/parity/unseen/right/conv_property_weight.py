import numpy as np
from tinycnn_numpy.layer import Layer


class Conv2D(Layer):
    """keeps its weights as a matrix; `weight` is a view of it"""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32):
        fix = lambda v: tuple(np.broadcast_to(v, 2).tolist())
        self.kernel_size, self.stride, self.padding = fix(kernel_size), fix(stride), fix(padding)
        self.shape = (out_channels, in_channels, *self.kernel_size)
        k = in_channels * self.kernel_size[0] * self.kernel_size[1]
        self._matrix = rng.uniform(-(k**-0.5), k**-0.5, (out_channels, k)).astype(dtype)
        self._dmatrix = None
        self.bias = rng.uniform(-(k**-0.5), k**-0.5, out_channels).astype(dtype) if bias else None

    @property
    def weight(self):
        return self._matrix.reshape(self.shape)

    @property
    def dweight(self):
        return None if self._dmatrix is None else self._dmatrix.reshape(self.shape)

    def columns(self, xp):
        (kh, kw), (sh, sw) = self.kernel_size, self.stride
        v = np.lib.stride_tricks.sliding_window_view(xp, (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
        n, c, oh, ow = v.shape[:4]
        return v.transpose(1, 4, 5, 0, 2, 3).reshape(c * kh * kw, n * oh * ow), (n, oh, ow)

    def forward(self, x):
        ph, pw = self.padding
        xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        cols, (n, oh, ow) = self.columns(xp)
        out = self._matrix @ cols
        if self.bias is not None:
            out += self.bias[:, None]
        self.cache = cols, x.shape, xp.shape
        return out.reshape(-1, n, oh, ow).swapaxes(0, 1)

    def backward(self, dout):
        cols, (n, c, h, w), padded = self.cache
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        oh, ow = dout.shape[2:]
        d = dout.swapaxes(0, 1).reshape(dout.shape[1], -1)
        self._dmatrix = d @ cols.T
        if self.bias is not None:
            self.dbias = d.sum(axis=1)
        back = (self._matrix.T @ d).reshape(c, kh, kw, n, oh, ow)
        dxp = np.zeros(padded, dout.dtype)
        for a in range(kh):
            for b in range(kw):
                dxp[:, :, a : a + sh * oh : sh, b : b + sw * ow : sw] += back[:, a, b].swapaxes(0, 1)
        return dxp[:, :, ph : ph + h, pw : pw + w]
