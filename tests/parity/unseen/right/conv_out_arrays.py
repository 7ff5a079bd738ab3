import numpy as np
from tinycnn_numpy import Conv2D as Base


class Conv2D(Base):
    """works in buffers that are reused as long as the shapes stay"""

    buffer = None

    def forward(self, x):
        n, c, h, w = x.shape
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        oh, ow = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
        xp = np.zeros((n, c, h + 2 * ph, w + 2 * pw), x.dtype)
        np.copyto(xp[:, :, ph : ph + h, pw : pw + w], x)
        want = (n, oh * ow, c * kh * kw)
        if self.buffer is None or self.buffer.shape != want or self.buffer.dtype != x.dtype:
            self.buffer = np.empty(want, x.dtype)
        for p in range(oh * ow):
            i, j = divmod(p, ow)
            block = xp[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
            self.buffer[:, p] = block.reshape(n, -1)
        out = np.empty((n, oh * ow, self.out_channels), x.dtype)
        np.matmul(self.buffer, self.weight.reshape(self.out_channels, -1).T, out=out)
        if self.bias is not None:
            np.add(out, self.bias, out=out)
        self.cache = x.shape, xp.shape, (oh, ow)
        return out.reshape(n, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        (n, c, h, w), padded, (oh, ow) = self.cache
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        d = np.ascontiguousarray(dout.transpose(0, 2, 3, 1)).reshape(n, oh * ow, -1)
        self.backward_weights(dout)
        dcol = np.matmul(d, self.weight.reshape(self.out_channels, -1)).reshape(n, oh, ow, c, kh, kw)
        dxp = np.zeros(padded, dout.dtype)
        for i in range(oh):
            for j in range(ow):
                part = dxp[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw]
                np.add(part, dcol[:, i, j], out=part)
        return dxp[:, :, ph : ph + h, pw : pw + w]

    def backward_weights(self, dout):
        d = dout.transpose(0, 2, 3, 1).reshape(-1, self.out_channels)
        rows = self.buffer.reshape(len(d), -1)
        self.dweight = np.dot(d.T, rows).reshape(self.weight.shape)
        if self.bias is not None:
            self.dbias = np.add.reduce(d, axis=0)
