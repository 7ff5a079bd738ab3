import numpy as np


class Conv2d:
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        self.stride = stride
        self.padding = padding
        self.params = {
            "W": np.random.randn(out_channels, in_channels, kernel_size, kernel_size) * 0.05,
            "b": np.zeros(out_channels),
        }
        self.grads = {}

    def forward(self, x):
        W, b, s, p = self.params["W"], self.params["b"], self.stride, self.padding
        k = W.shape[2]
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        win = np.lib.stride_tricks.sliding_window_view(xp, (k, k), axis=(2, 3))[:, :, ::s, ::s]
        self.saved = x.shape, xp.shape, win
        return np.tensordot(win, W, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2) + b[None, :, None, None]

    def backward(self, dout):
        W, s, p = self.params["W"], self.stride, self.padding
        x_shape, xp_shape, win = self.saved
        k = W.shape[2]
        self.grads["W"] = np.tensordot(dout, win, axes=([0, 2, 3], [0, 2, 3]))
        self.grads["b"] = dout.sum((0, 2, 3))
        dxp = np.zeros(xp_shape)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                dxp[:, :, i * s : i * s + k, j * s : j * s + k] += np.tensordot(dout[:, :, i, j], W, axes=1)
        H, Wd = x_shape[2:]
        return dxp[:, :, p : H + p, p : Wd + p]


class FC:
    def __init__(self, d_in, d_out):
        self.params = {"W": np.random.randn(d_in, d_out) * 0.05, "b": np.zeros(d_out)}
        self.grads = {"W": None, "b": None}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = dout.sum(0)
        return dout @ self.params["W"].T


class MaxPool2d:
    def __init__(self, kernel_size, stride):
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x):
        k, s = self.kernel_size, self.stride
        win = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::s, ::s]
        flat = win.reshape(*win.shape[:4], -1)
        self.saved = x.shape, flat.argmax(-1)
        return flat.max(-1)

    def backward(self, dout):
        k, s = self.kernel_size, self.stride
        shape, arg = self.saved
        dx = np.zeros(shape)
        n, c, i, j = np.indices(arg.shape)
        dx[n, c, i * s + arg // k, j * s + arg % k] = dout
        return dx
