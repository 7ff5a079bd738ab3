# Week 1 programming exercise - building a convolutional model by hand
# arrays are (m, n_H, n_W, n_C)
import numpy as np

np.random.seed(1)


def zero_pad(X, pad):
    return np.pad(X, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="constant")


def conv_single_step(a_slice_prev, W, b):
    s = a_slice_prev * W
    Z = np.sum(s) + float(b.item())
    return Z


def conv_forward(A_prev, W, b, hparameters):
    (m, n_H_prev, n_W_prev, n_C_prev) = A_prev.shape
    (f, f, n_C_prev, n_C) = W.shape
    stride = hparameters["stride"]
    pad = hparameters["pad"]
    n_H = (n_H_prev - f + 2 * pad) // stride + 1
    n_W = (n_W_prev - f + 2 * pad) // stride + 1
    Z = np.zeros((m, n_H, n_W, n_C))
    A_prev_pad = zero_pad(A_prev, pad)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    a_slice = A_prev_pad[i, h * stride:h * stride + f, w * stride:w * stride + f, :]
                    Z[i, h, w, c] = conv_single_step(a_slice, W[..., c], b[..., c])
    cache = (A_prev, W, b, hparameters)
    return Z, cache


def conv_backward(dZ, cache):
    (A_prev, W, b, hparameters) = cache
    (m, n_H_prev, n_W_prev, n_C_prev) = A_prev.shape
    (f, f, n_C_prev, n_C) = W.shape
    stride, pad = hparameters["stride"], hparameters["pad"]
    (m, n_H, n_W, n_C) = dZ.shape
    dA_prev_pad = zero_pad(np.zeros_like(A_prev), pad)
    A_prev_pad = zero_pad(A_prev, pad)
    dW = np.zeros_like(W)
    db = np.zeros((1, 1, 1, n_C))
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    v0, h0 = h * stride, w * stride
                    a_slice = A_prev_pad[i, v0:v0 + f, h0:h0 + f, :]
                    dA_prev_pad[i, v0:v0 + f, h0:h0 + f, :] += W[:, :, :, c] * dZ[i, h, w, c]
                    dW[:, :, :, c] += a_slice * dZ[i, h, w, c]
                    db[:, :, :, c] = dZ[i, h, w, c]
    dA_prev = dA_prev_pad[:, pad:pad + n_H_prev, pad:pad + n_W_prev, :]
    return dA_prev, dW, db


def pool_forward(A_prev, hparameters, mode="max"):
    (m, n_H_prev, n_W_prev, n_C) = A_prev.shape
    f, stride = hparameters["f"], hparameters["stride"]
    n_H = int(1 + (n_H_prev - f) / stride)
    n_W = int(1 + (n_W_prev - f) / stride)
    A = np.zeros((m, n_H, n_W, n_C))
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    piece = A_prev[i, h * stride:h * stride + f, w * stride:w * stride + f, c]
                    if mode == "max":
                        A[i, h, w, c] = np.max(piece)
                    elif mode == "average":
                        A[i, h, w, c] = np.mean(piece)
    return A, (A_prev, hparameters)


def create_mask_from_window(x):
    mask = (x == np.max(x))
    return mask / np.sum(mask)


def distribute_value(dz, shape):
    (n_H, n_W) = shape
    return np.ones(shape) * dz / (n_H * n_W)


def pool_backward(dA, cache, mode="max"):
    (A_prev, hparameters) = cache
    stride, f = hparameters["stride"], hparameters["f"]
    (m, n_H, n_W, n_C) = dA.shape
    dA_prev = np.zeros(A_prev.shape)
    for i in range(m):
        a_prev = A_prev[i]
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    vs, hs = h * stride, w * stride
                    if mode == "max":
                        mask = create_mask_from_window(a_prev[vs:vs + f, hs:hs + f, c])
                        dA_prev[i, vs:vs + f, hs:hs + f, c] += mask * dA[i, h, w, c]
                    elif mode == "average":
                        da = dA[i, h, w, c]
                        spread = distribute_value(da, (n_H, n_W))[0, 0]
                        dA_prev[i, vs:vs + f, hs:hs + f, c] += spread
    return dA_prev


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def relu(Z):
    A = np.maximum(0, Z)
    return A, Z


def relu_backward(dA, cache):
    dZ = np.array(dA, copy=True)
    dZ[cache <= 0] = 0
    return dZ


def flatten_forward(A):
    return A.reshape(A.shape[0], -1), A.shape


def flatten_backward(dF, shape):
    return dF.reshape(shape)


def dense_forward(A, W, b):
    """A: (m, n_in), W: (n_in, n_out), b: (1, n_out)"""
    return np.dot(A, W) + b, (A, W)


def dense_backward(dZ, cache):
    A, W = cache
    return np.dot(dZ, W.T), np.dot(A.T, dZ), np.sum(dZ, axis=0, keepdims=True)


def softmax_cost(Z, Y):
    """Y one-hot (m, classes); cost averaged over the examples"""
    m = Y.shape[0]
    e = np.exp(Z - np.max(Z, axis=1, keepdims=True))
    P = e / np.sum(e, axis=1, keepdims=True)
    cost = -np.sum(Y * np.log(P)) / m
    return cost, (P - Y) / m


def train(X, Y, iterations=5, lr=0.05):
    W = np.random.randn(3, 3, X.shape[3], 4) * 0.1
    b = np.zeros((1, 1, 1, 4))
    hp, hpool = {"stride": 1, "pad": 1}, {"stride": 2, "f": 2}
    Wd = None
    for it in range(iterations):
        Z, c1 = conv_forward(X, W, b, hp)
        A, c2 = relu(Z)
        P, c3 = pool_forward(A, hpool)
        F, shp = flatten_forward(P)
        if Wd is None:
            Wd, bd = np.random.randn(F.shape[1], Y.shape[1]) * 0.1, np.zeros((1, Y.shape[1]))
        L, c4 = dense_forward(F, Wd, bd)
        cost, dL = softmax_cost(L, Y)
        dF, dWd, dbd = dense_backward(dL, c4)
        dA = pool_backward(flatten_backward(dF, shp), c3)
        _, dW, db = conv_backward(relu_backward(dA, c2), c1)
        W -= lr * dW; b -= lr * db; Wd -= lr * dWd; bd -= lr * dbd
        print("cost after", it, cost)


if __name__ == "__main__":
    train(np.random.randn(6, 8, 8, 3), np.eye(5)[np.random.randint(5, size=6)])
