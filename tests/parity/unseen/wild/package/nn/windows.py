import numpy as np


def cut(x, k, s, p):
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    n, c, h, w = x.shape
    oh, ow = (h - k) // s + 1, (w - k) // s + 1
    out = np.empty((n, c, k, k, oh, ow))
    for i in range(k):
        for j in range(k):
            out[:, :, i, j] = x[:, :, i : i + s * (oh - 1) + 1 : s, j : j + s * (ow - 1) + 1 : s]
    return out


def paste(cols, shape, k, s, p):
    n, c, h, w = shape
    x = np.zeros((n, c, h + 2 * p, w + 2 * p))
    oh, ow = cols.shape[4:]
    for i in range(k):
        for j in range(k):
            x[:, :, i : i + s * (oh - 1) + 1 : s, j : j + s * (ow - 1) + 1 : s] += cols[:, :, i, j]
    return x[:, :, p : p + h, p : p + w]
