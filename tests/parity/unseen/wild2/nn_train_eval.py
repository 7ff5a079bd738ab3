from abc import ABC, abstractmethod
import numpy as np


class Layer(ABC):
    def __init__(self):
        self.is_training = True

    def train(self):
        self.is_training = True

    def eval(self):
        self.is_training = False

    @abstractmethod
    def forward(self, inputs): ...

    @abstractmethod
    def backward(self, grad_output): ...

    def get_params_grads(self):
        return []


class Linear(Layer):
    def __init__(self, in_dim, out_dim):
        super().__init__()
        self.weight = np.random.normal(0, np.sqrt(2 / in_dim), (in_dim, out_dim))
        self.bias = np.zeros((1, out_dim))

    def forward(self, inputs):
        self.inputs = inputs
        return inputs @ self.weight + self.bias

    def backward(self, grad_output):
        self.grad_weight = self.inputs.T @ grad_output
        self.grad_bias = np.sum(grad_output, axis=0, keepdims=True)
        return grad_output @ self.weight.T

    def get_params_grads(self):
        return [(self.weight, self.grad_weight), (self.bias, self.grad_bias)]


class BatchNorm1d(Layer):
    def __init__(self, num_features, momentum=0.1, eps=1e-5):
        super().__init__()
        self.gamma = np.ones(num_features)
        self.beta = np.zeros(num_features)
        self.momentum = momentum
        self.eps = eps
        self.moving_mean = np.zeros(num_features)
        self.moving_var = np.ones(num_features)

    def forward(self, inputs):
        if self.is_training:
            mean = inputs.mean(axis=0)
            var = inputs.var(axis=0)
            # exponential moving average, momentum is the weight of the new batch
            self.moving_mean = self.momentum * self.moving_mean + (1 - self.momentum) * mean
            self.moving_var = (1 - self.momentum) * self.moving_var + self.momentum * var
        else:
            mean, var = self.moving_mean, self.moving_var
        self.inv_std = 1.0 / np.sqrt(var + self.eps)
        self.x_hat = (inputs - mean) * self.inv_std
        return self.gamma * self.x_hat + self.beta

    def backward(self, grad_output):
        N = grad_output.shape[0]
        self.grad_gamma = np.sum(grad_output * self.x_hat, axis=0)
        self.grad_beta = np.sum(grad_output, axis=0)
        return self.gamma * self.inv_std / N * (N * grad_output - self.grad_beta - self.x_hat * self.grad_gamma)

    def get_params_grads(self):
        return [(self.gamma, self.grad_gamma), (self.beta, self.grad_beta)]


class Dropout(Layer):
    def __init__(self, drop_prob=0.5):
        super().__init__()
        self.drop_prob = drop_prob

    def _mask(self, shape):
        return np.random.binomial(1, 1 - self.drop_prob, size=shape) / (1 - self.drop_prob)

    def forward(self, inputs):
        if not self.is_training:
            return inputs
        return inputs * self._mask(inputs.shape)

    def backward(self, grad_output):
        return grad_output * self._mask(grad_output.shape)


class ReLU(Layer):
    def forward(self, inputs):
        self.inputs = inputs
        return inputs * (inputs > 0)

    def backward(self, grad_output):
        return grad_output * (self.inputs > 0)


class CrossEntropy:
    """Gets raw scores and integer labels."""

    def forward(self, scores, labels):
        scores = scores - np.max(scores, axis=-1, keepdims=True)
        self.probs = np.exp(scores) / np.sum(np.exp(scores), axis=-1, keepdims=True)
        self.labels = labels
        return -np.mean(np.log(self.probs[np.arange(labels.shape[0]), labels]))

    def backward(self):
        grad = np.array(self.probs)
        grad[np.arange(self.labels.shape[0]), self.labels] -= 1.0
        return grad / self.labels.shape[0]


class Network:
    def __init__(self, *layers):
        self.layers = layers

    def train(self):
        for layer in self.layers:
            layer.train()

    def eval(self):
        for layer in self.layers:
            layer.eval()

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad):
        for layer in self.layers[::-1]:
            grad = layer.backward(grad)

    def step(self, lr):
        for layer in self.layers:
            for p, g in layer.get_params_grads():
                p -= lr * g


def accuracy(logits, labels):
    return float((logits.argmax(1) == labels).mean())


def fit(net, x, y, epochs=5, batch_size=128, lr=0.1):
    criterion = CrossEntropy()
    for epoch in range(epochs):
        net.train()
        perm = np.random.permutation(len(x))
        for i in range(0, len(x), batch_size):
            idx = perm[i:i + batch_size]
            loss = criterion.forward(net.forward(x[idx]), y[idx])
            net.backward(criterion.backward())
            net.step(lr)
        net.eval()
        print(f"epoch {epoch}: loss {loss:.4f}, acc {accuracy(net.forward(x[:5000]), y[:5000]):.4f}")


if __name__ == "__main__":
    with np.load("mnist.npz") as d:
        X, Y = d["x_train"].reshape(-1, 784) / 255.0, d["y_train"]
    fit(Network(Linear(784, 256), BatchNorm1d(256), ReLU(), Dropout(0.2), Linear(256, 10)), X, Y)
