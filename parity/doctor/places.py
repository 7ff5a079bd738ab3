"""The right numbers of windows at wrong places: moved, cut, counted along the wrong axis, or turned."""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity.bounds import Array
from parity.doctor.anything import recomputed
from parity.doctor.arithmetic import geometry, scatter
from parity.doctor.convolution import dwindows
from parity.doctor.evidence import ANY, Cause, Evidence, Page, causes
from parity.doctor.families import regridded, windows_at
from parity.doctor.pooling import given_back, shares
from parity.doctor.reductions import in_words
from parity.rules import windows_of


def gradients_of_windows(e: Evidence) -> Tensor:
    """(N, C, KH*KW, OH*OW), before they are added to the pixels."""
    if e.kind == "Conv2D":
        return dwindows(e)
    return shares(e, "first" if e.kind == "MaxPool2D" else "spread") * e.dout.flatten(2)[:, :, None]


def padded_dx(e: Evidence) -> Array:
    return scatter(e, gradients_of_windows(e))


# dx


@causes("Conv2D", "dx")
@causes("MaxPool2D", "dx")
@causes("AvgPool2D", "dx")
def moved() -> Iterator[Cause]:
    inside = "dx = dx_padded[:, :, PH:PH+H, PW:PW+W]"
    cuts: tuple[tuple[str, Any], ...] = (
        ("cropped at the top and left only", lambda image, PH, PW: image[:, :, PH:, PW:]),
        ("cropped at the bottom and right only",
         lambda image, PH, PW: image[:, :, : image.shape[2] - PH, : image.shape[3] - PW]),
        ("cropped by :-P, which leaves nothing where P is 0", lambda image, PH, PW: image[:, :, :-PH, :-PW]),
        ("cropped from the rows only", lambda image, PH, PW: image[:, :, PH : image.shape[2] - PH]),
        ("cropped from the columns only", lambda image, PH, PW: image[..., PW : image.shape[3] - PW]),
        ("cropped twice",
         lambda image, PH, PW: image[:, :, 2 * PH : -2 * PH or None, 2 * PW : -2 * PW or None]),
    )  # fmt: skip
    for where, cut in cuts:
        yield Cause(
            "padding-cropped",
            f"the padding is {where}: {inside}.",
            partial(dx_cut, cut),
        )
    steps: dict[str, Any] = {
        f"by {down} rows down and {right} columns to the right": (down, right)
        for down, right in itertools.product((-2, -1, 0, 1, 2), repeat=2)
    }
    steps |= {
        "by KW - KH rows and KH - KW columns": lambda e: np.subtract(geometry(e)[0][::-1], geometry(e)[0]),
        "by the remainder, the last rows and columns that no window reads": remainders,
        "by PH rows and PW columns down and to the right": lambda e: geometry(e)[2],
        "by KH - 1 rows and KW - 1 columns down and to the right": lambda e: np.subtract(geometry(e)[0], 1),
        "by KH - 1 rows and KW - 1 columns up and to the left": lambda e: np.subtract(1, geometry(e)[0]),
    }
    for what, by in steps.items():
        yield Cause(
            "moved",
            f"dx is moved {what}: {inside}, and window h, w starts at row h*S, column w*S of dx_padded.",
            partial(dx_moved, by),
        )


def dx_cut(cut: Any, e: Evidence) -> Any:
    return cut(padded_dx(e), *geometry(e)[2])


def dx_moved(by: Any, e: Evidence) -> Array | None:
    """The crop of the padded dx at another place; 0 comes in from outside."""
    (PH, PW), (H, W), (down, right) = geometry(e)[2], e.x.shape[2:], map(int, by(e) if callable(by) else by)
    if (down, right) == (0, 0):
        return None
    room = 2 + abs(down) + abs(right)
    image = np.pad(padded_dx(e), [(0, 0), (0, 0), (room, room), (room, room)])
    top, left = PH + room - down, PW + room - right
    return image[:, :, top : top + H, left : left + W]


def remainders(e: Evidence) -> tuple[int, ...]:
    """How many last rows and columns of the padded image no window reads."""
    return tuple((side + 2 * P - K) % S for side, K, S, P in zip(e.x.shape[2:], *geometry(e), strict=True))


# a loop over out, or over the kernel, that is too short


@causes("Conv2D", ANY)
@causes("MaxPool2D", ANY)
@causes("AvgPool2D", ANY)
def shorter_loops(tensor: str) -> Iterator[Cause]:
    if tensor not in ("out", "dx", "dweight"):
        return
    for axis, what in ((2, "rows"), (3, "columns")):
        yield Cause(
            "height-for-width",
            f"{tensor} lacks the last {what} of out, as by a loop that ends where the other axis does.",
            partial(of_fewer_windows, tensor, axis),
        )
    parts: dict[str, tuple[str, Callable[[int, int], slice]]] = {
        "as by a loop that ends where the other axis does": (
            "height-for-width",
            lambda own, other: slice(0, other),
        ),
        "the first of them, as by range(1, n)": ("first-skipped", lambda own, other: slice(1, None)),
        "the last of them, as by range(n - 1)": ("last-skipped", lambda own, other: slice(0, own - 1)),
    }
    for (how, (code, part)), axis, again in itertools.product(parts.items(), (0, 1), (False, True)):
        what = ("rows", "columns")[axis]
        yield Cause(
            code,
            f"{tensor} leaves out {what} of the window, {how}"
            + (", where the winner is sought." if again else "."),
            partial(of_smaller_windows, tensor, axis, part, again),
        )


def of_fewer_windows(tensor: str, axis: int, e: Evidence) -> Any:
    kept = torch.zeros_like(e.dout)
    kept.narrow(axis, 0, min(e.dout.shape[axis], e.dout.shape[5 - axis])).fill_(1)
    if tensor == "out":
        return e.exact["out"] * kept.numpy()
    return recomputed(e, tensor, dout=e.dout * kept)


def of_smaller_windows(
    tensor: str, axis: int, part: Callable[[int, int], slice], again: bool, e: Evidence
) -> Any:
    """Without some rows or columns of every window; again: a max pool seeks its winner without them."""
    kernel = geometry(e)[0]
    kept = torch.zeros(kernel, dtype=torch.float64)
    kept.movedim(axis, 0)[part(kernel[axis], kernel[1 - axis])] = 1
    if not kept.any() or again != (e.kind == "MaxPool2D" and (again or tensor == "out")):
        return None
    if e.kind == "Conv2D":
        if tensor == "dweight":
            return e.exact["dweight"] * kept.numpy()
        return recomputed(e, tensor, weight=e.weight * kept)
    mask = kept.reshape(1, 1, -1, 1)
    if again:
        windows = windows_of(e.stage, e.x, -math.inf).masked_fill(mask == 0, -math.inf)
        if tensor == "out":
            return windows.amax(dim=2).reshape(e.dout.shape)
        winner = torch.zeros_like(windows).scatter(2, windows.argmax(dim=2, keepdim=True), 1.0)
        return given_back(e, winner)
    if tensor == "out":
        return (windows_of(e.stage, e.x, 0.0) * mask).mean(dim=2).reshape(e.dout.shape)
    return given_back(e, shares(e, "first" if e.kind == "MaxPool2D" else "spread") * mask)


# a window that is KW high and KH wide


@causes("MaxPool2D", "out")
@causes("AvgPool2D", "out")
@causes("Conv2D", "out")
def windows_turned() -> Iterator[Cause]:
    for sized, poured in itertools.product((True, False), repeat=2):
        yield Cause(
            "height-for-width",
            "the windows are KW high and KH wide: they have KH rows and KW columns.",
            partial(of_windows_turned, sized, poured),
        )


def of_windows_turned(sized: bool, poured: bool, e: Evidence) -> Any:
    """sized: as many windows as follow from the turned kernel; poured: the weight has its shape."""
    K, S, P = geometry(e)
    turned = K[::-1]
    if turned == K:
        return None
    sizes: Any = e.dout.shape[2:]
    if sized:
        sizes = [(L + 2 * p - k) // s + 1 for L, k, s, p in zip(e.x.shape[2:], turned, S, P, strict=True)]
    windows = windows_at(e.x, turned, S, P, sizes, -math.inf if e.kind == "MaxPool2D" else 0.0)
    if e.kind == "Conv2D":
        weight = e.weight.reshape(*e.weight.shape[:2], *turned) if poured else e.weight
        out = np.einsum("nchwij,fcij->nfhw", windows.numpy(), weight.numpy())  # length 1 broadcasts
        return out + (e.bias.numpy()[:, None, None] if "bias" in e.inputs else 0.0)
    return windows.amax(dim=(4, 5)) if e.kind == "MaxPool2D" else windows.mean(dim=(4, 5))


# a stride that is not given


@causes("MaxPool2D", ANY)
@causes("AvgPool2D", ANY)
def without_a_stride(tensor: str) -> Iterator[Cause]:
    for step, keep in itertools.product((1, 2, 3), (False, True)):
        if tensor in ("out", "dx"):
            yield Cause(
                "stride-ignored",
                f"without a stride the windows step by {step}: the stride is then the size of the window.",
                partial(stepping_by, tensor, step, keep),
            )


def stepping_by(tensor: str, step: int, keep: bool, e: Evidence) -> Tensor | None:
    K, S, _ = geometry(e)
    return regridded(e, tensor, keep, lambda K, S: (step, step)) if S == K else None


# a kernel turned along the wrong axes


@causes("Conv2D", ANY)
def kernels_turned(tensor: str) -> Iterator[Cause]:
    if tensor not in ("out", "dx"):
        return
    for count in (2, 3, 4):
        for axes in itertools.combinations(range(4), count):
            if axes != (2, 3):
                yield reversed_along(tensor, axes)
                yield reversed_along(tensor, tuple(sorted({*axes} ^ {2, 3})))
    right = "out takes it as it is" if tensor == "out" else "a full correlation needs it turned by 180"
    for times in (1, -1):
        yield Cause(
            "kernel-flipped",
            f"the kernel is turned by 90 degrees: {right}.",
            partial(with_weight, tensor, partial(torch.rot90, k=times, dims=(2, 3))),
        )


def reversed_along(tensor: str, axes: tuple[int, ...]) -> Cause:
    """A full correlation reverses 2, 3; by one that reverses other axes dx is as by the rest of both."""
    sentence = f"{tensor} is as where the weight is reversed along {in_words(axes)} of (F, C, KH, KW)"
    if tensor == "out":
        sentence += ", or what it meets is: nothing is reversed"
    else:
        full = in_words(sorted({*axes} ^ {2, 3}))
        sentence += f", or in a full correlation along {full}, where axes 2, 3 are meant"
    return Cause(
        "kernel-flipped", f"{sentence}.", partial(with_weight, tensor, partial(torch.flip, dims=axes))
    )


def with_weight(tensor: str, change: Callable[[Tensor], Tensor], e: Evidence) -> Any:
    return recomputed(e, tensor, weight=change(e.weight)) if "weight" in e.inputs else None


PAGES = [
    Page(
        "moved",
        kind="AvgPool2D",
        what="dx is right, but some rows or columns away from its place.",
        right="dx = padded[:, :, PH : PH + H, PW : PW + W]",
        wrong="""
        padded = np.pad(padded, [(0, 0), (0, 0), (1, 0), (1, 0)])
        dx = padded[:, :, PH : PH + H, PW : PW + W]
        """,
        why="""A padding of K in place of K - 1, or an offset that is added twice, moves every gradient to the
        pixel beside its own. The shape is right, so nothing but numbers shows it.""",
    ),
]
