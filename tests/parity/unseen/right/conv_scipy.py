import numpy as np
from scipy.signal import convolve2d, correlate2d
from tinycnn_numpy import Conv2D as Base


class Conv2D(Base):
    def forward(self, x):
        (ph, pw), (sh, sw) = self.padding, self.stride
        self.shape = x.shape
        self.x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        maps = [[sum(correlate2d(c, k, "valid") for c, k in zip(img, flt)) for flt in self.weight] for img in self.x]
        self.full = np.shape(maps)
        out = np.array(maps)[:, :, ::sh, ::sw].astype(x.dtype)
        return out if self.bias is None else out + self.bias[:, None, None]

    def backward(self, dout):
        (ph, pw), (sh, sw) = self.padding, self.stride
        wide = np.zeros(self.full, dout.dtype)
        wide[:, :, ::sh, ::sw] = dout
        self.dweight = np.zeros_like(self.weight)
        dx = np.zeros_like(self.x)
        for n in range(len(wide)):
            for f in range(self.out_channels):
                for c in range(self.in_channels):
                    self.dweight[f, c] += correlate2d(self.x[n, c], wide[n, f], "valid")
                    dx[n, c] += convolve2d(wide[n, f], self.weight[f, c], "full")
        if self.bias is not None:
            self.dbias = dout.sum(axis=3).sum(axis=2).sum(axis=0)
        h, w = self.shape[2:]
        return dx[:, :, ph : ph + h, pw : pw + w]

    def backward_weights(self, dout):
        self.backward(dout)
