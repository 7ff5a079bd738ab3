# -*- coding: utf-8 -*-
"""
纯 numpy 手写卷积神经网络（识别 MNIST 手写数字）
数据格式：N, H, W, C （通道在最后）
"""
import numpy as np


class 优化器:
    pass


class Conv2D(object):
    """卷积层，步长固定为 1 或更大，padding 取 'VALID' 或 'SAME'"""

    def __init__(self, shape, output_channels, ksize=3, stride=1, method='VALID'):
        self.input_shape = shape                # [batch, h, w, c]
        self.output_channels = output_channels
        self.input_channels = shape[-1]
        self.batchsize = shape[0]
        self.stride = stride
        self.ksize = ksize
        self.method = method

        weights_scale = np.sqrt(ksize * ksize * self.input_channels / 2)
        self.weights = np.random.standard_normal((ksize, ksize, self.input_channels, output_channels)) / weights_scale
        self.bias = np.random.standard_normal(output_channels) / weights_scale
        self.w_gradient = np.zeros(self.weights.shape)
        self.b_gradient = np.zeros(self.bias.shape)

    def forward(self, x):
        if self.method == 'SAME':
            p = self.ksize // 2
            x = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), 'constant', constant_values=0)
        self.x = x
        n, h, w, c = x.shape
        oh = (h - self.ksize) // self.stride + 1
        ow = (w - self.ksize) // self.stride + 1
        col_weights = self.weights.reshape([-1, self.output_channels])
        self.col_image = []
        out = np.zeros((n, oh, ow, self.output_channels))
        for i in range(n):
            # 每张图片展开成矩阵
            col = self.im2col(x[i][np.newaxis, :], self.ksize, self.stride)
            out[i] = (np.dot(col, col_weights) + self.bias).reshape(oh, ow, self.output_channels)
            self.col_image.append(col)
        self.col_image = np.array(self.col_image)
        return out

    @staticmethod
    def im2col(image, ksize, stride):
        rows = []
        for i in range(0, image.shape[1] - ksize + 1, stride):
            for j in range(0, image.shape[2] - ksize + 1, stride):
                rows.append(image[:, i:i + ksize, j:j + ksize, :].reshape([-1]))
        return np.array(rows)

    def gradient(self, eta):
        """eta 是上一层（输出端）传回来的误差"""
        self.eta = eta
        n, oh, ow, oc = eta.shape
        col_eta = eta.reshape(n, -1, oc)
        for i in range(n):
            self.w_gradient += np.dot(self.col_image[i].T, col_eta[i]).reshape(self.weights.shape)
        self.b_gradient += np.sum(col_eta, axis=(0, 1))

        # 先按步长插零，再补 ksize-1 圈，最后与旋转 180 度的卷积核做卷积
        s, k = self.stride, self.ksize
        H, W = self.x.shape[1:3]
        dil = np.zeros((n, H - k + 1, W - k + 1, oc))
        dil[:, :(oh - 1) * s + 1:s, :(ow - 1) * s + 1:s, :] = eta
        pad_eta = np.pad(dil, ((0, 0), (k - 1, k - 1), (k - 1, k - 1), (0, 0)), 'constant')
        flip_weights = self.weights[::-1, ::-1].swapaxes(2, 3)      # k,k,oc,ic
        col_flip = flip_weights.reshape([-1, self.input_channels])
        col_pad = np.array([self.im2col(pad_eta[i][np.newaxis, :], k, 1) for i in range(n)])
        next_eta = np.dot(col_pad, col_flip).reshape(n, H, W, self.input_channels)
        if self.method == 'SAME':
            p = k // 2
            next_eta = next_eta[:, p:H - p, p:W - p, :]
        return next_eta

    def backward(self, alpha=0.00001, weight_decay=0.0):
        # 参数更新
        self.weights *= (1 - weight_decay)
        self.bias *= (1 - weight_decay)
        self.weights -= alpha * self.w_gradient
        self.bias -= alpha * self.b_gradient
        self.w_gradient = np.zeros(self.weights.shape)
        self.b_gradient = np.zeros(self.bias.shape)


class MaxPooling(object):
    """最大池化"""

    def __init__(self, ksize=2, stride=2):
        self.ksize = ksize
        self.stride = stride

    def forward(self, x):
        n, h, w, c = x.shape
        oh = (h - self.ksize) // self.stride + 1
        ow = (w - self.ksize) // self.stride + 1
        self.input_shape = x.shape
        self.index = []
        out = np.zeros((n, oh, ow, c))
        for b in range(n):
            for ch in range(c):
                for i in range(oh):
                    for j in range(ow):
                        r, q = i * self.stride, j * self.stride
                        win = x[b, r:r + self.ksize, q:q + self.ksize, ch]
                        k = np.argmax(win)
                        out[b, i, j, ch] = win.flat[k]
                        # 记录最大值的位置
                        self.index.append((b, r + k // self.ksize, q + k % self.ksize, ch, i, j))
        return out

    def gradient(self, eta):
        dx = np.zeros(self.input_shape)
        for (b, r, q, ch, i, j) in self.index:
            dx[b, r, q, ch] += eta[b, i, j, ch]
        return dx


class Relu(object):
    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def gradient(self, eta):
        eta = eta.copy()
        eta[self.x < 0] = 0
        return eta


class FullyConnect(object):
    """全连接层，输入可以是四维，自动展平"""

    def __init__(self, shape, output_num=2):
        self.input_shape = shape
        input_len = int(np.prod(shape[1:]))
        self.weights = np.random.standard_normal((input_len, output_num)) / 100
        self.bias = np.random.standard_normal(output_num) / 100
        self.w_gradient = np.zeros(self.weights.shape)
        self.b_gradient = np.zeros(self.bias.shape)

    def forward(self, x):
        self.x = x.reshape([x.shape[0], -1])
        self.原形状 = x.shape
        return np.dot(self.x, self.weights) + self.bias

    def gradient(self, eta):
        for i in range(eta.shape[0]):
            self.w_gradient += np.outer(self.x[i], eta[i])
            self.b_gradient += eta[i]
        return np.dot(eta, self.weights.T).reshape(self.原形状)

    def backward(self, alpha=0.00001, weight_decay=0.0):
        self.weights *= (1 - weight_decay)
        self.bias *= (1 - weight_decay)
        self.weights -= alpha * self.w_gradient
        self.bias -= alpha * self.b_gradient
        self.w_gradient = np.zeros(self.weights.shape)
        self.b_gradient = np.zeros(self.bias.shape)


class Softmax(object):
    """softmax + 交叉熵（对 batch 求和，不取平均）"""

    def cal_loss(self, prediction, label):
        self.label = label
        self.prediction = prediction
        self.predict(prediction)
        self.loss = 0
        for i in range(prediction.shape[0]):
            self.loss += np.log(np.sum(np.exp(prediction[i]))) - prediction[i, label[i]]
        return self.loss

    def predict(self, prediction):
        exp_prediction = np.zeros(prediction.shape)
        self.softmax = np.zeros(prediction.shape)
        for i in range(prediction.shape[0]):
            z = prediction[i, :] - np.max(prediction[i, :])
            exp_prediction[i] = np.exp(z)
            self.softmax[i] = exp_prediction[i] / np.sum(exp_prediction[i])
        return self.softmax

    def gradient(self):
        self.eta = self.softmax.copy()
        for i in range(self.eta.shape[0]):
            self.eta[i, self.label[i]] -= 1
        return self.eta


def 计算准确率(prediction, label):
    return np.mean(np.argmax(prediction, axis=1) == label)


if __name__ == "__main__":
    数据 = np.load('mnist.npz')
    images, labels = 数据['x_train'] / 255.0, 数据['y_train']
    images = images.reshape(-1, 28, 28, 1)
    batch = 64
    conv1 = Conv2D([batch, 28, 28, 1], 6, 5, 1)
    relu1 = Relu()
    pool1 = MaxPooling()
    fc = FullyConnect([batch, 12, 12, 6], 10)
    sf = Softmax()
    for step in range(100):
        img, lab = images[step * batch:(step + 1) * batch], labels[step * batch:(step + 1) * batch]
        out = fc.forward(pool1.forward(relu1.forward(conv1.forward(img))))
        loss = sf.cal_loss(out, lab)
        conv1.gradient(relu1.gradient(pool1.gradient(fc.gradient(sf.gradient()))))
        fc.backward(alpha=1e-4, weight_decay=4e-4)
        conv1.backward(alpha=1e-4, weight_decay=4e-4)
        print('第', step, '步  损失', loss / batch, '准确率', 计算准确率(out, lab))
