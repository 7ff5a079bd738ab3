import numpy as np

from tinycnn_numpy.layer import Layer


class MaxPool2D(Layer):
    """The pixels of a window meet in pairs, round by round; the winner knows its number. On a draw the lower one stays."""

    def __init__(self, kernel_size, stride=None, padding=0):
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = (
            (v, v) if np.isscalar(v) else tuple(v) for v in (kernel_size, stride, padding)
        )

    def views(self, padded):
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        H, W = padded.shape[2:]
        return [padded[:, :, i : H - KH + i + 1 : SH, j : W - KW + j + 1 : SW] for i, j in np.ndindex(KH, KW)]

    def forward(self, x):
        (N, C, H, W), (PH, PW) = x.shape, self.padding
        padded = np.full((N, C, H + 2 * PH, W + 2 * PW), -np.inf, x.dtype)
        padded[:, :, PH : PH + H, PW : PW + W] = x
        players = [(view, np.full(view.shape, number)) for number, view in enumerate(self.views(padded))]
        while len(players) > 1:
            pairs = zip(players[::2], players[1::2])
            rest = players[len(players) // 2 * 2 :]
            players = [self.match(*pair) for pair in pairs] + rest
        best, self.number = players[0]
        self.shape, self.size = padded.shape, (H, W)
        return best.copy()

    @staticmethod
    def match(left, right):
        stays = left[0] >= right[0]
        return np.where(stays, left[0], right[0]), np.where(stays, left[1], right[1])

    def backward(self, dout):
        (PH, PW), (H, W) = self.padding, self.size
        dpadded = np.zeros(self.shape, dout.dtype)
        for number, view in enumerate(self.views(dpadded)):
            np.add(view, dout, out=view, where=self.number == number)
        return dpadded[:, :, PH : PH + H, PW : PW + W]
