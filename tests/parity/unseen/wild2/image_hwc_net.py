# Image-by-image CNN. Arrays are (height, width, channels), there is no batch axis.
import numpy as np


class ConvLayer:
    def __init__(self, kernel_num, kernel_size, in_channels, lr=0.005):
        self.kernel_num = kernel_num
        self.kernel_size = kernel_size
        self.lr = lr
        # params as a list: [kernels, bias]
        self.params = [np.random.randn(kernel_num, kernel_size, kernel_size, in_channels) / kernel_size ** 2,
                       np.zeros(kernel_num)]

    def patches(self, image):
        h, w, _ = image.shape
        k = self.kernel_size
        for y in range(h - k + 1):
            for x in range(w - k + 1):
                yield image[y:y + k, x:x + k], y, x

    def forward_prop(self, image):
        self.image = image
        kernels, bias = self.params
        h, w, _ = image.shape
        k = self.kernel_size
        out = np.zeros((h - k + 1, w - k + 1, self.kernel_num))
        for patch, y, x in self.patches(image):
            out[y, x] = np.sum(patch * kernels, axis=(1, 2, 3)) + bias
        return out

    def back_prop(self, dE_dY):
        kernels, bias = self.params
        k = self.kernel_size
        dE_dk = np.zeros(kernels.shape)
        dE_dx = np.zeros(self.image.shape)
        for patch, y, x in self.patches(self.image):
            for f in range(self.kernel_num):
                dE_dk[f] += patch * dE_dY[y, x, f]
                dE_dx[y:y + k, x:x + k] = kernels[f] * dE_dY[y, x, f]
        dE_db = dE_dY.sum(axis=(0, 1))
        self.params[0] = kernels - self.lr * dE_dk
        self.params[1] = bias - self.lr * dE_db
        return dE_dx


class MaxPoolLayer:
    def __init__(self, kernel_size):
        self.kernel_size = kernel_size

    def patches(self, image):
        k = self.kernel_size
        for y in range(image.shape[0] // k):
            for x in range(image.shape[1] // k):
                yield image[y * k:y * k + k, x * k:x * k + k], y, x

    def forward_prop(self, image):
        self.image = image
        k = self.kernel_size
        out = np.zeros((image.shape[0] // k, image.shape[1] // k, image.shape[2]))
        for patch, y, x in self.patches(image):
            out[y, x] = np.amax(patch, axis=(0, 1))
        return out

    def back_prop(self, dE_dY):
        k = self.kernel_size
        dE_dx = np.zeros(self.image.shape)
        for patch, y, x in self.patches(self.image):
            for c in range(patch.shape[2]):
                yy, xx = np.unravel_index(np.argmax(patch[:, :, c]), patch.shape[:2])
                dE_dx[y * k + yy, x * k + xx, c] = dE_dY[y, x, c]
        return dE_dx


class FullyConnectedLayer:
    """Flattens the image by itself. Linear, the softmax is in the loss."""

    def __init__(self, input_units, output_units, lr=0.005):
        self.lr = lr
        self.weight = np.random.randn(input_units, output_units) / input_units
        self.bias = np.zeros(output_units)

    def forward_prop(self, image):
        self.original_shape = image.shape
        self.flat = image.flatten()
        return np.dot(self.flat, self.weight) + self.bias

    def back_prop(self, dE_dY):
        dE_dw = np.dot(self.flat[:, None], dE_dY[None, :])
        dE_dx = np.dot(self.weight, dE_dY).reshape(self.original_shape)
        self.weight -= self.lr * dE_dw
        self.bias -= self.lr * dE_dY
        return dE_dx


class SoftmaxLoss:
    def forward_prop(self, logits, label):
        e = np.exp(logits - np.max(logits))
        self.p = e / np.sum(e)
        self.label = label
        return -np.log(self.p[label])

    def back_prop(self):
        grad = self.p.copy()
        grad[self.label] -= 1
        return grad


class LSTMCell:
    """Kept from an earlier project."""

    def __init__(self, n_in, n_hid):
        self.W = np.random.randn(4 * n_hid, n_in + n_hid) * 0.1
        self.b = np.zeros(4 * n_hid)
        self.n = n_hid

    def forward_prop(self, x, h, c):
        sig = lambda t: 1 / (1 + np.exp(-t))
        z = self.W @ np.concatenate([x, h]) + self.b
        i, f, o = sig(z[:self.n]), sig(z[self.n:2 * self.n]), sig(z[2 * self.n:3 * self.n])
        g = np.tanh(z[3 * self.n:])
        c = f * c + i * g
        return o * np.tanh(c), c


def CNN_training(image, label, layers, loss):
    out = image / 255.
    for layer in layers:
        out = layer.forward_prop(out)
    value = loss.forward_prop(out, label)
    grad = loss.back_prop()
    for layer in layers[::-1]:
        grad = layer.back_prop(grad)
    return value, int(np.argmax(out) == label)


def main():
    from tensorflow.keras.datasets import mnist
    (X_train, y_train), _ = mnist.load_data()
    X_train, y_train = X_train[:5000, :, :, None], y_train[:5000]
    layers = [ConvLayer(8, 3, 1), MaxPoolLayer(2), FullyConnectedLayer(13 * 13 * 8, 10)]
    loss = SoftmaxLoss()
    for epoch in range(4):
        acc = tot = 0
        for i, (im, l) in enumerate(zip(X_train, y_train)):
            v, a = CNN_training(im, l, layers, loss)
            tot, acc = tot + v, acc + a
            if i % 100 == 99:
                print("Step {}. loss {:.3f} acc {}".format(i + 1, tot / 100, acc))
                acc = tot = 0


if __name__ == '__main__':
    main()
