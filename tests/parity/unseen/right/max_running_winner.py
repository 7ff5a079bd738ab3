import numpy as np
from tinycnn_numpy.layer import Layer


class MaxPool2D(Layer):
    def __init__(self, kernel_size, stride=None, padding=0):
        two = lambda v: v if isinstance(v, tuple) else (v, v)
        self.kernel_size = two(kernel_size)
        self.stride = self.kernel_size if stride is None else two(stride)
        self.padding = two(padding)

    def forward(self, x):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        n, c, h, w = x.shape
        oh, ow = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
        big = np.full((n, c, h + 2 * ph, w + 2 * pw), -np.inf, x.dtype)
        big[:, :, ph : ph + h, pw : pw + w] = x
        best = np.full((n, c, oh, ow), -np.inf, x.dtype)
        who = np.zeros((n, c, oh, ow), int)
        for a in range(kh):
            for b in range(kw):
                here = big[:, :, a : a + (oh - 1) * sh + 1 : sh, b : b + (ow - 1) * sw + 1 : sw]
                better = here > best
                best = np.where(better, here, best)
                who[better] = a * kw + b
        self.cache = who, x.shape
        return best

    def backward(self, dout):
        who, (n, c, h, w) = self.cache
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        N, C, I, J = np.indices(dout.shape)
        rows, cols = I * sh + who // kw - ph, J * sw + who % kw - pw
        dx = np.zeros((n, c, h, w), dout.dtype)
        ok = (rows >= 0) & (rows < h) & (cols >= 0) & (cols < w)
        np.add.at(dx, (N[ok], C[ok], rows[ok], cols[ok]), dout[ok])
        return dx
