import numpy as np
import matplotlib.pyplot as plt

# ---------------------------------------------------------------
#  One grey channel, one image, one kernel size k. Everything 2-d.
#  params = [K, bk, W, b]   K: (k, k)   bk: scalar   W: (n_out, n_in)
# ---------------------------------------------------------------


def conv2d(image, kernel, bias):
    """valid convolution (really a correlation) with stride 1"""
    k = kernel.shape[0]
    H, W = image.shape
    out = np.zeros((H - k + 1, W - k + 1))
    for r in range(H - k + 1):
        for c in range(W - k + 1):
            out[r, c] = np.sum(image[r:r + k, c:c + k] * kernel) + bias
    return out


def conv2d_backward(dZ, image, kernel):
    """returns d_image, d_kernel, d_bias"""
    k = kernel.shape[0]
    d_kernel = np.zeros_like(kernel)
    d_image = np.zeros_like(image)
    for r in range(dZ.shape[0]):
        for c in range(dZ.shape[1]):
            d_kernel += dZ[r, c] * image[r:r + k, c:c + k]
            d_image[r:r + k, c:c + k] = d_image[r:r + k, c:c + k] + dZ[r, c] * kernel
    d_bias = np.mean(dZ)
    return d_image, d_kernel, d_bias


def relu(z):
    return np.maximum(z, 0)


def relu_prime(z):
    return (z > 0) * 1.0


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def avg_pool(image, size):
    H, W = image.shape
    out = np.zeros((H // size, W // size))
    for r in range(H // size):
        for c in range(W // size):
            out[r, c] = image[r * size:(r + 1) * size, c * size:(c + 1) * size].mean()
    return out


def avg_pool_backward(d_out, shape, size):
    d_image = np.zeros(shape)
    for r in range(d_out.shape[0]):
        for c in range(d_out.shape[1]):
            d_image[r * size:(r + 1) * size, c * size:(c + 1) * size] = d_out[r, c]
    return d_image


def dense(x, W, b):
    return np.dot(W, x) + b


def dense_backward(dZ, x, W):
    dW = np.outer(dZ, x)
    db = dZ
    dx = np.dot(W.T, dZ)
    return dx, dW, db


def softmax(z):
    e = np.exp(z - np.max(z))
    return e / e.sum()


def cross_entropy(probs, label):
    return -np.log(probs[label])


def cross_entropy_softmax_grad(probs, label):
    g = probs.copy()
    g[label] -= 1
    return g


def sgd(params, grads, lr):
    for i in range(len(params)):
        params[i] = params[i] - lr * grads[i]
    return params


def train(X, y, params, lr=0.01, epochs=3):
    history = []
    for epoch in range(epochs):
        for img, label in zip(X, y):
            K, bk, W, b = params
            z1 = conv2d(img, K, bk)
            a1 = relu(z1)
            p1 = avg_pool(a1, 2)
            flat = p1.reshape(-1)
            z2 = dense(flat, W, b)
            probs = softmax(z2)
            history.append(cross_entropy(probs, label))

            dz2 = cross_entropy_softmax_grad(probs, label)
            dflat, dW, db = dense_backward(dz2, flat, W)
            da1 = avg_pool_backward(dflat.reshape(p1.shape), a1.shape, 2)
            dz1 = da1 * relu_prime(z1)
            _, dK, dbk = conv2d_backward(dz1, img, K)
            params = sgd(params, [dK, dbk, dW, db], lr)
    return params, history


X = np.load("digits_x.npy") / 255.0
y = np.load("digits_y.npy")
rng = np.random.RandomState(1)
params = [rng.randn(5, 5) * 0.1, 0.0, rng.randn(10, 144) * 0.05, np.zeros(10)]
params, history = train(X[:500], y[:500], params)
plt.plot(history)
plt.show()
