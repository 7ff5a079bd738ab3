"""Layers as pairs of functions (forward gives a cache, backward takes it) plus update rules."""
import numpy as np


def fc_forward(x, w, b):
    """x of any shape (N, d1, ..., dk); w (D, M); b (M,)"""
    return x.reshape(x.shape[0], -1).dot(w) + b, (x, w)


def fc_backward(dout, cache):
    x, w = cache
    grads = {'dx': dout.dot(w.T).reshape(x.shape),
             'dw': x.reshape(x.shape[0], -1).T.dot(dout),
             'db': dout.sum(0)}
    return grads


def rect_forward(x):
    return np.maximum(0, x), x


def rect_backward(dout, cache):
    return dout * (cache > 0)


def conv_fwd(x, w, b, stride, pad):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0,), (0,), (pad,), (pad,)))
    Ho, Wo = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    sn, sc, sh, sw = xp.strides
    cols = np.lib.stride_tricks.as_strided(xp, (N, C, HH, WW, Ho, Wo), (sn, sc, sh, sw, sh * stride, sw * stride), writeable=False)
    out = np.tensordot(w, cols, axes=([1, 2, 3], [1, 2, 3])).swapaxes(0, 1) + b[:, None, None]
    return out, (x.shape, w, cols.copy(), stride, pad)


def conv_bwd(dout, cache):
    (N, C, H, W), w, cols, stride, pad = cache
    F, _, HH, WW = w.shape
    Ho, Wo = dout.shape[-2:]
    dw = np.tensordot(dout, cols, axes=([0, 2, 3], [0, 4, 5]))
    dcols = np.tensordot(w, dout, axes=([0], [1]))            # C HH WW N Ho Wo
    dxp = np.zeros((N, C, H + 2 * pad, W + 2 * pad))
    for i in range(HH):
        for j in range(WW):
            dxp[:, :, i:i + stride * Ho:stride, j:j + stride * Wo:stride] += dcols[:, i, j].swapaxes(0, 1)
    return dxp[:, :, pad:pad + H, pad:pad + W], dw, dout.sum(axis=(0, 2, 3))


def avgpool_fwd(x, size, stride):
    N, C, H, W = x.shape
    Ho, Wo = 1 + (H - size) // stride, 1 + (W - size) // stride
    out = np.zeros((N, C, Ho, Wo))
    for i in range(size):
        for j in range(size):
            out += x[:, :, i:i + stride * (Ho - 1) + 1:stride, j:j + stride * (Wo - 1) + 1:stride]
    return out / size ** 2, (x.shape, size, stride)


def avgpool_bwd(dout, cache):
    shape, size, stride = cache
    dx = np.zeros(shape)
    Ho, Wo = dout.shape[2:]
    for i in range(Ho):
        for j in range(Wo):
            dx[:, :, i * stride:i * stride + size, j * stride:j * stride + size] += dout[:, :, i, j, None, None] / size ** 2
    return dx


def softmax_ce(scores, y):
    """Returns the mean loss and its gradient for the scores."""
    scores = scores - scores.max(1, keepdims=True)
    logp = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    N = len(y)
    dscores = np.exp(logp)
    dscores[np.arange(N), y] -= 1
    return -logp[np.arange(N), y].sum() / N, dscores / N


def hinge_loss(scores, y):
    N = len(y)
    margins = np.maximum(0, scores - scores[np.arange(N), y][:, None] + 1)
    margins[np.arange(N), y] = 0
    ds = (margins > 0).astype(float)
    ds[np.arange(N), y] -= ds.sum(1)
    return margins.sum() / N, ds / N


def sgd(w, dw, config=None):
    config = config or {}
    config.setdefault('learning_rate', 1e-2)
    return w - config['learning_rate'] * dw, config


def sgd_momentum(w, dw, config=None):
    config = config or {}
    config.setdefault('learning_rate', 1e-2)
    config.setdefault('momentum', 0.9)
    v = config.get('velocity', np.zeros_like(w))
    v = config['momentum'] * v - config['learning_rate'] * dw
    config['velocity'] = v
    return w + v, config


def adam(w, dw, config=None):
    config = {} if config is None else config
    for key, value in dict(learning_rate=1e-3, beta1=.9, beta2=.999, epsilon=1e-8, m=np.zeros_like(w), v=np.zeros_like(w), t=0).items():
        config.setdefault(key, value)
    config['t'] += 1
    config['m'] = config['beta1'] * config['m'] + (1 - config['beta1']) * dw
    config['v'] = config['beta2'] * config['v'] + (1 - config['beta2']) * dw * dw
    m = config['m'] / (1 - config['beta1'] ** config['t'])
    v = config['v'] / (1 - config['beta2'] ** config['t'])
    return w - config['learning_rate'] * m / (np.sqrt(v) + config['epsilon']), config


if __name__ == '__main__':
    rng = np.random.RandomState(5)
    x, y = rng.randn(30, 2, 6, 6), rng.randint(0, 3, 30)
    P = dict(w1=.1 * rng.randn(4, 2, 3, 3), b1=np.zeros(4), w2=.1 * rng.randn(36, 3), b2=np.zeros(3))
    cfg = {k: None for k in P}
    for it in range(40):
        a, c1 = conv_fwd(x, P['w1'], P['b1'], 1, 1)
        a, c2 = rect_forward(a)
        a, c3 = avgpool_fwd(a, 2, 2)
        s, c4 = fc_forward(a, P['w2'], P['b2'])
        loss, d = softmax_ce(s, y)
        g = fc_backward(d, c4)
        _, dw1, db1 = conv_bwd(rect_backward(avgpool_bwd(g['dx'], c3), c2), c1)
        for k, dp in dict(w1=dw1, b1=db1, w2=g['dw'], b2=g['db']).items():
            P[k], cfg[k] = adam(P[k], dp, cfg[k])
    print(loss)
