import numpy as np


class Layer_Dense:
    def __init__(self, n_inputs, n_neurons):
        self.weights = 0.1 * np.random.randn(n_inputs, n_neurons)
        self.biases = np.zeros((1, n_neurons))

    def forward(self, inputs):
        self.inputs = inputs
        self.output = inputs @ self.weights + self.biases

    def backward(self, dvalues):
        self.dweights = self.inputs.T @ dvalues
        self.dbiases = np.mean(dvalues, axis=0, keepdims=True)
        self.dinputs = dvalues @ self.weights.T


class Activation_ReLU:
    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.maximum(0, inputs)

    def backward(self, dvalues):
        self.dinputs = dvalues.copy()
        self.dinputs[self.inputs < 0] = 0


class Activation_Softmax_Loss_CategoricalCrossentropy:
    def forward(self, inputs, y_true):
        e = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = e / e.sum(axis=1, keepdims=True)
        if y_true.ndim == 2:
            y_true = y_true.argmax(axis=1)
        return np.mean(-np.log(self.output[np.arange(len(y_true)), y_true] + 1e-12))

    def backward(self, dvalues, y_true):
        n = len(dvalues)
        if y_true.ndim == 2:
            y_true = y_true.argmax(axis=1)
        self.dinputs = dvalues.copy()
        self.dinputs[np.arange(n), y_true] -= 1
        self.dinputs = self.dinputs / n


class Optimizer_Adam:
    def __init__(self, learning_rate=0.001, epsilon=1e-7, beta_1=0.9, beta_2=0.999):
        self.learning_rate = learning_rate
        self.epsilon = epsilon
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.iterations = 0

    def update_params(self, layer):
        if not hasattr(layer, "weight_cache"):
            layer.weight_momentums = np.zeros_like(layer.weights)
            layer.weight_cache = np.zeros_like(layer.weights)
            layer.bias_momentums = np.zeros_like(layer.biases)
            layer.bias_cache = np.zeros_like(layer.biases)
        for name, grad in (("weight", layer.dweights), ("bias", layer.dbiases)):
            m = self.beta_1 * getattr(layer, name + "_momentums") + (1 - self.beta_1) * grad
            v = self.beta_2 * getattr(layer, name + "_cache") + (1 - self.beta_2) * grad**2
            setattr(layer, name + "_momentums", m)
            setattr(layer, name + "_cache", v)
            m_hat = m / (1 - self.beta_1 ** (self.iterations + 1))
            v_hat = v / (1 - self.beta_1 ** (self.iterations + 1))
            target = layer.weights if name == "weight" else layer.biases
            target -= self.learning_rate * m_hat / (np.sqrt(v_hat) + self.epsilon)

    def post_update_params(self):
        self.iterations += 1
