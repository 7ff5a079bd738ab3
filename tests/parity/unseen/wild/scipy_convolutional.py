import numpy as np
from scipy import signal


class Layer:
    def __init__(self):
        self.input = None
        self.output = None

    def forward(self, input):
        pass

    def backward(self, output_gradient, learning_rate):
        pass


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

    def forward(self, input):
        self.input = input
        self.output = np.copy(self.biases)
        for f in range(self.depth):
            for c in range(self.input_depth):
                self.output[f] += signal.correlate2d(input[c], self.kernels[f, c], "valid")
        return self.output

    def backward(self, output_gradient, learning_rate):
        kernels_gradient = np.zeros(self.kernels_shape)
        input_gradient = np.zeros(self.input_shape)
        for f in range(self.depth):
            for c in range(self.input_depth):
                kernels_gradient[f, c] = signal.correlate2d(self.input[c], output_gradient[f], "valid")
                input_gradient[c] += signal.convolve2d(output_gradient[f], self.kernels[f, c], "full")
        self.kernels -= learning_rate * kernels_gradient
        self.biases -= learning_rate * output_gradient
        return input_gradient


class Dense(Layer):
    """one example as a column (n, 1)"""

    def __init__(self, input_size, output_size):
        self.weights = np.random.randn(output_size, input_size)
        self.bias = np.random.randn(output_size, 1)

    def forward(self, input):
        self.input = input
        return np.dot(self.weights, self.input) + self.bias

    def backward(self, output_gradient, learning_rate):
        dW = np.dot(output_gradient, self.input.T)
        dX = np.dot(self.weights.T, output_gradient)
        self.weights -= learning_rate * dW
        self.bias -= learning_rate * output_gradient
        return dX


class Reshape(Layer):
    def __init__(self, input_shape, output_shape):
        self.input_shape, self.output_shape = input_shape, output_shape

    def forward(self, input):
        return np.reshape(input, self.output_shape)

    def backward(self, output_gradient, learning_rate):
        return np.reshape(output_gradient, self.input_shape)
