from builtins import range

import numpy as np


def affine_forward(x, w, b):
    out = x.reshape(len(x), w.shape[0]) @ w + b.reshape(1, -1)
    cache = (x, w, b)
    return out, cache


def affine_backward(dout, cache):
    x, w, b = cache
    x2 = x.reshape(len(x), w.shape[0])
    dx = (dout @ w.T).reshape(*x.shape)
    dw = x2.T @ dout
    db = dout.T @ np.ones(len(x))
    return dx, dw, db


def relu_forward(x):
    out = x * (x > 0)
    cache = x
    return out, cache


def relu_backward(dout, cache):
    dx, x = None, cache
    dx = np.array(dout, copy=True)
    dx[x <= 0] = 0
    return dx


def max_pool_forward_naive(x, pool_param):
    Hp, Wp, S = (pool_param[k] for k in ("pool_height", "pool_width", "stride"))
    N, C, H, W = x.shape
    H1, W1 = (H - Hp) // S + 1, (W - Wp) // S + 1
    out = np.zeros((N, C, H1, W1))
    for n in range(N):
        for c in range(C):
            for k in range(H1):
                for l in range(W1):
                    out[n, c, k, l] = np.max(x[n, c, k * S : k * S + Hp, l * S : l * S + Wp])
    return out, (x, pool_param)


def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    Hp, Wp, S = (pool_param[k] for k in ("pool_height", "pool_width", "stride"))
    N, C, H1, W1 = dout.shape
    dx = np.zeros_like(x)
    for nprime in range(N):
        for cprime in range(C):
            for k in range(H1):
                for l in range(W1):
                    x_pooling = x[nprime, cprime, k * S : k * S + Hp, l * S : l * S + Wp]
                    maxi = np.max(x_pooling)
                    x_mask = x_pooling == maxi
                    dx[nprime, cprime, k * S : k * S + Hp, l * S : l * S + Wp] += (
                        dout[nprime, cprime, k, l] * x_mask
                    )
    return dx


def softmax_loss(x, y):
    p = np.exp(x - np.max(x, axis=1, keepdims=True))
    p /= np.sum(p, axis=1, keepdims=True)
    N = x.shape[0]
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    return loss, dx


def svm_loss(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, None] + 1.0)
    margins[np.arange(N), y] = 0
    loss = margins.sum() / N
    dx = (margins > 0).astype(float)
    dx[np.arange(N), y] -= (margins > 0).sum(axis=1)
    return loss, dx / N
