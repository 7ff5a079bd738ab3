"""Neural network library of the blog kind: every layer learns by itself while the error runs backwards."""
import numpy as np
from scipy import signal


class Layer:
    def __init__(self):
        self.input = None
        self.output = None

    def forward_propagation(self, input):
        raise NotImplementedError

    def backward_propagation(self, output_error, learning_rate):
        raise NotImplementedError


class FCLayer(Layer):
    def __init__(self, input_size, output_size):
        self.weights = np.random.rand(input_size, output_size) - 0.5
        self.bias = np.random.rand(1, output_size) - 0.5

    def forward_propagation(self, input_data):
        self.input = input_data
        self.output = np.dot(self.input, self.weights) + self.bias
        return self.output

    def backward_propagation(self, output_error, learning_rate):
        # learn
        self.weights -= learning_rate * np.dot(self.input.T, output_error)
        self.bias -= learning_rate * output_error
        # and tell the layer before
        return np.dot(output_error, self.weights.T)


class ConvLayer(Layer):
    """input (rows, cols, depth) of one picture; kernels (k, k, depth, layer_depth)"""

    def __init__(self, input_shape, kernel_size, layer_depth):
        self.input_depth = input_shape[2]
        self.layer_depth = layer_depth
        self.kernel = kernel_size
        self.output_shape = (input_shape[0] - kernel_size + 1, input_shape[1] - kernel_size + 1, layer_depth)
        self.weights = np.random.rand(kernel_size, kernel_size, self.input_depth, layer_depth) - 0.5
        self.bias = np.random.rand(layer_depth) - 0.5

    def forward_propagation(self, input):
        self.input = input
        self.output = np.zeros(self.output_shape)
        for k in range(self.layer_depth):
            for d in range(self.input_depth):
                self.output[:, :, k] += signal.correlate2d(input[:, :, d], self.weights[:, :, d, k], 'valid')
            self.output[:, :, k] += self.bias[k]
        return self.output

    def backward_propagation(self, output_error, learning_rate):
        in_error = np.zeros(self.input.shape)
        dWeights = np.zeros(self.weights.shape)
        dBias = np.zeros(self.layer_depth)
        for k in range(self.layer_depth):
            for d in range(self.input_depth):
                in_error[:, :, d] += signal.correlate2d(output_error[:, :, k], self.weights[:, :, d, k], 'full')
                dWeights[:, :, d, k] = signal.correlate2d(self.input[:, :, d], output_error[:, :, k], 'valid')
            dBias[k] = np.sum(output_error[:, :, k])
        self.weights -= learning_rate * dWeights
        self.bias -= learning_rate * dBias
        return in_error


class FlattenLayer(Layer):
    def forward_propagation(self, input_data):
        self.input = input_data
        self.output = input_data.flatten().reshape((1, -1))
        return self.output

    def backward_propagation(self, output_error, learning_rate):
        return output_error.reshape(self.input.shape)


class ActivationLayer(Layer):
    def __init__(self, activation, activation_prime):
        self.activation = activation
        self.activation_prime = activation_prime

    def forward_propagation(self, input_data):
        self.input = input_data
        self.output = self.activation(self.input)
        return self.output

    def backward_propagation(self, output_error, learning_rate):
        return self.activation_prime(self.input) * output_error


def tanh(x):
    return np.tanh(x)


def tanh_prime(x):
    return 1 - np.tanh(x) ** 2


def relu(x):
    return np.maximum(x, 0)


def relu_prime(x):
    return np.array(x > 0).astype('int')


def mse(y_true, y_pred):
    return np.mean(np.power(y_true - y_pred, 2))


def mse_prime(y_true, y_pred):
    return 2 * (y_pred - y_true) / y_pred.size


class Network:
    def __init__(self, loss, loss_prime):
        self.layers = []
        self.loss, self.loss_prime = loss, loss_prime

    def add(self, layer):
        self.layers.append(layer)

    def predict(self, x):
        for layer in self.layers:
            x = layer.forward_propagation(x)
        return x

    def fit(self, x_train, y_train, epochs, learning_rate):
        for i in range(epochs):
            err = 0
            for x, y in zip(x_train, y_train):
                out = self.predict(x)
                err += self.loss(y, out)
                error = self.loss_prime(y, out)
                for layer in reversed(self.layers):
                    error = layer.backward_propagation(error, learning_rate)
            print('epoch %d/%d   error=%f' % (i + 1, epochs, err / len(x_train)))


if __name__ == '__main__':
    net = Network(mse, mse_prime)
    net.add(ConvLayer((10, 10, 1), 3, 2))
    net.add(ActivationLayer(tanh, tanh_prime))
    net.add(FlattenLayer())
    net.add(FCLayer(128, 20))
    net.add(ActivationLayer(relu, relu_prime))
    net.add(FCLayer(20, 10))
    x = np.random.rand(10, 10, 10, 1)
    net.fit(x, np.eye(10)[:, None, :], epochs=5, learning_rate=0.01)
