# -*- coding: utf-8 -*-
"""Red neuronal convolucional escrita solo con numpy (sin bibliotecas de aprendizaje)."""
import numpy as np


class Capa:
    def adelante(self, entrada):
        raise NotImplementedError

    def atras(self, gradiente, tasa):
        raise NotImplementedError


class CapaConvolucion(Capa):
    """Relleno de ceros y paso libres. pesos: (filtros, canales, alto, ancho)"""

    def __init__(self, canales, filtros, tamano, paso=1, relleno=0):
        self.paso, self.relleno, self.tamano = paso, relleno, tamano
        self.pesos = np.random.normal(0, 0.1, (filtros, canales, tamano, tamano))
        self.sesgo = np.zeros(filtros)

    def adelante(self, entrada):
        r, k, p = self.relleno, self.tamano, self.paso
        self.forma = entrada.shape
        self.rellena = np.pad(entrada, ((0, 0), (0, 0), (r, r), (r, r)))
        n, c, alto, ancho = self.rellena.shape
        filas, columnas = (alto - k) // p + 1, (ancho - k) // p + 1
        salida = np.empty((n, len(self.pesos), filas, columnas))
        for i in range(filas):
            for j in range(columnas):
                ventana = self.rellena[:, :, i * p:i * p + k, j * p:j * p + k]
                salida[:, :, i, j] = np.tensordot(ventana, self.pesos, ((1, 2, 3), (1, 2, 3))) + self.sesgo
        return salida

    def atras(self, gradiente, tasa):
        r, k, p = self.relleno, self.tamano, self.paso
        d_pesos = np.zeros_like(self.pesos)
        d_rellena = np.zeros_like(self.rellena)
        for i in range(gradiente.shape[2]):
            for j in range(gradiente.shape[3]):
                g = gradiente[:, :, i, j]
                ventana = self.rellena[:, :, i * p:i * p + k, j * p:j * p + k]
                d_pesos += np.tensordot(g, ventana, (0, 0))
                d_rellena[:, :, i * p:i * p + k, j * p:j * p + k] += np.tensordot(g, self.pesos, (1, 0))
        self.pesos -= tasa * d_pesos
        self.sesgo -= tasa * gradiente.sum((0, 2, 3))
        return d_rellena[:, :, r:r + self.forma[2], r:r + self.forma[3]]


class CapaAgrupacionMaxima(Capa):
    def __init__(self, tamano=2, paso=2):
        self.tamano, self.paso = tamano, paso

    def adelante(self, entrada):
        k, p = self.tamano, self.paso
        self.entrada = entrada
        n, c, alto, ancho = entrada.shape
        filas, columnas = (alto - k) // p + 1, (ancho - k) // p + 1
        salida = np.zeros((n, c, filas, columnas))
        self.donde = np.zeros((n, c, filas, columnas), int)
        for i in range(filas):
            for j in range(columnas):
                v = entrada[:, :, i * p:i * p + k, j * p:j * p + k].reshape(n, c, -1)
                self.donde[:, :, i, j] = v.argmax(2)
                salida[:, :, i, j] = v.max(2)
        return salida

    def atras(self, gradiente, tasa=None):
        k, p = self.tamano, self.paso
        d = np.zeros_like(self.entrada)
        for (n, c, i, j), g in np.ndenumerate(gradiente):
            fila, columna = divmod(self.donde[n, c, i, j], k)
            d[n, c, i * p + fila, j * p + columna] += g
        return d


class CapaAplanar(Capa):
    def adelante(self, entrada):
        self.forma = entrada.shape
        return entrada.reshape(self.forma[0], -1)

    def atras(self, gradiente, tasa=None):
        return gradiente.reshape(self.forma)


class CapaDensa(Capa):
    def __init__(self, entradas, salidas):
        self.pesos = np.random.normal(0, 1 / np.sqrt(entradas), (entradas, salidas))
        self.sesgo = np.zeros((1, salidas))

    def adelante(self, entrada):
        self.entrada = entrada
        return np.dot(entrada, self.pesos) + self.sesgo

    def atras(self, gradiente, tasa):
        anterior = np.dot(gradiente, self.pesos.T)
        self.pesos -= tasa * np.dot(self.entrada.T, gradiente)
        self.sesgo -= tasa * gradiente.sum(0, keepdims=True)
        return anterior


class ActivacionReLU(Capa):
    def adelante(self, entrada):
        self.entrada = entrada
        return np.maximum(entrada, 0)

    def atras(self, gradiente, tasa=None):
        return gradiente * (self.entrada > 0)


class ActivacionSigmoide(Capa):
    def adelante(self, entrada):
        self.salida = 1 / (1 + np.exp(-entrada))
        return self.salida

    def atras(self, gradiente, tasa=None):
        return gradiente * self.salida * (1 - self.salida)


class PerdidaEntropiaCruzada:
    """Softmax y entropía cruzada, media del lote."""

    def calcular(self, puntajes, etiquetas):
        e = np.exp(puntajes - puntajes.max(axis=1, keepdims=True))
        self.prob = e / e.sum(axis=1, keepdims=True)
        self.etiquetas = etiquetas
        return -np.log(self.prob[range(len(etiquetas)), etiquetas]).mean()

    def derivada(self):
        d = self.prob.copy()
        d[range(len(self.etiquetas)), self.etiquetas] -= 1
        return d / len(self.etiquetas)


class RedNeuronal:
    def __init__(self, capas, perdida):
        self.capas, self.perdida = capas, perdida

    def predecir(self, x):
        for capa in self.capas:
            x = capa.adelante(x)
        return x

    def entrenar(self, x, y, epocas=10, tasa=0.05):
        for epoca in range(epocas):
            costo = self.perdida.calcular(self.predecir(x), y)
            g = self.perdida.derivada()
            for capa in self.capas[::-1]:
                g = capa.atras(g, tasa)
            print('época', epoca, 'costo', round(costo, 4))


def exactitud(puntajes, etiquetas):
    return np.mean(np.argmax(puntajes, axis=1) == etiquetas)


if __name__ == '__main__':
    np.random.seed(0)
    x, y = np.random.rand(20, 1, 8, 8), np.random.randint(0, 3, 20)
    red = RedNeuronal([CapaConvolucion(1, 4, 3, relleno=1), ActivacionReLU(), CapaAgrupacionMaxima(), CapaAplanar(),
                       CapaDensa(64, 16), ActivacionSigmoide(), CapaDensa(16, 3)], PerdidaEntropiaCruzada())
    red.entrenar(x, y)
    print('exactitud:', exactitud(red.predecir(x), y))
