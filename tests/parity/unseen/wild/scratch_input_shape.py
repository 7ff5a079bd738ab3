import copy
import math

import numpy as np


def determine_padding(filter_shape, output_shape="same"):
    if output_shape == "valid":
        return (0, 0), (0, 0)
    fh, fw = filter_shape
    ph, pw = fh - 1, fw - 1
    return (ph // 2, ph - ph // 2), (pw // 2, pw - pw // 2)


class Layer:
    def set_input_shape(self, shape):
        self.input_shape = shape

    def layer_name(self):
        return self.__class__.__name__


class Dense(Layer):
    def __init__(self, n_units, input_shape=None):
        self.n_units = n_units
        self.input_shape = input_shape
        self.trainable = True
        self.W = None
        self.w0 = None

    def initialize(self, optimizer):
        limit = 1 / math.sqrt(self.input_shape[0])
        self.W = np.random.uniform(-limit, limit, (self.input_shape[0], self.n_units))
        self.w0 = np.zeros((1, self.n_units))
        self.W_opt = copy.copy(optimizer)
        self.w0_opt = copy.copy(optimizer)

    def forward_pass(self, X, training=True):
        self.layer_input = X
        return X.dot(self.W) + self.w0

    def backward_pass(self, accum_grad):
        W = self.W
        if self.trainable:
            self.W = self.W_opt.update(self.W, self.layer_input.T.dot(accum_grad))
            self.w0 = self.w0_opt.update(self.w0, np.sum(accum_grad, axis=0, keepdims=True))
        return accum_grad.dot(W.T)


class Conv2D(Layer):
    def __init__(self, n_filters, filter_shape, input_shape=None, padding="same", stride=1):
        self.n_filters, self.filter_shape = n_filters, filter_shape
        self.padding, self.stride = padding, stride
        self.input_shape = input_shape  # (channels, height, width)
        self.trainable = True

    def initialize(self, optimizer):
        fh, fw = self.filter_shape
        channels = self.input_shape[0]
        limit = 1 / math.sqrt(fh * fw)
        self.W = np.random.uniform(-limit, limit, size=(self.n_filters, channels, fh, fw))
        self.w0 = np.zeros((self.n_filters, 1))
        self.W_opt, self.w0_opt = copy.copy(optimizer), copy.copy(optimizer)

    def output_shape(self):
        (t, b), (l, r) = determine_padding(self.filter_shape, self.padding)
        _, h, w = self.input_shape
        return (
            self.n_filters,
            (h + t + b - self.filter_shape[0]) // self.stride + 1,
            (w + l + r - self.filter_shape[1]) // self.stride + 1,
        )

    def forward_pass(self, X, training=True):
        self.layer_input = X
        (t, b), (l, r) = determine_padding(self.filter_shape, self.padding)
        self.padded = np.pad(X, ((0, 0), (0, 0), (t, b), (l, r)))
        fh, fw = self.filter_shape
        _, oh, ow = self.output_shape()
        s = self.stride
        out = np.zeros((len(X), self.n_filters, oh, ow))
        for y in range(oh):
            for x in range(ow):
                cut = self.padded[:, :, y * s : y * s + fh, x * s : x * s + fw]
                out[:, :, y, x] = cut.reshape(len(X), -1) @ self.W.reshape(self.n_filters, -1).T + self.w0[:, 0]
        return out

    def backward_pass(self, accum_grad):
        fh, fw = self.filter_shape
        (t, _), (l, _) = determine_padding(self.filter_shape, self.padding)
        s = self.stride
        n = len(accum_grad)
        grad_w = np.zeros_like(self.W)
        dpad = np.zeros_like(self.padded)
        flat = self.W.reshape(self.n_filters, -1)
        for y in range(accum_grad.shape[2]):
            for x in range(accum_grad.shape[3]):
                g = accum_grad[:, :, y, x]
                cut = self.padded[:, :, y * s : y * s + fh, x * s : x * s + fw]
                grad_w += (g.T @ cut.reshape(n, -1)).reshape(self.W.shape)
                dpad[:, :, y * s : y * s + fh, x * s : x * s + fw] += (g @ flat).reshape(cut.shape)
        if self.trainable:
            self.W = self.W_opt.update(self.W, grad_w)
            self.w0 = self.w0_opt.update(self.w0, accum_grad.sum(axis=(0, 2, 3))[:, None])
        h, w = self.layer_input.shape[2:]
        return dpad[:, :, t : t + h, l : l + w]


class StochasticGradientDescent:
    def __init__(self, learning_rate=0.01, momentum=0):
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.w_updt = None

    def update(self, w, grad_wrt_w):
        if self.w_updt is None:
            self.w_updt = np.zeros(np.shape(w))
        self.w_updt = self.momentum * self.w_updt + (1 - self.momentum) * grad_wrt_w
        return w - self.learning_rate * self.w_updt


class Adam:
    def __init__(self, learning_rate=0.001, b1=0.9, b2=0.999):
        self.learning_rate, self.eps = learning_rate, 1e-8
        self.m = self.v = None
        self.b1, self.b2 = b1, b2

    def update(self, w, grad_wrt_w):
        if self.m is None:
            self.m, self.v = np.zeros(np.shape(grad_wrt_w)), np.zeros(np.shape(grad_wrt_w))
        self.m = self.b1 * self.m + (1 - self.b1) * grad_wrt_w
        self.v = self.b2 * self.v + (1 - self.b2) * np.power(grad_wrt_w, 2)
        m_hat = self.m / (1 - self.b1)
        v_hat = self.v / (1 - self.b2)
        return w - self.learning_rate * m_hat / (np.sqrt(v_hat) + self.eps)
