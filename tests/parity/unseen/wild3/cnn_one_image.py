import numpy as np


class ConvLayer:
    """A convolution layer on a single h x w x d image, 'valid', one pixel steps."""

    def __init__(self, num_filters, size, depth):
        self.num_filters, self.size, self.depth = num_filters, size, depth
        self.filters = np.random.randn(num_filters, size, size, depth) / (size * size)
        self.biases = np.zeros(num_filters)

    def iterate_regions(self, image):
        h, w, _ = image.shape
        for i in range(h - self.size + 1):
            for j in range(w - self.size + 1):
                yield image[i:i + self.size, j:j + self.size], i, j

    def forward(self, image):
        self.last_input = image
        h, w, _ = image.shape
        output = np.zeros((h - self.size + 1, w - self.size + 1, self.num_filters))
        for region, i, j in self.iterate_regions(image):
            output[i, j] = np.sum(region * self.filters, axis=(1, 2, 3)) + self.biases
        return output

    def backprop(self, d_L_d_out, learn_rate):
        d_filters = np.zeros(self.filters.shape)
        d_input = np.zeros(self.last_input.shape)
        for region, i, j in self.iterate_regions(self.last_input):
            for f in range(self.num_filters):
                d_filters[f] += d_L_d_out[i, j, f] * region
                d_input[i:i + self.size, j:j + self.size] += d_L_d_out[i, j, f] * self.filters[f]
        self.filters -= learn_rate * d_filters
        self.biases -= learn_rate * d_L_d_out.sum(axis=(0, 1))
        return d_input


class ReLULayer:
    def forward(self, x):
        self.last_input = x
        return np.maximum(x, 0)

    def backprop(self, d_L_d_out, learn_rate=None):
        d = d_L_d_out.copy()
        d[d < 0] = 0
        return d


class MaxPool2:
    def iterate_regions(self, image):
        h, w, _ = image.shape
        for i in range(h // 2):
            for j in range(w // 2):
                yield image[i * 2:i * 2 + 2, j * 2:j * 2 + 2], i, j

    def forward(self, image):
        self.last_input = image
        h, w, nf = image.shape
        output = np.zeros((h // 2, w // 2, nf))
        for region, i, j in self.iterate_regions(image):
            output[i, j] = np.amax(region, axis=(0, 1))
        return output

    def backprop(self, d_L_d_out, learn_rate=None):
        d_in = np.zeros(self.last_input.shape)
        for region, i, j in self.iterate_regions(self.last_input):
            for f in range(region.shape[2]):
                a, b = divmod(int(region[:, :, f].argmax()), 2)
                d_in[2 * i + a, 2 * j + b, f] = d_L_d_out[i, j, f]
        return d_in


class FlattenLayer:
    def forward(self, x):
        self.shape = x.shape
        return x.flatten()

    def backprop(self, d, learn_rate=None):
        return d.reshape(self.shape)


class DenseLayer:
    def __init__(self, n_in, nodes):
        self.weights = np.random.randn(n_in, nodes) / n_in
        self.biases = np.zeros(nodes)

    def forward(self, x):
        self.last_input = x
        return np.dot(x, self.weights) + self.biases

    def backprop(self, d_L_d_t, learn_rate):
        d_w = self.last_input[np.newaxis].T @ d_L_d_t[np.newaxis]
        self.weights -= learn_rate * d_w
        self.biases -= learn_rate * d_L_d_t
        return self.weights @ d_L_d_t


def softmax(t):
    e = np.exp(t - np.max(t))
    return e / e.sum()


def cross_entropy(scores, label):
    """loss and its gradient for one image"""
    p = softmax(scores)
    g = p.copy()
    g[label] -= 1
    return -np.log(p[label]), g


def batches(images, labels):
    order = np.random.permutation(len(images))
    for k in order:
        yield images[k], labels[k]


class CNN:
    def __init__(self, shape, classes):
        h, w, d = shape
        self.layers = [ConvLayer(4, 3, d), ReLULayer(), MaxPool2(), FlattenLayer(),
                       DenseLayer((h - 2) // 2 * ((w - 2) // 2) * 4, classes)]

    def forward(self, image):
        out = image - 0.5
        for layer in self.layers:
            out = layer.forward(out)
        return out

    def train(self, im, label, lr=.005):
        out = self.forward(im)
        loss, grad = cross_entropy(out, label)
        for layer in self.layers[::-1]:
            grad = layer.backprop(grad, lr)
        return loss, int(np.argmax(out) == label)


if __name__ == '__main__':
    images, labels = np.random.rand(30, 10, 10, 1), np.random.randint(3, size=30)
    cnn = CNN((10, 10, 1), 3)
    for epoch in range(2):
        res = [cnn.train(im, lb) for im, lb in batches(images, labels)]
        print(np.mean([r[0] for r in res]), np.mean([r[1] for r in res]))
