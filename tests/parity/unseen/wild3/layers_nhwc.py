# Channels-last layers (N, H, W, C), gradients kept in a dict next to the params.
import numpy as np


class Layer:
    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, x):
        raise NotImplementedError

    def backward(self, dout):
        raise NotImplementedError


class ConvSame(Layer):
    """Odd kernel, stride one, 'same' padding. W: (kh, kw, c_in, c_out)"""

    def __init__(self, c_in, c_out, ksize=3, rng=np.random):
        super().__init__()
        self.k = ksize
        self.p = ksize // 2
        std = np.sqrt(2. / (ksize * ksize * c_in))
        self.params['W'] = rng.normal(0, std, size=(ksize, ksize, c_in, c_out))
        self.params['b'] = np.zeros((c_out,))

    def forward(self, x):
        n, h, w, _ = x.shape
        p = self.p
        self.x_pad = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
        self.hw = h, w
        W = self.params['W']
        out = np.zeros((n, h, w, W.shape[-1]))
        for a in range(self.k):
            for b in range(self.k):
                out += np.einsum('nhwc,cf->nhwf', self.x_pad[:, a:a + h, b:b + w, :], W[a, b])
        return out + self.params['b']

    def backward(self, dout):
        h, w = self.hw
        W = self.params['W']
        dW = np.empty_like(W)
        dx_pad = np.zeros_like(self.x_pad)
        for a in range(self.k):
            for b in range(self.k):
                dW[a, b] = np.einsum('nhwc,nhwf->cf', self.x_pad[:, a:a + h, b:b + w, :], dout)
                dx_pad[:, a:a + h, b:b + w, :] += np.einsum('nhwf,cf->nhwc', dout, W[a, b])
        self.grads['W'] = dW
        self.grads['b'] = dout.sum(axis=(0, 1, 2))
        return dx_pad[:, :h, :w, :]


class AveragePooling(Layer):
    def __init__(self, size=2):
        super().__init__()
        self.size = size

    def forward(self, x):
        n, h, w, c = x.shape
        s = self.size
        assert h % s == 0 and w % s == 0, 'picture must divide into windows'
        return x.reshape(n, h // s, s, w // s, s, c).mean(axis=(2, 4))

    def backward(self, dout):
        return dout.repeat(self.size, axis=1).repeat(self.size, axis=2)


class Rectifier(Layer):
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, dout):
        return np.where(self.x > 0, dout, 0.)


class LeakyRectifier(Layer):
    def __init__(self, slope=.01):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.slope * x)

    def backward(self, dout):
        return np.where(self.x > 0, dout, self.slope * dout)


class Flatten(Layer):
    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dout):
        return dout.reshape(self.shape)


class Linear(Layer):
    def __init__(self, n_in, n_out, rng=np.random):
        super().__init__()
        self.params['W'] = rng.normal(0, np.sqrt(2. / n_in), size=(n_in, n_out))
        self.params['b'] = np.zeros((1, n_out))

    def forward(self, x):
        self.x = x
        return x.dot(self.params['W']) + self.params['b']

    def backward(self, dout):
        self.grads['W'] = self.x.T.dot(dout)
        self.grads['b'] = dout.sum(axis=0, keepdims=True)
        return dout.dot(self.params['W'].T)


class SoftmaxLoss:
    """One-hot targets; mean over the batch."""

    def forward(self, logits, onehot):
        z = logits - logits.max(axis=1, keepdims=True)
        self.p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        self.t = onehot
        return -np.sum(onehot * np.log(self.p + 1e-12)) / len(logits)

    def backward(self):
        return (self.p - self.t) / len(self.t)


class Momentum:
    def __init__(self, layers, lr=.05, mu=.9):
        self.layers, self.lr, self.mu = layers, lr, mu
        self.vel = [{k: np.zeros_like(v) for k, v in l.params.items()} for l in layers]

    def step(self):
        for l, vel in zip(self.layers, self.vel):
            for k in l.params:
                vel[k] = self.mu * vel[k] - self.lr * l.grads[k]
                l.params[k] += vel[k]


class Sequential:
    def __init__(self, *layers):
        self.layers = layers

    def forward(self, x):
        for l in self.layers:
            x = l.forward(x)
        return x

    def backward(self, g):
        for l in reversed(self.layers):
            g = l.backward(g)
        return g


if __name__ == '__main__':
    rng = np.random.RandomState(0)
    X, y = rng.rand(32, 8, 8, 1), rng.randint(0, 3, 32)
    net = Sequential(ConvSame(1, 4), Rectifier(), AveragePooling(2), ConvSame(4, 4), LeakyRectifier(), Flatten(), Linear(64, 3))
    crit, opt = SoftmaxLoss(), Momentum(net.layers)
    for it in range(50):
        loss = crit.forward(net.forward(X), np.eye(3)[y])
        net.backward(crit.backward())
        opt.step()
    print('final loss', loss)
