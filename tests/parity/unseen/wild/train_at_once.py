import numpy as np


class DenseLayer:
    def __init__(self, input_size, output_size):
        self.weights = np.random.rand(input_size, output_size) - 0.5
        self.bias = np.random.rand(1, output_size) - 0.5

    def forward_propagation(self, input_data):
        self.input = input_data
        self.output = np.dot(self.input, self.weights) + self.bias
        return self.output

    def backward_propagation(self, output_error, learning_rate):
        input_error = np.dot(output_error, self.weights.T)
        weights_error = np.dot(self.input.T, output_error)
        self.weights -= learning_rate * weights_error
        self.bias -= learning_rate * output_error.sum(axis=0, keepdims=True)
        return input_error


class ConvLayer:
    """(N, C, H, W), stride 1, valid"""

    def __init__(self, in_channels, n_filters, kernel_size):
        self.kernel_size = kernel_size
        self.weights = np.random.rand(n_filters, in_channels, kernel_size, kernel_size) - 0.5
        self.bias = np.random.rand(n_filters) - 0.5

    def forward_propagation(self, input_data):
        self.input = input_data
        k = self.kernel_size
        N, C, H, W = input_data.shape
        out = np.zeros((N, len(self.weights), H - k + 1, W - k + 1))
        for i in range(k):
            for j in range(k):
                part = input_data[:, :, i : i + H - k + 1, j : j + W - k + 1]
                out += np.einsum("nchw,fc->nfhw", part, self.weights[:, :, i, j])
        self.output = out + self.bias[:, None, None]
        return self.output

    def backward_propagation(self, output_error, learning_rate):
        k = self.kernel_size
        N, C, H, W = self.input.shape
        dw = np.zeros_like(self.weights)
        for i in range(k):
            for j in range(k):
                part = self.input[:, :, i : i + H - k + 1, j : j + W - k + 1]
                dw[:, :, i, j] = np.einsum("nchw,nfhw->fc", part, output_error)
        self.weights -= learning_rate * dw
        self.bias -= learning_rate * output_error.sum(axis=(0, 2, 3))
        input_error = np.zeros_like(self.input)
        for i in range(k):
            for j in range(k):
                input_error[:, :, i : i + H - k + 1, j : j + W - k + 1] += np.einsum(
                    "nfhw,fc->nchw", output_error, self.weights[:, :, i, j]
                )
        return input_error


class ReLULayer:
    def forward_propagation(self, input_data):
        self.input = input_data
        return np.maximum(input_data, 0)

    def backward_propagation(self, output_error, learning_rate):
        return output_error * (self.input > 0)
