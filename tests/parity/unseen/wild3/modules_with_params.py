import numpy as np


class Tensor:
    """value and gradient, nothing more"""
    __slots__ = ('value', 'grad')

    def __init__(self, value):
        self.value = np.array(value, float)
        self.grad = None


class Module:
    def __init__(self):
        self.is_training = True

    def forward(self, inputs):
        raise NotImplementedError

    def backward(self, grad_output):
        raise NotImplementedError

    def params(self):
        return {}


class DenseLayer(Module):
    def __init__(self, n_input, n_output):
        super().__init__()
        self.W = Tensor(np.random.randn(n_input, n_output) * np.sqrt(2 / n_input))
        self.B = Tensor(np.zeros(n_output))

    def params(self):
        return {'W': self.W, 'B': self.B}

    def forward(self, inputs):
        self.inputs = inputs
        return inputs @ self.W.value + self.B.value

    def backward(self, grad_output):
        self.W.grad = self.inputs.T @ grad_output
        self.B.grad = grad_output.sum(axis=0)
        return grad_output @ self.W.value.T


class ReLULayer(Module):
    def forward(self, inputs):
        self.mask = inputs > 0
        return np.where(self.mask, inputs, 0)

    def backward(self, grad_output):
        return np.where(self.mask, grad_output, 0)


class DropoutLayer(Module):
    def __init__(self, drop_prob=0.5):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, inputs):
        if not self.is_training:
            return inputs
        self.mask = np.random.rand(*inputs.shape) > self.drop_prob
        return inputs * self.mask / (1 - self.drop_prob)

    def backward(self, grad_output):
        if not self.is_training:
            return grad_output
        return grad_output * self.mask


class BatchNormLayer(Module):
    def __init__(self, n_features, rho=0.9, eps=1e-5):
        super().__init__()
        self.gamma, self.beta = Tensor(np.ones(n_features)), Tensor(np.zeros(n_features))
        self.rho, self.eps = rho, eps
        self.running_mean, self.running_var = np.zeros(n_features), np.ones(n_features)

    def params(self):
        return {'gamma': self.gamma, 'beta': self.beta}

    def forward(self, inputs):
        if self.is_training:
            self.mu, self.var = np.mean(inputs, axis=0), np.var(inputs, axis=0)
            self.running_mean = self.rho * self.running_mean + (1 - self.rho) * self.mu
            self.running_var = self.rho * self.running_var + (1 - self.rho) * self.var
        else:
            self.mu, self.var = self.running_mean, self.running_var
        self.centred = inputs - self.mu
        self.inv_std = 1 / np.sqrt(self.var + self.eps)
        self.norm = self.centred * self.inv_std
        return self.gamma.value * self.norm + self.beta.value

    def backward(self, grad_output):
        self.gamma.grad = np.sum(grad_output * self.norm, axis=0)
        self.beta.grad = np.sum(grad_output, axis=0)
        n = len(grad_output)
        d_norm = grad_output * self.gamma.value
        d_var = np.sum(d_norm * self.centred, axis=0) * -0.5 * self.inv_std ** 2
        d_mu = -np.sum(d_norm * self.inv_std, axis=0)
        return d_norm * self.inv_std + d_var * 2 * self.centred / n + d_mu / n


class SoftmaxCrossEntropy:
    def forward(self, logits, targets):
        shifted = logits - np.max(logits, axis=1, keepdims=True)
        e = np.exp(shifted)
        self.probs = e / np.sum(e, axis=1, keepdims=True)
        self.targets = targets
        picked = self.probs[np.arange(logits.shape[0]), targets]
        return -np.mean(np.log(picked))

    def backward(self):
        onehot = np.zeros_like(self.probs)
        onehot[np.arange(len(self.targets)), self.targets] = 1
        return (self.probs - onehot) / len(self.targets)


class MeanSquaredError:
    def forward(self, pred, target):
        self.diff = pred - target
        return np.mean(self.diff ** 2)

    def backward(self):
        return 2 * self.diff / self.diff.size


class AdamOptimizer:
    """update(w, d_w) for one array, each array has an optimiser of its own"""

    def __init__(self, learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.learning_rate, self.beta1, self.beta2, self.eps = learning_rate, beta1, beta2, eps
        self.velocity = 0.0
        self.accumulated = 0.0
        self.t = 0

    def update(self, w, d_w):
        self.t += 1
        self.velocity = self.beta1 * self.velocity + (1 - self.beta1) * d_w
        self.accumulated = self.beta2 * self.accumulated + (1 - self.beta2) * d_w ** 2
        corr1 = self.velocity / (1 - self.beta1 ** self.t)
        corr2 = self.accumulated / (1 - self.beta2 ** self.t)
        return w - self.learning_rate * corr1 / (np.sqrt(corr2) + self.eps)


class Trainer:
    def __init__(self, layers, loss):
        self.layers, self.loss = layers, loss
        self.opts = {(i, k): AdamOptimizer() for i, l in enumerate(layers) for k in l.params()}

    def train_step(self, X, y):
        out = X
        for l in self.layers:
            out = l.forward(out)
        value = self.loss.forward(out, y)
        g = self.loss.backward()
        for l in self.layers[::-1]:
            g = l.backward(g)
        for i, l in enumerate(self.layers):
            for k, p in l.params().items():
                p.value = self.opts[i, k].update(p.value, p.grad)
        return value


if __name__ == '__main__':
    X, y = np.random.rand(64, 30), np.random.randint(0, 5, 64)
    tr = Trainer([DenseLayer(30, 40), BatchNormLayer(40), ReLULayer(), DropoutLayer(.3), DenseLayer(40, 5)], SoftmaxCrossEntropy())
    for e in range(50):
        l = tr.train_step(X, y)
    print('loss:', l)
