import numpy as np
from tinycnn_numpy.layer import Layer


class _Pool(Layer):
    fill = 0.0

    def __init__(self, kernel_size, stride=None, padding=0):
        def pair(v):
            return tuple(v) if hasattr(v, "__len__") else (v, v)

        self.kernel_size, self.padding = pair(kernel_size), pair(padding)
        self.stride = pair(kernel_size if stride is None else stride)

    def windows(self, x):
        (ph, pw), (sh, sw) = self.padding, self.stride
        xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=self.fill)
        self.x_shape, self.xp_shape = x.shape, xp.shape
        v = np.lib.stride_tricks.sliding_window_view(xp, self.kernel_size, (2, 3))[:, :, ::sh, ::sw]
        return v.reshape(*v.shape[:4], -1)

    def scatter(self, dwindows):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        dxp = np.zeros(self.xp_shape, dwindows.dtype)
        oh, ow = dwindows.shape[2:4]
        for i in range(oh):
            for j in range(ow):
                dxp[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw] += dwindows[:, :, i, j].reshape(*dxp.shape[:2], kh, kw)
        h, w = self.x_shape[2:]
        return dxp[:, :, ph : ph + h, pw : pw + w]

    def forward(self, x):
        windows = self.windows(x)
        self.cache = self.slopes(windows)
        return self.reduce(windows)

    def backward(self, dout):
        return self.scatter((self.cache * dout[..., None]).astype(dout.dtype))


class MaxPool2D(_Pool):
    fill = -np.inf

    def reduce(self, windows):
        return windows.max(-1)

    def slopes(self, windows):
        return np.arange(windows.shape[-1]) == windows.argmax(-1)[..., None]


class AvgPool2D(_Pool):
    def reduce(self, windows):
        return windows.mean(-1)

    def slopes(self, windows):
        return np.full(windows.shape, 1 / windows.shape[-1])
