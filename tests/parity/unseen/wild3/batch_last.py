"""Everything with the batch on the LAST axis: vectors (features, batch), pictures (C, H, W, batch)."""
import numpy as np
from scipy.signal import convolve


class Node:
    params = grads = ()

    def feedforward(self, x):
        raise NotImplementedError

    def backpropagate(self, delta):
        raise NotImplementedError


class ConvNode(Node):
    """'valid' cross-correlation; kernel (C, k, k, F) ; no bias per pixel, one per filter"""

    def __init__(self, channels, k, filters, seed=None):
        gen = np.random.default_rng(seed)
        self.kernel = gen.normal(scale=1 / np.sqrt(channels * k * k), size=(channels, k, k, filters))
        self.offset = np.zeros((filters, 1, 1, 1))
        self.params = [self.kernel, self.offset]

    def feedforward(self, x):
        self.x = x
        maps = []
        for f in range(self.kernel.shape[-1]):
            flipped = self.kernel[::-1, ::-1, ::-1, f]
            maps.append(convolve(x, flipped[..., None], mode='valid', method='direct')[0])
        return np.stack(maps) + self.offset

    def backpropagate(self, delta):
        gk = np.empty_like(self.kernel)
        gx = np.zeros_like(self.x)
        k = self.kernel.shape[1]
        for f, d in enumerate(delta):
            for i in range(k):
                for j in range(k):
                    gk[:, i, j, f] = np.sum(self.x[:, i:i + d.shape[0], j:j + d.shape[1]] * d, axis=(1, 2, 3))
            gx += convolve(d[None], self.kernel[..., f][..., None], mode='full', method='direct')
        self.grads = [gk, delta.sum(axis=(1, 2, 3)).reshape(-1, 1, 1, 1)]
        return gx


class SubsampleMean(Node):
    def __init__(self, k=2):
        self.k = k

    def feedforward(self, x):
        k = self.k
        c, h, w, n = x.shape
        assert h % k == 0 and w % k == 0
        return x.reshape(c, h // k, k, w // k, k, n).sum(axis=(2, 4)) / k ** 2

    def backpropagate(self, delta):
        k = self.k
        return np.repeat(np.repeat(delta, k, 1), k, 2) / k ** 2


class DenseNode(Node):
    def __init__(self, n_in, n_out, seed=None):
        gen = np.random.default_rng(seed)
        self.weight = gen.normal(scale=n_in ** -.5, size=(n_out, n_in))
        self.bias = np.zeros((n_out, 1))
        self.params = [self.weight, self.bias]

    def feedforward(self, x):
        self.x = x
        return np.dot(self.weight, x) + self.bias

    def backpropagate(self, delta):
        # averages, so that the step does not depend on the size of the batch; the loss is a sum
        n = delta.shape[1]
        self.grads = [np.dot(delta, self.x.T) / n, delta.mean(axis=1, keepdims=True)]
        return np.dot(self.weight.T, delta)


class Vectorise(Node):
    def feedforward(self, x):
        self.shape = x.shape
        return x.reshape(-1, x.shape[-1])

    def backpropagate(self, delta):
        return delta.reshape(self.shape)


class Positive(Node):
    def feedforward(self, x):
        self.gate = np.sign(np.maximum(x, 0))
        return x * self.gate

    def backpropagate(self, delta):
        return self.gate * delta


class SoftPlus(Node):
    def feedforward(self, x):
        self.x = x
        return np.logaddexp(0, x)

    def backpropagate(self, delta):
        return delta / (1 + np.exp(-self.x))


def softmax(z):
    e = np.exp(z - np.max(z, axis=0))
    return e / np.sum(e, axis=0)


class SoftmaxEntropy:
    """Y one-hot (classes, batch); the cost is the sum over the examples."""

    def cost(self, z, Y):
        return -np.sum(Y * np.log(softmax(z)))

    def delta(self, z, Y):
        return softmax(z) - Y


class MomentumRule:
    """v <- mu v + g ; p <- p - eta v"""

    def __init__(self, eta=0.1, mu=0.5):
        self.eta, self.mu, self.v = eta, mu, {}

    def apply(self, nodes):
        for node in nodes:
            for p, g in zip(node.params, node.grads):
                v = self.v.setdefault(id(p), np.zeros_like(p))
                v *= self.mu
                v += g
                p -= self.eta * v


class Network:
    def __init__(self, *nodes):
        self.nodes, self.loss = nodes, SoftmaxEntropy()

    def output(self, x):
        for n in self.nodes:
            x = n.feedforward(x)
        return x

    def learn(self, x, Y, rule):
        z = self.output(x)
        d = self.loss.delta(z, Y)
        for n in reversed(self.nodes):
            d = n.backpropagate(d)
        rule.apply(self.nodes)
        return self.loss.cost(z, Y) / x.shape[-1]


if __name__ == '__main__':
    r = np.random.default_rng(2)
    x, lab = r.random((1, 8, 8, 25)), r.integers(0, 3, 25)
    net = Network(ConvNode(1, 3, 4), Positive(), SubsampleMean(2), Vectorise(), DenseNode(36, 10), SoftPlus(), DenseNode(10, 3))
    rule = MomentumRule(.01)
    for e in range(30):
        c = net.learn(x, np.eye(3)[:, lab], rule)
    print(c)
