"""Dropout: in training every number is left out with probability p, so that no other may rely on it."""

import numpy as np

from tinycnn_numpy.checks import Array, check_array, check_number, check_rng
from tinycnn_numpy.layer import Layer


class Dropout(Layer):
    """Inverted dropout: torch's nn.Dropout. What is kept grows by 1 / (1 - p), so that the mean stays.

    Forward in training, mask = 1 with probability 1 - p and 0 with probability p, drawn anew by `rng`:

        out = x * mask / (1 - p)

    Backward: out is linear in x, and each number keeps the factor that it had.

        dx = dout * mask / (1 - p)

    In evaluation out = x. Then dx = dout.

    x of any shape -> out of the same shape. Raises ValueError for a wrong argument, shape or dtype; p = 1,
    which PyTorch takes and which leaves nothing, is one.
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator):
        self.p = check_number(self, "p", p, below=1)
        self.rng = check_rng(self, rng)

    def forward(self, x: Array) -> Array:
        check_array(self, "x", x, np.shape(x))
        factor = np.ones_like(x)
        if self.training:
            mask = self.rng.random(x.shape) >= self.p
            factor = mask / x.dtype.type(1 - self.p)
        self.cache = factor
        return x * factor

    def backward(self, dout: Array) -> Array:
        factor = self.cache
        check_array(self, "dout", dout, factor.shape, factor.dtype)
        return dout * factor
