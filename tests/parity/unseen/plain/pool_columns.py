import numpy as np

from tinycnn_numpy.layer import Layer


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


class Pool(Layer):
    fill = 0

    def __init__(self, kernel_size, stride=None, padding=0):
        if stride is None:
            stride = kernel_size
        self.kernel_size, self.stride, self.padding = pair(kernel_size), pair(stride), pair(padding)

    def im2col(self, x):
        N, C, H, W = x.shape
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        OH, OW = (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1
        maps = x.reshape(N * C, H, W)
        maps = np.pad(maps, ((0, 0), (PH, PH), (PW, PW)), constant_values=self.fill)
        columns = np.zeros((N * C, OH * OW, KH * KW), x.dtype)
        for h in range(OH):
            for w in range(OW):
                window = maps[:, h * SH : h * SH + KH, w * SW : w * SW + KW]
                columns[:, h * OW + w, :] = window.reshape(N * C, KH * KW)
        self.shapes = x.shape, (N, C, OH, OW)
        return columns

    def col2im(self, dcolumns):
        (N, C, H, W), (_, _, OH, OW) = self.shapes
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        dmaps = np.zeros((N * C, H + 2 * PH, W + 2 * PW), dcolumns.dtype)
        for h in range(OH):
            for w in range(OW):
                dwindow = dcolumns[:, h * OW + w, :].reshape(-1, KH, KW)
                dmaps[:, h * SH : h * SH + KH, w * SW : w * SW + KW] += dwindow
        dmaps = dmaps[:, PH : PH + H, PW : PW + W]
        return dmaps.reshape(N, C, H, W)


class MaxPool2D(Pool):
    fill = -np.inf

    def forward(self, x):
        columns = self.im2col(x)
        self.argmax = columns.argmax(axis=2)
        self.size = columns.shape[2]
        best = columns.max(axis=2)
        return best.reshape(self.shapes[1])

    def backward(self, dout):
        one_hot = np.eye(self.size, dtype=dout.dtype)[self.argmax]
        grad = dout.reshape(self.argmax.shape)
        return self.col2im(one_hot * grad[:, :, None])


class AvgPool2D(Pool):
    def forward(self, x):
        columns = self.im2col(x)
        area = columns.shape[2]
        means = columns.sum(axis=2) / area
        return means.reshape(self.shapes[1])

    def backward(self, dout):
        (N, C, OH, OW), area = dout.shape, self.kernel_size[0] * self.kernel_size[1]
        grad = dout.reshape(N * C, OH * OW, 1) / area
        dcolumns = np.repeat(grad, area, axis=2)
        return self.col2im(dcolumns)
