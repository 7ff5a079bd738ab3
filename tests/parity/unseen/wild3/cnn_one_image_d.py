"""
A tiny convnet for 28x28 digits, one picture at a time.  No frameworks, only numpy.
"""
import numpy as np


class Conv3x3:
    """A bank of 3x3 filters over a grey picture (no padding, stride 1)."""

    def __init__(self, num_filters):
        self.num_filters = num_filters
        self.filters = np.random.randn(num_filters, 3, 3) / 9

    def patches(self, image):
        rows, cols = image.shape
        for r in range(rows - 2):
            for c in range(cols - 2):
                yield image[r:r + 3, c:c + 3], r, c

    def forward(self, image):
        self.last_image = image
        rows, cols = image.shape
        out = np.zeros((rows - 2, cols - 2, self.num_filters))
        for patch, r, c in self.patches(image):
            out[r, c] = np.sum(patch * self.filters, axis=(1, 2))
        return out

    def backprop(self, d_out, learn_rate):
        d_filters = np.zeros(self.filters.shape)
        for patch, r, c in self.patches(self.last_image):
            for f in range(self.num_filters):
                d_filters[f] += d_out[r, c, f] * patch
        self.filters -= learn_rate * d_filters
        # first layer of the net: nobody needs the gradient of the picture
        return None


class MaxPool2:
    def forward(self, x):
        self.last_x = x
        h, w, n = x.shape
        out = np.zeros((h // 2, w // 2, n))
        for i in range(h // 2):
            for j in range(w // 2):
                out[i, j] = np.amax(x[2 * i:2 * i + 2, 2 * j:2 * j + 2], axis=(0, 1))
        return out

    def backprop(self, d_out):
        d_x = np.zeros(self.last_x.shape)
        for i in range(d_out.shape[0]):
            for j in range(d_out.shape[1]):
                region = self.last_x[2 * i:2 * i + 2, 2 * j:2 * j + 2]
                for f in range(d_out.shape[2]):
                    a, b = np.unravel_index(region[:, :, f].argmax(), (2, 2))
                    d_x[2 * i + a, 2 * j + b, f] = d_out[i, j, f]
        return d_x


class FullyConnected:
    """Takes anything, flattens it, gives `nodes` scores."""

    def __init__(self, input_len, nodes):
        self.weights = np.random.randn(input_len, nodes) / input_len
        self.biases = np.zeros(nodes)

    def forward(self, x):
        self.last_shape = x.shape
        self.last_x = x.flatten()
        return self.last_x @ self.weights + self.biases

    def backprop(self, d_scores, learn_rate):
        d_w = self.last_x[:, np.newaxis] @ d_scores[np.newaxis]
        d_x = self.weights @ d_scores
        self.weights -= learn_rate * d_w
        self.biases -= learn_rate * d_scores
        return d_x.reshape(self.last_shape)


class ReLU:
    def forward(self, x):
        self.on = x > 0
        return x * self.on

    def backprop(self, d_out):
        return d_out * self.on


def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def cross_entropy(scores, label):
    """Loss of one picture and its gradient for the scores."""
    p = softmax(scores)
    grad = p.copy()
    grad[label] -= 1
    return -np.log(p[label]), grad


def load_toy(n, rng):
    """Bright left half = 0, bright right half = 1."""
    xs, ys = rng.random((n, 28, 28)) * .3, rng.integers(0, 2, n)
    for x, y in zip(xs, ys):
        x[:, 14 * y:14 * y + 14] += .6
    return xs - .5, ys


if __name__ == '__main__':
    rng = np.random.default_rng(1)
    xs, ys = load_toy(120, rng)
    conv, act, pool, fc = Conv3x3(8), ReLU(), MaxPool2(), FullyConnected(13 * 13 * 8, 10)
    total = 0
    for k, (im, label) in enumerate(zip(xs, ys)):
        scores = fc.forward(pool.forward(act.forward(conv.forward(im))))
        loss, g = cross_entropy(scores, label)
        total += loss
        conv.backprop(act.backprop(pool.backprop(fc.backprop(g, .01))), .01)
        if k % 20 == 19:
            print('step %d: mean loss %.3f' % (k + 1, total / 20))
            total = 0
