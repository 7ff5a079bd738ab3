#!/usr/bin/env python
# digits with my own little CNN -- python train_on_import.py
import pickle

import h5py
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

EPOCHS, LR = 3, 0.05


class Conv:
    def __init__(self, n_in, n_out, k, pad):
        self.w = np.random.randn(n_out, n_in, k, k) * np.sqrt(2 / (n_in * k * k))
        self.b = np.zeros(n_out)
        self.k, self.pad = k, pad

    def forward(self, x):
        self.xp = np.pad(x, ((0, 0), (0, 0), (self.pad, self.pad), (self.pad, self.pad)))
        k = self.k
        h, w = self.xp.shape[2] - k + 1, self.xp.shape[3] - k + 1
        y = np.zeros((x.shape[0], self.w.shape[0], h, w))
        for i in range(h):
            for j in range(w):
                y[:, :, i, j] = np.tensordot(self.xp[:, :, i : i + k, j : j + k], self.w, ((1, 2, 3), (1, 2, 3)))
        return y + self.b[:, None, None]

    def backward(self, dy):
        k, p = self.k, self.pad
        self.dw, self.db = np.zeros_like(self.w), dy.sum((0, 2, 3))
        dxp = np.zeros_like(self.xp)
        for i in range(dy.shape[2]):
            for j in range(dy.shape[3]):
                g = dy[:, :, i, j]
                self.dw += np.tensordot(g, self.xp[:, :, i : i + k, j : j + k], (0, 0))
                dxp[:, :, i : i + k, j : j + k] += np.tensordot(g, self.w, (1, 0))
        return dxp[:, :, p : dxp.shape[2] - p, p : dxp.shape[3] - p]


class Dense:
    def __init__(self, n_in, n_out):
        self.w = np.random.randn(n_in, n_out) * np.sqrt(2 / n_in)
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.w + self.b

    def backward(self, dy):
        self.dw, self.db = self.x.T @ dy, dy.sum(0)
        return dy @ self.w.T


with h5py.File("datasets/train_signs.h5", "r") as f:
    x_train, y_train = np.array(f["x"]), np.array(f["y"])

layers = [Conv(3, 8, 3, 1), Dense(8 * 64 * 64, 6)]
losses = []
for epoch in tqdm(range(EPOCHS)):
    out = layers[0].forward(x_train)
    out = layers[1].forward(out.reshape(len(out), -1))
    p = np.exp(out - out.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    losses.append(-np.log(p[range(len(p)), y_train]).mean())
    p[range(len(p)), y_train] -= 1
    d = layers[1].backward(p / len(p))
    layers[0].backward(d.reshape(len(d), 8, 64, 64))
    for layer in layers:
        layer.w -= LR * layer.dw
        layer.b -= LR * layer.db
plt.plot(losses)
plt.show()
pickle.dump(layers, open("model.pkl", "wb"))
