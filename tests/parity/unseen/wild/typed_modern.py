from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Layer(Protocol):
    def forward(self, x: Floats) -> Floats: ...
    def backward(self, grad: Floats) -> Floats: ...


class Conv2D:
    """NHWC, kernel (kh, kw, in, out); padding "same" (odd kernels, stride 1) or "valid"."""

    def __init__(
        self,
        in_channels: int,
        filters: int,
        *,
        kernel_size: int,
        padding: Literal["same", "valid"] = "valid",
        seed: int | None = None,
    ) -> None:
        rng = np.random.default_rng(seed)
        fan_in = kernel_size**2 * in_channels
        self.kernel: Floats = rng.normal(0, fan_in**-0.5, (kernel_size, kernel_size, in_channels, filters)).astype("f4")
        self.bias: Floats = np.zeros(filters, "f4")
        self.kernel_grad: Floats | None = None
        self.bias_grad: Floats | None = None
        self._pad = kernel_size // 2 if padding == "same" else 0
        self._k = kernel_size

    def forward(self, x: Floats) -> Floats:
        p, k = self._pad, self._k
        self._xp = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(self._xp, (k, k), axis=(1, 2))
        self._windows = windows
        return np.einsum("nhwcij,ijcf->nhwf", windows, self.kernel) + self.bias

    def backward(self, grad: Floats) -> Floats:
        p, k = self._pad, self._k
        self.kernel_grad = np.einsum("nhwcij,nhwf->ijcf", self._windows, grad)
        self.bias_grad = grad.sum(axis=(0, 1, 2))
        full = np.pad(grad, ((0, 0), (k - 1, k - 1), (k - 1, k - 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(full, (k, k), axis=(1, 2))
        dxp = np.einsum("nhwfij,ijcf->nhwc", windows, self.kernel[::-1, ::-1])
        return dxp[:, p : dxp.shape[1] - p, p : dxp.shape[2] - p]


class Dropout:
    def __init__(self, rate: float, *, seed: int | None = None) -> None:
        self.rate, self._rng, self.training = rate, np.random.default_rng(seed), True

    def forward(self, x: Floats) -> Floats:
        self._mask = np.ones_like(x)
        if self.training:
            self._mask = (self._rng.random(x.shape) >= self.rate).astype(x.dtype) / x.dtype.type(1 - self.rate)
        return x * self._mask

    def backward(self, grad: Floats) -> Floats:
        return grad * self._mask
