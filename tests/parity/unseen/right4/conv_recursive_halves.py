import numpy as np

from tinycnn_numpy.layer import Layer


class Conv2D(Layer):
    """Divide and conquer: the input channels are halved until one is left, and halves are added."""

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

    def windows(self, plane):
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        rows = np.arange(0, plane.shape[1] - KH + 1, SH)[:, None, None, None] + np.arange(KH)[:, None]
        cols = np.arange(0, plane.shape[2] - KW + 1, SW)[:, None, None] + np.arange(KW)
        return rows, cols

    def part(self, padded, first, last):
        if last - first == 1:
            rows, cols = self.windows(padded[:, first])
            return np.einsum("nhwij,fij->nfhw", padded[:, first][:, rows, cols], self.weight[:, first])
        middle = (first + last) // 2
        return self.part(padded, first, middle) + self.part(padded, middle, last)

    def forward(self, x):
        PH, PW = self.padding
        self.padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
        out = self.part(self.padded, 0, self.in_channels)
        if self.bias is not None:
            out += np.expand_dims(self.bias, (1, 2))
        return out

    def back(self, dout, first, last):
        """Lists with a gradient for each channel: of the padded plane and of the kernels' slice."""
        if last - first > 1:
            middle = (first + last) // 2
            (a, b), (c, d) = self.back(dout, first, middle), self.back(dout, middle, last)
            return a + c, b + d
        plane = self.padded[:, first]
        rows, cols = self.windows(plane)
        dplane = np.zeros_like(plane)
        dwindows = np.einsum("nfhw,fij->nhwij", dout, self.weight[:, first])
        np.add.at(dplane, (slice(None), rows, cols), dwindows)
        return [dplane], [np.einsum("nfhw,nhwij->fij", dout, plane[:, rows, cols])]

    def backward(self, dout):
        planes, slices = self.back(dout, 0, self.in_channels)
        self.dweight = np.stack(slices, axis=1)
        if self.bias is not None:
            self.dbias = np.einsum("nfhw->f", dout)
        (PH, PW), (H, W) = self.padding, self.padded.shape[2:]
        return np.stack(planes, axis=1)[:, :, PH : H - PH, PW : W - PW]
