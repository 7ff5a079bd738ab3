import numpy as np
from numpy.lib.stride_tricks import as_strided


class Conv2D:
    """
    Fast convolution with as_strided + tensordot.

    filters     : number of output maps
    kernel_size : (kh, kw)
    strides     : (sh, sw)
    padding     : 'valid' or an int
    """

    def __init__(self, filters, kernel_size, in_channels, strides=(1, 1), padding='valid'):
        self.filters = filters
        self.kh, self.kw = kernel_size
        self.sh, self.sw = strides
        self.pad = 0 if padding == 'valid' else padding
        lim = np.sqrt(6.0 / ((in_channels + filters) * self.kh * self.kw))
        self.W = np.random.uniform(-lim, lim, (filters, in_channels, self.kh, self.kw))
        self.b = np.zeros((filters, 1, 1))

    def _view(self, x, kh, kw, sh, sw):
        n, c, h, w = x.shape
        st = x.strides
        return as_strided(x, (n, c, (h - kh) // sh + 1, (w - kw) // sw + 1, kh, kw),
                          (st[0], st[1], st[2] * sh, st[3] * sw, st[2], st[3]))

    def forward(self, X):
        self.in_shape = X.shape
        if self.pad:
            X = np.pad(X, ((0, 0), (0, 0), (self.pad, self.pad), (self.pad, self.pad)))
        X = np.ascontiguousarray(X)
        self.view = self._view(X, self.kh, self.kw, self.sh, self.sw)
        self.padded_shape = X.shape
        out = np.tensordot(self.view, self.W, axes=[(1, 4, 5), (1, 2, 3)])
        return out.transpose(0, 3, 1, 2) + self.b

    def backward(self, dout):
        self.dW = np.tensordot(dout, self.view, axes=[(0, 2, 3), (0, 2, 3)])
        self.db = dout.sum(axis=(0, 2, 3)).reshape(self.b.shape)

        dX = np.zeros(self.padded_shape)
        oh, ow = dout.shape[2:]
        for i in range(oh):
            for j in range(ow):
                patch = np.tensordot(dout[:, :, i, j], self.W, axes=1)
                dX[:, :, i:i + self.kh, j:j + self.kw] += patch
        if self.pad:
            dX = dX[:, :, self.pad:-self.pad, self.pad:-self.pad]
        return dX


class AveragePooling2D:
    def __init__(self, pool_size=(2, 2), strides=None):
        self.ph, self.pw = pool_size
        self.sh, self.sw = strides or pool_size

    def forward(self, X):
        self.shape = X.shape
        n, c, h, w = X.shape
        st = X.strides
        v = as_strided(X, (n, c, (h - self.ph) // self.sh + 1, (w - self.pw) // self.sw + 1, self.ph, self.pw),
                       (st[0], st[1], st[2] * self.sh, st[3] * self.sw, st[2], st[3]))
        return v.mean(axis=(4, 5))

    def backward(self, dout):
        dX = np.zeros(self.shape)
        area = self.ph * self.pw
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                r, c = i * self.sh, j * self.sw
                # share the gradient between the pixels of the window
                dX[:, :, r:r + self.ph, c:c + self.pw] = dout[:, :, i, j][:, :, None, None] / area
        return dX


class ReLU:
    def forward(self, X):
        self.X = X
        return np.maximum(X, 0)

    def backward(self, dout):
        return np.where(self.X > 0, dout, 0)


class Flatten:
    def forward(self, X):
        self.shape = X.shape
        return X.reshape(len(X), -1)

    def backward(self, dout):
        return dout.reshape(self.shape)


class Dense:
    def __init__(self, units, in_units):
        lim = np.sqrt(6.0 / (units + in_units))
        self.W = np.random.uniform(-lim, lim, (in_units, units))
        self.b = np.zeros(units)

    def forward(self, X):
        self.X = X
        return X.dot(self.W) + self.b

    def backward(self, dout):
        self.dW = self.X.T.dot(dout)
        self.db = dout.sum(0)
        return dout.dot(self.W.T)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class SparseCategoricalCrossentropy:
    def __call__(self, logits, y):
        self.p = softmax(logits)
        self.y = y
        return -np.log(self.p[np.arange(len(y)), y]).mean()

    def backward(self):
        d = self.p
        d[np.arange(len(self.y)), self.y] -= 1
        return d / len(self.y)


if __name__ == '__main__':
    mnist = np.load('mnist.npz')
    X, y = mnist['x_train'][:, np.newaxis] / 255., mnist['y_train']
    net = [Conv2D(8, (5, 5), 1, strides=(2, 2), padding=2), ReLU(), AveragePooling2D(), Flatten(), Dense(10, 8 * 49)]
    loss = SparseCategoricalCrossentropy()
    for it in range(1000):
        i = np.random.choice(len(X), 64)
        a = X[i]
        for l in net: a = l.forward(a)
        v = loss(a, y[i])
        d = loss.backward()
        for l in net[::-1]: d = l.backward(d)
        for l in net:
            if hasattr(l, 'W'):
                l.W -= 0.1 * l.dW; l.b -= 0.1 * l.db
        if it % 100 == 0: print(it, v)
