"""Dense: every output is a weighted sum of every input."""

import math
from typing import Any

import numpy as np

from tinycnn_numpy.checks import Array, check_array, check_dtype, check_rng, check_size
from tinycnn_numpy.layer import Layer


class Dense(Layer):
    """A matrix product and a bias: torch's nn.Linear.

    Forward, k over the inputs, m over the outputs:

        out[n,m] = bias[m] + sum_k x[n,k] * weight[m,k]

    Backward: each gradient is the product of the other two factors, summed over the index that it does
    not carry:

        dbias[m]     = sum_n dout[n,m]
        dweight[m,k] = sum_n dout[n,m] * x[n,k]
        dx[n,k]      = sum_m dout[n,m] * weight[m,k]

    x (N, in_features) -> out (N, out_features). weight (out_features, in_features), bias (out_features,),
    both uniform within 1/sqrt(in_features) at first, as PyTorch draws them. Raises ValueError for a wrong
    argument, shape or dtype.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ):
        self.in_features = check_size(self, "in_features", in_features)
        self.out_features = check_size(self, "out_features", out_features)
        dtype = check_dtype(self, dtype)
        check_rng(self, rng)
        bound = 1 / math.sqrt(self.in_features)
        self.weight = rng.uniform(-bound, bound, (self.out_features, self.in_features)).astype(dtype)
        self.bias = rng.uniform(-bound, bound, self.out_features).astype(dtype) if bias else None

    def forward(self, x: Array) -> Array:  # (N, in_features)
        check_array(self, "x", x, ("N", self.in_features), self.weight.dtype)
        self.cache = x
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def backward(self, dout: Array) -> Array:  # (N, out_features)
        self.backward_weights(dout)
        return dout @ self.weight

    def backward_weights(self, dout: Array) -> None:
        x = self.cache
        check_array(self, "dout", dout, (len(x), self.out_features), self.weight.dtype)
        if self.bias is not None:
            self.dbias = dout.sum(axis=0)
        self.dweight = dout.T @ x
