"""
Convolution and pooling step by step, pictures as (m, n_H, n_W, n_C).
All functions, values for the way back travel in `cache`.
"""
import numpy as np


def zero_pad(X, pad):
    return np.pad(X, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode='constant')


def conv_single_step(a_slice, W, b):
    return np.sum(a_slice * W) + float(b[0, 0, 0])


def conv_forward(A_prev, W, b, hparameters):
    """W: (f, f, n_C_prev, n_C), b: (1, 1, 1, n_C)"""
    m, n_H_prev, n_W_prev, _ = A_prev.shape
    f, _, _, n_C = W.shape
    stride, pad = hparameters['stride'], hparameters['pad']
    n_H = int((n_H_prev - f + 2 * pad) / stride) + 1
    n_W = int((n_W_prev - f + 2 * pad) / stride) + 1
    Z = np.zeros((m, n_H, n_W, n_C))
    A_prev_pad = zero_pad(A_prev, pad)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                a_slice = A_prev_pad[i, h * stride:h * stride + f, w * stride:w * stride + f, :]
                for c in range(n_C):
                    Z[i, h, w, c] = conv_single_step(a_slice, W[..., c], b[..., c])
    return Z, (A_prev, W, b, hparameters)


def conv_backward(dZ, cache):
    A_prev, W, b, hparameters = cache
    stride, pad = hparameters['stride'], hparameters['pad']
    f = W.shape[0]
    m, n_H, n_W, n_C = dZ.shape
    dW, db = np.zeros(W.shape), np.zeros(b.shape)
    A_prev_pad = zero_pad(A_prev, pad)
    dA_prev_pad = np.zeros(A_prev_pad.shape)
    for i in range(m):
        for h in range(n_H):
            for w in range(n_W):
                for c in range(n_C):
                    # corners of the window
                    top, bottom = h, h + f
                    left, right = w, w + f
                    dA_prev_pad[i, top:bottom, left:right, :] += W[..., c] * dZ[i, h, w, c]
                    dW[..., c] += A_prev_pad[i, top:bottom, left:right, :] * dZ[i, h, w, c]
                    db[..., c] += dZ[i, h, w, c]
    dA_prev = dA_prev_pad[:, pad:pad + A_prev.shape[1], pad:pad + A_prev.shape[2], :]
    return dA_prev, dW, db


def pool_forward(A_prev, hparameters, mode='max'):
    m, n_H_prev, n_W_prev, n_C = A_prev.shape
    f, stride = hparameters['f'], hparameters['stride']
    n_H, n_W = 1 + (n_H_prev - f) // stride, 1 + (n_W_prev - f) // stride
    A = np.zeros((m, n_H, n_W, n_C))
    for h in range(n_H):
        for w in range(n_W):
            window = A_prev[:, h * stride:h * stride + f, w * stride:w * stride + f, :]
            A[:, h, w, :] = window.max(axis=(1, 2)) if mode == 'max' else window.mean(axis=(1, 2))
    return A, (A_prev, hparameters)


def pool_backward(dA, cache, mode='max'):
    A_prev, hparameters = cache
    f, stride = hparameters['f'], hparameters['stride']
    dA_prev = np.zeros(A_prev.shape)
    m, n_H, n_W, n_C = dA.shape
    for h in range(n_H):
        for w in range(n_W):
            rows, cols = slice(h * stride, h * stride + f), slice(w * stride, w * stride + f)
            if mode == 'max':
                window = A_prev[:, rows, cols, :]
                mask = window == window.max(axis=(1, 2), keepdims=True)
                share = mask / mask.sum(axis=(1, 2), keepdims=True)
                dA_prev[:, rows, cols, :] += share * dA[:, h:h + 1, w:w + 1, :]
            elif mode == 'average':
                dA_prev[:, rows, cols, :] = dA[:, h:h + 1, w:w + 1, :] / (f * f)
    return dA_prev


def linear_forward(A, W, b):
    """Examples stand in columns: A (n_in, m), W (n_out, n_in), b (n_out, 1)"""
    return W @ A + b, (A, W, b)


def linear_backward(dZ, cache):
    A, W, b = cache
    m = A.shape[1]
    dW = dZ @ A.T / m
    db = np.sum(dZ, axis=1, keepdims=True) / m
    return W.T @ dZ, dW, db


def relu(Z):
    return np.maximum(0, Z), Z


def relu_backward(dA, cache):
    dZ = np.array(dA, copy=True)
    dZ[cache <= 0] = 0
    return dZ


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z)), Z


def sigmoid_backward(dA, cache):
    s = 1 / (1 + np.exp(-cache))
    return dA * s * (1 - s)


def update_parameters_with_gd(parameters, grads, learning_rate):
    for key in parameters:
        parameters[key] = parameters[key] - learning_rate * grads['d' + key]
    return parameters


def initialize_adam(parameters):
    v = {'d' + k: np.zeros(p.shape) for k, p in parameters.items()}
    return v, {k: np.zeros(p.shape) for k, p in v.items()}


def update_parameters_with_adam(parameters, grads, v, s, t, learning_rate=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8):
    for key in parameters:
        g = 'd' + key
        v[g] = beta1 * v[g] + (1 - beta1) * grads[g]
        s[g] = beta2 * s[g] + (1 - beta2) * grads[g] ** 2
        v_corrected = v[g] / (1 - beta1 ** t)
        s_corrected = s[g] / (1 - beta2 ** t)
        parameters[key] = parameters[key] - learning_rate * v_corrected / (np.sqrt(s_corrected) + epsilon)
    return parameters, v, s


if __name__ == '__main__':
    np.random.seed(1)
    A = np.random.randn(3, 6, 6, 2)
    Z, cache = conv_forward(A, np.random.randn(3, 3, 2, 4), np.zeros((1, 1, 1, 4)), {'pad': 1, 'stride': 1})
    P, pcache = pool_forward(Z, {'f': 2, 'stride': 2})
    print(conv_backward(pool_backward(P, pcache), cache)[1].mean())
