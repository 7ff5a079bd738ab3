import numpy as np

from tinycnn_numpy.layer import Layer


class MaxPool2D(Layer):
    """Every window is sorted, downwards and stable, so that the first of equal pixels stands in front."""

    def __init__(self, kernel_size, stride=None, padding=0):
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )

    def forward(self, x):
        (N, C, H, W), (KH, KW), (SH, SW), (PH, PW) = x.shape, self.kernel_size, self.stride, self.padding
        h = np.arange(0, H + 2 * PH - KH + 1, SH)[:, None, None] - PH + np.arange(KH).repeat(KW)
        w = np.arange(0, W + 2 * PW - KW + 1, SW)[:, None] - PW + np.tile(np.arange(KW), KH)
        inside = (0 <= h) & (h < H) & (0 <= w) & (w < W)
        pixel = np.where(inside, h * W + w, H * W)  # the last one is the padding
        flat = np.concatenate([x.reshape(N * C, H * W), np.full((N * C, 1), -np.inf, x.dtype)], axis=1)
        order = np.argsort(-flat[:, pixel], axis=-1, kind="stable")[..., :1]
        self.winner = np.take_along_axis(np.broadcast_to(pixel, (N * C, *pixel.shape)), order, axis=-1)[..., 0]
        self.shape = x.shape
        image = np.arange(N * C)[:, None, None]
        return flat[image, self.winner].reshape(N, C, *pixel.shape[:2])

    def backward(self, dout):
        N, C, H, W = self.shape
        dx = np.zeros((N * C, H * W), dout.dtype)
        for image, winner, grad in zip(dx, self.winner, dout.reshape(N * C, -1)):
            np.add.at(image, winner.ravel(), grad)
        return dx.reshape(self.shape)
