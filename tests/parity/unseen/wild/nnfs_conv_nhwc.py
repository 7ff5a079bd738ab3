import numpy as np


class Layer_Conv2D:
    """inputs: (batch, height, width, channels), kernels: (kh, kw, channels, filters)"""

    def __init__(self, n_channels, n_filters, kernel_size=3, stride=1, padding=0):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.kernels = 0.1 * np.random.randn(kernel_size, kernel_size, n_channels, n_filters)
        self.biases = np.zeros((1, 1, 1, n_filters))

    def forward(self, inputs):
        p, k, s = self.padding, self.kernel_size, self.stride
        self.inputs = inputs
        self.padded = np.pad(inputs, ((0, 0), (p, p), (p, p), (0, 0)))
        b, h, w, _ = self.padded.shape
        oh, ow = (h - k) // s + 1, (w - k) // s + 1
        self.output = np.zeros((b, oh, ow, self.kernels.shape[-1])) + self.biases
        for di in range(k):
            for dj in range(k):
                view = self.padded[:, di : di + s * (oh - 1) + 1 : s, dj : dj + s * (ow - 1) + 1 : s]
                self.output += view @ self.kernels[di, dj]

    def backward(self, dvalues):
        p, k, s = self.padding, self.kernel_size, self.stride
        _, oh, ow, _ = dvalues.shape
        self.dbiases = dvalues.sum(axis=(0, 1, 2), keepdims=True)
        self.dkernels = np.zeros_like(self.kernels)
        dpadded = np.zeros_like(self.padded)
        for di in range(k):
            for dj in range(k):
                rows = slice(di, di + s * (oh - 1) + 1, s)
                cols = slice(dj, dj + s * (ow - 1) + 1, s)
                self.dkernels[di, dj] = np.einsum("bhwc,bhwf->cf", self.padded[:, rows, cols], dvalues)
                dpadded[:, rows, cols] += dvalues @ self.kernels[di, dj].T
        h, w = self.inputs.shape[1:3]
        self.dinputs = dpadded[:, p : p + h, p : p + w]


class Layer_MaxPool:
    def __init__(self, pool_size=2, stride=2):
        self.pool_size, self.stride = pool_size, stride

    def forward(self, inputs):
        self.inputs = inputs
        b, h, w, c = inputs.shape
        k, s = self.pool_size, self.stride
        oh, ow = (h - k) // s + 1, (w - k) // s + 1
        self.output = np.zeros((b, oh, ow, c))
        for i in range(oh):
            for j in range(ow):
                self.output[:, i, j] = inputs[:, i * s : i * s + k, j * s : j * s + k].max(axis=(1, 2))

    def backward(self, dvalues):
        k, s = self.pool_size, self.stride
        b, oh, ow, c = dvalues.shape
        self.dinputs = np.zeros_like(self.inputs)
        for i in range(oh):
            for j in range(ow):
                block = self.inputs[:, i * s : i * s + k, j * s : j * s + k].reshape(b, k * k, c)
                hit = np.zeros_like(block)
                np.put_along_axis(hit, block.argmax(axis=1)[:, None], dvalues[:, i, j][:, None], axis=1)
                self.dinputs[:, i * s : i * s + k, j * s : j * s + k] += hit.reshape(b, k, k, c)


class Layer_Flatten:
    def forward(self, inputs):
        self.shape = inputs.shape
        self.output = inputs.reshape(inputs.shape[0], -1)

    def backward(self, dvalues):
        self.dinputs = dvalues.reshape(self.shape)
