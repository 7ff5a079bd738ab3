import numpy as np


class Sigmoid:
    @staticmethod
    def activate(z):
        return 1 / (1 + np.exp(-z))

    @staticmethod
    def derivative(z):
        s = Sigmoid.activate(z)
        return s * (1 - s)


class TanH:
    @staticmethod
    def activate(z):
        return np.tanh(z)

    @staticmethod
    def derivative(z):
        return 1 - np.tanh(z) ** 2


class ReLU:
    @staticmethod
    def activate(z):
        return np.maximum(z, 0)

    @staticmethod
    def derivative(z):
        return np.where(z > 0, 1.0, 0.0)


class LeakyReLU:
    @staticmethod
    def activate(z):
        return np.where(z > 0, z, 0.1 * z)

    @staticmethod
    def derivative(z):
        return np.where(z > 0, 1.0, 0.1)


class ActivationLayer:
    """ReLU as a layer of its own (for the convolutional model)."""

    def forward(self, x):
        self.x = x
        return np.maximum(0, x)

    def backward(self, d_out):
        d_in = d_out.copy()
        d_in[d_out <= 0] = 0
        return d_in


class DenseLayer:
    def __init__(self, num_neurons, input_size, activation=None):
        self.w = np.random.randn(num_neurons, input_size) * np.sqrt(1 / input_size)
        self.b = np.random.randn(num_neurons) * 0.01
        self.activation = activation

    def forward(self, a):
        self.a_prev = a
        self.z = a @ self.w.T + self.b
        return self.activation.activate(self.z) if self.activation else self.z

    def backward(self, da, lr):
        dz = da * self.activation.derivative(self.z) if self.activation else da
        dw = dz.T @ self.a_prev
        db = dz.sum(axis=0)
        da_prev = dz @ self.w
        self.w -= lr * dw
        self.b -= lr * db
        return da_prev


class CrossEntropyLoss:
    """Softmax + cross entropy. y is one-hot."""

    def loss(self, logits, y):
        logits = logits - logits.max(axis=1, keepdims=True)
        self.probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return -np.mean(np.sum(y * np.log(self.probs), axis=1))

    def gradient(self, logits, y):
        # average over the batch
        return (self.probs - y) / y.size


class MSELoss:
    def loss(self, pred, y):
        return np.mean((pred - y) ** 2)

    def gradient(self, pred, y):
        return 2 * (pred - y) / y.size


class MLP:
    def __init__(self, sizes, activation=ReLU):
        self.layers = []
        for i, (n_in, n_out) in enumerate(zip(sizes[:-1], sizes[1:])):
            act = activation if i < len(sizes) - 2 else None
            self.layers.append(DenseLayer(n_out, n_in, act))
        self.criterion = CrossEntropyLoss()

    def predict(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def train_batch(self, x, y, lr):
        out = self.predict(x)
        loss = self.criterion.loss(out, y)
        grad = self.criterion.gradient(out, y)
        for layer in self.layers[::-1]:
            grad = layer.backward(grad, lr)
        return loss


class DataLoader:
    def __init__(self, x, y, batch_size=32, shuffle=True):
        self.x, self.y, self.batch_size, self.shuffle = x, y, batch_size, shuffle

    def __len__(self):
        return int(np.ceil(len(self.x) / self.batch_size))

    def __iter__(self):
        order = np.arange(len(self.x))
        if self.shuffle:
            np.random.shuffle(order)
        for k in range(len(self)):
            sel = order[k * self.batch_size:(k + 1) * self.batch_size]
            yield self.x[sel], self.y[sel]


if __name__ == "__main__":
    from sklearn.datasets import load_digits
    X, t = load_digits(return_X_y=True)
    loader = DataLoader(X / 16, np.eye(10)[t])
    mlp = MLP([64, 32, 10])
    for epoch in range(30):
        losses = [mlp.train_batch(x, y, lr=0.1) for x, y in loader]
        print(epoch, np.mean(losses))
