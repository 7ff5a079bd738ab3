"""How people order the axes of images, rows and weights: from the library's order to theirs and back."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Layout:
    """An order of axes. single: their code takes one image at a time, without the axis of images.

    axes    of theirs, in letters: "NHWC". Where a letter is missing, its size must be 1
    """

    given: str
    returned: str
    single: bool = False

    def split(self, array: Array, ours: str, theirs: str) -> list[Array]:
        """What to call their code with: the batch, or image by image."""
        pieces = [array[i : i + 1] for i in range(len(array))] if self.single else [array]
        return [moved(piece, ours, theirs) for piece in pieces]


def moved(array: Array, ours: str, theirs: str) -> Array:
    """From one order of axes to another. A missing axis has length 1; "1" is an axis of length 1."""
    kept = [axis for axis in theirs if axis != "1"]
    gone = tuple(i for i, axis in enumerate(ours) if axis not in kept)
    if any(array.shape[i] != 1 for i in gone):
        raise ValueError(
            f"an array of shape {array.shape} has axes {ours}, expected length 1 where not {theirs}"
        )
    left = [axis for axis in ours if axis in kept]
    out = array.reshape([n for i, n in enumerate(array.shape) if i not in gone])
    out = out.transpose([left.index(axis) for axis in kept])
    shape = iter(out.shape)
    found: Array = np.ascontiguousarray(out).reshape([1 if axis == "1" else next(shape) for axis in theirs])
    return found


def back(array: Any, theirs: str, ours: str) -> Array:
    """The other way: `theirs` in the order of `ours`; an axis that theirs lacks has length 1."""
    array = np.asarray(array)
    if array.ndim != len(theirs):
        raise ValueError(f"has shape {array.shape}, expected {len(theirs)} axes, {theirs}")
    letters = [axis for axis in theirs if axis != "1"]
    if any(array.shape[i] != 1 for i, axis in enumerate(theirs) if axis == "1"):
        raise ValueError(f"has shape {array.shape}, expected {theirs} with 1 where it says so")
    out = array.reshape([n for n, axis in zip(array.shape, theirs, strict=True) if axis != "1"])
    present = [axis for axis in ours if axis in letters]
    out = out.transpose([letters.index(axis) for axis in present])
    shape = iter(out.shape)
    found: Array = out.reshape([next(shape) if axis in letters else 1 for axis in ours])
    return found


IMAGES = (
    Layout("NCHW", "NCHW"),
    Layout("NHWC", "NHWC"),
    Layout("CHW", "CHW", single=True),
    Layout("HWC", "HWC", single=True),
    Layout("HW", "HWC", single=True),
    Layout("HW", "CHW", single=True),
    Layout("HW", "HW", single=True),
    Layout("CHWN", "CHWN"),
)
ROWS = (
    Layout("NK", "NK"),
    Layout("KN", "KN"),
    Layout("K", "K", single=True),
    Layout("K1", "K1", single=True),
    Layout("1K", "1K", single=True),
)
FLAT = tuple(
    Layout(given, returned, single=len(given) < 4)
    for given in ("NCHW", "NHWC", "CHW", "HWC", "HW")
    for returned in (("NK", "KN") if len(given) == 4 else ("K", "1K", "K1"))
)


@dataclass(frozen=True)
class Weights:
    """How their weight comes from ours: axes in their order, then some of them merged, "F(CHW)"."""

    order: str

    def theirs(self, weight: Array, ours: str) -> Array:
        letters = self.order.replace("(", "").replace(")", "")
        out = moved(weight, ours, letters)
        return out.reshape(self._merged(out.shape)) if "(" in self.order else out

    def ours(self, array: Any, ours: str, shape: Sequence[int]) -> Array:
        """The other way; shape: of our weight."""
        array = np.asarray(array)
        letters = self.order.replace("(", "").replace(")", "")
        sizes = dict(zip(ours, shape, strict=True)) | {"1": 1}
        apart = [sizes[axis] for axis in letters]
        if array.shape != tuple(self._merged(apart)):
            raise ValueError(f"has shape {array.shape}, expected {tuple(self._merged(apart))}")
        return back(array.reshape(apart), letters, ours)

    def _merged(self, apart: Sequence[int]) -> list[int]:
        sizes, inside, found = iter(apart), False, []
        for axis in self.order:
            if axis == "(":
                inside = True
                found.append(1)
            elif axis == ")":
                inside = False
            elif inside:
                found[-1] *= next(sizes)
            else:
                found.append(next(sizes))
        return found


_COMMON = ("FCHW", "HWCF", "FHWC", "CFHW", "F(CHW)", "(CHW)F", "F(HWC)", "(HWC)F", "FHW", "HWF", "HW")
_ALL = [*_COMMON, *("".join(axes) for axes in itertools.permutations("FCHW"))]
KERNELS = tuple(map(Weights, dict.fromkeys(_ALL)))
MATRICES = (Weights("MK"), Weights("KM"))
BIASES = tuple(map(Weights, ("M", "1M", "M1", "111M", "M111", "M11", "1M11", "11M")))
EVERY_PIXEL = Weights("M, one a pixel")  # a bias (F, OH, OW)


def fitting(
    orders: Sequence[Weights], array: Array, ours: str, theirs: Sequence[int] | None
) -> Iterator[Weights]:
    """Those that give an array of their shape; all if it is not known."""
    for order in orders:
        try:
            if theirs is None or order.theirs(array, ours).shape == tuple(theirs):
                yield order
        except ValueError:
            continue
