import numpy as np


def zero_pad(X, pad):
    X_pad = np.pad(X, ((0,), (pad,), (pad,), (0,)))
    return X_pad


def conv_forward(A_prev, W, b, hparameters):
    m, H0, W0, C0 = A_prev.shape
    f, _, _, C = W.shape
    s, p = hparameters["stride"], hparameters["pad"]
    H1, W1 = (H0 - f + 2 * p) // s + 1, (W0 - f + 2 * p) // s + 1
    padded = zero_pad(A_prev, p)
    Z = np.zeros((m, H1, W1, C))
    for h in range(H1):
        for w in range(W1):
            a = padded[:, h * s : h * s + f, w * s : w * s + f, :]
            Z[:, h, w, :] = np.tensordot(a, W, axes=([1, 2, 3], [0, 1, 2])) + b[0, 0, 0]
    cache = (A_prev, W, b, hparameters)
    return Z, cache


def conv_backward(dZ, cache):
    A_prev, W, b, hparameters = cache
    m, H0, W0, C0 = A_prev.shape
    f, _, _, C = W.shape
    s, p = hparameters["stride"], hparameters["pad"]
    _, H1, W1, _ = dZ.shape
    dA_pad, dW = zero_pad(np.zeros_like(A_prev), p), np.zeros_like(W)
    db = np.sum(dZ, axis=(0, 1, 2)).reshape(1, 1, 1, C)
    padded = zero_pad(A_prev, p)
    for h in range(H1):
        for w in range(W1):
            # forgot the stride here
            a = padded[:, h : h + f, w : w + f, :]
            for c in range(C):
                g = dZ[:, h, w, c][:, None, None, None]
                dW[..., c] += (a * g).sum(axis=0)
                dA_pad[:, h * s : h * s + f, w * s : w * s + f, :] += W[..., c] * g
    return dA_pad[:, p : p + H0, p : p + W0], dW, db


def pool_forward(A_prev, hparameters, mode="max"):
    m, H0, W0, C = A_prev.shape
    f, s = hparameters["f"], hparameters["stride"]
    H1, W1 = int(1 + (H0 - f) / s), int(1 + (W0 - f) / s)
    A = np.zeros((m, H1, W1, C))
    for i in range(m):
        for h in range(H1):
            for w in range(W1):
                for c in range(C):
                    a = A_prev[i, h * s : h * s + f, w * s : w * s + f, c]
                    A[i, h, w, c] = np.max(a) if mode == "max" else np.mean(a)
    return A, (A_prev, hparameters)


def distribute_value(dz, shape):
    n_H, n_W = shape
    return dz * np.ones(shape)


def pool_backward(dA, cache, mode="max"):
    A_prev, hparameters = cache
    f, s = hparameters["f"], hparameters["stride"]
    out = np.zeros(A_prev.shape)
    for (i, h, w, c), g in np.ndenumerate(dA):
        a = A_prev[i, h * s : h * s + f, w * s : w * s + f, c]
        if mode == "max":
            where = np.argmax(a)
            out[i, h * s + where // f, w * s + where % f, c] += g
        elif mode == "average":
            out[i, h * s : h * s + f, w * s : w * s + f, c] += distribute_value(g, (f, f))
    return out
