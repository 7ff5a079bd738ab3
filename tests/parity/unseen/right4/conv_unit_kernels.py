import numpy as np

from tinycnn_numpy.layer import Layer


class Conv2D(Layer):
    """out is linear in the kernel, so every weight has a picture: what a kernel of one 1 makes of x.

    forward adds up the pictures, dweight is the scalar product of dout with each of them.
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True, *, rng, dtype=np.float32
    ):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )
        shape = (out_channels, in_channels, *self.kernel_size)
        bound = float(np.prod(shape[1:])) ** -0.5
        self.weight = rng.uniform(-bound, bound, shape).astype(dtype)
        self.bias = rng.uniform(-bound, bound, out_channels).astype(dtype) if bias else None

    def look(self, padded, i, j, size):
        (SH, SW), (OH, OW) = self.stride, size
        return padded[:, :, i : i + (OH - 1) * SH + 1 : SH, j : j + (OW - 1) * SW + 1 : SW]

    def forward(self, x):
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        size = (padded.shape[2] - KH) // SH + 1, (padded.shape[3] - KW) // SW + 1
        self.pictures = np.empty((x.shape[1], KH, KW, x.shape[0], *size), x.dtype)
        for i, j in np.ndindex(KH, KW):
            self.pictures[:, i, j] = self.look(padded, i, j, size).swapaxes(0, 1)
        flat = self.pictures.reshape(self.weight[0].size, -1)
        out = (self.weight.reshape(self.out_channels, -1) @ flat).reshape(-1, len(x), *size).swapaxes(0, 1)
        self.shape = padded.shape
        return out if self.bias is None else out + self.bias.reshape(-1, 1, 1)

    def backward(self, dout):
        rows = dout.swapaxes(0, 1).reshape(self.out_channels, -1)
        self.dweight = np.inner(rows, self.pictures.reshape(self.weight[0].size, -1)).reshape(self.weight.shape)
        if self.bias is not None:
            self.dbias = rows @ np.ones(rows.shape[1], rows.dtype)
        dpadded = np.zeros(self.shape, dout.dtype)
        for i, j in np.ndindex(self.kernel_size):
            seen = self.look(dpadded, i, j, dout.shape[2:])
            seen += np.moveaxis(np.tensordot(dout, self.weight[:, :, i, j], (1, 0)), 3, 1)
        (PH, PW), (H, W) = self.padding, self.shape[2:]
        return dpadded[:, :, PH : H - PH, PW : W - PW]
