"""Which entries of a tensor are wrong, in words: the picture that a heat map draws."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.bounds import Array, pair
from parity.doctor.evidence import AXES, Evidence
from parity.doctor.search import tolerance

IN_A_DENSE_LAYER = {"out": ("image", "output"), "dx": ("image", "input"), "dweight": ("output", "input")}
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def picture(tensor: str, e: Evidence) -> str:
    """Where the wrong entries of a run stand, what is there instead, and the first of them."""
    given, exact = e.given[tensor], e.exact[tensor]
    if given.shape != exact.shape:
        axes = [axis for axis in range(min(given.ndim, exact.ndim)) if given.shape[axis] != exact.shape[axis]]
        what = f", axis {axes[0]} differs" if given.ndim == exact.ndim and axes else ""
        return f"{tensor} has shape {given.shape}, expected {exact.shape}{what}."
    off = off_by(given, exact) > tolerance(e, tensor, 1)
    if not off.any():  # by little more than rounding
        off = off_by(given, exact) == off_by(given, exact).max()
    first = tuple(np.argwhere(off)[0].tolist())
    at = f"{tensor}[{','.join(map(str, first))}]" if first else tensor
    numbers = f"First: {at} is {given[first]:.6g}, expected {exact[first]:.6g}."
    return f"{tensor}: {where(off, tensor, e)}{instead(given[off], exact[off])}. {numbers}"


def off_by(given: Array, exact: Array) -> Array:
    same = (given == exact) | (np.isnan(given) & np.isnan(exact))
    with np.errstate(invalid="ignore"):
        off: Array = np.abs(np.where(same, 0.0, given.astype(np.float64) - exact))
    return np.where(np.isnan(off), np.inf, off)


def where(off: Mask, tensor: str, e: Evidence) -> str:
    """The first region that holds the wrong entries and no other; else the smallest that holds them all."""
    if off.size == 1:
        return "the number is wrong"
    if off.all():
        return f"all {off.size} entries are wrong"
    for name, region in regions(tensor, e, off.shape):
        if region.any() and (region == off).all():
            return f"all {off.sum()} entries {name} are wrong, the others right"
    for axis, name in enumerate(names_of(tensor, e)[: off.ndim]):
        hit = np.flatnonzero(off.any(axis=tuple(a for a in range(off.ndim) if a != axis)))
        if len(hit) < off.shape[axis] and len(hit) <= 2:
            places = " and ".join(map(str, hit.tolist()))
            some = f"{name}s {places}" if len(hit) > 1 else f"{name} {places}"
            return f"{off.sum()} of {off.size} entries are wrong, all of them in {some}"
    for name, region in regions(tensor, e, off.shape):
        if not (off & ~region).any() and region.sum() <= off.size / 2:
            return f"{off.sum()} of {off.size} entries are wrong, all of them {name}"
    return f"{off.sum()} of {off.size} entries are wrong"


def names_of(tensor: str, e: Evidence) -> tuple[str, ...]:
    if e.kind in ("SGD", "Adam"):
        return ("step",)
    return (IN_A_DENSE_LAYER if e.kind == "Dense" else {}).get(tensor, AXES.get(tensor, ()))


def regions(tensor: str, e: Evidence, shape: tuple[int, ...]) -> Iterator[tuple[str, Mask]]:
    """Parts of a tensor that have a name, from the simple to the particular."""
    names, index = names_of(tensor, e), np.indices(shape)
    for axis, name in enumerate(names[: len(shape)]):
        for i in range(shape[axis]):
            yield f"of {name} {i}", index[axis] == i
    for axis, name in enumerate(names[: len(shape)]):
        for i in range(shape[axis]):
            yield f"from {name} {i} on", index[axis] >= i
            yield f"outside {name} {i}", index[axis] != i
    if len(shape) == 4 and tensor in ("out", "dx"):
        edge = [(index[axis] == 0) | (index[axis] == shape[axis] - 1) for axis in (2, 3)]
        yield "at the border", edge[0] | edge[1]
        yield "inside the border", ~(edge[0] | edge[1])
        if hasattr(e.stage, "stride"):
            for axis, step in zip((2, 3), pair(e.stage.stride), strict=True):
                for phase in range(step if step > 1 else 0):
                    which = f"of the {names[axis]}s {phase}, {phase + step}, {phase + 2 * step} ..."
                    yield which, index[axis] % step == phase
    for name in ("x", "dout", "logits"):
        if name in e.inputs and e.inputs[name].shape == shape:
            array = e.inputs[name].numpy()
            yield f"where {name} is negative", array < 0
            yield f"where {name} is 0", array == 0
            yield f"where {name} is positive", array > 0
            yield f"where {name} is not positive", array <= 0
    exact = e.exact[tensor]
    yield "that should be negative", exact < 0
    yield "that should be positive", exact > 0
    yield "that should not be 0", exact != 0
    if e.kind == "CrossEntropyLoss" and tensor == "dlogits":
        yield "at the labels", index[1] == e.labels.numpy()[:, None]
    for one, other in itertools.combinations(range(min(len(names), len(shape))), 2):
        for i, j in ((0, 0), (shape[one] - 1, shape[other] - 1)):
            what = f"of {names[one]} {i}, {names[other]} {j}"
            yield what, (index[one] == i) & (index[other] == j)


def instead(given: Array, exact: Array) -> str:
    """What the wrong entries have in common."""
    if np.isnan(given).all():
        return ", yours are NaN"
    if (given == given.flat[0]).all():
        return f", yours are {given.flat[0]:.6g}" if given.size > 1 else ""
    with np.errstate(all="ignore"):
        if (np.sign(given) == -np.sign(exact)).all():
            return ", yours have the other sign"
        if (np.abs(given) > np.abs(exact)).all():
            return ", yours are too large"
        if (np.abs(given) < np.abs(exact)).all():
            return ", yours are too small"
    return ""
