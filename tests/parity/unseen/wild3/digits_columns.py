"""Network in the style of chapter 2: one training example is a column vector
of shape (n, 1); gradients ("nablas") are summed over the mini-batch."""
import random
import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


class QuadraticCost:
    @staticmethod
    def fn(a, y):
        return 0.5 * np.linalg.norm(a - y) ** 2

    @staticmethod
    def delta(z, a, y):
        return (a - y) * sigmoid_prime(z)


class SoftmaxLogLikelihood:
    """cost of the last weighted input z of one example, y one-hot column"""

    @staticmethod
    def fn(z, y):
        top = z.max()
        return float(top + np.log(np.exp(z - top).sum()) - (z * y).sum())

    @staticmethod
    def delta(z, y):
        e = np.exp(z - z.max())
        return e / e.sum() - y


class FullyConnectedLayer:
    def __init__(self, n_in, n_out):
        self.w = np.random.randn(n_out, n_in) / np.sqrt(n_in)
        self.b = np.random.randn(n_out, 1)
        self.reset()

    def reset(self):
        self.nabla_w = np.zeros(self.w.shape)
        self.nabla_b = np.zeros(self.b.shape)

    def feedforward(self, a):
        self.a = a
        return np.dot(self.w, a) + self.b

    def backprop(self, delta):
        self.nabla_w += np.dot(delta, self.a.transpose())
        self.nabla_b += delta
        return np.dot(self.w.transpose(), delta)


class RectifierLayer:
    def feedforward(self, z):
        self.z = z
        return z * (z > 0)

    def backprop(self, delta):
        return delta * (self.z > 0)


class ConvPoolInput:
    """Only reshapes an image into the column the dense layers want."""

    def feedforward(self, image):
        self.shape = image.shape
        return image.reshape(-1, 1)

    def backprop(self, delta):
        return delta.reshape(self.shape)


class MaxPoolLayer:
    """poolsize p on one stack of feature maps (maps, rows, cols), no overlap"""

    def __init__(self, p=2):
        self.p = p

    def feedforward(self, a):
        m, r, c = a.shape
        p = self.p
        self.in_shape = a.shape
        cut = a[:, :r // p * p, :c // p * p]
        blocks = cut.reshape(m, r // p, p, c // p, p).transpose(0, 1, 3, 2, 4).reshape(m, r // p, c // p, p * p)
        self.where = blocks.argmax(axis=3)
        return blocks.max(axis=3)

    def backprop(self, delta):
        p = self.p
        out = np.zeros(self.in_shape)
        for (m, i, j), k in np.ndenumerate(self.where):
            out[m, i * p + k // p, j * p + k % p] = delta[m, i, j]
        return out


class SGDUpdate:
    def __init__(self, eta, mu=0.0):
        self.eta, self.mu = eta, mu
        self.velocities = {}

    def update(self, layers, n):
        """n: number of examples that the nablas were summed over"""
        for k, layer in enumerate(layers):
            vw, vb = self.velocities.get(k, (0.0, 0.0))
            vw = self.mu * vw - self.eta / n * layer.nabla_w
            vb = self.mu * vb - self.eta / n * layer.nabla_b
            layer.w = layer.w + vw
            layer.b = layer.b + vb
            self.velocities[k] = (vw, vb)
            layer.reset()


class Network:
    def __init__(self, sizes):
        self.dense = [FullyConnectedLayer(x, y) for x, y in zip(sizes[:-1], sizes[1:])]
        self.layers = [ConvPoolInput()]
        for d in self.dense[:-1]:
            self.layers += [d, RectifierLayer()]
        self.layers.append(self.dense[-1])

    def feedforward(self, a):
        for layer in self.layers:
            a = layer.feedforward(a)
        return a

    def train(self, data, epochs, batch, eta, mu=0.5):
        opt = SGDUpdate(eta, mu)
        for j in range(epochs):
            random.shuffle(data)
            for k in range(0, len(data), batch):
                part = data[k:k + batch]
                for x, y in part:
                    delta = SoftmaxLogLikelihood.delta(self.feedforward(x), y)
                    for layer in reversed(self.layers):
                        delta = layer.backprop(delta)
                opt.update(self.dense, len(part))
            print("epoch", j, sum(SoftmaxLogLikelihood.fn(self.feedforward(x), y) for x, y in data) / len(data))


if __name__ == "__main__":
    data = [(np.random.rand(8, 8), np.eye(4)[[i % 4]].T) for i in range(40)]
    Network([64, 15, 4]).train(data, 5, 8, 0.3)
