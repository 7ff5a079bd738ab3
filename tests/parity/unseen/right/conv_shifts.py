import numpy as np
from tinycnn_numpy.layer import Layer


def two(v):
    try:
        a, b = v
    except TypeError:
        a = b = v
    return int(a), int(b)


class Conv2D(Layer):
    # one matrix product for every kernel entry

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32):
        self.kernel_size, self.stride, self.padding = two(kernel_size), two(stride), two(padding)
        kh, kw = self.kernel_size
        lim = np.sqrt(1.0 / (in_channels * kh * kw))
        self.weight = np.asarray(rng.uniform(-lim, lim, size=(out_channels, in_channels, kh, kw)), dtype=dtype)
        if bias:
            self.bias = np.asarray(rng.uniform(-lim, lim, size=out_channels), dtype=dtype)

    def slices(self, i, j, oh, ow):
        sh, sw = self.stride
        return slice(i, i + (oh - 1) * sh + 1, sh), slice(j, j + (ow - 1) * sw + 1, sw)

    def forward(self, x):
        n, _, h, w = x.shape
        kh, kw = self.kernel_size
        ph, pw = self.padding
        oh = (h + 2 * ph - kh) // self.stride[0] + 1
        ow = (w + 2 * pw - kw) // self.stride[1] + 1
        xl = np.zeros((n, h + 2 * ph, w + 2 * pw, x.shape[1]), dtype=x.dtype)
        xl[:, ph : ph + h, pw : pw + w, :] = x.transpose(0, 2, 3, 1)
        y = np.zeros((n, oh, ow, self.weight.shape[0]), dtype=x.dtype)
        for i in range(kh):
            for j in range(kw):
                r, s = self.slices(i, j, oh, ow)
                y += xl[:, r, s] @ self.weight[:, :, i, j].T
        if self.bias is not None:
            y += self.bias
        self.cache = xl, (h, w)
        return np.moveaxis(y, 3, 1)

    def backward(self, dout):
        xl, (h, w) = self.cache
        d = np.moveaxis(dout, 1, 3)
        n, oh, ow, f = d.shape
        dxl = np.zeros_like(xl)
        dw = np.empty_like(self.weight)
        flat = d.reshape(-1, f)
        for i in range(self.kernel_size[0]):
            for j in range(self.kernel_size[1]):
                r, s = self.slices(i, j, oh, ow)
                dw[:, :, i, j] = flat.T @ xl[:, r, s].reshape(len(flat), -1)
                dxl[:, r, s] += d @ self.weight[:, :, i, j]
        self.dweight = dw
        if self.bias is not None:
            self.dbias = flat.sum(axis=0)
        ph, pw = self.padding
        return dxl[:, ph : ph + h, pw : pw + w].transpose(0, 3, 1, 2)
