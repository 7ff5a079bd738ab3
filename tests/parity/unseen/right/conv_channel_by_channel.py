import numpy as np
from tinycnn_numpy.layer import Layer
from tinycnn_numpy.checks import check_pair


class Plane:
    """one kernel entry (f, c): a 2D correlation and its two adjoints"""

    def __init__(self, stride):
        self.sh, self.sw = stride

    def apply(self, img, k):
        kh, kw = k.shape
        oh, ow = (img.shape[1] - kh) // self.sh + 1, (img.shape[2] - kw) // self.sw + 1
        out = np.zeros((len(img), oh, ow), img.dtype)
        for a in range(kh):
            for b in range(kw):
                out += k[a, b] * img[:, a : a + self.sh * oh : self.sh, b : b + self.sw * ow : self.sw][:, :oh, :ow]
        return out

    def to_kernel(self, img, d, shape):
        dk = np.empty(shape, d.dtype)
        oh, ow = d.shape[1:]
        for a in range(shape[0]):
            for b in range(shape[1]):
                dk[a, b] = (d * img[:, a : a + self.sh * oh : self.sh, b : b + self.sw * ow : self.sw]).sum()
        return dk

    def to_image(self, d, k, shape):
        img = np.zeros(shape, d.dtype)
        oh, ow = d.shape[1:]
        for a in range(k.shape[0]):
            for b in range(k.shape[1]):
                img[:, a : a + self.sh * oh : self.sh, b : b + self.sw * ow : self.sw] += k[a, b] * d
        return img


class Conv2D(Layer):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32):
        self.kernel_size = check_pair(self, "kernel_size", kernel_size)
        self.stride = check_pair(self, "stride", stride)
        self.padding = check_pair(self, "padding", padding, at_least=0)
        u = 1 / (in_channels * self.kernel_size[0] * self.kernel_size[1]) ** 0.5
        self.weight = rng.uniform(-u, u, (out_channels, in_channels, *self.kernel_size)).astype(dtype)
        self.bias = rng.uniform(-u, u, out_channels).astype(dtype) if bias else None
        self.plane = Plane(self.stride)

    def forward(self, x):
        ph, pw = self.padding
        self.xp, self.hw = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw))), x.shape[2:]
        F, C = self.weight.shape[:2]
        maps = []
        for f in range(F):
            m = sum(self.plane.apply(self.xp[:, c], self.weight[f, c]) for c in range(C))
            maps.append(m if self.bias is None else m + self.bias[f])
        return np.stack(maps, axis=1)

    def backward(self, dout):
        F, C = self.weight.shape[:2]
        self.dweight = np.empty_like(self.weight)
        dxp = np.zeros_like(self.xp)
        for f, c in np.ndindex(F, C):
            self.dweight[f, c] = self.plane.to_kernel(self.xp[:, c], dout[:, f], self.kernel_size)
            dxp[:, c] += self.plane.to_image(dout[:, f], self.weight[f, c], dxp[:, c].shape)
        if self.bias is not None:
            self.dbias = np.array([dout[:, f].sum() for f in range(F)], dout.dtype)
        ph, pw = self.padding
        return dxp[:, :, ph : ph + self.hw[0], pw : pw + self.hw[1]]
