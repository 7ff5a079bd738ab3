"""What a layer refuses, each with one line that names the argument, its value and what was expected."""

import math
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Pair = tuple[int, int]
UNLIKE_ARRAYS = (np.matrix, np.ma.MaskedArray)  # * is another product, entries are left out


def check_array(
    owner: object, name: str, array: Any, shape: tuple[int | str, ...], dtype: Any = None
) -> None:
    """Raise ValueError unless `array` is a float array of `shape`: an int is a fixed size, a letter is free.

    >>> check_array("Dense", "x", np.zeros((2, 3)), ("N", 4))
    Traceback (most recent call last):
    ValueError: Dense: x has shape (2, 3), expected (N, 4)
    """
    if not isinstance(array, np.ndarray) or isinstance(array, UNLIKE_ARRAYS):
        raise ValueError(f"{owner}: {name} is a {type(array).__name__}, expected a NumPy array")
    fits = len(array.shape) == len(shape) and all(
        isinstance(want, str) or size == want for size, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        expected = str(tuple(shape)).replace("'", "")
        raise ValueError(f"{owner}: {name} has shape {array.shape}, expected {expected}")
    if dtype is None and array.dtype not in (np.float32, np.float64):
        raise ValueError(f"{owner}: {name} has dtype {array.dtype}, expected float32 or float64")
    if dtype is not None and array.dtype != dtype:
        raise ValueError(f"{owner}: {name} has dtype {array.dtype}, expected {np.dtype(dtype)}")


def check_size(owner: object, name: str, value: Any, at_least: int = 1) -> int:
    """Return `value` as an int; raise ValueError unless it is a whole number >= at_least."""
    try:
        size = operator.index(value)
    except TypeError:
        size = at_least - 1
    if size < at_least:
        raise ValueError(f"{owner}: {name} is {value!r}, expected an int >= {at_least}")
    return size


def check_number(
    owner: object, name: str, value: float, at_least: float = 0.0, below: float = math.inf
) -> float:
    """Return `value` as a float; raise ValueError unless it is a number, at_least <= value < below."""
    if not isinstance(value, int | float | np.floating) or not at_least <= value < below:  # NaN fails both
        raise ValueError(f"{owner}: {name} is {value!r}, expected {at_least:g} <= {name} < {below:g}")
    return float(value)  # a np.float64 would widen float32 arrays


def check_pair(owner: object, name: str, value: Any, at_least: int = 1) -> Pair:
    """Return a (height, width) pair of ints from an int or a pair; raise ValueError otherwise."""
    height, width = value if isinstance(value, tuple | list) and len(value) == 2 else (value, value)
    try:
        return check_size(owner, name, height, at_least), check_size(owner, name, width, at_least)
    except ValueError:
        raise ValueError(
            f"{owner}: {name} is {value!r}, expected an int >= {at_least} or a (height, width) pair of them"
        ) from None


def check_kernel_fits(owner: object, x: Array, kernel_size: Pair, padding: Pair) -> None:
    """Raise ValueError if the kernel is larger than the padded images (N, C, H, W)."""
    sides = [side + 2 * p for side, p in zip(x.shape[2:], padding, strict=True)]
    if kernel_size[0] > sides[0] or kernel_size[1] > sides[1]:
        raise ValueError(
            f"{owner}: x has {x.shape[2]} x {x.shape[3]} pixels, expected at least kernel_size {kernel_size} "
            f"after padding {padding}"
        )


def check_dtype(owner: object, dtype: Any) -> Any:
    """Return `dtype` as a NumPy dtype; raise ValueError unless it is float32 or float64."""
    if dtype is None or np.dtype(dtype) not in (np.float32, np.float64):
        name = None if dtype is None else np.dtype(dtype)  # np.dtype(None) would be float64
        raise ValueError(f"{owner}: dtype is {name}, expected float32 or float64")
    return np.dtype(dtype)


def check_rng(owner: object, rng: Any) -> np.random.Generator:
    """Return `rng`; raise ValueError unless it is a numpy.random.Generator."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(
            f"{owner}: rng is {rng!r}, expected a numpy.random.Generator: np.random.default_rng(0)"
        )
    return rng


def check_state(owner: object, own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Raise ValueError that lists all missing, unexpected and mis-shaped names; `own` maps name to array."""
    problems = [f"missing {name}" for name in own if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in own]
    problems += [
        f"{name} has shape {tuple(np.shape(state[name]))}, expected {tuple(own[name].shape)}"
        for name in own
        if name in state and np.shape(state[name]) != own[name].shape
    ]
    if problems:
        raise ValueError(f"{owner}: cannot load this state: " + "; ".join(problems))


def cast_state(owner: object, own: Mapping[str, Array], state: Mapping[str, Any]) -> dict[str, Array]:
    """Return `state` in the dtypes of `own`; raise as check_state does, and for what is no such number."""
    check_state(owner, own, state)
    new = {name: np.asarray(state[name]) for name in own}
    problems = [
        f"{name} has dtype {new[name].dtype}, expected {array.dtype}"
        for name, array in own.items()
        if not np.can_cast(new[name].dtype, array.dtype, "same_kind")
    ]
    if problems:
        raise ValueError(f"{owner}: cannot load this state: " + "; ".join(problems))
    return {name: new[name].astype(array.dtype) for name, array in own.items()}
