import numpy as np
from tinycnn_numpy import MaxPool2D as Base


class MaxPool2D(Base):
    def forward(self, x):
        kh, kw = self.kernel_size
        sh, sw = self.stride
        ph, pw = self.padding
        n, c, h, w = x.shape
        oh, ow = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
        out = np.zeros((n, c, oh, ow), x.dtype)
        self.where, self.shape = {}, x.shape
        for b in range(n):
            for k in range(c):
                for i in range(oh):
                    for j in range(ow):
                        cells = [
                            (y, z)
                            for y in range(i * sh - ph, i * sh - ph + kh)
                            for z in range(j * sw - pw, j * sw - pw + kw)
                            if 0 <= y < h and 0 <= z < w
                        ]
                        best = max(cells, key=lambda q: x[b, k, q[0], q[1]])
                        self.where[b, k, i, j] = (b, k, *best)
                        out[b, k, i, j] = x[self.where[b, k, i, j]]
        return out

    def backward(self, dout):
        dx = np.zeros(self.shape, dout.dtype)
        for at, pixel in self.where.items():
            dx[pixel] += dout[at]
        return dx
