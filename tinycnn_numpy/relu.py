"""ReLU: let what is positive pass, stop the rest."""

import numpy as np

from tinycnn_numpy.checks import Array, check_array
from tinycnn_numpy.layer import Layer


class ReLU(Layer):
    """out = max(x, 0), entry by entry.

    At x = 0 there is no slope, and PyTorch takes 0.

    Backward: the slope is 1 where x > 0 and 0 elsewhere.

        dx = dout * [x > 0]

    Where x is NaN, out is NaN and dx = dout. Where x is -0.0, PyTorch returns -0.0, and which zero this layer
    returns is left to NumPy: equal numbers. Where the gate is closed, an infinite or NaN dout gives NaN here
    (0 * inf), in PyTorch 0.

    x of any shape -> out of the same shape. Raises ValueError unless x is float32 or float64.
    """

    def forward(self, x: Array) -> Array:
        check_array(self, "x", x, np.shape(x))
        out = np.clip(x, 0, np.inf)
        self.cache = out
        return out

    def backward(self, dout: Array) -> Array:
        out = self.cache
        check_array(self, "dout", dout, out.shape, out.dtype)
        return dout * (out != 0)  # not `out > 0`: a NaN passes its gradient on instead of hiding it
