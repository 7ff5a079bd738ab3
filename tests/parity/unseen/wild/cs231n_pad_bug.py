import numpy as np

# assignment 2, conv layers. numeric check was fine for me (pad=0)


def conv_forward_naive(x, w, b, conv_param):
    s = conv_param.get("stride", 1)
    p = conv_param.get("pad", 0)
    N, C, H, W = x.shape
    F, C, HH, WW = w.shape
    Ho = int(1 + (H + 2 * p - HH) / s)
    Wo = int(1 + (W + 2 * p - WW) / s)
    x_pad = np.zeros((N, C, H + 2 * p, W + 2 * p))
    x_pad[:, :, p : H + p, p : W + p] = x
    out = np.zeros((N, F, Ho, Wo))
    for i in range(Ho):
        for j in range(Wo):
            window = x_pad[:, :, i * s : i * s + HH, j * s : j * s + WW]
            for k in range(F):
                out[:, k, i, j] = np.sum(window * w[k, :, :, :], axis=(1, 2, 3)) + b[k]
    cache = (x, w, b, conv_param)
    return out, cache


def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    s = conv_param.get("stride", 1)
    p = conv_param.get("pad", 0)
    N, C, H, W = x.shape
    F, C, HH, WW = w.shape
    N, F, Ho, Wo = dout.shape
    x_pad = np.zeros((N, C, H + 2 * p, W + 2 * p))
    x_pad[:, :, p : H + p, p : W + p] = x
    dx_pad = np.zeros_like(x_pad)
    dw = np.zeros_like(w)
    db = np.zeros_like(b)
    for k in range(F):
        db[k] = np.sum(dout[:, k])
    for i in range(Ho):
        for j in range(Wo):
            window = x_pad[:, :, i * s : i * s + HH, j * s : j * s + WW]
            for k in range(F):
                dw[k] += np.sum(window * dout[:, k, i, j][:, None, None, None], axis=0)
            for n in range(N):
                dx_pad[n, :, i * s : i * s + HH, j * s : j * s + WW] += np.sum(
                    w * dout[n, :, i, j][:, None, None, None], axis=0
                )
    dx = dx_pad[:, :, :H, :W]
    return dx, dw, db


def max_pool_forward_naive(x, pool_param):
    HH, WW = pool_param["pool_height"], pool_param["pool_width"]
    s = pool_param["stride"]
    N, C, H, W = x.shape
    out = np.zeros((N, C, (H - HH) // s + 1, (W - WW) // s + 1))
    for n in range(N):
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                out[n, :, i, j] = np.amax(
                    x[n, :, i * s : i * s + HH, j * s : j * s + WW].reshape(C, -1), axis=1
                )
    return out, (x, pool_param)


def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    HH, WW = pool_param["pool_height"], pool_param["pool_width"]
    s = pool_param["stride"]
    dx = np.zeros(x.shape)
    N, C, Ho, Wo = dout.shape
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    idx = x[n, c, i * s : i * s + HH, j * s : j * s + WW].argmax()
                    r, q = idx // WW, idx % WW
                    dx[n, c, i * s + r, j * s + q] += dout[n, c, i, j]
    return dx
