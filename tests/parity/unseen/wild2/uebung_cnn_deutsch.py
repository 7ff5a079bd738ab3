# Übungsblatt 6 - Faltungsnetz von Hand
# Es wird immer nur ein Bild auf einmal verarbeitet: (Kanäle, Höhe, Breite)
import numpy as np


class Faltung:
    def __init__(self, eingangs_kanaele, anzahl_filter, kern, schritt=1, rand=0):
        self.gewichte = np.random.randn(anzahl_filter, eingangs_kanaele, kern, kern) * 0.1
        self.schwellen = np.zeros(anzahl_filter)
        self.kern = kern
        self.schritt = schritt
        self.rand = rand

    def vorwaerts(self, bild):
        self.bild_mit_rand = np.pad(bild, ((0, 0), (self.rand, self.rand), (self.rand, self.rand)))
        _, hoehe, breite = self.bild_mit_rand.shape
        k, s = self.kern, self.schritt
        h_aus = (hoehe - k) // s + 1
        b_aus = (breite - k) // s + 1
        ausgabe = np.zeros((len(self.gewichte), h_aus, b_aus))
        for f in range(len(self.gewichte)):
            for i in range(h_aus):
                for j in range(b_aus):
                    ausschnitt = self.bild_mit_rand[:, i * s:i * s + k, j * s:j * s + k]
                    ausgabe[f, i, j] = np.sum(ausschnitt * self.gewichte[f]) + self.schwellen[f]
        return ausgabe

    def rueckwaerts(self, fehler):
        k, s, r = self.kern, self.schritt, self.rand
        self.d_gewichte = np.zeros_like(self.gewichte)
        self.d_schwellen = fehler.sum(axis=(1, 2))
        d_bild = np.zeros_like(self.bild_mit_rand)
        for f in range(fehler.shape[0]):
            for i in range(fehler.shape[1]):
                for j in range(fehler.shape[2]):
                    ausschnitt = self.bild_mit_rand[:, i * s:i * s + k, j * s:j * s + k]
                    self.d_gewichte[f] += fehler[f, i, j] * ausschnitt
                    d_bild[:, i * s:i * s + k, j * s:j * s + k] += fehler[f, i, j] * self.gewichte[f]
        if r > 0:
            d_bild = d_bild[:, r:-r, r:-r]
        return d_bild


class MittelwertPooling:
    def __init__(self, groesse=2):
        self.groesse = groesse

    def vorwaerts(self, bild):
        self.form = bild.shape
        g = self.groesse
        kanaele, hoehe, breite = bild.shape
        ausgabe = np.zeros((kanaele, hoehe // g, breite // g))
        for i in range(hoehe // g):
            for j in range(breite // g):
                ausgabe[:, i, j] = bild[:, i * g:(i + 1) * g, j * g:(j + 1) * g].mean(axis=(1, 2))
        return ausgabe

    def rueckwaerts(self, fehler):
        g = self.groesse
        d_bild = np.zeros(self.form)
        for i in range(fehler.shape[1]):
            for j in range(fehler.shape[2]):
                d_bild[:, i * g:(i + 1) * g, j * g:(j + 1) * g] = fehler[:, i, j].reshape(-1, 1, 1)
        return d_bild


class Gleichrichter:
    """ReLU"""

    def vorwaerts(self, x):
        self.x = x
        return np.maximum(x, 0)

    def rueckwaerts(self, fehler):
        return fehler * (fehler > 0)


class Glaetten:
    def vorwaerts(self, x):
        self.form = x.shape
        return x.reshape(-1)

    def rueckwaerts(self, fehler):
        return fehler.reshape(self.form)


class VollVerbunden:
    def __init__(self, n_ein, n_aus):
        self.gewichte = np.random.randn(n_aus, n_ein) * 0.1
        self.schwellen = np.zeros(n_aus)

    def vorwaerts(self, x):
        self.x = x
        return self.gewichte @ x + self.schwellen

    def rueckwaerts(self, fehler):
        self.d_gewichte = np.outer(fehler, self.x)
        self.d_schwellen = fehler.copy()
        return self.gewichte.T @ fehler


def softmax_kreuzentropie(z, klasse):
    """z: Ausgaben des letzten Layers (ein Bild), klasse: Index der richtigen Klasse"""
    z = z - z.max()
    p = np.exp(z) / np.exp(z).sum()
    verlust = -np.log(p[klasse])
    dz = p.copy()
    dz[klasse] -= 1
    return verlust, dz


def trainiere(schichten, bilder, klassen, lernrate=0.05, epochen=2):
    for e in range(epochen):
        summe = 0.0
        for bild, klasse in zip(bilder, klassen):
            x = bild
            for s in schichten:
                x = s.vorwaerts(x)
            verlust, d = softmax_kreuzentropie(x, klasse)
            summe += verlust
            for s in reversed(schichten):
                d = s.rueckwaerts(d)
            for s in schichten:
                if hasattr(s, 'gewichte'):
                    s.gewichte -= lernrate * s.d_gewichte
                    s.schwellen -= lernrate * s.d_schwellen
        print('Epoche', e, 'Verlust', summe / len(bilder))


if __name__ == '__main__':
    bilder = np.random.rand(6, 1, 8, 8)
    klassen = np.random.randint(0, 3, 6)
    trainiere([Faltung(1, 4, 3), Gleichrichter(), MittelwertPooling(2), Glaetten(),
               VollVerbunden(4 * 3 * 3, 3)], bilder, klassen)
