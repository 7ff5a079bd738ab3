from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tinycnn_numpy.layer import Layer


class Conv2D(Layer):
    """Each image is a task of its own; what the tasks return is stacked or summed in the order of the images."""

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

    def places(self, padded):
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        for h, top in enumerate(range(0, padded.shape[1] - KH + 1, SH)):
            for w, left in enumerate(range(0, padded.shape[2] - KW + 1, SW)):
                yield h, w, (slice(None), slice(top, top + KH), slice(left, left + KW))

    def one_forward(self, padded):
        outputs = {(h, w): np.tensordot(self.weight, padded[at], 3) for h, w, at in self.places(padded)}
        OH, OW = (1 + last for last in max(outputs))
        out = np.array([[outputs[h, w] for w in range(OW)] for h in range(OH)]).transpose(2, 0, 1)
        return out if self.bias is None else out + self.bias[:, None, None]

    def one_backward(self, padded, dout):
        dpadded, dweight = np.zeros_like(padded), np.zeros_like(self.weight)
        for h, w, at in self.places(padded):
            dweight += np.multiply.outer(dout[:, h, w], padded[at])
            dpadded[at] += np.tensordot(dout[:, h, w], self.weight, 1)
        return dpadded, dweight

    def forward(self, x):
        PH, PW = self.padding
        self.padded = [np.pad(image, ((0, 0), (PH, PH), (PW, PW))) for image in x]
        with ThreadPoolExecutor(2) as pool:
            return np.stack(list(pool.map(self.one_forward, self.padded)))

    def backward(self, dout):
        with ThreadPoolExecutor(2) as pool:
            dpadded, dweights = zip(*pool.map(self.one_backward, self.padded, dout))
        self.dweight = sum(dweights)
        if self.bias is not None:
            self.dbias = sum(image.sum(axis=(1, 2)) for image in dout)
        (PH, PW), (H, W) = self.padding, self.padded[0].shape[1:]
        return np.stack(dpadded)[:, :, PH : H - PH, PW : W - PW]
