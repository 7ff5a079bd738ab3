"""MLP for MNIST where the bias is the last row of each weight matrix.

Input gets a column of ones, so that  z = [x, 1] @ Theta .
"""
import gzip
import numpy as np


def add_ones(x):
    return np.hstack([x, np.ones((x.shape[0], 1))])


class FullyConnected:
    def __init__(self, num_inputs, num_neurons, reg=0.0):
        self.theta = np.random.randn(num_inputs + 1, num_neurons) / np.sqrt(num_inputs)
        self.theta[-1] = 0.0
        self.reg = reg

    def forward(self, x):
        self.a = add_ones(x)
        return self.a @ self.theta

    def backward(self, delta):
        self.grad = self.a.T @ delta
        if self.reg:
            # no decay on the bias row
            self.grad[:-1] += self.reg * self.theta[:-1]
        return delta @ self.theta[:-1].T


class Rectifier:
    def forward(self, x):
        self.out = x.clip(min=0)
        return self.out

    def backward(self, delta):
        return delta * np.sign(self.out)


class L2Regularizer:
    def __init__(self, lam):
        self.lam = lam

    def __call__(self, w):
        return 0.5 * self.lam * np.sum(w ** 2)

    def grad(self, w):
        return self.lam * w


class SoftmaxCrossEntropy:
    def forward(self, logits, onehot):
        z = logits - np.max(logits, axis=1)[:, None]
        self.log_p = z - np.log(np.exp(z).sum(axis=1))[:, None]
        self.onehot = onehot
        return -(onehot * self.log_p).sum(axis=1).mean()

    def backward(self):
        return (np.exp(self.log_p) - self.onehot) / self.onehot.shape[0]


class Nesterov:
    def __init__(self, layers, eta=0.1, mu=0.9):
        self.layers, self.eta, self.mu = layers, eta, mu
        self.v = [np.zeros_like(l.theta) for l in layers]

    def step(self):
        for l, v in zip(self.layers, self.v):
            v_prev = v.copy()
            v[:] = self.mu * v - self.eta * l.grad
            l.theta += -self.mu * v_prev + (1 + self.mu) * v


class GradientDescent:
    def __init__(self, layers, eta=0.1):
        self.layers, self.eta = layers, eta

    def step(self):
        for l in self.layers:
            l.theta -= self.eta * l.grad


def load_images(path):
    with gzip.open(path, "rb") as f:
        return np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 784) / 255.0


def load_labels(path):
    with gzip.open(path, "rb") as f:
        return np.frombuffer(f.read(), np.uint8, offset=8)


def iterate_minibatches(x, y, size):
    idx = np.random.permutation(len(x))
    for s in range(0, len(x) - size + 1, size):
        yield x[idx[s:s + size]], y[idx[s:s + size]]


def main():
    x = load_images("train-images-idx3-ubyte.gz")
    y = np.eye(10)[load_labels("train-labels-idx1-ubyte.gz")]
    fc1, act, fc2 = FullyConnected(784, 128, reg=1e-4), Rectifier(), FullyConnected(128, 10, reg=1e-4)
    crit = SoftmaxCrossEntropy()
    opt = GradientDescent([fc1, fc2])
    for epoch in range(10):
        for xb, yb in iterate_minibatches(x, y, 100):
            loss = crit.forward(fc2.forward(act.forward(fc1.forward(xb))), yb)
            fc1.backward(act.backward(fc2.backward(crit.backward())))
            opt.step()
        print(epoch, loss)


if __name__ == "__main__":
    main()
