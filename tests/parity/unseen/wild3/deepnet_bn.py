import numpy as np
from collections import OrderedDict


def unroll(x, fh, fw, stride=1, pad=0):
    """(N,C,H,W) -> one row per window, (N*OH*OW, C*fh*fw)"""
    N, C, H, W = x.shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    xp = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], 'constant')
    cols = np.zeros((N, C, fh, fw, oh, ow))
    for i in range(fh):
        for j in range(fw):
            cols[:, :, i, j] = xp[:, :, i:i + stride * oh:stride, j:j + stride * ow:stride]
    return cols.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1), oh, ow


def roll_back(cols, shape, fh, fw, stride=1, pad=0):
    N, C, H, W = shape
    oh = (H + 2 * pad - fh) // stride + 1
    ow = (W + 2 * pad - fw) // stride + 1
    cols = cols.reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    xp = np.zeros((N, C, H + 2 * pad, W + 2 * pad))
    for i in range(fh):
        for j in range(fw):
            xp[:, :, i:i + stride * oh:stride, j:j + stride * ow:stride] += cols[:, :, i, j]
    return xp[:, :, pad:pad + H, pad:pad + W]


class Convolution:
    def __init__(self, W, b, stride=1, pad=0):
        self.W, self.b, self.stride, self.pad = W, b, stride, pad
        self.dW = self.db = None

    def forward(self, x):
        FN, C, fh, fw = self.W.shape
        self.x_shape = x.shape
        self.cols, oh, ow = unroll(x, fh, fw, self.stride, self.pad)
        out = self.cols @ self.W.reshape(FN, -1).T + self.b
        return out.reshape(x.shape[0], oh, ow, FN).transpose(0, 3, 1, 2)

    def backward(self, dout):
        FN, C, fh, fw = self.W.shape
        d = dout.transpose(0, 2, 3, 1).reshape(-1, FN)
        self.db = d.sum(axis=0)
        self.dW = (self.cols.T @ d).T.reshape(self.W.shape)
        return roll_back(d @ self.W.reshape(FN, -1), self.x_shape, fh, fw, self.stride, self.pad)


class Pooling:
    """Max pooling."""

    def __init__(self, pool_h, pool_w, stride=2, pad=0):
        self.pool_h, self.pool_w, self.stride, self.pad = pool_h, pool_w, stride, pad

    def forward(self, x):
        N, C, H, W = x.shape
        cols, oh, ow = unroll(x, self.pool_h, self.pool_w, self.stride, self.pad)
        cols = cols.reshape(-1, self.pool_h * self.pool_w)
        self.x_shape = x.shape
        self.arg = cols.argmax(axis=1)
        return cols.max(axis=1).reshape(N, oh, ow, C).transpose(0, 3, 1, 2)

    def backward(self, dout):
        d = dout.transpose(0, 2, 3, 1)
        size = self.pool_h * self.pool_w
        dmax = np.zeros((d.size, size))
        dmax[np.arange(d.size), self.arg] = d.ravel()
        return roll_back(dmax.reshape(d.shape + (size,)), self.x_shape, self.pool_h, self.pool_w, self.stride, self.pad)


class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.orig = x.shape
        self.x = x.reshape(x.shape[0], -1)
        return np.dot(self.x, self.W) + self.b

    def backward(self, dout):
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.W.T).reshape(self.orig)


class Relu:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout = dout.copy()
        dout[self.mask] = 0
        return dout


class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * self.out * (1 - self.out)


class BatchNormalization:
    """momentum is the share of the old running value."""

    def __init__(self, gamma, beta, momentum=0.9):
        self.gamma, self.beta, self.momentum = gamma, beta, momentum
        self.running_mean = self.running_var = None

    def forward(self, x, train_flg=True):
        if self.running_mean is None:
            self.running_mean = np.zeros(x.shape[1])
            self.running_var = np.ones(x.shape[1])
        if train_flg:
            mu = x.mean(axis=0)
            self.xc = x - mu
            var = np.mean(self.xc ** 2, axis=0)
            self.std = np.sqrt(var + 1e-5)
            self.xn = self.xc / self.std
            m = self.momentum
            self.running_mean = m * self.running_mean + (1 - m) * mu
            self.running_var = m * self.running_var + (1 - m) * var
            xn = self.xn
        else:
            xn = (x - self.running_mean) / np.sqrt(self.running_var + 1e-5)
        return self.gamma * xn + self.beta

    def backward(self, dout):
        n = dout.shape[0]
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum(dxn * self.xc / self.std ** 2, axis=0)
        dvar = 0.5 * dstd / self.std
        dxc += 2.0 / n * self.xc * dvar
        return dxc - dxc.sum(axis=0) / n


class Dropout:
    """Old style: nothing scaled while training, output scaled at test time."""

    def __init__(self, dropout_ratio=0.5):
        self.dropout_ratio = dropout_ratio

    def forward(self, x, train_flg=True):
        if train_flg:
            self.mask = np.random.rand(*x.shape) > self.dropout_ratio
            return x * self.mask
        return x * (1.0 - self.dropout_ratio)

    def backward(self, dout):
        return dout * self.mask


class SoftmaxWithLoss:
    def forward(self, x, t):
        x = x - x.max(axis=-1, keepdims=True)
        self.y = np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)
        self.t = t.argmax(axis=1) if t.ndim == 2 else t
        n = len(self.t)
        return -np.sum(np.log(self.y[np.arange(n), self.t] + 1e-7)) / n

    def backward(self, dout=1):
        n = len(self.t)
        dx = self.y.copy()
        dx[np.arange(n), self.t] -= 1
        return dout * dx / n


class Adam:
    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999):
        self.lr, self.beta1, self.beta2 = lr, beta1, beta2
        self.iter, self.m, self.v = 0, None, None

    def update(self, params, grads):
        if self.m is None:
            self.m = {k: np.zeros_like(p) for k, p in params.items()}
            self.v = {k: np.zeros_like(p) for k, p in params.items()}
        self.iter += 1
        for k in params:
            self.m[k] = self.beta1 * self.m[k] + (1 - self.beta1) * grads[k]
            self.v[k] = self.beta2 * self.v[k] + (1 - self.beta2) * grads[k] ** 2
            mhat = self.m[k] / (1 - self.beta1 ** self.iter)
            vhat = self.v[k] / (1 - self.beta2 ** self.iter)
            params[k] -= self.lr * mhat / (np.sqrt(vhat) + 1e-8)


class MultiLayerNet:
    def __init__(self):
        r = np.random.RandomState(3)
        self.params = {'W1': .1 * r.randn(4, 1, 3, 3), 'b1': np.zeros(4), 'W2': .1 * r.randn(64, 20), 'b2': np.zeros(20),
                       'gamma': np.ones(20), 'beta': np.zeros(20), 'W3': .1 * r.randn(20, 5), 'b3': np.zeros(5)}
        p = self.params
        self.layers = OrderedDict(conv=Convolution(p['W1'], p['b1'], 1, 1), relu=Relu(), pool=Pooling(2, 2),
                                  fc1=Affine(p['W2'], p['b2']), bn=BatchNormalization(p['gamma'], p['beta']),
                                  sig=Sigmoid(), drop=Dropout(.2), fc2=Affine(p['W3'], p['b3']))
        self.last = SoftmaxWithLoss()

    def gradient(self, x, t):
        for name, l in self.layers.items():
            x = l.forward(x, True) if name in ('bn', 'drop') else l.forward(x)
        loss = self.last.forward(x, t)
        d = self.last.backward()
        for l in reversed(self.layers.values()):
            d = l.backward(d)
        L = self.layers
        return loss, {'W1': L['conv'].dW, 'b1': L['conv'].db, 'W2': L['fc1'].dW, 'b2': L['fc1'].db, 'gamma': L['bn'].dgamma,
                      'beta': L['bn'].dbeta, 'W3': L['fc2'].dW, 'b3': L['fc2'].db}


if __name__ == '__main__':
    net, opt = MultiLayerNet(), Adam(.01)
    x, t = np.random.rand(40, 1, 8, 8), np.random.randint(0, 5, 40)
    for _ in range(60):
        loss, grads = net.gradient(x, t)
        opt.update(net.params, grads)
    print(loss)
