import numpy as np


def get_indices(x_shape, HH, WW, pad, stride):
    N, C, H, W = x_shape
    oh = (H + 2 * pad - HH) // stride + 1
    ow = (W + 2 * pad - WW) // stride + 1
    i0 = np.tile(np.repeat(np.arange(HH), WW), C)
    j0 = np.tile(np.arange(WW), HH * C)
    i1 = stride * np.repeat(np.arange(oh), ow)
    j1 = stride * np.tile(np.arange(ow), oh)
    i = i0[:, None] + i1[None]
    j = j0[:, None] + j1[None]
    k = np.repeat(np.arange(C), HH * WW)[:, None]
    return k, i, j, oh, ow


def conv_forward_im2col(x, w, b, conv_param):
    """same contract as conv_forward_naive, only fast"""
    pad, stride = conv_param["pad"], conv_param["stride"]
    F, C, HH, WW = w.shape
    k, i, j, oh, ow = get_indices(x.shape, HH, WW, pad, stride)
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    cols = xp[:, k, i, j]  # N, C*HH*WW, oh*ow
    out = np.matmul(w.reshape(F, -1), cols) + b[:, None]
    return out.reshape(x.shape[0], F, oh, ow), (x.shape, w, b, conv_param, cols)


def conv_backward_im2col(dout, cache):
    x_shape, w, b, conv_param, cols = cache
    pad, stride = conv_param["pad"], conv_param["stride"]
    N, C, H, W = x_shape
    F, _, HH, WW = w.shape
    k, i, j, oh, ow = get_indices(x_shape, HH, WW, pad, stride)
    d = dout.reshape(N, F, -1)
    db = d.sum(axis=(0, 2))
    dw = np.einsum("nfl,nkl->fk", d, cols).reshape(w.shape)
    dcols = np.matmul(w.reshape(F, -1).T, d)
    dxp = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=dout.dtype)
    np.add.at(dxp, (slice(None), k, i, j), dcols)
    return dxp[:, :, pad : H + pad, pad : W + pad], dw, db


def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]  # p: chance to KEEP
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask = None
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p
        out = x * mask
    else:
        out = x
    return out.astype(x.dtype, copy=False), (dropout_param, mask)


def dropout_backward(dout, cache):
    dropout_param, mask = cache
    return dout * mask if dropout_param["mode"] == "train" else dout


def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    mode, eps = bn_param["mode"], bn_param.get("eps", 1e-5)
    momentum = bn_param.get("momentum", 0.9)
    N, C, H, W = x.shape
    rm = bn_param.setdefault("running_mean", np.zeros(C, dtype=x.dtype))
    rv = bn_param.setdefault("running_var", np.zeros(C, dtype=x.dtype))
    if mode == "train":
        mu, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
        bn_param["running_mean"] = momentum * rm + (1 - momentum) * mu
        bn_param["running_var"] = momentum * rv + (1 - momentum) * var
    else:
        mu, var = rm, rv
    std = np.sqrt(var + eps)
    xhat = (x - mu[:, None, None]) / std[:, None, None]
    return gamma[:, None, None] * xhat + beta[:, None, None], (xhat, std, gamma, mode)


def spatial_batchnorm_backward(dout, cache):
    xhat, std, gamma, mode = cache
    dbeta = dout.sum(axis=(0, 2, 3))
    dgamma = (dout * xhat).sum(axis=(0, 2, 3))
    m = dout.size / dout.shape[1]
    g = (gamma / std)[:, None, None]
    if mode != "train":
        return dout * g, dgamma, dbeta
    dx = g * (dout - dbeta[:, None, None] / m - xhat * dgamma[:, None, None] / m)
    return dx, dgamma, dbeta
