"""HW3. Everything keeps the sample index LAST: images (C, H, W, B), vectors (D, B)."""
import numpy as np
from numpy.lib.stride_tricks import as_strided


def windows(X, kh, kw, step):
    """(C, Ho, Wo, kh, kw, B) view of all patches"""
    C, H, W, B = X.shape
    sc, sh, sw, sb = X.strides
    return as_strided(X, (C, (H - kh) // step + 1, (W - kw) // step + 1, kh, kw, B),
                      (sc, sh * step, sw * step, sh, sw, sb), writeable=False)


def conv_fwd(params, X, step=1):
    K, bias = params["K"], params["bias"]            # K: (out, in, kh, kw)
    V = windows(X, K.shape[2], K.shape[3], step)
    Y = np.einsum("ocuv,chwuvb->ohwb", K, V, optimize=True) + bias.reshape(-1, 1, 1, 1)
    return Y, (X, step)


def conv_bwd(params, memo, dY):
    X, step = memo
    K = params["K"]
    kh, kw = K.shape[2:]
    V = windows(X, kh, kw, step)
    grads = {"K": np.einsum("ohwb,chwuvb->ocuv", dY, V, optimize=True), "bias": dY.sum(axis=(1, 2, 3))}
    dX = np.zeros_like(X)
    P = np.einsum("ohwb,ocuv->chwuvb", dY, K, optimize=True)
    for u in range(kh):
        for v in range(kw):
            dX[:, u:u + step * dY.shape[1]:step, v:v + step * dY.shape[2]:step] += P[:, :, :, u, v]
    return dX, grads


def dense_fwd(params, X):
    return params["Theta"].dot(X) + params["bias"][:, np.newaxis], X


def dense_bwd(params, memo, dY):
    return params["Theta"].T.dot(dY), {"Theta": dY.dot(memo.T), "bias": dY.sum(axis=1)}


def relu_fwd(X):
    return np.clip(X, 0, None), X


def relu_bwd(memo, dY):
    return dY * np.heaviside(memo, 0.5)


def tanh_fwd(X):
    Y = np.tanh(X)
    return Y, Y


def tanh_bwd(memo, dY):
    return dY * (1 - memo * memo)


def maxpool_fwd(X, k):
    V = windows(np.ascontiguousarray(X), k, k, k)
    C, H, W, _, _, B = V.shape
    flat = V.transpose(0, 1, 2, 5, 3, 4).reshape(C, H, W, B, k * k)
    pick = flat.argmax(-1)
    return np.take_along_axis(flat, pick[..., None], -1)[..., 0], (X.shape, k, pick)


def maxpool_bwd(memo, dY):
    shape, k, pick = memo
    dX = np.zeros(shape)
    c, h, w, b = np.indices(dY.shape)
    np.add.at(dX, (c, h * k + pick // k, w * k + pick % k, b), dY)
    return dX


def flatten_fwd(X):
    return X.reshape(-1, X.shape[-1]), X.shape


def flatten_bwd(memo, dY):
    return dY.reshape(memo)


def xent(Z, T):
    """Z (classes, B), T one-hot of the same shape -> mean loss and its gradient in Z"""
    B = Z.shape[1]
    Z = Z - Z.max(axis=0)
    lse = np.log(np.exp(Z).sum(axis=0))
    return np.sum(T * (lse - Z)) / B, (np.exp(Z - lse) - T) / B


def hinge(Z, T):
    right = (Z * T).sum(axis=0)
    M = np.maximum(0, 1 + Z - right) * (1 - T)
    G = (M > 0).astype(float)
    return M.sum() / Z.shape[1], (G - T * G.sum(axis=0)) / Z.shape[1]


def make_momentum(lr, mu):
    """optimiser as a closure: update(name, params, grads)"""
    vel = {}

    def update(name, params, grads):
        for k in grads:
            key = name + "/" + k
            vel[key] = mu * vel.get(key, 0) - lr * grads[k]
            params[k] = params[k] + vel[key]
    return update


class MomentumSGD:
    def __init__(self, lr=0.1, mu=0.9):
        self.update = make_momentum(lr, mu)

    def step(self, net, grads):
        for name in net:
            self.update(name, net[name], grads[name])


def run(net, X, T):
    a, m1 = conv_fwd(net["conv"], X)
    r, m2 = relu_fwd(a)
    p, m3 = maxpool_fwd(r, 2)
    f, m4 = flatten_fwd(p)
    z, m5 = dense_fwd(net["out"], f)
    loss, dz = xent(z, T)
    grads = {}
    df, grads["out"] = dense_bwd(net["out"], m5, dz)
    da = relu_bwd(m2, maxpool_bwd(m3, flatten_bwd(m4, df)))
    _, grads["conv"] = conv_bwd(net["conv"], m1, da)
    return loss, grads


if __name__ == "__main__":
    rng = np.random.RandomState(0)
    net = {"conv": {"K": rng.randn(3, 1, 3, 3) * .3, "bias": np.zeros(3)},
           "out": {"Theta": rng.randn(4, 27) * .1, "bias": np.zeros(4)}}
    X, T = rng.randn(1, 8, 8, 20), np.eye(4)[:, rng.randint(4, size=20)]
    opt = MomentumSGD(.05)
    for t in range(10):
        loss, g = run(net, X, T)
        opt.step(net, g)
        print(t, loss)
