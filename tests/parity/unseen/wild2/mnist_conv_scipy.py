import numpy as np
from scipy import signal
from keras.datasets import mnist
from keras.utils import to_categorical


class Layer:
    def __init__(self):
        self.input = None
        self.output = None

    def forward_propagation(self, input):
        raise NotImplementedError

    def backward_propagation(self, output_error, learning_rate):
        raise NotImplementedError


class Dense(Layer):
    # input_size = number of input neurons, works with column vectors
    def __init__(self, input_size, output_size):
        self.weights = np.random.randn(output_size, input_size)
        self.bias = np.random.randn(output_size, 1)

    def forward_propagation(self, input):
        self.input = input
        self.output = np.dot(self.weights, self.input) + self.bias
        return self.output

    def backward_propagation(self, output_error, learning_rate):
        weights_error = np.dot(output_error, self.input.T)
        input_error = np.dot(self.weights.T, output_error)
        self.weights -= learning_rate * weights_error
        self.bias -= learning_rate * output_error
        return input_error


class Convolutional(Layer):
    def __init__(self, input_shape, kernel_size, depth):
        input_depth, input_height, input_width = input_shape
        self.depth = depth
        self.input_shape = input_shape
        self.input_depth = input_depth
        self.output_shape = (depth, input_height - kernel_size + 1, input_width - kernel_size + 1)
        self.kernels_shape = (depth, input_depth, kernel_size, kernel_size)
        self.kernels = np.random.randn(*self.kernels_shape)
        self.biases = np.random.randn(*self.output_shape)

    def forward_propagation(self, input):
        self.input = input
        self.output = np.copy(self.biases)
        for i in range(self.depth):
            for j in range(self.input_depth):
                self.output[i] += signal.correlate2d(self.input[j], self.kernels[i, j], "valid")
        return self.output

    def backward_propagation(self, output_error, learning_rate):
        kernels_error = np.zeros(self.kernels_shape)
        input_error = np.zeros(self.input_shape)

        for i in range(self.depth):
            for j in range(self.input_depth):
                kernels_error[i, j] = signal.correlate2d(self.input[j], output_error[i], "valid")
                input_error[j] += signal.convolve2d(output_error[i], self.kernels[i, j], "full")

        self.kernels -= learning_rate * kernels_error
        self.biases -= learning_rate * output_error
        return input_error


class Reshape(Layer):
    def __init__(self, input_shape, output_shape):
        self.input_shape = input_shape
        self.output_shape = output_shape

    def forward_propagation(self, input):
        return np.reshape(input, self.output_shape)

    def backward_propagation(self, output_error, learning_rate):
        return np.reshape(output_error, self.input_shape)


class Activation(Layer):
    def __init__(self, activation, activation_prime):
        self.activation = activation
        self.activation_prime = activation_prime

    def forward_propagation(self, input):
        self.input = input
        return self.activation(self.input)

    def backward_propagation(self, output_error, learning_rate):
        return np.multiply(output_error, self.activation_prime(self.input))


class Sigmoid(Activation):
    def __init__(self):
        def sigmoid(x):
            return 1 / (1 + np.exp(-x))

        def sigmoid_prime(x):
            s = sigmoid(x)
            return s * (1 - s)

        super().__init__(sigmoid, sigmoid_prime)


class ReLU(Activation):
    def __init__(self):
        def relu(x):
            return np.maximum(0, x)

        def relu_prime(x):
            return (x > 0).astype(float)

        super().__init__(relu, relu_prime)


class Softmax(Layer):
    def forward_propagation(self, input):
        tmp = np.exp(input - np.max(input))
        self.output = tmp / np.sum(tmp)
        return self.output

    def backward_propagation(self, output_error, learning_rate):
        n = np.size(self.output)
        return np.dot((np.identity(n) - self.output.T) * self.output, output_error)


def mse(y_true, y_pred):
    return np.mean(np.power(y_true - y_pred, 2))


def mse_prime(y_true, y_pred):
    return 2 * (y_pred - y_true) / np.size(y_true)


def preprocess_data(x, y, limit):
    zero_index = np.where(y == 0)[0][:limit]
    one_index = np.where(y == 1)[0][:limit]
    all_indices = np.random.permutation(np.hstack((zero_index, one_index)))
    x, y = x[all_indices], y[all_indices]
    x = x.reshape(len(x), 1, 28, 28).astype("float32") / 255
    y = to_categorical(y)
    return x, y.reshape(len(y), 2, 1)


(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train, y_train = preprocess_data(x_train, y_train, 100)

network = [
    Convolutional((1, 28, 28), 3, 5),
    ReLU(),
    Reshape((5, 26, 26), (5 * 26 * 26, 1)),
    Dense(5 * 26 * 26, 100),
    Sigmoid(),
    Dense(100, 2),
    Softmax(),
]

for e in range(20):
    error = 0
    for x, y in zip(x_train, y_train):
        out = x
        for layer in network:
            out = layer.forward_propagation(out)
        error += mse(y, out)
        grad = mse_prime(y, out)
        for layer in reversed(network):
            grad = layer.backward_propagation(grad, 0.1)
    print(f"{e + 1}/20, error={error / len(x_train)}")
