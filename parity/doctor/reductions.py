"""A sum, mean or maximum over other axes than those that are meant, or where none is meant."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.bounds import Array
from parity.doctor.arithmetic import geometry
from parity.doctor.evidence import ANY, Cause, Evidence, causes
from parity.rules import windows_of

TENSORS = ("out", "dx", "dweight", "dbias")
REDUCTIONS: dict[str, Callable[..., Any]] = {"sum": np.sum, "mean": np.mean, "largest": np.max}


def subsets(axes: int) -> Iterator[tuple[int, ...]]:
    """Of the axes 0, 1 and so on, some or all."""
    for count in range(1, axes + 1):
        yield from itertools.combinations(range(axes), count)


def in_words(axes: Sequence[int]) -> str:
    return f"{'axes' if len(axes) > 1 else 'axis'} {', '.join(map(str, axes))}"


@causes(ANY, ANY)
def over_other_axes(tensor: str) -> Iterator[Cause]:
    """The right result, or its input, is reduced once more."""
    if tensor not in TENSORS:
        return
    for axes in subsets(4):
        for what, reduce in REDUCTIONS.items():
            for kept in (True, False):
                then = "and stands at each of them" if kept else "and these axes are gone"
                yield Cause(
                    "over-other-axes",
                    f"{tensor} is the {what} over {in_words(axes)} of what it should be, {then}.",
                    partial(reduced, tensor, reduce, axes, kept),
                )


def reduced(
    tensor: str, reduce: Callable[..., Any], axes: tuple[int, ...], kept: bool, e: Evidence
) -> Array | None:
    exact = e.exact[tensor]
    if max(axes) >= exact.ndim:
        return None
    found: Array = reduce(exact, axis=axes, keepdims=kept)
    return np.broadcast_to(found, exact.shape) if kept else found


@causes("ReLU", "out")
@causes("Flatten", "out")
def inputs_reduced() -> Iterator[Cause]:
    for axes, (what, reduce) in itertools.product(subsets(4), REDUCTIONS.items()):
        yield Cause(
            "over-other-axes",
            f"out is the {what} of x over {in_words(axes)}: each number of x has one of its own in out.",
            lambda e, axes=axes, reduce=reduce: (
                reduce(e.x.numpy(), axis=axes) if max(axes) < e.x.ndim else None
            ),
        )


@causes("Conv2D", "dbias")
@causes("Dense", "dbias")
def biases_over_other_axes() -> Iterator[Cause]:
    for axes in subsets(4):
        for what, reduce in REDUCTIONS.items():
            yield Cause(
                "over-other-axes",
                f"dbias is the {what} of dout over {in_words(axes)}: it is the sum over all axes but 1.",
                lambda e, axes=axes, reduce=reduce: (
                    reduce(e.dout.numpy(), axis=axes) if max(axes) < e.dout.ndim else None
                ),
            )


@causes("Conv2D", "dbias")
def biases_as_a_list() -> Iterator[Cause]:
    for axes in subsets(4):
        yield Cause(
            "over-other-axes",
            f"dbias is the sum of dout over {in_words(axes)}, as a list: it is that over all axes but 1.",
            lambda e, axes=axes: e.dout.numpy().sum(axis=axes).ravel(),
        )


@causes("MaxPool2D", "out")
@causes("AvgPool2D", "out")
def windows_over_other_axes() -> Iterator[Cause]:
    """Of the windows (N, C, OH, OW, KH, KW) axes 4 and 5 are reduced."""
    for axes in subsets(6):
        for what in ("mean", "largest"):
            if axes != (4, 5):
                yield Cause(
                    "over-other-axes",
                    f"out is the {what} of the windows, (N, C, OH, OW, KH, KW), over {in_words(axes)}: "
                    "it is that over axes 4, 5.",
                    lambda e, axes=axes, what=what: REDUCTIONS[what](windows(e), axis=axes),
                )


def windows(e: Evidence) -> Array:
    """(N, C, OH, OW, KH, KW)"""
    fill = -np.inf if e.kind == "MaxPool2D" else 0.0
    (N, C), (OH, OW), (KH, KW) = e.x.shape[:2], e.dout.shape[2:], geometry(e)[0]
    found: Array = windows_of(e.stage, e.x, fill).numpy().reshape(N, C, KH, KW, OH, OW)
    return found.transpose(0, 1, 4, 5, 2, 3)
