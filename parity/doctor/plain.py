# ruff: noqa: RET504
"""Right code as a student may write it: images stay N, C, H, W, and every sum is an einsum or a loop.

`python -m parity explain` quotes a line of it, and the wrong one that a mistake puts in its place.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import tinycnn_numpy as tn
from tinycnn_numpy.checks import Array


class Conv2D(tn.Conv2D):
    def forward(self, x: Array) -> Array:
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)])
        windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]  # (N,C,OH,OW,KH,KW)
        self.cache = x, windows
        out = np.einsum("nchwij,fcij->nfhw", windows, self.weight)
        if self.bias is not None:
            out = out + self.bias[:, None, None]
        return out

    def backward(self, dout: Array) -> Array:
        x, windows = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        (H, W), (OH, OW) = x.shape[2:], dout.shape[2:]
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 2, 3))
        self.dweight = np.einsum("nfhw,nchwij->fcij", dout, windows)
        dwindows = np.einsum("nfhw,fcij->nchwij", dout, self.weight)
        padded = np.zeros((*x.shape[:2], H + 2 * PH, W + 2 * PW), x.dtype)
        for h, w in np.ndindex(OH, OW):
            padded[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] += dwindows[:, :, h, w]
        dx = padded[:, :, PH : PH + H, PW : PW + W]
        return dx


class MaxPool2D(tn.MaxPool2D):
    def forward(self, x: Array) -> Array:
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], constant_values=-np.inf)
        windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]  # (N,C,OH,OW,KH,KW)
        self.cache = x, windows
        out = windows.max(axis=(4, 5))
        return out

    def backward(self, dout: Array) -> Array:
        x, windows = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        (H, W), (OH, OW) = x.shape[2:], dout.shape[2:]
        flat = windows.reshape(*dout.shape, KH * KW)
        winner = flat.argmax(axis=4)  # the first of equal numbers
        share = np.eye(KH * KW, dtype=x.dtype)[winner]
        dwindows = (dout[..., None] * share).reshape(windows.shape)
        padded = np.zeros((*x.shape[:2], H + 2 * PH, W + 2 * PW), x.dtype)
        for h, w in np.ndindex(OH, OW):
            padded[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] += dwindows[:, :, h, w]
        dx = padded[:, :, PH : PH + H, PW : PW + W]
        return dx


class AvgPool2D(tn.AvgPool2D):
    def forward(self, x: Array) -> Array:
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)])
        windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]  # (N,C,OH,OW,KH,KW)
        self.cache = x, windows
        out = windows.mean(axis=(4, 5))
        return out

    def backward(self, dout: Array) -> Array:
        x, _ = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        (H, W), (OH, OW) = x.shape[2:], dout.shape[2:]
        share = np.full((KH, KW), 1 / (KH * KW), x.dtype)
        padded = np.zeros((*x.shape[:2], H + 2 * PH, W + 2 * PW), x.dtype)
        for h, w in np.ndindex(OH, OW):
            dwindow = dout[:, :, h, w, None, None] * share
            padded[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] += dwindow
        dx = padded[:, :, PH : PH + H, PW : PW + W]
        return dx


class ReLU(tn.ReLU):
    def forward(self, x: Array) -> Array:
        self.cache = x
        out = np.maximum(x, 0)
        return out

    def backward(self, dout: Array) -> Array:
        x = self.cache
        dx = dout * (x > 0)
        return dx


class Flatten(tn.Flatten):
    def forward(self, x: Array) -> Array:
        self.cache = x
        out = x.reshape(len(x), -1)
        return out

    def backward(self, dout: Array) -> Array:
        x = self.cache
        dx = dout.reshape(x.shape)
        return dx


class Dense(tn.Dense):
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ):
        tn.Dense.__init__(self, in_features, out_features, bias, rng=rng, dtype=dtype)
        bound = 1 / np.sqrt(in_features)
        weight = rng.uniform(-bound, bound, (out_features, in_features))
        self.weight = weight.astype(dtype)

    def forward(self, x: Array) -> Array:
        self.cache = x
        out = x @ self.weight.T
        if self.bias is not None:
            out = out + self.bias
        return out

    def backward(self, dout: Array) -> Array:
        x = self.cache
        if self.bias is not None:
            self.dbias = dout.sum(axis=0)
        self.dweight = dout.T @ x
        dx = dout @ self.weight
        return dx


class BatchNorm2D(tn.BatchNorm2D):
    def forward(self, x: Array) -> Array:
        if self.training:
            mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
            unbiased = x.var(axis=(0, 2, 3), ddof=1)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * unbiased
        else:
            mean, var = self.running_mean, self.running_var
        root = np.sqrt(var + self.eps)
        x_hat = (x - mean[:, None, None]) / root[:, None, None]
        self.cache = x, x_hat, root
        out = self.weight[:, None, None] * x_hat + self.bias[:, None, None]
        return out

    def backward(self, dout: Array) -> Array:
        x, x_hat, root = self.cache
        M = x.size // x.shape[1]
        self.dbias = dout.sum(axis=(0, 2, 3))
        self.dweight = (dout * x_hat).sum(axis=(0, 2, 3))
        through_mean = self.dbias[:, None, None] / M
        through_var = x_hat * self.dweight[:, None, None] / M
        if not self.training:
            through_mean, through_var = 0, 0
        dx = (self.weight / root)[:, None, None] * (dout - through_mean - through_var)
        return dx


class Dropout(tn.Dropout):
    def forward(self, x: Array) -> Array:
        mask, scale = np.ones_like(x), x.dtype.type(1)
        if self.training:
            mask = np.array(self.rng.random(x.shape) >= self.p, x.dtype)
            scale = x.dtype.type(1 / (1 - self.p))
        self.cache = mask, scale
        out = x * mask * scale
        return out

    def backward(self, dout: Array) -> Array:
        mask, scale = self.cache
        dx = dout * mask * scale
        return dx


class CrossEntropyLoss(tn.CrossEntropyLoss):
    def forward(self, logits: Array, labels: Array) -> np.floating[Any]:
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = np.exp(log_probs), labels
        loss = -log_probs[np.arange(len(labels)), labels].mean()
        return loss

    def backward(self) -> Array:
        assert self.cache is not None
        probs, labels = self.cache
        dlogits = probs.copy()
        dlogits[np.arange(len(labels)), labels] -= 1
        return dlogits / len(labels)


class SGD(tn.SGD):
    def step(self) -> None:
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            b[...] = self.momentum * b + g
            change = g + self.momentum * b if self.nesterov else b
            parameter.data[...] -= self.lr * change


class Adam(tn.Adam):
    def step(self) -> None:
        self.steps += 1
        t, (beta1, beta2) = self.steps, self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat = m / (1 - beta1**t)
            v_hat = v / (1 - beta2**t)
            change = m_hat / (np.sqrt(v_hat) + self.eps)
            parameter.data[...] -= self.lr * change


class Sequential(tn.Sequential):
    def forward(self, x: Array) -> Array:
        for layer in self.stages.values():
            x = layer.forward(x)
        return x

    def backward(self, dout: Array) -> Array:
        for layer in reversed(self.stages.values()):
            dout = layer.backward(dout)
        return dout

    def parameters(self) -> list[Any]:
        layers = list(self.stages.values())
        return [parameter for layer in layers for parameter in layer.parameters()]
