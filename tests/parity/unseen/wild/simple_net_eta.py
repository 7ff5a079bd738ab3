import numpy as np


class Linear(object):
    def __init__(self, inputs, outputs):
        self.weights = np.random.standard_normal((inputs, outputs)) * 0.01
        self.bias = np.zeros(outputs)

    def forward(self, x):
        self.x = x
        return np.matmul(x, self.weights) + self.bias

    def backward(self, eta):
        self.w_gradient = np.matmul(self.x.T, eta)
        self.b_gradient = np.sum(eta, 0)
        return np.matmul(eta, self.weights.T)

    def gradient(self, alpha=0.01, weight_decay=0.0):
        self.weights *= 1 - weight_decay
        self.bias *= 1 - weight_decay
        self.weights -= alpha * self.w_gradient
        self.bias -= alpha * self.b_gradient


class Conv(object):
    """NHWC, kernel (k, k, c_in, c_out), VALID"""

    def __init__(self, channels_in, channels_out, ksize=3, stride=1):
        self.k, self.stride = ksize, stride
        self.weights = np.random.standard_normal((ksize, ksize, channels_in, channels_out)) * 0.1
        self.bias = np.zeros(channels_out)

    def unfold(self, x):
        b, h, w, c = x.shape
        oh, ow = (h - self.k) // self.stride + 1, (w - self.k) // self.stride + 1
        rows = [
            x[n, i * self.stride : i * self.stride + self.k, j * self.stride : j * self.stride + self.k].ravel()
            for n in range(b)
            for i in range(oh)
            for j in range(ow)
        ]
        return np.array(rows), (b, oh, ow)

    def forward(self, x):
        self.x = x
        self.col, (b, oh, ow) = self.unfold(x)
        flat = self.weights.reshape(-1, self.weights.shape[-1])
        return (self.col @ flat + self.bias).reshape(b, oh, ow, -1)

    def backward(self, eta):
        b, oh, ow, f = eta.shape
        e = eta.reshape(-1, f)
        self.w_gradient = (self.col.T @ e).reshape(self.weights.shape)
        self.b_gradient = e.sum(axis=0)
        # spread eta over a zero grid, pad, convolve with the turned kernel
        s, k = self.stride, self.k
        H, W = self.x.shape[1:3]
        grid = np.zeros((b, H - k + 1, W - k + 1, f))
        grid[:, ::s, ::s] = eta
        grid = np.pad(grid, ((0, 0), (k - 1, k - 1), (k - 1, k - 1), (0, 0)))
        turned = self.weights[::-1, ::-1].swapaxes(2, 3)
        dx = np.zeros(self.x.shape)
        for i in range(k):
            for j in range(k):
                dx += grid[:, i : i + H, j : j + W] @ turned[i, j]
        return dx


class Relu(object):
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, eta):
        eta[self.x <= 0] = 0
        return eta


class MaxPooling(object):
    def __init__(self, ksize=2, stride=2):
        self.ksize, self.stride = ksize, stride

    def forward(self, x):
        b, h, w, c = x.shape
        k, s = self.ksize, self.stride
        out = np.zeros((b, (h - k) // s + 1, (w - k) // s + 1, c))
        self.index = np.zeros(x.shape)
        for n, i, j, q in np.ndindex(*out.shape):
            cell = x[n, i * s : i * s + k, j * s : j * s + k, q]
            out[n, i, j, q] = cell.max()
            pos = np.unravel_index(cell.argmax(), cell.shape)
            self.index[n, i * s + pos[0], j * s + pos[1], q] = 1
        return out

    def backward(self, eta):
        up = np.repeat(np.repeat(eta, self.stride, axis=1), self.stride, axis=2)
        full = np.zeros(self.index.shape)
        full[:, : up.shape[1], : up.shape[2]] = up[:, : full.shape[1], : full.shape[2]]
        return full * self.index
