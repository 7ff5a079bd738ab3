import numpy as np


class Conv3x3:
    # 3x3 filters, no padding, one grey image (h, w)
    def __init__(self, num_filters):
        self.num_filters = num_filters
        self.filters = np.random.randn(num_filters, 3, 3) / 9

    def iterate_regions(self, image):
        h, w = image.shape
        for i in range(h - 2):
            for j in range(w - 2):
                yield image[i : i + 3, j : j + 3], i, j

    def forward(self, input):
        self.last_input = input
        h, w = input.shape
        output = np.zeros((h - 2, w - 2, self.num_filters))
        for region, i, j in self.iterate_regions(input):
            output[i, j] = np.sum(region * self.filters, axis=(1, 2))
        return output

    def backprop(self, d_L_d_out, learn_rate):
        d_filters = np.zeros(self.filters.shape)
        for region, i, j in self.iterate_regions(self.last_input):
            for f in range(self.num_filters):
                d_filters[f] += d_L_d_out[i, j, f] * region
        self.filters -= learn_rate * d_filters
        return None  # first layer


class MaxPool2:
    def iterate_regions(self, image):
        h, w, _ = image.shape
        for i in range(h // 2):
            for j in range(w // 2):
                yield image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2], i, j

    def forward(self, input):
        self.last_input = input
        h, w, f = input.shape
        output = np.zeros((h // 2, w // 2, f))
        for region, i, j in self.iterate_regions(input):
            output[i, j] = np.amax(region, axis=(0, 1))
        return output

    def backprop(self, d_L_d_out):
        d_input = np.zeros(self.last_input.shape)
        for region, i, j in self.iterate_regions(self.last_input):
            for f in range(region.shape[2]):
                a, b = divmod(int(region[:, :, f].argmax()), 2)
                d_input[2 * i + a, 2 * j + b, f] += d_L_d_out[i, j, f]
        return d_input


class Softmax:
    # dense layer followed by softmax
    def __init__(self, input_len, nodes):
        self.weights = np.random.randn(input_len, nodes) / input_len
        self.biases = np.zeros(nodes)

    def forward(self, input):
        self.last_input_shape = input.shape
        self.last_input = input.flatten()
        self.last_totals = self.last_input @ self.weights + self.biases
        e = np.exp(self.last_totals)
        return e / e.sum()

    def backprop(self, d_L_d_out, learn_rate):
        e = np.exp(self.last_totals)
        p = e / e.sum()
        d_t = p * (d_L_d_out - np.dot(p, d_L_d_out))
        d_inputs = self.weights @ d_t
        self.weights -= learn_rate * np.outer(self.last_input, d_t)
        self.biases -= learn_rate * d_t
        return d_inputs.reshape(self.last_input_shape)
