import numpy as np

reg = 0.01


def affine_forward(x, w, b):
    x_row = np.reshape(x, (x.shape[0], -1))
    return np.dot(x_row, w) + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    x_row = np.reshape(x, (x.shape[0], -1))
    dw = np.dot(x_row.T, dout) + reg * w  # L2
    dx = np.reshape(np.dot(dout, w.T), x.shape)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def relu_forward(x):
    out = np.maximum(x, 0)
    return out, x


def relu_backward(dout, cache):
    x = cache
    return dout * (x >= 0)


def softmax_loss(x, y):
    x = x - np.amax(x, axis=1, keepdims=True)
    logsum = np.log(np.sum(np.exp(x), axis=1))
    N = x.shape[0]
    loss = np.mean(logsum - x[range(N), y])
    g = np.exp(x - logsum[:, None])
    g[range(N), y] -= 1
    g /= N
    return loss, g
