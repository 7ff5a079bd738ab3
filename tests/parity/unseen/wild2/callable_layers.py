import numpy as np


class Conv:
    """2-d convolution on NCHW arrays: y = conv(x); dx, dw, db = conv.grad(dy)"""

    def __init__(self, depth_in, depth_out, size, stride=1, zero_padding=0):
        self.F, self.S, self.P = size, stride, zero_padding
        self.K = depth_out
        self.w = 0.01 * np.random.randn(depth_out, depth_in, size, size)
        self.b = np.zeros((depth_out, 1))

    def __call__(self, x):
        P, F, S = self.P, self.F, self.S
        self.x = x
        n, d, h, w = x.shape
        xp = np.pad(x, [(0, 0), (0, 0), (P, P), (P, P)])
        self.ho, self.wo = (h + 2 * P - F) // S + 1, (w + 2 * P - F) // S + 1
        cols = np.empty((n, d, F, F, self.ho, self.wo))
        for a in range(F):
            for b in range(F):
                cols[:, :, a, b] = xp[:, :, a:a + S * self.ho:S, b:b + S * self.wo:S]
        self.cols = cols.reshape(n, d * F * F, self.ho * self.wo)
        y = self.w.reshape(self.K, -1) @ self.cols + self.b
        return y.reshape(n, self.K, self.ho, self.wo)

    def grad(self, dy):
        P, F, S = self.P, self.F, self.S
        n, d, h, w = self.x.shape
        dy = dy.reshape(n, self.K, -1)
        dw = np.einsum('nkp,ncp->kc', dy, self.cols).reshape(self.w.shape)
        db = dy.sum(axis=(0, 2)).reshape(self.b.shape)
        dcols = (self.w.reshape(self.K, -1).T @ dy).reshape(n, d, F, F, self.ho, self.wo)
        dxp = np.zeros((n, d, h + 2 * P, w + 2 * P))
        for a in range(F):
            for b in range(F):
                dxp[:, :, a:a + S * self.ho:S, b:b + S * self.wo:S] += dcols[:, :, a, b]
        dx = dxp if P == 0 else dxp[:, :, P:-P, P:-P]
        return dx, dw, db


class FC:
    def __init__(self, n_out, n_in):
        self.w = 0.01 * np.random.randn(n_out, n_in)
        self.b = np.zeros((1, n_out))

    def __call__(self, x):
        self.shape = x.shape
        self.x = x.reshape(x.shape[0], -1)
        return self.x @ self.w.T + self.b

    def grad(self, dy):
        return (dy @ self.w).reshape(self.shape), dy.T @ self.x, dy.sum(0, keepdims=True)


class ReLU:
    def __call__(self, x):
        self.x = x
        return np.where(x > 0, x, 0)

    def grad(self, dy):
        return np.where(self.x > 0, dy, 0)


class Tanh:
    def __call__(self, x):
        self.y = np.tanh(x)
        return self.y

    def grad(self, dy):
        return dy * (1 - self.y ** 2)


class Pool:
    """Max pooling, windows may overlap."""

    def __init__(self, size=3, stride=2):
        self.F, self.S = size, stride

    def __call__(self, x):
        F, S = self.F, self.S
        n, d, h, w = x.shape
        self.shape = x.shape
        ho, wo = (h - F) // S + 1, (w - F) // S + 1
        stack = np.stack([x[:, :, a:a + S * ho:S, b:b + S * wo:S] for a in range(F) for b in range(F)])
        stack = stack[:, :, :, :ho, :wo]
        self.arg = stack.argmax(axis=0)
        return stack.max(axis=0)

    def grad(self, dy):
        F, S = self.F, self.S
        ho, wo = dy.shape[2:]
        dx = np.zeros(self.shape)
        for a in range(F):
            for b in range(F):
                dx[:, :, a:a + S * ho:S, b:b + S * wo:S] += dy * (self.arg == a * F + b)
        return dx


class CrossEntropy:
    """Softmax included. Labels are integers."""

    def __call__(self, z, t):
        m = z.max(1, keepdims=True)
        lse = m + np.log(np.exp(z - m).sum(1, keepdims=True))
        self.p = np.exp(z - lse)
        self.t = t
        return float(np.mean(lse[:, 0] - z[range(len(t)), t]))

    def grad(self):
        g = self.p.copy()
        g[range(len(self.t)), self.t] -= 1
        return g / len(self.t)


class AdaptiveMoments:
    """One object for each parameter: w = opt(w, dw)"""

    def __init__(self, alpha=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        self.alpha, self.beta_1, self.beta_2, self.epsilon = alpha, beta_1, beta_2, epsilon
        self.m = self.v = 0.0
        self.n = 0

    def __call__(self, w, dw):
        self.n += 1
        self.m = self.beta_1 * self.m + (1 - self.beta_1) * dw
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * dw ** 2
        m = self.m / (1 - self.beta_1 ** self.n)
        v = self.v / (1 - self.beta_2 ** self.n)
        return w - self.alpha * m / (v ** 0.5 + self.epsilon)


class Momentum:
    def __init__(self, alpha=1e-2, mu=0.9):
        self.alpha, self.mu, self.v = alpha, mu, 0.0

    def __call__(self, w, dw):
        self.v = self.mu * self.v + self.alpha * dw
        return w - self.v


if __name__ == '__main__':
    d = np.load('mnist.npz')
    x, t = d['x_train'][:, None] / 255 - 0.5, d['y_train']
    net = [Conv(1, 6, 5, 1, 2), ReLU(), Pool(2, 2), FC(10, 6 * 14 * 14)]
    ce = CrossEntropy()
    opts = {(i, k): AdaptiveMoments() for i, l in enumerate(net) if hasattr(l, 'w') for k in 'wb'}
    for it in range(300):
        s = np.random.randint(0, len(x), 32)
        y = x[s]
        for l in net:
            y = l(y)
        loss = ce(y, t[s])
        g = ce.grad()
        for i in reversed(range(len(net))):
            if hasattr(net[i], 'w'):
                g, dw, db = net[i].grad(g)
                net[i].w = opts[i, 'w'](net[i].w, dw)
                net[i].b = opts[i, 'b'](net[i].b, db)
            else:
                g = net[i].grad(g)
        if it % 20 == 0:
            print(it, loss)
