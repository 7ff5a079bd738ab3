# Rede neural convolucional do zero - trabalho da disciplina de Aprendizado de Máquina
import numpy as np
from scipy.signal import correlate2d, convolve2d


class CamadaConvolucional:
    """ entrada: (lote, canais, altura, largura). Sem preenchimento, passo 1. """

    def __init__(self, canais_entrada, num_filtros, tamanho_filtro, taxa_aprendizado=0.01):
        self.filtros = np.random.randn(num_filtros, canais_entrada, tamanho_filtro, tamanho_filtro) * 0.1
        self.vies = np.zeros(num_filtros)
        self.taxa = taxa_aprendizado

    def frente(self, entrada):
        self.entrada = entrada
        n, c, h, w = entrada.shape
        f, _, k, _ = self.filtros.shape
        saida = np.zeros((n, f, h - k + 1, w - k + 1))
        for a in range(n):
            for i in range(f):
                for j in range(c):
                    saida[a, i] += correlate2d(entrada[a, j], self.filtros[i, j], mode='valid')
                saida[a, i] += self.vies[i]
        return saida

    def tras(self, grad):
        n, c, h, w = self.entrada.shape
        self.dfiltros = np.zeros_like(self.filtros)
        self.dvies = grad.sum(axis=(0, 2, 3))
        dentrada = np.zeros_like(self.entrada)
        for a in range(n):
            for i in range(len(self.filtros)):
                for j in range(c):
                    self.dfiltros[i, j] += correlate2d(self.entrada[a, j], grad[a, i], mode='valid')
                    # gradiente da entrada: correlação completa com o filtro
                    dentrada[a, j] += correlate2d(grad[a, i], self.filtros[i, j], mode='full')
        return dentrada

    def atualizar(self):
        self.filtros -= self.taxa * self.dfiltros
        self.vies -= self.taxa * self.dvies


class CamadaPoolingMax:
    def __init__(self, tamanho=2, passo=2):
        self.tamanho = tamanho
        self.passo = passo

    def frente(self, entrada):
        self.entrada = entrada
        n, c, h, w = entrada.shape
        t, p = self.tamanho, self.passo
        self.hs, self.ws = (h - t) // p + 1, (w - t) // p + 1
        saida = np.zeros((n, c, self.hs, self.ws))
        for i in range(self.hs):
            for j in range(self.ws):
                saida[:, :, i, j] = np.max(entrada[:, :, i*p:i*p+t, j*p:j*p+t], axis=(2, 3))
        return saida

    def tras(self, grad):
        n, c, _, _ = self.entrada.shape
        t, p = self.tamanho, self.passo
        dentrada = np.zeros_like(self.entrada)
        for a in range(n):
            for b in range(c):
                for i in range(self.hs):
                    for j in range(self.ws):
                        janela = self.entrada[a, b, i*p:i*p+t, j*p:j*p+t]
                        y, x = np.unravel_index(janela.argmax(), janela.shape)
                        dentrada[a, b, i*p + y, j*p + x] += grad[a, b, i, j]
        return dentrada

    def atualizar(self):
        pass


class CamadaReLU:
    def frente(self, entrada):
        self.saida = np.maximum(0, entrada)
        return self.saida

    def tras(self, grad):
        return grad * (self.saida > 0)

    def atualizar(self):
        pass


class CamadaAchatar:
    def frente(self, entrada):
        self.formato = entrada.shape
        return entrada.reshape(entrada.shape[0], -1)

    def tras(self, grad):
        return grad.reshape(self.formato)

    def atualizar(self):
        pass


class CamadaDensa:
    def __init__(self, num_entradas, num_neuronios, taxa_aprendizado=0.01):
        self.pesos = np.random.randn(num_entradas, num_neuronios) * np.sqrt(2 / num_entradas)
        self.vies = np.zeros((1, num_neuronios))
        self.taxa = taxa_aprendizado

    def frente(self, entrada):
        self.entrada = entrada
        return entrada @ self.pesos + self.vies

    def tras(self, grad):
        lote = grad.shape[0]
        # média sobre o lote
        self.dpesos = self.entrada.T @ grad / lote
        self.dvies = np.sum(grad, axis=0, keepdims=True) / lote
        return grad @ self.pesos.T

    def atualizar(self):
        self.pesos -= self.taxa * self.dpesos
        self.vies -= self.taxa * self.dvies


class EntropiaCruzada:
    def calcular(self, logits, rotulos):
        """ rotulos em one-hot """
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.prob = exp / exp.sum(axis=1, keepdims=True)
        self.rotulos = rotulos
        return -np.sum(rotulos * np.log(self.prob + 1e-12)) / len(rotulos)

    def derivada(self):
        # já dividido pelo tamanho do lote
        return (self.prob - self.rotulos) / len(self.rotulos)


class Rede:
    def __init__(self, camadas):
        self.camadas = camadas
        self.perda = EntropiaCruzada()

    def passo(self, x, y):
        for c in self.camadas:
            x = c.frente(x)
        erro = self.perda.calcular(x, y)
        g = self.perda.derivada()
        for c in reversed(self.camadas):
            g = c.tras(g)
        for c in self.camadas:
            c.atualizar()
        return erro


if __name__ == '__main__':
    dados = np.load('mnist.npz')
    x = dados['x_train'][:2000, None] / 255.
    y = np.eye(10)[dados['y_train'][:2000]]
    rede = Rede([CamadaConvolucional(1, 4, 3), CamadaReLU(), CamadaPoolingMax(),
                 CamadaAchatar(), CamadaDensa(4 * 13 * 13, 10)])
    for epoca in range(5):
        for k in range(0, 2000, 50):
            e = rede.passo(x[k:k+50], y[k:k+50])
        print('época', epoca, 'erro', e)
