import numpy as np

# fprop / bprop network. Shapes: pictures (N, C, H, W); W of the convolution (F, C*K*K), one row per filter.


def window_index(C, H, W, K, stride):
    oh, ow = (H - K) // stride + 1, (W - K) // stride + 1
    c = np.repeat(np.arange(C), K * K)[:, None]
    r0, q0 = np.tile(np.repeat(np.arange(K), K), C), np.tile(np.arange(K), K * C)
    r1, q1 = stride * np.repeat(np.arange(oh), ow), stride * np.tile(np.arange(ow), oh)
    return c, r0[:, None] + r1[None], q0[:, None] + q1[None], oh, ow


class ConvLayer(object):
    def __init__(self, nchan, nfilt, ksize, stride=1, scale=0.1):
        self.C, self.F, self.K, self.stride = nchan, nfilt, ksize, stride
        self.W = scale * np.random.randn(nfilt, nchan * ksize * ksize)
        self.b = np.zeros((nfilt, 1))

    def params(self):
        return [self.W, self.b]

    def grads(self):
        return [self.dW, self.db]

    def fprop(self, X):
        self.X_shape = X.shape
        c, r, q, oh, ow = self.idx = window_index(X.shape[1], X.shape[2], X.shape[3], self.K, self.stride)
        self.col = X[:, c, r, q]                                # N, CKK, oh*ow
        out = np.matmul(self.W, self.col) + self.b
        return out.reshape(len(X), self.F, oh, ow)

    def bprop(self, err):
        c, r, q, oh, ow = self.idx
        err = err.reshape(len(err), self.F, -1)
        self.dW = np.einsum('nfp,nkp->fk', err, self.col)
        self.db = err.sum(axis=(0, 2)).reshape(-1, 1)
        dX = np.zeros(self.X_shape)
        dX[:, c, r, q] += np.matmul(self.W.T, err)
        return dX


class PoolLayer(object):
    """max, window = stride"""

    def __init__(self, size):
        self.size = size

    def params(self):
        return []

    grads = params

    def fprop(self, X):
        N, C, H, W = X.shape
        s = self.size
        self.X_shape = X.shape
        blocks = X.reshape(N, C, H // s, s, W // s, s).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H // s, W // s, s * s)
        self.winner = blocks.argmax(-1)
        return np.take_along_axis(blocks, self.winner[..., None], -1)[..., 0]

    def bprop(self, err):
        N, C, H, W = self.X_shape
        s = self.size
        d = np.zeros(err.shape + (s * s,))
        np.put_along_axis(d, self.winner[..., None], err[..., None], -1)
        return d.reshape(N, C, H // s, W // s, s, s).transpose(0, 1, 2, 4, 3, 5).reshape(self.X_shape)


class RectLin(object):
    def params(self):
        return []

    grads = params

    def fprop(self, X):
        self.X = X
        return X * (X > 0)

    def bprop(self, err):
        return err * (self.X > 0)


class Logistic(object):
    def params(self):
        return []

    grads = params

    def fprop(self, X):
        self.Y = 1.0 / (1.0 + np.exp(-X))
        return self.Y

    def bprop(self, err):
        return err * self.Y * (1 - self.Y)


class FullLayer(object):
    def __init__(self, nin, nout, scale=0.1):
        self.W = scale * np.random.randn(nin, nout)
        self.b = np.zeros(nout)

    def params(self):
        return [self.W, self.b]

    def grads(self):
        return [self.dW, self.db]

    def fprop(self, X):
        self.shape = X.shape
        self.X = X.reshape(len(X), -1)
        return self.X.dot(self.W) + self.b

    def bprop(self, err):
        self.dW = self.X.T.dot(err)
        self.db = err.sum(axis=0)
        return err.dot(self.W.T).reshape(self.shape)


class SoftmaxCost(object):
    """mean cross entropy of the batch, targets are class numbers"""

    def fprop(self, scores, y):
        s = scores - scores.max(axis=1)[:, None]
        logZ = np.log(np.exp(s).sum(axis=1))
        self.prob = np.exp(s - logZ[:, None])
        self.y = y
        return np.mean(logZ - s[np.arange(len(y)), y])

    def bprop(self):
        err = self.prob.copy()
        err[np.arange(len(self.y)), self.y] -= 1
        return err


class GradientDescentMomentum(object):
    def __init__(self, layers, lrate, mom=0.9):
        self.layers, self.lrate, self.mom = layers, lrate, mom
        self.speed = {}

    def update(self):
        for li, layer in enumerate(self.layers):
            for pi, (p, g) in enumerate(zip(layer.params(), layer.grads())):
                v = self.speed.get((li, pi), 0.0)
                v = self.mom * v + self.lrate * g
                self.speed[li, pi] = v
                p -= v


class MLP(object):
    def __init__(self, layers):
        self.layers = layers

    def fprop(self, X):
        for l in self.layers:
            X = l.fprop(X)
        return X

    def bprop(self, err):
        for l in self.layers[::-1]:
            err = l.bprop(err)


if __name__ == '__main__':
    np.random.seed(11)
    X, y = np.random.rand(50, 1, 10, 10), np.random.randint(4, size=50)
    net = MLP([ConvLayer(1, 6, 3), RectLin(), PoolLayer(2), FullLayer(96, 30), Logistic(), FullLayer(30, 4)])
    cost, gd = SoftmaxCost(), GradientDescentMomentum(net.layers, 0.001)
    for epoch in range(30):
        J = cost.fprop(net.fprop(X), y)
        net.bprop(cost.bprop())
        gd.update()
    print('J = %.4f' % J)
