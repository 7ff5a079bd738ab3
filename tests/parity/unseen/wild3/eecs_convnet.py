"""A4: convolutional networks (NumPy port). Layers are classes of static methods."""
import numpy as np


class Linear(object):
    @staticmethod
    def forward(x, w, b):
        out = x.reshape(x.shape[0], -1).dot(w) + b
        return out, (x, w, b)

    @staticmethod
    def backward(dout, cache):
        x, w, b = cache
        dx = dout.dot(w.T).reshape(x.shape)
        dw = x.reshape(x.shape[0], -1).T.dot(dout)
        db = np.einsum('nm->m', dout)
        return dx, dw, db


class ReLU(object):
    @staticmethod
    def forward(x):
        out = x.copy()
        out[out < 0] = 0
        return out, x

    @staticmethod
    def backward(dout, cache):
        dx = dout.copy()
        dx[cache < 0] = 0
        return dx


class Linear_ReLU(object):
    @staticmethod
    def forward(x, w, b):
        a, fc_cache = Linear.forward(x, w, b)
        out, relu_cache = ReLU.forward(a)
        return out, (fc_cache, relu_cache)

    @staticmethod
    def backward(dout, cache):
        return Linear.backward(ReLU.backward(dout, cache[1]), cache[0])


class Dropout(object):
    @staticmethod
    def forward(x, dropout_param):
        p, mode = dropout_param['p'], dropout_param['mode']    # p: drop probability
        rng = np.random.default_rng(dropout_param.get('seed'))
        mask = None
        out = x
        if mode == 'train':
            mask = rng.random(x.shape) >= p
            out = x * mask / (1 - p)
        return out, (p, mode, mask)

    @staticmethod
    def backward(dout, cache):
        p, mode, mask = cache
        if mode == 'train':
            return dout * mask / (1 - p)
        return dout


class Conv(object):
    @staticmethod
    def forward(x, w, b, conv_param):
        pad, stride = conv_param['pad'], conv_param['stride']
        N, C, H, W = x.shape
        F, C, HH, WW = w.shape
        xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        Ho = (H + 2 * pad - HH) // stride + 1
        Wo = (W + 2 * pad - WW) // stride + 1
        out = np.zeros((N, F, Ho, Wo), dtype=x.dtype)
        for h in range(Ho):
            for v in range(Wo):
                patch = xp[:, :, h * stride:h * stride + HH, v * stride:v * stride + WW]
                out[:, :, h, v] = patch.reshape(N, -1) @ w.reshape(F, -1).T
        out += b.reshape(1, F, 1, 1)
        return out, (x, w, b, conv_param)

    @staticmethod
    def backward(dout, cache):
        x, w, b, conv_param = cache
        pad, stride = conv_param['pad'], conv_param['stride']
        N, C, H, W = x.shape
        F, C, HH, WW = w.shape
        xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for h in range(dout.shape[2]):
            for v in range(dout.shape[3]):
                hs, vs = h * stride, v * stride
                g = dout[:, :, h, v]
                dw += np.einsum('nf,nchw->fchw', g, xp[:, :, hs:hs + HH, vs:vs + WW])
                dxp[:, :, hs:hs + HH, vs:vs + WW] += np.einsum('nf,fchw->nchw', g, w)
        dx = dxp[:, :, pad:H + pad, pad:W + pad]
        return dx, dw, dout.sum((0, 2, 3))


class MaxPool(object):
    @staticmethod
    def forward(x, pool_param):
        ph, pw, s = pool_param['pool_height'], pool_param['pool_width'], pool_param['stride']
        N, C, H, W = x.shape
        out = np.zeros((N, C, (H - ph) // s + 1, (W - pw) // s + 1))
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                out[:, :, i, j] = x[:, :, i * s:i * s + ph, j * s:j * s + pw].reshape(N, C, -1).max(-1)
        return out, (x, pool_param)

    @staticmethod
    def backward(dout, cache):
        x, pool_param = cache
        ph, pw, s = pool_param['pool_height'], pool_param['pool_width'], pool_param['stride']
        N, C = x.shape[:2]
        dx = np.zeros_like(x)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                win = x[:, :, i * s:i * s + ph, j * s:j * s + pw]
                mask = win == win.max(axis=(2, 3), keepdims=True)
                share = mask / mask.sum(axis=(2, 3), keepdims=True)
                dx[:, :, i * s:i * s + ph, j * s:j * s + pw] += share * dout[:, :, i, j, None, None]
        return dx


class BatchNorm(object):
    @staticmethod
    def forward(x, gamma, beta, bn_param):
        eps, momentum = bn_param.get('eps', 1e-5), bn_param.get('momentum', 0.9)
        N, D = x.shape
        rm = bn_param.get('running_mean', np.zeros(D))
        rv = bn_param.get('running_var', np.ones(D))
        if bn_param['mode'] == 'train':
            mean = x.sum(0) / N
            xc = x - mean
            var = (xc ** 2).sum(0) / N
            istd = 1. / np.sqrt(var + eps)
            xn = xc * istd
            rm = momentum * rm + (1 - momentum) * mean
            rv = momentum * rv + (1 - momentum) * var
            cache = ('train', xn, istd, gamma)
        else:
            istd = 1. / np.sqrt(rv + eps)
            xn = (x - rm) * istd
            cache = ('test', xn, istd, gamma)
        bn_param['running_mean'], bn_param['running_var'] = rm, rv
        return gamma * xn + beta, cache

    @staticmethod
    def backward(dout, cache):
        mode, xn, istd, gamma = cache
        dgamma, dbeta = (dout * xn).sum(0), dout.sum(0)
        g = dout * gamma
        if mode == 'test':
            return g * istd, dgamma, dbeta
        dx = istd * (g - g.mean(0) - xn * (g * xn).mean(0))
        return dx, dgamma, dbeta


class SpatialBatchNorm(object):
    @staticmethod
    def forward(x, gamma, beta, bn_param):
        N, C, H, W = x.shape
        flat = np.moveaxis(x, 1, 3).reshape(-1, C)
        out, cache = BatchNorm.forward(flat, gamma, beta, bn_param)
        return np.moveaxis(out.reshape(N, H, W, C), 3, 1), cache

    @staticmethod
    def backward(dout, cache):
        N, C, H, W = dout.shape
        dx, dgamma, dbeta = BatchNorm.backward(np.moveaxis(dout, 1, 3).reshape(-1, C), cache)
        return np.moveaxis(dx.reshape(N, H, W, C), 3, 1), dgamma, dbeta


def softmax_loss(x, y):
    N = x.shape[0]
    s = x - x.max(1, keepdims=True)
    Z = np.exp(s).sum(1, keepdims=True)
    lp = s - np.log(Z)
    loss = -lp[np.arange(N), y].sum() / N
    dx = np.exp(lp)
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


def sgd_momentum(w, dw, config=None):
    if config is None:
        config = {}
    lr, mu = config.setdefault('learning_rate', 1e-2), config.setdefault('momentum', 0.9)
    v = config.get('velocity', np.zeros_like(w))
    v = mu * v + dw
    config['velocity'] = v
    return w - lr * v, config


def rmsprop(w, dw, config=None):
    config = config if config is not None else {}
    lr, decay = config.setdefault('learning_rate', 1e-2), config.setdefault('decay_rate', .99)
    config['cache'] = decay * config.get('cache', 0) + (1 - decay) * dw ** 2
    return w - lr * dw / (np.sqrt(config['cache']) + 1e-8), config


def kaiming_initializer(Din, Dout, K=None):
    return np.random.randn(Din, Dout) * np.sqrt(2 / Din) if K is None else \
        np.random.randn(Dout, Din, K, K) * np.sqrt(2 / (Din * K * K))


class ThreeLayerConvNet(object):
    def __init__(self, dims=(3, 8, 8), filters=4, hidden=10, classes=3):
        C, H, W = dims
        self.params = {'W1': kaiming_initializer(C, filters, 3), 'b1': np.zeros(filters),
                       'W2': kaiming_initializer(filters * (H // 2) * (W // 2), hidden), 'b2': np.zeros(hidden),
                       'W3': kaiming_initializer(hidden, classes), 'b3': np.zeros(classes)}

    def loss(self, X, y):
        p, grads = self.params, {}
        a, c1 = Conv.forward(X, p['W1'], p['b1'], {'stride': 1, 'pad': 1})
        r, c2 = ReLU.forward(a)
        m, c3 = MaxPool.forward(r, {'pool_height': 2, 'pool_width': 2, 'stride': 2})
        h, c4 = Linear_ReLU.forward(m, p['W2'], p['b2'])
        s, c5 = Linear.forward(h, p['W3'], p['b3'])
        loss, d = softmax_loss(s, y)
        d, grads['W3'], grads['b3'] = Linear.backward(d, c5)
        d, grads['W2'], grads['b2'] = Linear_ReLU.backward(d, c4)
        d = ReLU.backward(MaxPool.backward(d, c3), c2)
        _, grads['W1'], grads['b1'] = Conv.backward(d, c1)
        return loss, grads


if __name__ == '__main__':
    X, y = np.random.randn(10, 3, 8, 8), np.random.randint(3, size=10)
    net, conf = ThreeLayerConvNet(), {}
    for t in range(10):
        loss, g = net.loss(X, y)
        for k in g:
            net.params[k], conf[k] = sgd_momentum(net.params[k], g[k], conf.get(k))
        print(t, loss)
