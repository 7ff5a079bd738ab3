import numpy as np
from tinycnn_numpy import Conv2D as Base


class Conv2D(Base):
    def forward(self, x):
        n, c, h, w = x.shape
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        oh, ow = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
        out = np.zeros((n, self.out_channels, oh, ow), x.dtype)
        self.cache = x
        for b in range(n):
            for f in range(self.out_channels):
                for i in range(oh):
                    for j in range(ow):
                        s = 0.0 if self.bias is None else float(self.bias[f])
                        for k in range(c):
                            for a in range(kh):
                                y = i * sh + a - ph
                                if y < 0 or y >= h:
                                    continue
                                for d in range(kw):
                                    z = j * sw + d - pw
                                    if 0 <= z < w:
                                        s += float(x[b, k, y, z]) * float(self.weight[f, k, a, d])
                        out[b, f, i, j] = s
        return out

    def backward(self, dout):
        x = self.cache
        n, c, h, w = x.shape
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        dx, self.dweight = np.zeros_like(x), np.zeros_like(self.weight)
        if self.bias is not None:
            self.dbias = np.zeros_like(self.bias)
        for b, f, i, j in np.ndindex(*dout.shape):
            g = dout[b, f, i, j]
            if self.bias is not None:
                self.dbias[f] += g
            for a in range(kh):
                for d in range(kw):
                    y, z = i * sh + a - ph, j * sw + d - pw
                    if 0 <= y < h and 0 <= z < w:
                        self.dweight[f, :, a, d] += g * x[b, :, y, z]
                        dx[b, :, y, z] += g * self.weight[f, :, a, d]
        return dx

    def backward_weights(self, dout):
        self.backward(dout)
