import numpy as np
from tinycnn_numpy import Conv2D as _C


class Conv2D(_C):
    def forward(self, x):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        self.xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), "constant")
        self.hw = x.shape[2:]
        oh = 1 + (self.xp.shape[2] - kh) // sh
        ow = 1 + (self.xp.shape[3] - kw) // sw
        columns = []
        for i in range(oh):
            row = [
                np.tensordot(self.xp[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw], self.weight, ([1, 2, 3], [1, 2, 3]))
                for j in range(ow)
            ]
            columns.append(np.stack(row, axis=-1))
        out = np.stack(columns, axis=2)
        if self.bias is not None:
            out += self.bias[:, None, None]
        return out

    def backward(self, dout):
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        dxp = np.zeros_like(self.xp)
        dw = np.zeros_like(self.weight)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                where = (slice(None), slice(None), slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw))
                dw += np.tensordot(dout[:, :, i, j], self.xp[where], (0, 0))
                dxp[where] += np.tensordot(dout[:, :, i, j], self.weight, (1, 0))
        self.dweight = dw
        if self.bias is not None:
            self.dbias = dout.sum((0, 2, 3))
        return dxp[:, :, ph : ph + self.hw[0], pw : pw + self.hw[1]]

    backward_weights = backward
