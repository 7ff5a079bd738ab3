import numpy as np


class Linear:
    def __init__(self, in_features, out_features, debug=False):
        self.W = np.random.uniform(-1, 1, (out_features, in_features)) / np.sqrt(in_features)
        self.b = np.zeros((out_features, 1))
        self.debug = debug

    def forward(self, A):
        self.A = A
        self.N = A.shape[0]
        self.Ones = np.ones((self.N, 1))
        Z = self.A @ self.W.T + self.Ones @ self.b.T
        return Z

    def backward(self, dLdZ):
        dLdA = dLdZ @ self.W
        self.dLdW = dLdZ.T @ self.A
        self.dLdb = dLdZ.T @ self.Ones / self.N
        return dLdA


class ReLU:
    def forward(self, Z):
        self.A = np.where(Z > 0, Z, 0.0)
        return self.A

    def backward(self, dLdA):
        return dLdA * np.where(self.A > 0, 1.0, 0.0)


class Tanh:
    def forward(self, Z):
        self.A = np.tanh(Z)
        return self.A

    def backward(self, dLdA):
        return dLdA * (1 - self.A ** 2)


class Conv2d_stride1:
    def __init__(self, in_channels, out_channels, kernel_size,
                 weight_init_fn=None, bias_init_fn=None):
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.W = np.random.normal(0, 1.0, shape) if weight_init_fn is None else weight_init_fn(shape)
        self.b = np.zeros(out_channels) if bias_init_fn is None else bias_init_fn(out_channels)
        self.dLdW, self.dLdb = np.zeros(self.W.shape), np.zeros(self.b.shape)

    def forward(self, A):
        self.A = A
        k = self.kernel_size
        oh, ow = A.shape[2] - k + 1, A.shape[3] - k + 1
        Z = np.zeros((A.shape[0], self.out_channels, oh, ow))
        for i in range(oh):
            for j in range(ow):
                Z[:, :, i, j] = np.tensordot(A[:, :, i:i + k, j:j + k], self.W,
                                             axes=([1, 2, 3], [1, 2, 3])) + self.b
        return Z

    def backward(self, dLdZ):
        k = self.kernel_size
        oh, ow = dLdZ.shape[2:]
        self.dLdb = dLdZ.sum(axis=(0, 2, 3))
        self.dLdW = np.zeros_like(self.W)
        for i in range(k):
            for j in range(k):
                self.dLdW[:, :, i, j] = np.tensordot(
                    dLdZ, self.A[:, :, i:i + oh, j:j + ow], axes=([0, 2, 3], [0, 2, 3]))
        # full convolution of the padded derivative with the filters
        pad = np.pad(dLdZ, ((0, 0), (0, 0), (k - 1, k - 1), (k - 1, k - 1)))
        dLdA = np.zeros_like(self.A)
        for i in range(self.A.shape[2]):
            for j in range(self.A.shape[3]):
                dLdA[:, :, i, j] = np.tensordot(pad[:, :, i:i + k, j:j + k], self.W,
                                                axes=([1, 2, 3], [0, 2, 3]))
        return dLdA


class Downsample2d:
    def __init__(self, downsampling_factor):
        self.downsampling_factor = downsampling_factor

    def forward(self, A):
        self.shape = A.shape
        f = self.downsampling_factor
        return A[:, :, ::f, ::f]

    def backward(self, dLdZ):
        f = self.downsampling_factor
        dLdA = np.zeros(self.shape)
        dLdA[:, :, ::f, ::f] = dLdZ
        return dLdA


class MeanPool2d_stride1:
    def __init__(self, kernel):
        self.kernel = kernel

    def forward(self, A):
        self.shape = A.shape
        k = self.kernel
        oh, ow = A.shape[2] - k + 1, A.shape[3] - k + 1
        Z = np.zeros(A.shape[:2] + (oh, ow))
        for i in range(oh):
            for j in range(ow):
                Z[:, :, i, j] = np.mean(A[:, :, i:i + k, j:j + k], axis=(2, 3))
        return Z

    def backward(self, dLdZ):
        k = self.kernel
        dLdA = np.zeros(self.shape)
        for i in range(dLdZ.shape[2]):
            for j in range(dLdZ.shape[3]):
                dLdA[:, :, i:i + k, j:j + k] += dLdZ[:, :, i, j][:, :, None, None] / (k * k)
        return dLdA


class MeanPool2d:
    def __init__(self, kernel, stride):
        self.meanpool2d_stride1 = MeanPool2d_stride1(kernel)
        self.downsample2d = Downsample2d(stride)

    def forward(self, A):
        return self.downsample2d.forward(self.meanpool2d_stride1.forward(A))

    def backward(self, dLdZ):
        return self.meanpool2d_stride1.backward(self.downsample2d.backward(dLdZ))


class Flatten:
    def forward(self, A):
        self.shape = A.shape
        return A.reshape(A.shape[0], -1)

    def backward(self, dLdZ):
        return dLdZ.reshape(self.shape)


class MSELoss:
    def forward(self, A, Y):
        self.A, self.Y = A, Y
        return np.mean((A - Y) ** 2)

    def backward(self):
        return 2 * (self.A - self.Y) / self.A.size


class CrossEntropyLoss:
    def forward(self, A, Y):
        """A: logits (N, C); Y: one-hot (N, C)"""
        self.A, self.Y = A, Y
        self.N, self.C = A.shape
        E = np.exp(A - A.max(axis=1, keepdims=True))
        self.softmax = E / E.sum(axis=1, keepdims=True)
        crossentropy = -np.sum(Y * np.log(self.softmax), axis=1)
        return crossentropy.sum() / self.N

    def backward(self):
        return (self.softmax - self.Y) / self.N


class SGD:
    def __init__(self, model, lr=0.1, momentum=0):
        self.l = model.layers
        self.lr, self.mu = lr, momentum
        self.v_W = [np.zeros(l.W.shape) for l in self.l]
        self.v_b = [np.zeros(l.b.shape) for l in self.l]

    def step(self):
        for i, l in enumerate(self.l):
            self.v_W[i] = self.mu * self.v_W[i] + l.dLdW
            self.v_b[i] = self.mu * self.v_b[i] + l.dLdb
            l.W = l.W - self.lr * self.v_W[i]
            l.b = l.b - self.lr * self.v_b[i]


class Adam:
    def __init__(self, model, lr, beta1=0.9, beta2=0.999, eps=1e-8):
        self.l = model.layers
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.t = 1
        self.m = [[np.zeros(l.W.shape), np.zeros(l.b.shape)] for l in self.l]
        self.v = [[np.zeros(l.W.shape), np.zeros(l.b.shape)] for l in self.l]

    def step(self):
        for i, l in enumerate(self.l):
            new = []
            for j, (p, g) in enumerate(((l.W, l.dLdW), (l.b, l.dLdb))):
                self.m[i][j] = self.beta1 * self.m[i][j] + (1 - self.beta1) * g
                self.v[i][j] = self.beta2 * self.v[i][j] + (1 - self.beta2) * g ** 2
                m_hat = self.m[i][j] / (1 - self.beta1 ** self.t)
                v_hat = self.v[i][j] / (1 - self.beta2 ** self.t)
                new.append(p - self.lr * m_hat / (np.sqrt(v_hat) + self.eps))
            l.W, l.b = new


class MLP1:
    def __init__(self, d_in, d_hidden, d_out):
        self.layers = [Linear(d_in, d_hidden), Linear(d_hidden, d_out)]
        self.act = ReLU()

    def forward(self, A):
        return self.layers[1].forward(self.act.forward(self.layers[0].forward(A)))

    def backward(self, d):
        return self.layers[0].backward(self.act.backward(self.layers[1].backward(d)))


if __name__ == "__main__":
    net, crit = MLP1(6, 10, 3), CrossEntropyLoss()
    opt = SGD(net, lr=0.1, momentum=0.9)
    X, Y = np.random.randn(20, 6), np.eye(3)[np.random.randint(3, size=20)]
    for e in range(20):
        print(crit.forward(net.forward(X), Y))
        net.backward(crit.backward())
        opt.step()
