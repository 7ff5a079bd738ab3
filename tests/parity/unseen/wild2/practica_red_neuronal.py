"""
Práctica 4: red neuronal con NumPy
Cada capa guarda lo que necesita en `propagar` y devuelve el gradiente de la
entrada en `retropropagar`.
"""
import numpy as np


class CapaDensa:
    def __init__(self, n_entradas, n_salidas, semilla=None):
        rng = np.random.default_rng(semilla)
        self.pesos = rng.normal(0, np.sqrt(2.0 / n_entradas), size=(n_entradas, n_salidas))
        self.sesgos = np.zeros(n_salidas)
        self.grad_pesos = None
        self.grad_sesgos = None

    def propagar(self, entrada):
        self.entrada = entrada
        return entrada @ self.pesos + self.sesgos

    def retropropagar(self, grad):
        self.grad_pesos = self.entrada.T @ grad
        self.grad_sesgos = grad.sum(axis=0)
        return grad @ self.pesos.T


class CapaReLU:
    def propagar(self, entrada):
        self.activa = entrada > 0
        return np.where(self.activa, entrada, 0.0)

    def retropropagar(self, grad):
        return np.where(self.activa, grad, 0.0)


class CapaTanh:
    def propagar(self, entrada):
        self.salida = np.tanh(entrada)
        return self.salida

    def retropropagar(self, grad):
        return grad * (1 - self.salida ** 2)


class CapaDropout:
    """p: probabilidad de apagar una neurona (dropout invertido)"""

    def __init__(self, p=0.5):
        self.p = p
        self.entrenando = True

    def propagar(self, entrada):
        if not self.entrenando or self.p == 0:
            self.mascara = None
            return entrada
        self.mascara = (np.random.random(entrada.shape) >= self.p) / (1.0 - self.p)
        return entrada * self.mascara

    def retropropagar(self, grad):
        if self.mascara is None:
            return grad
        return grad * self.mascara


class PerdidaEntropiaCruzada:
    """softmax + entropía cruzada, etiquetas one-hot, suma sobre el lote"""

    def calcular(self, logits, etiquetas):
        z = logits - logits.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        self.p = np.exp(log_p)
        self.etiquetas = etiquetas
        return -(etiquetas * log_p).sum()

    def gradiente(self):
        return self.p - self.etiquetas


class DescensoConMomento:
    def __init__(self, capas, tasa=0.01, momento=0.9):
        self.capas = [c for c in capas if hasattr(c, 'pesos')]
        self.tasa = tasa
        self.momento = momento
        self.vel = [(np.zeros_like(c.pesos), np.zeros_like(c.sesgos)) for c in self.capas]

    def paso(self):
        for i, capa in enumerate(self.capas):
            vp, vs = self.vel[i]
            vp = self.momento * vp + self.tasa * capa.grad_pesos
            vs = self.momento * vs + self.tasa * capa.grad_sesgos
            capa.pesos -= vp
            capa.sesgos -= vs
            self.vel[i] = (vp, vs)


def exactitud(logits, etiquetas):
    return np.mean(logits.argmax(axis=1) == etiquetas.argmax(axis=1))


def generar_datos(n=80):
    X = np.random.randn(n, 2)
    clase = (X[:, 0] ** 2 + X[:, 1] ** 2 > 1.2).astype(int)
    return X, np.eye(2)[clase]


if __name__ == "__main__":
    X, Y = generar_datos()
    red = [CapaDensa(2, 16), CapaReLU(), CapaDropout(0.1), CapaDensa(16, 2)]
    perdida = PerdidaEntropiaCruzada()
    opt = DescensoConMomento(red, tasa=0.001)
    for epoca in range(30):
        a = X
        for capa in red:
            a = capa.propagar(a)
        L = perdida.calcular(a, Y)
        g = perdida.gradiente()
        for capa in reversed(red):
            g = capa.retropropagar(g)
        opt.paso()
    print("pérdida:", L, "exactitud:", exactitud(a, Y))
