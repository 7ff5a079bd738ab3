# coding=utf-8
# 智能计算系统 实验二: 基本层的实现 (basic layers, N x C x H x W)
import numpy as np


class FullyConnectedLayer(object):
    def __init__(self, num_input, num_output):
        self.num_input = num_input
        self.num_output = num_output

    def init_param(self, std=0.01):
        self.weight = np.random.normal(loc=0.0, scale=std, size=(self.num_input, self.num_output))
        self.bias = np.zeros([1, self.num_output])

    def forward(self, input):
        self.input = input
        self.output = np.matmul(input, self.weight) + self.bias
        return self.output

    def backward(self, top_diff):
        self.d_weight = np.matmul(self.input.T, top_diff)
        self.d_bias = np.matmul(np.ones([1, top_diff.shape[0]]), top_diff)
        bottom_diff = np.matmul(top_diff, self.weight.T)
        return bottom_diff

    def update_param(self, lr):
        self.weight = self.weight - lr * self.d_weight
        self.bias = self.bias - lr * self.d_bias

    def load_param(self, weight, bias):
        assert self.weight.shape == weight.shape
        self.weight = weight
        self.bias = bias

    def save_param(self):
        return self.weight, self.bias


class ReLULayer(object):
    def forward(self, input):
        self.input = input
        return np.maximum(self.input, 0)

    def backward(self, top_diff):
        b = self.input.copy()
        b[b > 0] = 1
        b[b < 0] = 0
        return np.multiply(b, top_diff)


class ConvolutionalLayer(object):
    def __init__(self, kernel_size, channel_in, channel_out, padding, stride):
        self.kernel_size, self.channel_in, self.channel_out = kernel_size, channel_in, channel_out
        self.padding, self.stride = padding, stride

    def init_param(self, std=0.01):
        # 权重: [cin, k, k, cout]
        self.weight = np.random.normal(0.0, std, (self.channel_in, self.kernel_size, self.kernel_size, self.channel_out))
        self.bias = np.zeros([self.channel_out])

    def forward(self, input):
        self.input = input
        N, C, H, W = input.shape
        k, p, s = self.kernel_size, self.padding, self.stride
        self.input_pad = np.zeros([N, C, H + 2 * p, W + 2 * p])
        self.input_pad[:, :, p:p + H, p:p + W] = input
        ho, wo = (H + 2 * p - k) // s + 1, (W + 2 * p - k) // s + 1
        self.output = np.zeros([N, self.channel_out, ho, wo])
        for n in range(N):
            for co in range(self.channel_out):
                for h in range(ho):
                    for w in range(wo):
                        self.output[n, co, h, w] = np.sum(
                            self.weight[:, :, :, co] * self.input_pad[n, :, h * s:h * s + k, w * s:w * s + k]) + self.bias[co]
        return self.output

    def backward(self, top_diff):
        k, p, s = self.kernel_size, self.padding, self.stride
        self.d_weight = np.zeros(self.weight.shape)
        self.d_bias = np.zeros(self.bias.shape)
        bottom_diff = np.zeros(self.input_pad.shape)
        for n in range(top_diff.shape[0]):
            for co in range(top_diff.shape[1]):
                for h in range(top_diff.shape[2]):
                    for w in range(top_diff.shape[3]):
                        t = top_diff[n, co, h, w]
                        self.d_weight[:, :, :, co] += t * self.input_pad[n, :, h * s:h * s + k, w * s:w * s + k]
                        self.d_bias[co] += t
                        bottom_diff[n, :, h * s:h * s + k, w * s:w * s + k] += t * self.weight[:, :, :, co]
        H, W = self.input.shape[2:]
        return bottom_diff[:, :, p:p + H, p:p + W]

    def update_param(self, lr):
        self.weight -= lr * self.d_weight
        self.bias -= lr * self.d_bias


class MaxPoolingLayer(object):
    def __init__(self, kernel_size, stride):
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, input):
        self.input = input
        k, s = self.kernel_size, self.stride
        N, C, H, W = input.shape
        output = np.zeros([N, C, (H - k) // s + 1, (W - k) // s + 1])
        self.max_index = np.zeros(output.shape, dtype=int)
        for h in range(output.shape[2]):
            for w in range(output.shape[3]):
                block = input[:, :, h * s:h * s + k, w * s:w * s + k].reshape(N, C, -1)
                self.max_index[:, :, h, w] = block.argmax(-1)
                output[:, :, h, w] = block.max(-1)
        return output

    def backward(self, top_diff):
        k, s = self.kernel_size, self.stride
        bottom_diff = np.zeros(self.input.shape)
        for n, c, h, w in np.ndindex(top_diff.shape):
            r, q = np.unravel_index(self.max_index[n, c, h, w], (k, k))
            bottom_diff[n, c, h * s + r, w * s + q] += top_diff[n, c, h, w]
        return bottom_diff


class FlattenLayer(object):
    def forward(self, input):
        self.input_shape = input.shape
        return input.reshape(input.shape[0], -1)

    def backward(self, top_diff):
        return top_diff.reshape(self.input_shape)


class BatchNormLayer(object):
    def __init__(self, num_features, momentum=0.9, eps=1e-5):
        self.momentum, self.eps = momentum, eps
        self.gamma, self.beta = np.ones(num_features), np.zeros(num_features)
        self.run_mean, self.run_var = np.zeros(num_features), np.ones(num_features)

    def forward(self, input, is_train=True):
        if is_train:
            self.mean, self.var = np.mean(input, axis=0), np.var(input, axis=0)
            self.run_mean = self.momentum * self.run_mean + (1 - self.momentum) * self.mean
            self.run_var = self.momentum * self.run_var + (1 - self.momentum) * self.var
            self.std = np.sqrt(self.var + self.eps)
            self.x_hat = (input - self.mean) / self.std
            return self.gamma * self.x_hat + self.beta
        return self.gamma * (input - self.run_mean) / np.sqrt(self.run_var + self.eps) + self.beta

    def backward(self, top_diff):
        self.d_gamma = np.sum(top_diff * self.x_hat, axis=0)
        self.d_beta = np.sum(top_diff, axis=0)
        return top_diff * self.gamma / self.std


class DropoutLayer(object):
    def __init__(self, drop_ratio=0.5):
        self.drop_ratio = drop_ratio

    def _mask(self, shape):
        keep = 1 - self.drop_ratio
        return (np.random.rand(*shape) < keep) / keep

    def forward(self, input, is_train=True):
        if not is_train:
            return input
        return input * self._mask(input.shape)

    def backward(self, top_diff):
        return top_diff * self._mask(top_diff.shape)


class SoftmaxLossLayer(object):
    def forward(self, input):
        input_exp = np.exp(input - np.max(input, axis=1, keepdims=True))
        self.prob = input_exp / np.sum(input_exp, axis=1, keepdims=True)
        return self.prob

    def get_loss(self, label):
        self.batch_size = self.prob.shape[0]
        self.label_onehot = np.zeros_like(self.prob)
        self.label_onehot[np.arange(self.batch_size), label] = 1.0
        return -np.sum(np.log(self.prob) * self.label_onehot) / self.batch_size

    def backward(self):
        return (self.prob - self.label_onehot) / self.batch_size


class MNIST_MLP(object):
    def __init__(self, n_in=20, n_hid=16, n_out=4, lr=0.1):
        self.fc1, self.fc2 = FullyConnectedLayer(n_in, n_hid), FullyConnectedLayer(n_hid, n_out)
        self.bn, self.relu, self.drop, self.softmax = BatchNormLayer(n_hid), ReLULayer(), DropoutLayer(0.2), SoftmaxLossLayer()
        self.lr = lr
        for l in (self.fc1, self.fc2):
            l.init_param(0.1)

    def train_step(self, x, label):
        h = self.drop.forward(self.relu.forward(self.bn.forward(self.fc1.forward(x))))
        self.softmax.forward(self.fc2.forward(h))
        loss = self.softmax.get_loss(label)
        d = self.fc2.backward(self.softmax.backward())
        self.fc1.backward(self.bn.backward(self.relu.backward(self.drop.backward(d))))
        for l in (self.fc1, self.fc2):
            l.update_param(self.lr)
        return loss


if __name__ == '__main__':
    x, label = np.random.randn(32, 20), np.random.randint(4, size=32)
    net = MNIST_MLP()
    for i in range(10):
        print(i, net.train_step(x, label))
