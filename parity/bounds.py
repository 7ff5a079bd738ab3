"""How far a right answer may lie from the exact one: the one place where a tolerance is computed.

PyTorch in float64 gives the exact answer. Beside the value of every entry goes its variance: the square of
the error that rounding usually leaves there. A sum of n products p_k is rounded n times, each time by at
most u = eps/2 of the sum so far, up or down as if by chance, so the squares of the errors add up. In an order
that does not depend on their sizes, the square of the sum so far is on average at most
sum p_k^2 + (sum p_k)^2. So

    variance = n * u^2 * (sum_k p_k^2 + (sum_k p_k)^2)

(after Higham and Mary, SIAM J. Sci. Comput. 2019 and 2020; an order chosen to make the partial sums large may
exceed it), and sum p_k^2 is what the same layer gives for squared weights and squared inputs. Input errors
propagate: an input with an error adds that error times its weight, and again the squares add up, which is the
layer of squares applied to the input's variance. Forward and backward, nothing more is needed. The bound is
four times the root of the variance. Where it overflows, as squares of 1e200 do, nothing is said of a number.

Each variance is raised to at least its tensor's mean: a Fourier transform, which is a right way to convolve,
spreads its rounding over the image. ReLU, flatten and a max pool whose windows do not overlap round nothing:
for equal inputs they must agree bit for bit.

But they branch. Where a ReLU's input lies within its own bound of 0, or two entries of a pooling window
within theirs of each other, a right answer may send the gradient here or there. Such a place is a witness,
and `slack` carries along, by absolute weights, how much it may move each gradient behind it.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]

ROOTS = 4.0  # bound = ROOTS * sqrt(variance)
TINY = float(np.finfo(np.float32).tiny)  # below this numbers lose digits, and then vanish


@dataclass(frozen=True)
class Exact:
    """The exact value of every entry, the bound on a right answer's rounding, and what a branch may add."""

    value: Array
    bound: Array
    slack: Array


@dataclass
class Known:
    """A tensor of the exact run and the variance and slack of a right answer; all three have one shape."""

    value: Tensor
    variance: Tensor
    slack: Tensor

    def numpy(self) -> Exact:
        bound = (ROOTS * self.variance.sqrt()).numpy()
        return Exact(self.value.numpy(), bound, self.slack.numpy())


@dataclass(frozen=True)
class Witness:
    """Why a gradient cannot be judged: at `index` of the input of `stage` rounding decides."""

    stage: str
    index: tuple[int, ...]
    gap: float  # from 0, or from the largest of the window
    bound: float

    def __str__(self) -> str:
        place = f"{self.stage}: x[{', '.join(map(str, self.index))}]"
        return f"{place} is {self.gap:.1e} from the turning point, rounding may move it by {self.bound:.1e}"


def unit(dtype: Any) -> float:
    """u of a comparison: the rounding of `dtype`, and of the float64 that it is held against."""
    return math.hypot(np.finfo(dtype).eps / 2, np.finfo(np.float64).eps / 2)


def exactly(array: Array) -> Known:
    """An input without an error."""
    return certain(torch.from_numpy(np.array(array, np.float64, order="C")))


def certain(value: Tensor) -> Known:
    return Known(value, torch.zeros_like(value), torch.zeros_like(value))


def spread(variance: Tensor, images: bool) -> Tensor:
    """Raise each variance to its tensor's or its image's mean, and above the smallest normal number.

    One that is NaN has overflowed on its way, as an infinite one has.
    """
    variance = torch.where(variance.isnan(), math.inf, variance)
    finite = torch.where(variance.isfinite(), variance, 0.0)
    mean = finite.flatten(1).mean(dim=1).reshape(-1, *[1] * (variance.ndim - 1)) if images else finite.mean()
    return torch.maximum(variance, mean) + TINY**2


def pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)
