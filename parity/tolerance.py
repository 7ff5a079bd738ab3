"""How far two right answers may lie apart: the one place where a tolerance is derived.

Both sides add up the same n products in different orders. Each addition is rounded to a relative eps/2,
up or down as if by chance, so that errors grow like a random walk, with sqrt(n) and not with n. Measured
against the largest entry of the tensor (an entry that cancels to almost nothing has no meaningful
relative error of its own):

    bound = max(4, sqrt(n)) * eps * max|ref|

Where a tensor has few entries, all of them may cancel, so max|ref| is at least one largest possible
product, `term`. Where nothing is added up (n = 0: ReLU, flatten, a max pool whose windows do not overlap)
the sides must agree bit for bit. Along a chain of stages each stage passes its input's error on, and
independent errors add like random steps again: n adds up.
"""

import math
from dataclasses import dataclass

import numpy as np

import tinycnn_numpy as tn

# Lockstep training feeds every step's error to the next. Relative to max|ref|, after 200 steps.
LOCKSTEP = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}


@dataclass(frozen=True)
class Sum:
    """n products are added up for each entry of a tensor, none larger than `term`."""

    n: int
    term: float = 0.0

    def bound(self, dtype: np.dtype, reference: np.ndarray) -> float:
        if self.n == 0:
            return 0.0
        scale = max(largest(reference), self.term)
        return max(4.0, math.sqrt(self.n)) * float(np.finfo(dtype).eps) * scale

    def after(self, n: int) -> "Sum":
        """The same sum when its inputs already carry the errors of n products."""
        return Sum(self.n + n, self.term)


def largest(array: np.ndarray) -> float:
    """The largest finite magnitude, 0 if there is none."""
    magnitudes = np.abs(array[np.isfinite(array)])
    return float(magnitudes.max(initial=0.0))


def sums_of(layer: tn.Layer, x: np.ndarray, dout: np.ndarray) -> dict[str, Sum]:
    """For each tensor that `layer` computes from x and dout: what is added up.

    A layer that is not of this library counts as exact: give it a row here, as in parity.twins.
    """
    X, D = largest(x), largest(dout)
    match layer:
        case tn.Conv2D():
            W, (F, C, KH, KW) = largest(layer.weight), layer.weight.shape
            pixels = dout.size // F  # N*OH*OW
            return {
                "out": Sum(C * KH * KW + 1, X * W),
                "dx": Sum(F * KH * KW, D * W),
                "dweight": Sum(pixels, D * X),
                "dbias": Sum(pixels, D),
            }
        case tn.Dense():
            W, (M, K) = largest(layer.weight), layer.weight.shape
            return {
                "out": Sum(K + 1, X * W),
                "dx": Sum(M, D * W),
                "dweight": Sum(len(x), D * X),
                "dbias": Sum(len(x), D),
            }
        case tn.AvgPool2D():
            n = math.prod(layer.kernel_size)
            return {"out": Sum(n, X / n), "dx": Sum(n, D / n)}
        case tn.MaxPool2D():
            overlaps = any(s < k for s, k in zip(layer.stride, layer.kernel_size, strict=True))
            return {"out": Sum(0), "dx": Sum(math.prod(layer.kernel_size) if overlaps else 0, D)}
    return {"out": Sum(0), "dx": Sum(0)}


def sums_of_loss(logits: np.ndarray) -> dict[str, Sum]:
    """For cross-entropy: exp turns a rounding of the logits into a relative error of the probabilities."""
    N, classes = logits.shape
    Z = largest(logits)
    return {"loss": Sum(N + classes, Z), "dlogits": Sum(classes, max(1.0, Z) / max(N, 1))}
