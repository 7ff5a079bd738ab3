import numpy as np

# Code for the post "A CNN for handwritten digits, no frameworks" (part 2)


class Conv3x3:
    # A convolution layer using 3x3 filters. One grey image at a time.

    def __init__(self, num_filters):
        self.num_filters = num_filters
        # divide by 9 to keep the variance of the initial values small
        self.filters = np.random.randn(num_filters, 3, 3) / 9

    def iterate_regions(self, image):
        '''
        Yields every 3x3 patch of the (2d) image, valid padding.
        '''
        h, w = image.shape
        for i in range(h - 2):
            for j in range(w - 2):
                yield image[i:(i + 3), j:(j + 3)], i, j

    def feedforward(self, input):
        self.last_input = input
        h, w = input.shape
        output = np.zeros((h - 2, w - 2, self.num_filters))
        for patch, i, j in self.iterate_regions(input):
            output[i, j] = np.sum(patch * self.filters, axis=(1, 2))
        return output

    def backprop(self, d_L_d_out, learn_rate):
        d_L_d_filters = np.zeros(self.filters.shape)
        for patch, i, j in self.iterate_regions(self.last_input):
            for f in range(self.num_filters):
                d_L_d_filters[f] = d_L_d_out[i, j, f] * patch
        self.filters -= learn_rate * d_L_d_filters
        # first layer of the network: there is nothing to hand back
        return None


class MaxPool2:
    # max pooling with a pool size of 2

    def iterate_regions(self, image):
        h, w, _ = image.shape
        for i in range(h // 2):
            for j in range(w // 2):
                yield image[(i * 2):(i * 2 + 2), (j * 2):(j * 2 + 2)], i, j

    def feedforward(self, input):
        self.last_input = input
        h, w, num_filters = input.shape
        output = np.zeros((h // 2, w // 2, num_filters))
        for region, i, j in self.iterate_regions(input):
            output[i, j] = np.amax(region, axis=(0, 1))
        return output

    def backprop(self, d_L_d_out):
        d_L_d_input = np.zeros(self.last_input.shape)
        for region, i, j in self.iterate_regions(self.last_input):
            h, w, f = region.shape
            amax = np.amax(region, axis=(0, 1))
            for i2 in range(h):
                for j2 in range(w):
                    for f2 in range(f):
                        # if this pixel was the max value, copy the gradient to it
                        if region[i2, j2, f2] == amax[f2]:
                            d_L_d_input[i * 2 + i2, j * 2 + j2, f2] = d_L_d_out[i, j, f2]
        return d_L_d_input


class Softmax:
    # A fully-connected layer followed by softmax

    def __init__(self, input_len, nodes):
        self.weights = np.random.randn(input_len, nodes) / input_len
        self.biases = np.zeros(nodes)

    def feedforward(self, input):
        self.last_input_shape = input.shape
        input = input.flatten()
        self.last_input = input
        totals = np.dot(input, self.weights) + self.biases
        self.last_totals = totals
        exp = np.exp(totals - totals.max())
        return exp / np.sum(exp, axis=0)

    def backprop(self, d_L_d_out, learn_rate):
        # only the entry of the right class is nonzero
        for i, gradient in enumerate(d_L_d_out):
            if gradient == 0:
                continue
            t_exp = np.exp(self.last_totals - self.last_totals.max())
            S = np.sum(t_exp)
            d_out_d_t = -t_exp[i] * t_exp / (S ** 2)
            d_out_d_t[i] = t_exp[i] * (S - t_exp[i]) / (S ** 2)
            d_L_d_t = gradient * d_out_d_t
            d_L_d_w = self.last_input[np.newaxis].T @ d_L_d_t[np.newaxis]
            d_L_d_b = d_L_d_t
            d_L_d_inputs = self.weights @ d_L_d_t
            self.weights -= learn_rate * d_L_d_w
            self.biases -= learn_rate * d_L_d_b
            return d_L_d_inputs.reshape(self.last_input_shape)


if __name__ == '__main__':
    import mnist
    train_images = mnist.train_images()[:1000]
    train_labels = mnist.train_labels()[:1000]
    conv = Conv3x3(8)
    pool = MaxPool2()
    softmax = Softmax(13 * 13 * 8, 10)

    loss, num_correct = 0, 0
    for i, (im, label) in enumerate(zip(train_images, train_labels)):
        out = conv.feedforward((im / 255) - 0.5)
        out = pool.feedforward(out)
        out = softmax.feedforward(out)
        loss += -np.log(out[label])
        num_correct += int(np.argmax(out) == label)
        gradient = np.zeros(10)
        gradient[label] = -1 / out[label]
        gradient = softmax.backprop(gradient, .005)
        gradient = pool.backprop(gradient)
        conv.backprop(gradient, .005)
        if i % 100 == 99:
            print('[Step %d] loss %.3f acc %d%%' % (i + 1, loss / 100, num_correct))
            loss, num_correct = 0, 0
