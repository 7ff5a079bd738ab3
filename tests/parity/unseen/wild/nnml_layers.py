from abc import ABC, abstractmethod

import numpy as np


class LayerBase(ABC):
    def __init__(self, optimizer=None):
        self.X = []
        self.parameters = {}
        self.gradients = {}
        self.trainable = True
        self.is_initialized = False
        self.optimizer = optimizer

    @abstractmethod
    def forward(self, X, retain_derived=True):
        raise NotImplementedError

    @abstractmethod
    def backward(self, dLdy, retain_grads=True):
        raise NotImplementedError

    def flush_gradients(self):
        self.X = []
        for k in self.gradients:
            self.gradients[k] = np.zeros_like(self.gradients[k])


class FullyConnected(LayerBase):
    def __init__(self, n_out, optimizer=None):
        super().__init__(optimizer)
        self.n_out = n_out
        self.n_in = None

    def _init_params(self):
        limit = np.sqrt(6 / (self.n_in + self.n_out))
        self.parameters = {
            "W": np.random.uniform(-limit, limit, (self.n_in, self.n_out)),
            "b": np.zeros((1, self.n_out)),
        }
        self.gradients = {k: np.zeros_like(v) for k, v in self.parameters.items()}
        self.is_initialized = True

    def forward(self, X, retain_derived=True):
        if not self.is_initialized:
            self.n_in = X.shape[1]
            self._init_params()
        if retain_derived:
            self.X.append(X)
        return X @ self.parameters["W"] + self.parameters["b"]

    def backward(self, dLdy, retain_grads=True):
        if not isinstance(dLdy, list):
            dLdy = [dLdy]
        dX = []
        for dy, x in zip(dLdy, self.X):
            dX.append(dy @ self.parameters["W"].T)
            if retain_grads:
                self.gradients["W"] += x.T @ dy
                self.gradients["b"] += dy.sum(axis=0, keepdims=True)
        return dX[0] if len(dX) == 1 else dX


class Conv2D(LayerBase):
    """X: (n_ex, in_rows, in_cols, in_ch), W: (fr, fc, in_ch, out_ch), b: (1, 1, 1, out_ch)"""

    def __init__(self, out_ch, kernel_shape, pad=0, stride=1, optimizer=None):
        super().__init__(optimizer)
        self.out_ch, self.kernel_shape = out_ch, kernel_shape
        self.pad, self.stride = pad, stride
        self.in_ch = None

    def _init_params(self):
        fr, fc = self.kernel_shape
        self.parameters["W"] = np.random.normal(scale=0.1, size=(fr, fc, self.in_ch, self.out_ch))
        self.parameters["b"] = np.zeros((1, 1, 1, self.out_ch))
        self.gradients = {k: np.zeros_like(v) for k, v in self.parameters.items()}
        self.is_initialized = True

    def forward(self, X, retain_derived=True):
        if not self.is_initialized:
            self.in_ch = X.shape[3]
            self._init_params()
        W, b = self.parameters["W"], self.parameters["b"]
        fr, fc = self.kernel_shape
        p, s = self.pad, self.stride
        Xp = np.pad(X, ((0, 0), (p, p), (p, p), (0, 0)))
        rows, cols = (Xp.shape[1] - fr) // s + 1, (Xp.shape[2] - fc) // s + 1
        Z = np.empty((len(X), rows, cols, self.out_ch))
        for m in range(len(X)):
            for r in range(rows):
                for c in range(cols):
                    win = Xp[m, r * s : r * s + fr, c * s : c * s + fc, :]
                    Z[m, r, c] = np.einsum("ijk,ijko->o", win, W) + b[0, 0, 0]
        if retain_derived:
            self.X.append(X)
        return Z

    def backward(self, dLdy, retain_grads=True):
        if not isinstance(dLdy, list):
            dLdy = [dLdy]
        dX = []
        for dy, x in zip(dLdy, self.X):
            dx, dw, db = self._bwd(dy, x)
            dX.append(dx)
            if retain_grads:
                self.gradients["W"] += dw
                self.gradients["b"] += db
        return dX[0] if len(dX) == 1 else dX

    def _bwd(self, dy, X):
        W = self.parameters["W"]
        fr, fc = self.kernel_shape
        p, s = self.pad, self.stride
        Xp = np.pad(X, ((0, 0), (p, p), (p, p), (0, 0)))
        dXp, dW = np.zeros_like(Xp), np.zeros_like(W)
        dB = dy.sum(axis=(0, 1, 2)).reshape(1, 1, 1, -1)
        for m, r, c in np.ndindex(*dy.shape[:3]):
            i, j = r * s, c * s
            dW += Xp[m, i : i + fr, j : j + fc, :, None] * dy[m, r, c]
            dXp[m, i : i + fr, j : j + fc] += W @ dy[m, r, c]
        return dXp[:, p : p + X.shape[1], p : p + X.shape[2]], dW, dB


class Flatten(LayerBase):
    def __init__(self, keep_dim="first", optimizer=None):
        super().__init__(optimizer)
        self.keep_dim = keep_dim

    def forward(self, X, retain_derived=True):
        if retain_derived:
            self.X.append(X.shape)
        return X.reshape(X.shape[0], -1)

    def backward(self, dLdy, retain_grads=True):
        return dLdy.reshape(self.X[-1])
