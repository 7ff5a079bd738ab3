"""Trabalho prático 1 - mini framework com módulos e parâmetros."""
import numpy as np


class Parametro:
    def __init__(self, valor):
        self.valor = valor
        self.grad = np.zeros_like(valor)

    def zerar(self):
        self.grad[...] = 0


class Modulo:
    def parametros(self):
        return []

    def __call__(self, *a):
        return self.frente(*a)


class Linear(Modulo):
    def __init__(self, n_entrada, n_saida, rng=np.random.default_rng(0)):
        lim = np.sqrt(6 / (n_entrada + n_saida))
        self.W = Parametro(rng.uniform(-lim, lim, (n_entrada, n_saida)))
        self.b = Parametro(np.zeros(n_saida))

    def frente(self, x):
        self.x = x
        return x @ self.W.valor + self.b.valor

    def tras(self, d):
        self.W.grad += self.x.T @ d
        self.b.grad += d.sum(axis=0)
        return d @ self.W.valor.T

    def parametros(self):
        return [self.W, self.b]


class ReLU(Modulo):
    def frente(self, x):
        self.saida = np.maximum(0, x)
        return self.saida

    def tras(self, d):
        return d * (self.saida > 0)


class LeakyReLU(Modulo):
    def __init__(self, inclinacao=0.01):
        self.inclinacao = inclinacao

    def frente(self, x):
        self.x = x
        return np.where(x > 0, x, self.inclinacao * x)

    def tras(self, d):
        return np.where(self.x > 0, d, self.inclinacao * d)


class Incorporacao(Modulo):
    """tabela de vetores: índices inteiros (n, t) -> (n, t, dim)"""
    def __init__(self, vocabulario, dim, rng=np.random.default_rng(2)):
        self.E = Parametro(rng.normal(0, 0.1, (vocabulario, dim)))

    def frente(self, indices):
        self.indices = indices
        return self.E.valor[indices]

    def tras(self, d):
        np.add.at(self.E.grad, self.indices, d)

    def parametros(self):
        return [self.E]


class MediaPool(Modulo):
    def __init__(self, janela, passo):
        self.k, self.s = janela, passo

    def frente(self, x):
        self.forma = x.shape
        k, s = self.k, self.s
        h, w = (x.shape[2] - k) // s + 1, (x.shape[3] - k) // s + 1
        y = np.empty(x.shape[:2] + (h, w))
        for i in range(h):
            for j in range(w):
                y[..., i, j] = x[..., i * s:i * s + k, j * s:j * s + k].mean(axis=(-1, -2))
        return y

    def tras(self, d):
        k, s = self.k, self.s
        dx = np.zeros(self.forma)
        for i in range(d.shape[2]):
            for j in range(d.shape[3]):
                dx[..., i * s:i * s + k, j * s:j * s + k] += d[..., i, j][..., None, None]
        return dx


class Achatar(Modulo):
    def frente(self, x):
        self.forma = x.shape
        return x.reshape(x.shape[0], -1)

    def tras(self, d):
        return d.reshape(self.forma)


class EntropiaCruzada(Modulo):
    def frente(self, logits, alvo):
        m = logits.max(axis=1, keepdims=True)
        self.logp = logits - m - np.log(np.exp(logits - m).sum(axis=1, keepdims=True))
        self.alvo = alvo
        return -self.logp[np.arange(len(alvo)), alvo].mean()

    def tras(self):
        d = np.exp(self.logp)
        d[np.arange(len(self.alvo)), self.alvo] -= 1
        return d


class SGD:
    def __init__(self, params, taxa=0.01, momento=0.0):
        self.params, self.taxa, self.momento = params, taxa, momento
        self.vel = [np.zeros_like(p.valor) for p in params]

    def passo(self):
        for p, v in zip(self.params, self.vel):
            v = self.momento * v + p.grad
            p.valor -= self.taxa * v

    def zerar(self):
        for p in self.params:
            p.zerar()


class Adam:
    def __init__(self, params, taxa=1e-3, betas=(0.9, 0.999), eps=1e-8):
        self.params, self.taxa, self.betas, self.eps = params, taxa, betas, eps
        self.m = [np.zeros_like(p.valor) for p in params]
        self.v = [np.zeros_like(p.valor) for p in params]
        self.t = 0

    def passo(self):
        b1, b2 = self.betas
        self.t += 1
        for i, p in enumerate(self.params):
            self.m[i] = b1 * self.m[i] + (1 - b1) * p.grad
            self.v[i] = b2 * self.v[i] + (1 - b2) * p.grad ** 2
            p.valor -= self.taxa * (self.m[i] / (1 - b1 ** self.t)) / (np.sqrt(self.v[i] / (1 - b2 ** self.t)) + self.eps)

    def zerar(self):
        for p in self.params:
            p.zerar()


class Sequencial(Modulo):
    def __init__(self, *mods):
        self.mods = mods

    def frente(self, x):
        for m in self.mods:
            x = m(x)
        return x

    def tras(self, d):
        for m in reversed(self.mods):
            d = m.tras(d)
        return d

    def parametros(self):
        return [p for m in self.mods for p in m.parametros()]


class CarregadorDados:
    def __init__(self, X, y, lote=8):
        self.X, self.y, self.lote = X, y, lote

    def __iter__(self):
        ordem = np.random.permutation(len(self.X))
        for i in range(0, len(ordem), self.lote):
            idx = ordem[i:i + self.lote]
            yield self.X[idx], self.y[idx]


def acuracia(logits, y):
    return float(np.mean(np.argmax(logits, axis=1) == y))


if __name__ == "__main__":
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(24, 2, 8, 8)), rng.integers(0, 3, 24)
    rede = Sequencial(MediaPool(2, 2), Achatar(), Linear(32, 16), ReLU(), Linear(16, 3))
    perda, opt = EntropiaCruzada(), SGD(rede.parametros(), 0.01, 0.9)
    for epoca in range(5):
        for bx, by in CarregadorDados(X, y):
            opt.zerar()
            l = perda(rede(bx), by)
            rede.tras(perda.tras())
            opt.passo()
        print(epoca, l, acuracia(rede(X), y))
