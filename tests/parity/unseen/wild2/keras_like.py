import numpy as np


def glorot(shape, fan_in, fan_out):
    limit = np.sqrt(6 / (fan_in + fan_out))
    return np.random.uniform(-limit, limit, size=shape)


class Layer:
    """Weights are made the first time the layer sees data (or by build)."""

    built = False

    def build(self, input_shape):
        self.built = True

    def call(self, x, training=False):
        raise NotImplementedError

    def __call__(self, x, training=False):
        if not self.built:
            self.build(x.shape)
        return self.call(x, training=training)

    def backward(self, dy):
        raise NotImplementedError

    def get_params(self):
        return {}

    def get_grads(self):
        return {}


class Conv2D(Layer):
    def __init__(self, filters, kernel_size, strides=1, padding="valid", use_bias=True):
        self.filters = filters
        self.kernel_size = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        self.strides = strides
        self.padding = padding
        self.use_bias = use_bias

    def build(self, input_shape):
        kh, kw = self.kernel_size
        c = input_shape[-1]
        self.kernel = glorot((kh, kw, c, self.filters), kh * kw * c, kh * kw * self.filters)
        self.bias = np.zeros(self.filters)
        self.built = True

    def _same(self, size, k):
        # like tensorflow: the output has ceil(size / stride) pixels
        out = -(-size // self.strides)
        total = max((out - 1) * self.strides + k - size, 0)
        return total // 2, total - total // 2

    def call(self, x, training=False):
        kh, kw = self.kernel_size
        s = self.strides
        if self.padding == "same":
            self.ph, self.pw = self._same(x.shape[1], kh), self._same(x.shape[2], kw)
        else:
            self.ph = self.pw = (0, 0)
        self.in_shape = x.shape
        xp = np.pad(x, ((0, 0), self.ph, self.pw, (0, 0)))
        self.xp = xp
        oh = (xp.shape[1] - kh) // s + 1
        ow = (xp.shape[2] - kw) // s + 1
        y = np.zeros((x.shape[0], oh, ow, self.filters))
        for i in range(oh):
            for j in range(ow):
                y[:, i, j] = np.tensordot(xp[:, i * s:i * s + kh, j * s:j * s + kw], self.kernel, axes=3)
        return y + self.bias if self.use_bias else y

    def backward(self, dy):
        kh, kw = self.kernel_size
        s = self.strides
        self.dkernel = np.zeros_like(self.kernel)
        dxp = np.zeros_like(self.xp)
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                win = self.xp[:, i * s:i * s + kh, j * s:j * s + kw]
                self.dkernel += np.tensordot(win, dy[:, i, j], axes=([0], [0]))
                dxp[:, i * s:i * s + kh, j * s:j * s + kw] += np.tensordot(dy[:, i, j], self.kernel, axes=([1], [3]))
        self.dbias = dy.sum((0, 1, 2))
        n, h, w, c = self.in_shape
        return dxp[:, self.ph[0]:self.ph[0] + h, self.pw[0]:self.pw[0] + w]

    def get_params(self):
        return {"kernel": self.kernel, "bias": self.bias} if self.use_bias else {"kernel": self.kernel}

    def get_grads(self):
        return {"kernel": self.dkernel, "bias": self.dbias} if self.use_bias else {"kernel": self.dkernel}


class Dense(Layer):
    def __init__(self, units, activation=None):
        self.units = units
        self.activation = activation

    def build(self, input_shape):
        self.kernel = glorot((input_shape[-1], self.units), input_shape[-1], self.units)
        self.bias = np.zeros(self.units)
        self.built = True

    def call(self, x, training=False):
        self.x = x
        z = x @ self.kernel + self.bias
        if self.activation == "relu":
            self.z = z
            return np.maximum(z, 0)
        return z

    def backward(self, dy):
        if self.activation == "relu":
            dy = dy * (self.z > 0)
        self.dkernel = self.x.T @ dy
        self.dbias = dy.sum(axis=0)
        return dy @ self.kernel.T

    def get_params(self):
        return {"kernel": self.kernel, "bias": self.bias}

    def get_grads(self):
        return {"kernel": self.dkernel, "bias": self.dbias}


class ReLU(Layer):
    def call(self, x, training=False):
        self.active = x > 0
        return np.where(self.active, x, 0)

    def backward(self, dy):
        return dy * self.active


class MaxPooling2D(Layer):
    def __init__(self, pool_size=2, strides=None):
        self.pool_size = pool_size
        self.strides = strides or pool_size

    def call(self, x, training=False):
        p, s = self.pool_size, self.strides
        n, h, w, c = x.shape
        self.in_shape = x.shape
        oh, ow = (h - p) // s + 1, (w - p) // s + 1
        y = np.zeros((n, oh, ow, c))
        self.mask = {}
        for i in range(oh):
            for j in range(ow):
                win = x[:, i * s:i * s + p, j * s:j * s + p].reshape(n, p * p, c)
                y[:, i, j] = win.max(axis=1)
                m = np.zeros_like(win)
                nn, cc = np.indices((n, c))
                m[nn, win.argmax(axis=1), cc] = 1
                self.mask[i, j] = m.reshape(n, p, p, c)
        return y

    def backward(self, dy):
        p, s = self.pool_size, self.strides
        dx = np.zeros(self.in_shape)
        for (i, j), m in self.mask.items():
            dx[:, i * s:i * s + p, j * s:j * s + p] += m * dy[:, i:i + 1, j:j + 1]
        return dx


class Flatten(Layer):
    def call(self, x, training=False):
        self.in_shape = x.shape
        return x.reshape(x.shape[0], -1)

    def backward(self, dy):
        return dy.reshape(self.in_shape)


class Dropout(Layer):
    def __init__(self, rate):
        self.rate = rate

    def call(self, x, training=False):
        if not training:
            self.scale = 1.0
            return x
        keep = 1 - self.rate
        self.scale = (np.random.random(x.shape) < keep) / keep
        return x * self.scale

    def backward(self, dy):
        return dy * self.scale


class BatchNormalization(Layer):
    """Over the last axis, so it serves dense and convolutional layers alike."""

    def __init__(self, momentum=0.99, epsilon=1e-3):
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, input_shape):
        d = input_shape[-1]
        self.gamma, self.beta = np.ones(d), np.zeros(d)
        self.moving_mean, self.moving_variance = np.zeros(d), np.ones(d)
        self.built = True

    def call(self, x, training=False):
        self.training = training
        axes = tuple(range(x.ndim - 1))
        if training:
            mean, var = x.mean(axis=axes), x.var(axis=axes)
            self.moving_mean += (1 - self.momentum) * (mean - self.moving_mean)
            self.moving_variance += (1 - self.momentum) * (var - self.moving_variance)
        else:
            mean, var = self.moving_mean, self.moving_variance
        self.std = np.sqrt(var + self.epsilon)
        self.xhat = (x - mean) / self.std
        return self.xhat * self.gamma + self.beta

    def backward(self, dy):
        axes = tuple(range(dy.ndim - 1))
        self.dgamma = (dy * self.xhat).sum(axis=axes)
        self.dbeta = dy.sum(axis=axes)
        g = dy * self.gamma
        if not self.training:
            return g / self.std
        return (g - g.mean(axis=axes) - self.xhat * (g * self.xhat).mean(axis=axes)) / self.std

    def get_params(self):
        return {"gamma": self.gamma, "beta": self.beta}

    def get_grads(self):
        return {"gamma": self.dgamma, "beta": self.dbeta}


class CategoricalCrossentropy:
    """Static methods, logits and one-hot."""

    @staticmethod
    def loss(y_true, y_pred):
        z = y_pred - y_pred.max(-1, keepdims=True)
        return np.mean(np.log(np.exp(z).sum(-1)) - (z * y_true).sum(-1))

    @staticmethod
    def loss_prime(y_true, y_pred):
        e = np.exp(y_pred - y_pred.max(-1, keepdims=True))
        return (e / e.sum(-1, keepdims=True) - y_true) / len(y_true)


class Adam:
    def __init__(self, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        self.learning_rate, self.beta_1, self.beta_2, self.epsilon = learning_rate, beta_1, beta_2, epsilon
        self.slots, self.iterations = {}, 0

    def apply_gradients(self, grads_and_vars):
        """in place; list of (gradient, variable)"""
        self.iterations += 1
        a = self.learning_rate
        for i, (g, v) in enumerate(grads_and_vars):
            m, s = self.slots.get(i, (np.zeros_like(v), np.zeros_like(v)))
            m = m + (1 - self.beta_1) * (g - m)
            s = s + (1 - self.beta_2) * (g * g - s)
            self.slots[i] = m, s
            v -= a * (m / (1 - self.beta_1 ** self.iterations)) / (
                np.sqrt(s / (1 - self.beta_2 ** self.iterations)) + self.epsilon)


class Sequential:
    def __init__(self, layers):
        self.layers = layers

    def __call__(self, x, training=False):
        for layer in self.layers:
            x = layer(x, training=training)
        return x

    def fit(self, x, y, optimizer, epochs=1, batch_size=32):
        for _ in range(epochs):
            for k in range(0, len(x), batch_size):
                out = self(x[k:k + batch_size], training=True)
                g = CategoricalCrossentropy.loss_prime(y[k:k + batch_size], out)
                for layer in reversed(self.layers):
                    g = layer.backward(g)
                optimizer.apply_gradients([(l.get_grads()[n], l.get_params()[n])
                                           for l in self.layers for n in l.get_params()])
