"""Petit réseau convolutif écrit avec NumPy uniquement (cours de M1).

Convention : une image à la fois, tableaux (canaux, hauteur, largeur).
"""
import numpy as np


class Couche:
    """Classe mère de toutes les couches."""

    def propagation_avant(self, entree):
        raise NotImplementedError

    def retropropagation(self, grad_sortie, taux):
        raise NotImplementedError


class CoucheConvolution(Couche):
    def __init__(self, nb_canaux, nb_filtres, taille_noyau, pas=1, marge=0):
        self.pas = pas
        self.marge = marge
        self.taille = taille_noyau
        echelle = np.sqrt(2.0 / (nb_canaux * taille_noyau ** 2))
        self.noyaux = np.random.randn(nb_filtres, nb_canaux, taille_noyau, taille_noyau) * echelle
        self.biais = np.zeros(nb_filtres)

    def propagation_avant(self, entree):
        m, k, p = self.marge, self.taille, self.pas
        # on ajoute les zéros autour de l'image
        self.entree = np.pad(entree, ((0, 0), (m, m), (m, m)))
        _, h, l = self.entree.shape
        hs, ls = (h - k) // p + 1, (l - k) // p + 1
        sortie = np.empty((len(self.noyaux), hs, ls))
        for y in range(hs):
            for x in range(ls):
                fenetre = self.entree[:, y * p:y * p + k, x * p:x * p + k]
                sortie[:, y, x] = np.tensordot(self.noyaux, fenetre, axes=3) + self.biais
        return sortie

    def retropropagation(self, grad_sortie, taux):
        m, k, p = self.marge, self.taille, self.pas
        grad_noyaux = np.zeros_like(self.noyaux)
        grad_entree = np.zeros_like(self.entree)
        _, hs, ls = grad_sortie.shape
        for y in range(hs):
            for x in range(ls):
                g = grad_sortie[:, y, x]
                fenetre = self.entree[:, y * p:y * p + k, x * p:x * p + k]
                grad_noyaux += g[:, None, None, None] * fenetre
                grad_entree[:, y * p:y * p + k, x * p:x * p + k] += np.tensordot(g, self.noyaux, axes=1)
        # mise à jour par descente de gradient
        self.noyaux -= taux * grad_noyaux
        self.biais -= taux * grad_sortie.sum(axis=(1, 2))
        if m > 0:
            grad_entree = grad_entree[:, m:-m, m:-m]
        return grad_entree


class CoucheRelu(Couche):
    def propagation_avant(self, entree):
        self.entree = entree
        return np.maximum(entree, 0)

    def retropropagation(self, grad_sortie, taux):
        return grad_sortie * (self.entree > 0)


class CoucheMoyenne(Couche):
    """Sous-échantillonnage par la moyenne (blocs disjoints)."""

    def __init__(self, taille=2):
        self.taille = taille

    def propagation_avant(self, entree):
        t = self.taille
        c, h, l = entree.shape
        self.forme = entree.shape
        hs, ls = h // t, l // t
        return entree[:, :hs * t, :ls * t].reshape(c, hs, t, ls, t).mean(axis=(2, 4))

    def retropropagation(self, grad_sortie, taux):
        t = self.taille
        grad = np.zeros(self.forme)
        bloc = np.kron(grad_sortie, np.ones((1, t, t))) / t ** 2
        grad[:, :bloc.shape[1], :bloc.shape[2]] = bloc
        return grad


class CoucheAplatir(Couche):
    def propagation_avant(self, entree):
        self.forme = entree.shape
        return entree.ravel()

    def retropropagation(self, grad_sortie, taux):
        return grad_sortie.reshape(self.forme)


class CoucheDense(Couche):
    def __init__(self, nb_entrees, nb_neurones):
        self.poids = np.random.randn(nb_neurones, nb_entrees) * np.sqrt(2.0 / nb_entrees)
        self.biais = np.zeros(nb_neurones)

    def propagation_avant(self, entree):
        self.entree = entree
        return self.poids @ entree + self.biais

    def retropropagation(self, grad_sortie, taux):
        grad_entree = self.poids.T @ grad_sortie
        self.poids -= taux * np.outer(grad_sortie, self.entree)
        self.biais -= taux * grad_sortie
        return grad_entree


def tangente_hyperbolique(x):
    return np.tanh(x)


def tangente_hyperbolique_derivee(x):
    return 1.0 - np.tanh(x) ** 2


def entropie_croisee(scores, etiquette):
    """Renvoie la perte et son gradient par rapport aux scores."""
    e = np.exp(scores - scores.max())
    proba = e / e.sum()
    perte = -np.log(proba[etiquette] + 1e-300)
    grad = proba.copy()
    grad[etiquette] -= 1
    return perte, grad


class Reseau:
    def __init__(self, *couches):
        self.couches = couches

    def avant(self, x):
        for c in self.couches:
            x = c.propagation_avant(x)
        return x

    def apprendre(self, x, y, taux=0.01):
        perte, g = entropie_croisee(self.avant(x), y)
        for c in self.couches[::-1]:
            g = c.retropropagation(g, taux)
        return perte


if __name__ == "__main__":
    donnees = np.load("chiffres.npz")
    reseau = Reseau(CoucheConvolution(1, 6, 5, marge=2), CoucheRelu(), CoucheMoyenne(2),
                    CoucheConvolution(6, 12, 3), CoucheRelu(), CoucheMoyenne(2),
                    CoucheAplatir(), CoucheDense(12 * 6 * 6, 10))
    for epoque in range(3):
        total = 0
        for image, chiffre in zip(donnees["images"], donnees["chiffres"]):
            total += reseau.apprendre(image[None] / 255.0, chiffre)
        print(f"époque {epoque} : perte moyenne {total / len(donnees['images']):.4f}")
