"""How far two right answers may lie apart: the one place where a tolerance is derived.

Both sides add up the same n products in different orders. Each addition is rounded to a relative eps/2,
up or down as if by chance, so that errors grow like a random walk, with sqrt(n) and not with n. Measured
against the largest entry of the tensor (an entry that cancels to almost nothing has no meaningful
relative error of its own):

    bound = max(4, sqrt(n)) * eps * max|ref|

A tensor of few entries may cancel as a whole, so max|ref| is at least `floor`, the size that a sum of n such
products usually has: sqrt(n) times their root mean square. Where nothing is added up (n = 0: ReLU, flatten,
a max pool whose windows do not overlap) the sides must agree bit for bit. Along a chain of stages each stage
passes its input's error on, and independent errors add like random steps again: n adds up.
"""

import math
from dataclasses import dataclass

import numpy as np

import tinycnn_numpy as tn

# Lockstep training feeds every step's error to the next. Relative to max|ref|, after 200 steps.
LOCKSTEP = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}


@dataclass(frozen=True)
class Sum:
    """n products are added up for each entry of a tensor whose entries are usually as large as `floor`."""

    n: int
    floor: float = 0.0

    def bound(self, dtype, reference: np.ndarray) -> float:
        if self.n == 0:
            return 0.0
        return max(4.0, math.sqrt(self.n)) * float(np.finfo(dtype).eps) * max(largest(reference), self.floor)

    def after(self, n: int) -> "Sum":
        """The same sum when its inputs already carry the errors of n products."""
        return Sum(self.n + n, self.floor)


def largest(array: np.ndarray) -> float:
    """The largest finite magnitude, 0 if there is none."""
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


def sums_of(layer: tn.Layer, x: np.ndarray, dout: np.ndarray) -> dict[str, Sum]:
    """For each tensor that `layer` computes from x and dout: what is added up.

    Raises ValueError for a layer that has no case here: give it one, as a row in parity.twins.
    """

    def products(n: int, *factors: np.ndarray) -> Sum:
        finite = [np.asarray(f[np.isfinite(f)], np.float64) for f in factors]
        return Sum(n, math.sqrt(n) * math.prod(math.sqrt((f**2).mean()) if f.size else 0.0 for f in finite))

    match layer:
        case tn.Conv2D():
            F, C, KH, KW = layer.weight.shape
            pixels = dout.size // F  # N*OH*OW
            return {
                "out": products(C * KH * KW + 1, x, layer.weight),
                "dx": products(F * KH * KW, dout, layer.weight),
                "dweight": products(pixels, dout, x),
                "dbias": products(pixels, dout),
            }
        case tn.Dense():
            return {
                "out": products(layer.in_features + 1, x, layer.weight),
                "dx": products(layer.out_features, dout, layer.weight),
                "dweight": products(len(x), dout, x),
                "dbias": products(len(x), dout),
            }
        case tn.AvgPool2D():
            n = math.prod(layer.kernel_size)
            return {"out": products(n, x / n), "dx": products(n, dout / n)}
        case tn.MaxPool2D():
            overlaps = any(s < k for s, k in zip(layer.stride, layer.kernel_size, strict=True))
            return {"out": Sum(0), "dx": products(math.prod(layer.kernel_size), dout) if overlaps else Sum(0)}
        case tn.ReLU() | tn.Flatten():
            return {"out": Sum(0), "dx": Sum(0)}
    raise ValueError(f"{type(layer).__name__} has no case in parity.tolerance.sums_of, expected one")


def sums_of_loss(logits: np.ndarray, exact: bool = False) -> dict[str, Sum]:
    """For cross-entropy; exp turns a rounding of the logits, unless they are exact, into one of dlogits."""
    N, classes = logits.shape
    Z = largest(logits)
    return {"loss": Sum(N + classes, Z), "dlogits": Sum(classes, (1.0 if exact else max(1.0, Z)) / max(N, 1))}
