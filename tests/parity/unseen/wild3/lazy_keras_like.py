"""Keras-flavoured layers: shapes are found out at the first call, build() makes the weights."""
import numpy as np


class Layer:
    trainable = ()

    def __init__(self):
        self.built = False

    def build(self, input_shape):
        pass

    def __call__(self, x, training=True):
        if not self.built:
            self.build(x.shape)
            self.built = True
        return self.call(x, training)

    def gradient(self, upstream):
        raise NotImplementedError


class Conv2D(Layer):
    """channels last; kernel (kh, kw, in, out); padding 'valid' or 'same' (stride 1 only)"""
    trainable = ('kernel', 'bias')

    def __init__(self, filters, kernel_size=(3, 3), padding='valid'):
        super().__init__()
        self.filters, self.kernel_size, self.padding = filters, kernel_size, padding

    def build(self, input_shape):
        kh, kw = self.kernel_size
        limit = np.sqrt(6 / (kh * kw * (input_shape[-1] + self.filters)))
        self.kernel = np.random.uniform(-limit, limit, (kh, kw, input_shape[-1], self.filters))
        self.bias = np.zeros(self.filters)

    def call(self, x, training=True):
        kh, kw = self.kernel_size
        top, left = ((kh - 1) // 2, (kw - 1) // 2) if self.padding == 'same' else (0, 0)
        bottom, right = (kh - 1 - top, kw - 1 - left) if self.padding == 'same' else (0, 0)
        self.crop = top, left, x.shape[1], x.shape[2]
        self.xp = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        self.view = np.lib.stride_tricks.sliding_window_view(self.xp, (kh, kw), axis=(1, 2))
        return np.tensordot(self.view, self.kernel, ((4, 5, 3), (0, 1, 2))) + self.bias

    def gradient(self, upstream):
        kh, kw = self.kernel_size
        dkernel = np.einsum('nyxcij,nyxf->ijcf', self.view, upstream, optimize=True)
        dxp = np.zeros_like(self.xp)
        oh, ow = upstream.shape[1:3]
        for i in range(kh):
            for j in range(kw):
                dxp[:, i:i + oh, j:j + ow] += upstream @ self.kernel[i, j].T
        t, l, h, w = self.crop
        return dxp[:, t:t + h, l:l + w], {'kernel': dkernel, 'bias': upstream.sum((0, 1, 2))}


class Dense(Layer):
    trainable = ('kernel', 'bias')

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, input_shape):
        self.kernel = np.random.randn(input_shape[-1], self.units) * np.sqrt(1 / input_shape[-1])
        self.bias = np.zeros(self.units)

    def call(self, x, training=True):
        self.x = x
        return x @ self.kernel + self.bias

    def gradient(self, upstream):
        return upstream @ self.kernel.T, {'kernel': self.x.T @ upstream, 'bias': upstream.sum(axis=0)}


class ReLU(Layer):
    def call(self, x, training=True):
        self.x = x
        return np.maximum(x, 0.)

    def gradient(self, upstream):
        return upstream * np.heaviside(self.x, 0.), {}


class Flatten(Layer):
    def call(self, x, training=True):
        self.shape = x.shape
        return x.reshape(x.shape[0], -1)

    def gradient(self, upstream):
        return upstream.reshape(self.shape), {}


class Dropout(Layer):
    def __init__(self, rate):
        super().__init__()
        self.keep = 1 - rate

    def call(self, x, training=True):
        self.scale = np.random.binomial(1, self.keep, x.shape) / self.keep if training else np.ones_like(x)
        return x * self.scale

    def gradient(self, upstream):
        return upstream * self.scale, {}


class BatchNormalization(Layer):
    """over the last axis"""
    trainable = ('gamma', 'beta')

    def __init__(self, momentum=.99, epsilon=1e-3):
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, input_shape):
        c = input_shape[-1]
        self.gamma, self.beta = np.ones(c), np.zeros(c)
        self.moving_mean, self.moving_variance = np.zeros(c), np.ones(c)

    def call(self, x, training=True):
        self.axes = tuple(range(x.ndim - 1))
        if training:
            mean, var = x.mean(self.axes), x.var(self.axes)
            self.moving_mean = self.momentum * self.moving_mean + (1 - self.momentum) * mean
            self.moving_variance = self.momentum * self.moving_variance + (1 - self.momentum) * var
            self.std = np.sqrt(var + self.epsilon)
            self.z = (x - mean) / self.std
            return self.gamma * self.z + self.beta
        return self.gamma * (x - self.moving_mean) / (self.moving_variance + self.epsilon) + self.beta

    def gradient(self, upstream):
        dgamma, dbeta = (upstream * self.z).sum(self.axes), upstream.sum(self.axes)
        m = upstream.size // upstream.shape[-1]
        dx = self.gamma / self.std * (upstream - dbeta / m - self.z * dgamma / m)
        return dx, {'gamma': dgamma, 'beta': dbeta}


class SparseCategoricalCrossentropy:
    def __call__(self, y_true, logits):
        logits = logits - logits.max(-1, keepdims=True)
        self.y, self.p = y_true, np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        return -np.log(self.p[np.arange(len(y_true)), y_true]).mean()

    def gradient(self):
        return (self.p - np.eye(self.p.shape[1])[self.y]) / len(self.y)


class Adam:
    def __init__(self, learning_rate=.001, beta_1=.9, beta_2=.999, epsilon=1e-7):
        self.lr, self.b1, self.b2, self.eps = learning_rate, beta_1, beta_2, epsilon
        self.iterations = 0
        self.slots = {}

    def apply_gradients(self, grads_and_layers):
        for grads, layer in grads_and_layers:
            for name, g in grads.items():
                self.iterations += 1
                m, v = self.slots.get((id(layer), name), (np.zeros_like(g), np.zeros_like(g)))
                m = self.b1 * m + (1 - self.b1) * g
                v = self.b2 * v + (1 - self.b2) * np.square(g)
                self.slots[id(layer), name] = m, v
                step = self.lr * np.sqrt(1 - self.b2 ** self.iterations) / (1 - self.b1 ** self.iterations)
                setattr(layer, name, getattr(layer, name) - step * m / (np.sqrt(v) + self.eps))


class Embedding(Layer):
    trainable = ('table',)

    def __init__(self, vocabulary, dim):
        super().__init__()
        self.table = np.random.uniform(-.05, .05, (vocabulary, dim))

    def call(self, ids, training=True):
        self.ids = ids
        return self.table[ids]

    def gradient(self, upstream):
        d = np.zeros_like(self.table)
        np.add.at(d, self.ids, upstream)
        return None, {'table': d}


class Model:
    def __init__(self, layers):
        self.layers = layers

    def compile(self, loss, optimizer):
        self.loss, self.optimizer = loss, optimizer

    def train_on_batch(self, x, y):
        for layer in self.layers:
            x = layer(x, training=True)
        value = self.loss(y, x)
        up, pairs = self.loss.gradient(), []
        for layer in reversed(self.layers):
            up, grads = layer.gradient(up)
            pairs.append((grads, layer))
        self.optimizer.apply_gradients(pairs)
        return value


if __name__ == '__main__':
    model = Model([Conv2D(4, padding='same'), BatchNormalization(), ReLU(), Flatten(), Dropout(.2), Dense(3)])
    model.compile(SparseCategoricalCrossentropy(), Adam())
    x, y = np.random.rand(16, 7, 7, 1), np.random.randint(0, 3, 16)
    for i in range(30):
        l = model.train_on_batch(x, y)
    print(l)
