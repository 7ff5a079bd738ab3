import numpy as np


class Layer:
    built = False

    def __call__(self, x, training=False):
        if not self.built:
            self.build(x.shape)
            self.built = True
        return self.call(x)


class Conv2D(Layer):
    def __init__(self, filters, kernel_size, strides=(1, 1), padding="valid"):
        self.filters = filters
        self.kernel_size = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        self.strides = (strides, strides) if isinstance(strides, int) else strides
        if padding != "valid":
            raise NotImplementedError("only valid")

    def build(self, input_shape):
        kh, kw = self.kernel_size
        c = input_shape[-1]
        a = np.sqrt(6 / (kh * kw * (c + self.filters)))
        self.kernel = np.random.uniform(-a, a, (kh, kw, c, self.filters))
        self.bias = np.zeros(self.filters)

    def call(self, x):
        (kh, kw), (sh, sw) = self.kernel_size, self.strides
        v = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(1, 2))[:, ::sh, ::sw]
        self.x_shape, self.v = x.shape, v
        return np.einsum("bhwcij,ijcf->bhwf", v, self.kernel, optimize=True) + self.bias

    def backward(self, grad):
        (kh, kw), (sh, sw) = self.kernel_size, self.strides
        self.dkernel = np.einsum("bhwcij,bhwf->ijcf", self.v, grad, optimize=True)
        self.dbias = grad.sum((0, 1, 2))
        dx = np.zeros(self.x_shape)
        back = np.einsum("bhwf,ijcf->bhwcij", grad, self.kernel, optimize=True)
        for h in range(grad.shape[1]):
            for w in range(grad.shape[2]):
                dx[:, h * sh : h * sh + kh, w * sw : w * sw + kw] += back[:, h, w].transpose(0, 2, 3, 1)
        return dx


class AveragePooling2D(Layer):
    def __init__(self, pool_size=2):
        self.pool_size = pool_size
        self.built = True

    def call(self, x):
        k = self.pool_size
        b, h, w, c = self.x_shape = x.shape
        return x[:, : h // k * k, : w // k * k].reshape(b, h // k, k, w // k, k, c).mean(axis=(2, 4))

    def backward(self, grad):
        k = self.pool_size
        dx = np.zeros(self.x_shape)
        g = np.kron(grad, np.ones((1, k, k, 1))) / k**2
        dx[:, : g.shape[1], : g.shape[2]] = g
        return dx


class Flatten(Layer):
    built = True

    def call(self, x):
        self.x_shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, grad):
        return grad.reshape(self.x_shape)


class Dense(Layer):
    def __init__(self, units):
        self.units = units

    def build(self, input_shape):
        a = np.sqrt(6 / (input_shape[-1] + self.units))
        self.kernel = np.random.uniform(-a, a, (input_shape[-1], self.units))
        self.bias = np.zeros(self.units)

    def call(self, x):
        self.x = x
        return x @ self.kernel + self.bias

    def backward(self, grad):
        self.dkernel, self.dbias = self.x.T @ grad, grad.sum(0)
        return grad @ self.kernel.T
