"""
A tiny convolutional network in plain NumPy.

usage: python simple_cnn.py --data mnist.npz
"""
import argparse
import numpy as np


def get_im2col_indices(x_shape, field_height, field_width, padding, stride):
    N, C, H, W = x_shape
    out_h = (H + 2 * padding - field_height) // stride + 1
    out_w = (W + 2 * padding - field_width) // stride + 1

    i0 = np.repeat(np.arange(field_height), field_width)
    i0 = np.tile(i0, C)
    i1 = stride * np.repeat(np.arange(out_h), out_w)
    j0 = np.tile(np.arange(field_width), field_height * C)
    j1 = stride * np.tile(np.arange(out_w), out_h)
    i = i0.reshape(-1, 1) + i1.reshape(1, -1)
    j = j0.reshape(-1, 1) + j1.reshape(1, -1)
    k = np.repeat(np.arange(C), field_height * field_width).reshape(-1, 1)
    return k, i, j


def im2col(x, fh, fw, padding, stride):
    p = padding
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), mode="constant")
    k, i, j = get_im2col_indices(x.shape, fh, fw, padding, stride)
    cols = xp[:, k, i, j]
    return cols.transpose(1, 2, 0).reshape(fh * fw * x.shape[1], -1)


def col2im(cols, x_shape, fh, fw, padding, stride):
    N, C, H, W = x_shape
    xp = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=cols.dtype)
    k, i, j = get_im2col_indices(x_shape, fh, fw, padding, stride)
    c = cols.reshape(C * fh * fw, -1, N).transpose(2, 0, 1)
    np.add.at(xp, (slice(None), k, i, j), c)
    if padding == 0:
        return xp
    return xp[:, :, padding:-padding, padding:-padding]


class Conv:
    def __init__(self, in_ch, out_ch, k=3, stride=1, pad=1):
        self.k, self.stride, self.pad = k, stride, pad
        self.in_ch, self.out_ch = in_ch, out_ch
        # every filter is one row
        self.W = np.random.randn(out_ch, in_ch * k * k) * np.sqrt(2.0 / (in_ch * k * k))
        self.b = np.zeros((out_ch, 1))

    def forward(self, x):
        self.x_shape = x.shape
        n, _, h, w = x.shape
        oh = (h + 2 * self.pad - self.k) // self.stride + 1
        ow = (w + 2 * self.pad - self.k) // self.stride + 1
        self.cols = im2col(x, self.k, self.k, self.pad, self.stride)
        out = self.W @ self.cols + self.b
        return out.reshape(self.out_ch, oh, ow, n).transpose(3, 0, 1, 2)

    def backward(self, dout):
        d = dout.transpose(1, 2, 3, 0).reshape(self.out_ch, -1)
        self.dW = d @ self.cols.T
        self.db = d.sum(axis=1, keepdims=True)
        dcols = self.W.T @ d
        return col2im(dcols, self.x_shape, self.k, self.k, self.pad, self.stride)


class MaxPool:
    def __init__(self, size=2, stride=2):
        self.size, self.stride = size, stride

    def forward(self, x):
        n, c, h, w = x.shape
        self.x_shape = x.shape
        oh = (h - self.size) // self.stride + 1
        ow = (w - self.size) // self.stride + 1
        xr = x.reshape(n * c, 1, h, w)
        self.cols = im2col(xr, self.size, self.size, 0, self.stride)
        self.idx = np.argmax(self.cols, axis=0)
        out = self.cols[self.idx, np.arange(self.idx.size)]
        return out.reshape(oh, ow, n, c).transpose(2, 3, 0, 1)

    def backward(self, dout):
        n, c, h, w = self.x_shape
        dcols = np.zeros_like(self.cols)
        dcols[self.idx, np.arange(self.idx.size)] = dout.transpose(2, 3, 0, 1).ravel()
        dx = col2im(dcols, (n * c, 1, h, w), self.size, self.size, 0, self.stride)
        return dx.reshape(self.x_shape)


class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class LeakyReLU:
    def __init__(self, alpha=0.01):
        self.alpha = alpha

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.alpha * x)

    def backward(self, dout):
        return dout * np.where(self.x > 0, 1.0, self.alpha)


class Flatten:
    def forward(self, x):
        self.shape = x.shape
        return x.reshape(x.shape[0], -1)

    def backward(self, dout):
        return dout.reshape(self.shape)


class FC:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out) * np.sqrt(2.0 / n_in)
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class SoftmaxLoss:
    def forward(self, scores, y):
        s = scores - scores.max(axis=1, keepdims=True)
        e = np.exp(s)
        self.p = e / e.sum(axis=1, keepdims=True)
        self.y = y
        return -np.mean(np.log(self.p[np.arange(len(y)), y]))

    def backward(self):
        d = self.p.copy()
        d[np.arange(len(self.y)), self.y] -= 1
        return d / len(self.y)


class Net:
    def __init__(self):
        self.layers = [Conv(1, 8), ReLU(), MaxPool(), Conv(8, 16), LeakyReLU(),
                       MaxPool(), Flatten(), FC(16 * 7 * 7, 10)]
        self.loss = SoftmaxLoss()

    def forward(self, x):
        for l in self.layers:
            x = l.forward(x)
        return x

    def train_step(self, x, y, lr):
        loss = self.loss.forward(self.forward(x), y)
        d = self.loss.backward()
        for l in reversed(self.layers):
            d = l.backward(d)
            if hasattr(l, "W"):
                l.W -= lr * l.dW
                l.b -= lr * l.db
        return loss


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", default="mnist.npz")
    ap.add_argument("--epochs", type=int, default=2)
    args = ap.parse_args()
    f = np.load(args.data)
    X = f["x_train"][:, None].astype(np.float64) / 255.0
    Y = f["y_train"]
    net = Net()
    for ep in range(args.epochs):
        order = np.random.permutation(len(X))
        for s in range(0, len(X), 64):
            b = order[s:s + 64]
            loss = net.train_step(X[b], Y[b], 0.05)
        print("epoch", ep, "loss", loss)
