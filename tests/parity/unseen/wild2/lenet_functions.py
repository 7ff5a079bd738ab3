#!/usr/bin/env python3
# LeNet-like net, all parameters in one global dictionary
import sys
import numpy as np

PARAMS = {}
GRADS = {}
rng = np.random.default_rng(3)


def init():
    PARAMS["c1_w"] = rng.normal(0, 0.1, (6, 1, 5, 5))
    PARAMS["c1_b"] = np.zeros(6)
    PARAMS["c2_w"] = rng.normal(0, 0.1, (16, 6, 5, 5))
    PARAMS["c2_b"] = np.zeros(16)
    PARAMS["f_w"] = rng.normal(0, 0.05, (256, 10))
    PARAMS["f_b"] = np.zeros(10)


def conv_fwd(x, w, b):
    """valid, stride 1. x: NCHW, w: OCKK"""
    k = w.shape[2]
    n, _, H, W = x.shape
    ho, wo = H - k + 1, W - k + 1
    y = np.zeros((n, w.shape[0], ho, wo)) + b.reshape(1, -1, 1, 1)
    for i in range(k):
        for j in range(k):
            y += np.einsum("nchw,oc->nohw", x[:, :, i:i + ho, j:j + wo], w[:, :, i, j])
    return y


def conv_bwd(dy, x, w):
    k = w.shape[2]
    ho, wo = dy.shape[2:]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(k):
        for j in range(k):
            dw[:, :, i, j] = np.einsum("nohw,nchw->oc", dy, x[:, :, i:i + ho, j:j + wo])
            dx[:, :, i:i + ho, j:j + wo] += np.einsum("nohw,oc->nchw", dy, w[:, :, i, j])
    return dx, dw, dy.sum((0, 2, 3))


def relu_fwd(x):
    return x * (x > 0)


def relu_bwd(dy, x):
    return dy * (x > 0)


def pool_fwd(x):
    """2x2 max pooling, even sizes. Also gives the positions of the maxima."""
    n, c, H, W = x.shape
    t = x.reshape(n, c, H // 2, 2, W // 2, 2).swapaxes(3, 4).reshape(n, c, H // 2, W // 2, 4)
    idx = t.argmax(-1)
    return t.max(-1), idx


def pool_bwd(dy, idx):
    n, c, h, w = dy.shape
    t = np.zeros((n, c, h, w, 4))
    for q in range(4):
        t[..., q] = dy * (idx == q)
    return t.reshape(n, c, h, w, 2, 2).swapaxes(3, 4).reshape(n, c, 2 * h, 2 * w)


def fc_fwd(x, w, b):
    return x @ w + b


def fc_bwd(dy, x, w):
    return dy @ w.T, x.T @ dy, dy.sum(0)


def softmax_xent(z, y):
    z = z - z.max(1, keepdims=True)
    p = np.exp(z)
    p /= p.sum(1, keepdims=True)
    n = len(y)
    loss = -np.log(p[range(n), y]).sum() / n
    p[range(n), y] -= 1
    return loss, p / n


def forward_backward(x, y):
    P = PARAMS
    a1 = conv_fwd(x, P["c1_w"], P["c1_b"])
    r1 = relu_fwd(a1)
    p1, i1 = pool_fwd(r1)
    a2 = conv_fwd(p1, P["c2_w"], P["c2_b"])
    r2 = relu_fwd(a2)
    p2, i2 = pool_fwd(r2)
    flat = p2.reshape(len(x), -1)
    z = fc_fwd(flat, P["f_w"], P["f_b"])
    loss, dz = softmax_xent(z, y)
    dflat, GRADS["f_w"], GRADS["f_b"] = fc_bwd(dz, flat, P["f_w"])
    d = pool_bwd(dflat.reshape(p2.shape), i2)
    d, GRADS["c2_w"], GRADS["c2_b"] = conv_bwd(relu_bwd(d, a2), p1, P["c2_w"])
    d = pool_bwd(d, i1)
    _, GRADS["c1_w"], GRADS["c1_b"] = conv_bwd(relu_bwd(d, a1), x, P["c1_w"])
    return loss


VEL = {}


def momentum_step(lr=0.05, mu=0.9):
    for k in PARAMS:
        VEL[k] = mu * VEL.get(k, 0.0) - lr * GRADS[k]
        PARAMS[k] = PARAMS[k] + VEL[k]


if __name__ == "__main__":
    d = np.load(sys.argv[1])
    X, Y = d["x_train"][:, None].astype(float) / 255, d["y_train"]
    init()
    for it in range(2000):
        s = rng.integers(0, len(X), 32)
        l = forward_backward(X[s], Y[s])
        momentum_step()
        if it % 100 == 0:
            print(it, l)
