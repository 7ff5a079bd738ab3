"""Exercise 6 - layers, dropout and batch normalisation for cifar-like data."""
import numpy as np


def affine_layer_forward(x, w, b):
    """x: (N, d1, ..., dk); w: (D, M); b: (M,)"""
    rows = np.reshape(x, (x.shape[0], np.prod(x.shape[1:])))
    return rows.dot(w) + b, (x, w, b)


def affine_layer_backward(dout, cache):
    x, w, b = cache
    rows = np.reshape(x, (x.shape[0], np.prod(x.shape[1:])))
    dx = np.reshape(dout.dot(w.T), x.shape)
    return dx, rows.T.dot(dout), np.sum(dout, axis=0)


class Relu:
    def forward(self, x):
        outputs = np.maximum(x, 0)
        return outputs, outputs

    def backward(self, dout, cache):
        dx = dout * np.sign(cache)
        return dx


class Sigmoid:
    def forward(self, x):
        outputs = 1 / (1 + np.exp(-x))
        return outputs, outputs

    def backward(self, dout, cache):
        return dout * cache * (1 - cache)


def batchnorm_layer_forward(x, gamma, beta, bn_param):
    mode = bn_param['mode']
    eps = bn_param.get('eps', 1e-5)
    momentum = bn_param.get('momentum', 0.9)
    D = x.shape[1]
    running_mean = bn_param.get('running_mean', np.zeros(D))
    running_var = bn_param.get('running_var', np.zeros(D))
    if mode == 'train':
        sample_mean = np.mean(x, axis=0)
        sample_var = np.var(x, axis=0)
        x_normalized = (x - sample_mean) / np.sqrt(sample_var + eps)
        out = gamma * x_normalized + beta
        running_mean = momentum * running_mean + (1 - momentum) * sample_mean
        running_var = momentum * running_var + (1 - momentum) * np.sqrt(sample_var)
        cache = (x, sample_mean, sample_var, x_normalized, gamma, eps)
    else:
        out = gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
        cache = None
    bn_param['running_mean'] = running_mean
    bn_param['running_var'] = running_var
    return out, cache


def batchnorm_layer_backward(dout, cache):
    x, mean, var, xn, gamma, eps = cache
    N = x.shape[0]
    dbeta, dgamma = np.sum(dout, axis=0), np.sum(dout * xn, axis=0)
    dxn = dout * gamma
    dvar = np.sum(dxn * (x - mean), axis=0) * (-0.5) * (var + eps) ** (-1.5)
    dmean = -np.sum(dxn, axis=0) / np.sqrt(var + eps) - 2 * dvar * np.mean(x - mean, axis=0)
    dx = dxn / np.sqrt(var + eps) + dvar * 2 * (x - mean) / N + dmean / N
    return dx, dgamma, dbeta


def dropout_layer_forward(x, dropout_param):
    """p: probability of dropping a neuron"""
    p, mode = dropout_param['p'], dropout_param['mode']
    if dropout_param.get('seed') is not None:
        np.random.seed(dropout_param['seed'])
    mask, out = None, x
    if mode == 'train':
        mask = (np.random.rand(*x.shape) > p) / p
        out = x * mask
    return out, (dropout_param, mask)


def dropout_layer_backward(dout, cache):
    dropout_param, mask = cache
    if dropout_param['mode'] == 'train':
        return dout * mask
    return dout


class CrossEntropyFromLogits:
    def forward(self, y_out, y_truth):
        N = y_out.shape[0]
        y_exp = np.exp(y_out - np.amax(y_out, axis=1, keepdims=True))
        y_prob = y_exp / y_exp.sum(axis=1, keepdims=True)
        self.cache = {'N': N, 'labels': np.eye(y_out.shape[1])[y_truth], 'prob': y_prob}
        return np.mean(-np.log(y_prob[np.arange(N), y_truth]))

    def backward(self, y_out=None, y_truth=None):
        c = self.cache
        return (c['prob'] - c['labels']) / c['N']


class L1:
    def forward(self, y_out, y_truth):
        return np.abs(y_out - y_truth)

    def backward(self, y_out, y_truth):
        return np.sign(y_out - y_truth)


def sgd_momentum(w, dw, config, lr):
    v = config.get('velocity', np.zeros_like(w))
    mu = config.get('momentum', 0.9)
    v = mu * v - lr * dw
    config['velocity'] = v
    return w + v, config


def adam(w, dw, config, lr):
    m, v = config.get('m', np.zeros_like(w)), config.get('v', np.zeros_like(w))
    t = config.get('t', 0) + 1
    b1, b2, eps = config.get('beta1', 0.9), config.get('beta2', 0.999), config.get('eps', 1e-8)
    m = b1 * m + (1 - b1) * dw
    v = b2 * v + (1 - b2) * (dw ** 2)
    config.update(m=m, v=v, t=t)
    m_hat, v_hat = m / (1 - b1 ** t), v / (1 - b2 ** t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), config


class Solver:
    def __init__(self, params, rule=adam, lr=1e-2):
        self.params, self.rule, self.lr = params, rule, lr
        self.configs = {k: {} for k in params}

    def step(self, grads):
        for k in self.params:
            self.params[k], self.configs[k] = self.rule(self.params[k], grads[k], self.configs[k], self.lr)


if __name__ == '__main__':
    X, y = np.random.randn(24, 3, 4, 4), np.random.randint(5, size=24)
    P = {'W1': np.random.randn(48, 20) * .1, 'b1': np.zeros(20), 'g': np.ones(20), 'be': np.zeros(20),
         'W2': np.random.randn(20, 5) * .1, 'b2': np.zeros(5)}
    solver, relu, crit, bn = Solver(P), Relu(), CrossEntropyFromLogits(), {'mode': 'train'}
    for it in range(20):
        a, c1 = affine_layer_forward(X, P['W1'], P['b1'])
        n, c2 = batchnorm_layer_forward(a, P['g'], P['be'], bn)
        h, c3 = relu.forward(n)
        d, c4 = dropout_layer_forward(h, {'p': .3, 'mode': 'train'})
        s, c5 = affine_layer_forward(d, P['W2'], P['b2'])
        loss = crit.forward(s, y)
        G = {}
        g, G['W2'], G['b2'] = affine_layer_backward(crit.backward(), c5)
        g = relu.backward(dropout_layer_backward(g, c4), c3)
        g, G['g'], G['be'] = batchnorm_layer_backward(g, c2)
        _, G['W1'], G['b1'] = affine_layer_backward(g, c1)
        solver.step(G)
    print(loss)
