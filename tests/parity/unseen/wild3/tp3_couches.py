# -*- coding: utf-8 -*-
"""TP 3 - Réseau de neurones convolutif « à la main »
Convention : un lot est un tableau (n, canaux, hauteur, largeur)."""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class CoucheDense:
    def __init__(self, entree, sortie, graine=0):
        alea = np.random.default_rng(graine)
        self.poids = alea.normal(0, np.sqrt(2 / entree), (sortie, entree))
        self.biais = np.zeros(sortie)

    def avant(self, x):
        self.x = x
        return x @ self.poids.T + self.biais

    def arriere(self, grad):
        self.grad_poids = grad.T @ self.x
        self.grad_biais = grad.sum(0)
        return grad @ self.poids


class CoucheReLU:
    def avant(self, x):
        self.actif = x > 0
        return x * self.actif

    def arriere(self, grad):
        return grad * self.actif


class CoucheTanh:
    def avant(self, x):
        self.y = np.tanh(x)
        return self.y

    def arriere(self, grad):
        return grad * (1 - self.y ** 2)


class CoucheConvolution:
    def __init__(self, canaux_in, canaux_out, taille, marge=0, graine=0):
        alea = np.random.default_rng(graine)
        self.poids = alea.normal(0, 0.2, (canaux_out, canaux_in, taille, taille))
        self.biais = np.zeros(canaux_out)
        self.marge = marge

    def avant(self, x):
        m, k = self.marge, self.poids.shape[2]
        self.forme = x.shape
        xm = np.pad(x, ((0, 0), (0, 0), (m, m), (m, m)))
        self.vues = sliding_window_view(xm, (k, k), axis=(2, 3))
        return np.einsum('ncijab,fcab->nfij', self.vues, self.poids) + self.biais[:, None, None]

    def arriere(self, grad):
        m, k = self.marge, self.poids.shape[2]
        self.grad_poids = np.einsum('ncijab,nfij->fcab', self.vues, grad)
        self.grad_biais = grad.sum((0, 2, 3))
        g = np.pad(grad, ((0, 0), (0, 0), (k - 1, k - 1), (k - 1, k - 1)))
        g = sliding_window_view(g, (k, k), axis=(2, 3))
        complet = np.einsum('nfijab,fcab->ncij', g, self.poids[:, :, ::-1, ::-1])
        h, l = self.forme[2:]
        return complet[:, :, m:m + h, m:m + l]


class CoucheMoyenne:
    """Sous-échantillonnage par la moyenne, fenêtres disjointes de côté t."""

    def __init__(self, t=2):
        self.t = t

    def avant(self, x):
        n, c, h, l = x.shape
        t = self.t
        self.forme = x.shape
        x = x[:, :, :h - h % t, :l - l % t]
        return x.reshape(n, c, h // t, t, l // t, t).mean(axis=(3, 5))

    def arriere(self, grad):
        t = self.t
        dx = np.zeros(self.forme)
        etale = np.kron(grad, np.ones((t, t))) / t ** 2
        dx[:, :, :etale.shape[2], :etale.shape[3]] = etale
        return dx


class Aplatir:
    def avant(self, x):
        self.forme = x.shape
        return x.reshape(len(x), -1)

    def arriere(self, grad):
        return grad.reshape(self.forme)


class EntropieCroisee:
    def avant(self, logits, etiquettes):
        z = logits - logits.max(1, keepdims=True)
        self.p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        self.y = etiquettes
        return -np.mean(np.log(self.p[np.arange(len(z)), etiquettes] + 1e-15))

    def arriere(self):
        n = len(self.y)
        return (self.p - np.eye(self.p.shape[1])[self.y]) / n


class ErreurQuadratique:
    def avant(self, p, y):
        self.e = p - y
        return (self.e ** 2).mean()

    def arriere(self):
        return 2 * self.e / self.e.size


class DescenteGradient:
    def __init__(self, couches, pas=0.05):
        self.couches = [c for c in couches if hasattr(c, 'poids')]
        self.pas = pas

    def maj(self):
        for c in self.couches:
            c.poids -= self.pas * c.grad_poids
            c.biais -= self.pas * c.grad_biais


class Reseau:
    def __init__(self, couches):
        self.couches = couches

    def avant(self, x):
        for c in self.couches:
            x = c.avant(x)
        return x

    def arriere(self, g):
        for c in self.couches[::-1]:
            g = c.arriere(g)


def precision(logits, y):
    return (logits.argmax(1) == y).mean()


if __name__ == '__main__':
    alea = np.random.default_rng(3)
    X, y = alea.normal(size=(20, 1, 9, 9)), alea.integers(0, 3, 20)
    reseau = Reseau([CoucheConvolution(1, 4, 3, marge=1), CoucheReLU(), CoucheMoyenne(2), Aplatir(), CoucheDense(64, 3)])
    cout, descente = EntropieCroisee(), DescenteGradient(reseau.couches)
    for it in range(10):
        print(it, cout.avant(reseau.avant(X), y))
        reseau.arriere(cout.arriere())
        descente.maj()
