import numpy as np

from tinycnn_numpy.layer import Layer


class Conv2D(Layer):
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32
    ):
        two = lambda v: tuple(v) if isinstance(v, (tuple, list)) else (v, v)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = two(kernel_size), two(stride), two(padding)
        bound = float((in_channels * self.kernel_size[0] * self.kernel_size[1]) ** -0.5)
        self.weight = rng.uniform(-bound, bound, (out_channels, in_channels, *self.kernel_size)).astype(dtype)
        self.bias = rng.uniform(-bound, bound, (out_channels,)).astype(dtype) if bias else None

    def im2col(self, x):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        n, c, h, w = x.shape
        xp = np.zeros((n, c, h + 2 * ph, w + 2 * pw), x.dtype)
        xp[:, :, ph : ph + h, pw : pw + w] = x
        oh, ow = (xp.shape[2] - kh) // sh + 1, (xp.shape[3] - kw) // sw + 1
        col = np.empty((n, c, kh, kw, oh, ow), x.dtype)
        for a in range(kh):
            a_end = a + sh * oh
            for b in range(kw):
                b_end = b + sw * ow
                col[:, :, a, b] = xp[:, :, a:a_end:sh, b:b_end:sw]
        return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * oh * ow, c * kh * kw), oh, ow

    def col2im(self, col, x_shape, oh, ow):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        n, c, h, w = x_shape
        col = col.reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
        xp = np.zeros((n, c, h + 2 * ph, w + 2 * pw), col.dtype)
        for a in range(kh):
            a_end = a + sh * oh
            for b in range(kw):
                b_end = b + sw * ow
                xp[:, :, a:a_end:sh, b:b_end:sw] += col[:, :, a, b]
        return xp[:, :, ph : h + ph, pw : w + pw]

    def forward(self, x):
        col, oh, ow = self.im2col(x)
        matrix = self.weight.reshape(self.out_channels, -1)
        out = col @ matrix.T
        if self.bias is not None:
            out = out + self.bias
        self.cache = col, x.shape, oh, ow
        return out.reshape(len(x), oh, ow, self.out_channels).transpose(0, 3, 1, 2)

    def backward(self, dout):
        col, x_shape, oh, ow = self.cache
        rows = dout.transpose(0, 2, 3, 1).reshape(-1, self.out_channels)
        self.dweight = (rows.T @ col).reshape(self.weight.shape)
        if self.bias is not None:
            self.dbias = rows.sum(axis=0)
        dcol = rows @ self.weight.reshape(self.out_channels, -1)
        return self.col2im(dcol, x_shape, oh, ow)
