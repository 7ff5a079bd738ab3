"""
Numpy rewrite of my convolutional_networks.py (originally torch tensors).
Layers are classes with two static methods, nothing is stored in the instance.
"""
import numpy as np


class Linear(object):

    @staticmethod
    def forward(x, w, b):
        """x: (N, d1, ..., dk), w: (D, M), b: (M,)"""
        x = x.reshape(x.shape[0], -1)
        out = x @ w + b
        cache = (x, w, b)
        return out, cache

    @staticmethod
    def backward(dout, cache):
        x, w, b = cache
        dx = (dout @ w.T).reshape(x.shape)
        dw = x.reshape(x.shape[0], -1).T @ dout
        db = dout.sum(axis=0)
        return dx, dw, db


class ReLU(object):

    @staticmethod
    def forward(x):
        out = x.copy()
        out[out < 0] = 0
        cache = x
        return out, cache

    @staticmethod
    def backward(dout, cache):
        x = cache
        dx = dout.copy()
        dx[x <= 0] = 0
        return dx


class Linear_ReLU(object):

    @staticmethod
    def forward(x, w, b):
        a, fc_cache = Linear.forward(x, w, b)
        out, relu_cache = ReLU.forward(a)
        return out, (fc_cache, relu_cache)

    @staticmethod
    def backward(dout, cache):
        fc_cache, relu_cache = cache
        da = ReLU.backward(dout, relu_cache)
        return Linear.backward(da, fc_cache)


class Dropout(object):

    @staticmethod
    def forward(x, dropout_param):
        """p is the probability of dropping."""
        p, mode = dropout_param['p'], dropout_param['mode']
        if 'seed' in dropout_param:
            np.random.seed(dropout_param['seed'])
        mask = None
        if mode == 'train':
            mask = np.random.rand(*x.shape) > p
            out = x * mask / (1 - p)
        elif mode == 'test':
            out = x
        cache = (dropout_param, mask)
        return out, cache

    @staticmethod
    def backward(dout, cache):
        dropout_param, mask = cache
        if dropout_param['mode'] == 'train':
            dx = dout * mask
        else:
            dx = dout
        return dx


class Conv(object):

    @staticmethod
    def forward(x, w, b, conv_param):
        s, p = conv_param['stride'], conv_param['pad']
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        xpad = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        Ho = 1 + (H + 2 * p - HH) // s
        Wo = 1 + (W + 2 * p - WW) // s
        out = np.zeros((N, F, Ho, Wo), dtype=x.dtype)
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        out[n, f, i, j] = (xpad[n, :, i*s:i*s+HH, j*s:j*s+WW] * w[f]).sum() + b[f]
        cache = (xpad, w, b, conv_param)
        return out, cache

    @staticmethod
    def backward(dout, cache):
        xpad, w, b, conv_param = cache
        s, p = conv_param['stride'], conv_param['pad']
        N, F, Ho, Wo = dout.shape
        _, _, HH, WW = w.shape
        dxpad = np.zeros_like(xpad)
        dw = np.zeros_like(w)
        db = np.zeros_like(b)
        for n in range(N):
            for f in range(F):
                acc = np.zeros_like(w[f])
                for i in range(Ho):
                    for j in range(Wo):
                        g = dout[n, f, i, j]
                        acc += g * xpad[n, :, i*s:i*s+HH, j*s:j*s+WW]
                        dxpad[n, :, i*s:i*s+HH, j*s:j*s+WW] += g * w[f]
                        db[f] += g
                dw[f] = acc
        Hp, Wp = xpad.shape[2:]
        dx = dxpad[:, :, p:Hp-p, p:Wp-p]
        return dx, dw, db


class MaxPool(object):

    @staticmethod
    def forward(x, pool_param):
        ph, pw, s = pool_param['pool_height'], pool_param['pool_width'], pool_param['stride']
        N, C, H, W = x.shape
        Ho, Wo = 1 + (H - ph) // s, 1 + (W - pw) // s
        out = np.zeros((N, C, Ho, Wo), dtype=x.dtype)
        for i in range(Ho):
            for j in range(Wo):
                out[:, :, i, j] = x[:, :, i*s:i*s+ph, j*s:j*s+pw].reshape(N, C, -1).max(axis=2)
        return out, (x, pool_param)

    @staticmethod
    def backward(dout, cache):
        x, pool_param = cache
        ph, pw, s = pool_param['pool_height'], pool_param['pool_width'], pool_param['stride']
        N, C, Ho, Wo = dout.shape
        dx = np.zeros_like(x)
        for n in range(N):
            for c in range(C):
                for i in range(Ho):
                    for j in range(Wo):
                        k = x[n, c, i*s:i*s+ph, j*s:j*s+pw].argmax()
                        dx[n, c, i*s + k // pw, j*s + k % pw] += dout[n, c, i, j]
        return dx


def softmax_loss(x, y):
    """scores x (N, C), labels y (N,); returns loss, dx"""
    shifted = x - x.max(axis=1, keepdims=True)
    Z = np.exp(shifted).sum(axis=1, keepdims=True)
    log_probs = shifted - np.log(Z)
    N = x.shape[0]
    loss = (-1.0 / N) * log_probs[np.arange(N), y].sum()
    dx = np.exp(log_probs)
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx
