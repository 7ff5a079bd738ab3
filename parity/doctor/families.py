"""Families of mistakes for every layer: a part left out, an index that is fixed, other steps, less precision.

One generator predicts them all: the right function of inputs (or the right result) of which one thing is
changed, axis by axis.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity.bounds import Array
from parity.doctor.anything import recomputed
from parity.doctor.arithmetic import geometry
from parity.doctor.evidence import ANY, AXES, Cause, Evidence, Page, causes

Change = Callable[[Tensor, int], Tensor]
INPUTS = {
    "x": AXES["dx"],
    "dout": AXES["out"],
    "weight": AXES["dweight"],
    "logits": ("image", "class"),
}
LIMITS = (1, 5, 6, 10, 20, 30, 50, 80, 88, 100, 500, 700)
PRECISIONS = {"float16": np.float16, "float32": np.float32}


def some(keep: Callable[[int], slice]) -> Change:
    """0 outside of a slice along one axis."""

    def change(array: Tensor, axis: int) -> Tensor:
        changed = torch.zeros_like(array)
        part = keep(array.shape[axis])
        index = tuple(part if a == axis else slice(None) for a in range(array.ndim))
        changed[index] = array[index]
        return changed

    return change


def fixed(index: int) -> Change:
    return lambda array, axis: array.select(axis, index).unsqueeze(axis).expand_as(array)


CHANGES: tuple[tuple[str, str, Change], ...] = (
    ("last-skipped", "leaves out the last {}, as by range(n - 1) or [:-1]",
     some(lambda n: slice(0, n - 1))),
    ("first-skipped", "leaves out the first {}, as by range(1, n) or [1:]", some(lambda n: slice(1, n))),
    ("first-only", "has only the first {}, as by a return inside the loop or an index that stays 0",
     some(lambda n: slice(0, 1))),
    ("last-only", "has only the last {}, as by a line outside its loop, or zeros made anew inside it",
     some(lambda n: slice(n - 1, n))),
    ("index-fixed", "has the numbers of {} 0 everywhere, as by an index that stays 0, or an array filled "
     "at once",
     fixed(0)),
    ("index-fixed", "has the numbers of the last {} everywhere, as by the index of a loop that is over, or "
     "a whole array filled at once", fixed(-1)),
    ("reversed", "is read in reverse, the last {} first", lambda array, axis: array.flip(axis)),
    ("off-by-one", "is read one {} too early", lambda array, axis: array.roll(1, axis)),
    ("off-by-one", "is read one {} too late", lambda array, axis: array.roll(-1, axis)),
)  # fmt: skip


@causes(ANY, ANY)
def parts_of_arrays(tensor: str) -> Iterator[Cause]:
    """Of the result, or of an input, a part along one axis is left out or stands for all."""
    if tensor.startswith("kept"):
        return
    names = AXES.get(tensor, AXES["dweight"])
    for (axis, name), (code, what, change) in itertools.product(enumerate(names), CHANGES):
        yield Cause(
            code,
            f"{tensor} {what.format(name)}.",
            lambda e, axis=axis, change=change: changed(
                torch.from_numpy(np.array(e.exact[tensor])), axis, change
            ),
        )
    for of, names in INPUTS.items():
        for (axis, name), (code, what, change) in itertools.product(enumerate(names), CHANGES):
            more = others_of(tensor, of, axis, code)
            yield Cause(
                code,
                f"{of}, from which {tensor} is computed, {what.format(name)}{more}.",
                lambda e, of=of, axis=axis, change=change: with_input(
                    e, tensor, of, lambda array: changed(array, axis, change)
                ),
            )


def others_of(tensor: str, of: str, axis: int, code: str) -> str:
    """What the same numbers may also come of: in dweight images of x meet images of dout."""
    if code not in ("off-by-one", "reversed"):
        return ""
    meets = {"x": "dout", "dout": "x"}.get(of) if tensor == "dweight" and not axis else None
    if meets:
        return f", or {meets} {'the other way' if code == 'off-by-one' else 'is'}"
    if (tensor, of, code) == ("dx", "weight", "reversed") and axis >= 2:
        return f", or a full correlation has not turned its {AXES['dweight'][axis]}s"
    return ", against what it meets"


def changed(array: Tensor, axis: int, change: Change) -> Tensor | None:
    """None along an axis that is not there."""
    return change(array, axis) if axis < array.ndim else None


def with_input(e: Evidence, tensor: str, of: str, change: Callable[[Tensor], Tensor | None]) -> Any:
    """The right result of an input that is changed."""
    new = change(e.inputs[of]) if of in e.inputs else None
    return None if new is None else recomputed(e, tensor, **{of: new})


@causes(ANY, ANY)
def other_numbers(tensor: str) -> Iterator[Cause]:
    """Too little precision, a limit, a constant, decay in a gradient."""
    if tensor.startswith("kept"):
        return
    for name, dtype in PRECISIONS.items():
        sentence = "is computed in " + name + ": keep the dtype of x."
        for of in INPUTS:
            yield Cause(
                "precision-lost",
                f"{tensor}: {of} {sentence}".replace("is computed in", "is rounded to"),
                lambda e, of=of, dtype=dtype: (
                    with_input(e, tensor, of, lambda array: coarse(array, dtype))
                    if is_coarser(e, dtype)
                    else None
                ),
            )
        yield Cause(
            "precision-lost",
            f"{tensor} {sentence}",
            lambda e, dtype=dtype: e.given[tensor] if is_coarse(e, tensor, dtype) else None,
        )
    for of, limit in itertools.product(("x", "logits"), LIMITS):
        yield Cause(
            "clipped",
            f"{of} is clipped at {limit}: {tensor} is wrong beyond.",
            lambda e, of=of, limit=limit: with_input(e, tensor, of, lambda array: array.clamp(-limit, limit)),
        )
    for what, fit, predict in (
        ("above {}", lambda e: limit_of(e, tensor, 1), lambda e, top: np.minimum(e.exact[tensor], top)),
        ("below {}", lambda e: limit_of(e, tensor, -1), lambda e, low: np.maximum(e.exact[tensor], low)),
        (
            "beyond -{} and {}",
            lambda e: limit_of(e, tensor, 1),
            lambda e, top: e.exact[tensor].clip(-top, top),
        ),
    ):
        yield Cause(
            "clipped",
            f"no entry of {tensor} is {what}: those that should be are clipped, or are set to it.",
            predict,
            fit=fit,
        )
    yield Cause(
        "constant-added",
        f"{{}} is added to every entry of {tensor}.",
        lambda e, number: e.exact[tensor] + number,
        fit=lambda e: along(e, tensor, np.ones_like(e.exact[tensor])),
    )
    of = tensor[1:]
    if of in ("weight", "bias"):
        yield Cause(
            "decay-in-gradient",
            f"{tensor} contains {{}} * {of}: weight decay belongs in the optimiser, or it counts twice.",
            lambda e, number: e.exact[tensor] + number * e.inputs[of].numpy(),
            fit=lambda e: along(e, tensor, e.inputs[of].numpy()) if of in e.inputs else None,
        )


def coarse(array: Tensor, dtype: Any) -> Tensor:
    return torch.from_numpy(array.numpy().astype(dtype).astype(np.float64))


def is_coarser(e: Evidence, dtype: Any) -> bool:
    return bool(np.dtype(dtype).itemsize < e.precision)


def is_coarse(e: Evidence, tensor: str, dtype: Any) -> bool:
    """Whether a result is the right one up to the rounding of `dtype`, and all its numbers are of that."""
    given, exact = e.given[tensor], e.exact[tensor]
    if not is_coarser(e, dtype) or given.shape != exact.shape or not np.isfinite(given).all():
        return False
    with np.errstate(over="ignore"):
        rounded = given.astype(dtype).astype(np.float64)
    close = 50.0 * float(np.finfo(dtype).eps) * max(1.0, float(np.abs(exact).max(initial=0.0)))
    return bool((rounded == given).all() and np.abs(given - exact).max(initial=0.0) <= close)


def limit_of(e: Evidence, tensor: str, sign: int) -> float | None:
    """The largest number given, if it stands there twice where larger ones should."""
    given, exact = sign * e.given[tensor], sign * e.exact[tensor]
    if given.shape != exact.shape or not given.size:
        return None
    top = given.max()
    return float(sign * top) if ((given == top) & (exact > top)).sum() > 1 else None


def along(e: Evidence, tensor: str, direction: Array) -> float | None:
    """How often `direction` is added to the right answer."""
    given, exact = e.given[tensor], e.exact[tensor]
    if not given.shape == exact.shape == direction.shape or given.size < 2 or not np.isfinite(given).all():
        return None
    size = float((direction * direction).sum())
    return float(((given - exact) * direction).sum()) / size if size else None


# Other steps and other padding, on one axis or on both.


@causes("Conv2D", ANY)
@causes("MaxPool2D", ANY)
@causes("AvgPool2D", ANY)
def other_geometry(tensor: str) -> Iterator[Cause]:
    """Windows that start at h*S - P with another S or P, as many as there should be or as follow from it."""
    formula = "window h, w starts at row h*SH - PH and column w*SW - PW"
    steps: dict[str, Any] = {
        "stride-ignored": (
            ("the stride is taken as 1", lambda K, S: (1, 1)),
            ("the stride of the columns is taken as 1", lambda K, S: (S[0], 1)),
            ("the stride of the rows is taken as 1", lambda K, S: (1, S[1])),
            ("the stride is taken as the kernel's size", lambda K, S: K),
        ),
        "height-for-width": (
            ("the strides of rows and columns are exchanged", lambda K, S: (S[1], S[0])),
            ("the columns step by the stride of the rows", lambda K, S: (S[0], S[0])),
            ("the rows step by the stride of the columns", lambda K, S: (S[1], S[1])),
        ),
    }
    paddings: dict[str, Any] = {
        "padding-ignored": (
            ("the windows start as if the columns were not padded", lambda P: (P[0], 0)),
            ("the windows start as if the rows were not padded", lambda P: (0, P[1])),
            ("the windows start as if the image were not padded", lambda P: (0, 0)),
        ),
        "height-for-width": (
            ("the paddings of rows and columns are exchanged", lambda P: (P[1], P[0])),
            ("the columns are padded as the rows are", lambda P: (P[0], P[0])),
            ("the rows are padded as the columns are", lambda P: (P[1], P[1])),
        ),
        "padding-one-sided": (
            (
                "the windows start PH rows and PW columns too early, as where all padding is above and to "
                "the left, or the image is padded twice",
                lambda P: (2 * P[0], 2 * P[1]),
            ),
        ),
    }
    of_steps, of_paddings = [], []
    for keep in (True, False):
        for code, variants in steps.items():
            for what, stride in variants:
                predict = lambda e, s=stride, keep=keep: regridded(e, tensor, keep, s)  # noqa: E731
                cause = Cause(code, f"{what}: {formula}.", predict)
                of_steps.append((cause, stride, keep))
        for code, variants in paddings.items():
            for what, padding in variants:
                predict = lambda e, p=padding, keep=keep: regridded(e, tensor, keep, padding_of=p)  # noqa: E731
                cause = Cause(code, f"{what}: {formula}.", predict)
                of_paddings.append((cause, padding, keep))
    yield from (cause for cause, _, _ in (*of_steps, *of_paddings))
    for (one, stride, keep), (other, padding, too) in itertools.product(of_steps, of_paddings):
        if keep == too:
            yield Cause(
                one.code,
                f"{one.sentence} {other.sentence}",
                lambda e, s=stride, p=padding, keep=keep: regridded(e, tensor, keep, s, p),
                parts=(one, other),
            )


def regridded(
    e: Evidence,
    tensor: str,
    keep: bool,
    stride_of: Any = lambda K, S: S,
    padding_of: Any = lambda P: P,
) -> Tensor | None:
    """A tensor of the layer whose windows start elsewhere. keep: with as many windows as there should be."""
    K, S, P = geometry(e)
    stride, padding = stride_of(K, S), padding_of(P)
    if (stride, padding) == (S, P) or (not keep and tensor != "out"):
        return None
    sizes = [
        size if keep else (side + 2 * p - k) // s + 1
        for size, side, k, s, p in zip(e.dout.shape[2:], e.x.shape[2:], K, stride, padding, strict=True)
    ]
    x = e.x.clone().requires_grad_()
    weight = e.weight.clone().requires_grad_() if "weight" in e.inputs else None
    windows = windows_at(x, K, stride, padding, sizes, -math.inf if e.kind == "MaxPool2D" else 0.0)
    if e.kind == "Conv2D":
        bias = e.bias[:, None, None] if "bias" in e.inputs else 0.0
        out = torch.einsum("nchwij,fcij->nfhw", windows, weight) + bias
    else:
        flat = windows.flatten(4)
        out = flat.max(dim=4).values if e.kind == "MaxPool2D" else flat.mean(dim=4)
    if tensor == "out":
        return out
    leaves: dict[str, Any] = {"dx": x, "dweight": weight}
    return torch.autograd.grad(out, leaves[tensor], e.dout)[0] if leaves.get(tensor) is not None else None


def windows_at(x: Tensor, kernel: Any, stride: Any, padding: Any, sizes: Any, fill: float) -> Tensor:
    """(N, C, OH, OW, KH, KW); `fill` outside of the image."""
    last = [(n - 1) * s + k for n, s, k in zip(sizes, stride, kernel, strict=True)]
    room = [max(0, end - p - side) for end, p, side in zip(last, padding, x.shape[2:], strict=True)]
    edges = (padding[1], room[1], padding[0], room[0])
    image = torch.nn.functional.pad(x, edges, value=fill)
    rows, columns = (
        torch.arange(n)[:, None] * s + torch.arange(k) for n, s, k in zip(sizes, stride, kernel, strict=True)
    )
    return image[:, :, rows[:, None, :, None], columns[None, :, None, :]]


PAGES = [
    Page(
        "last-skipped",
        kind="Conv2D",
        what="The last image, row or channel is left out.",
        right='self.dweight = np.einsum("nfhw,nchwij->fcij", dout, windows)',
        wrong='self.dweight = np.einsum("nfhw,nchwij->fcij", dout[:, :, :-1], windows[:, :, :-1])',
        why="range(n) has n numbers, the last of them n - 1. `range(n - 1)` forgets the last row.",
    ),
    Page(
        "first-skipped",
        kind="Conv2D",
        what="The first image, row or channel is left out.",
        right='self.dweight = np.einsum("nfhw,nchwij->fcij", dout, windows)',
        wrong='self.dweight = np.einsum("nfhw,nchwij->fcij", dout[:, :, 1:], windows[:, :, 1:])',
        why="Counting starts at 0. `range(1, n)` forgets the first row.",
    ),
    Page(
        "index-fixed",
        kind="Conv2D",
        what="One image, row or channel stands for all of them.",
        right='self.dweight = np.einsum("nfhw,nchwij->fcij", dout, windows)',
        wrong='self.dweight = np.einsum("nfhw,chwij->fcij", dout, windows[0])',
        why="An index 0 where the loop's index is meant. A batch of one hides it.",
    ),
    Page(
        "off-by-one",
        kind="Dense",
        what="Everything is read one place beside its own.",
        right="self.dweight = dout.T @ x",
        wrong="self.dweight = np.roll(dout, 1, axis=0).T @ x",
        why="Each image gets the gradient of its neighbour. Sums over the batch are right.",
    ),
    Page(
        "precision-lost",
        kind="Dense",
        what="Numbers pass through float16, or through float32 where the run is in float64.",
        right="dx = dout @ self.weight",
        wrong="dx = (dout @ self.weight).astype(np.float16).astype(x.dtype)",
        why="float16 has three digits, float32 seven. What is lost on the way does not come back.",
    ),
    Page(
        "clipped",
        kind="Dense",
        what="Numbers beyond a limit are cut off, or are set to it.",
        right="dx = dout @ self.weight",
        wrong="dx = np.clip(dout @ self.weight, -1, 1)",
        why="Clipping is a choice for the optimiser. Inside a layer it hides where numbers explode.",
    ),
    Page(
        "constant-added",
        kind="Dense",
        what="One and the same number is added everywhere.",
        right="out = x @ self.weight.T",
        wrong="out = x @ self.weight.T + x.dtype.type(0.1)",
        why="A small number that should prevent a division by 0 belongs into the denominator alone.",
    ),
    Page(
        "decay-in-gradient",
        kind="Dense",
        what="Weight decay is part of the gradient.",
        right="self.dweight = dout.T @ x",
        wrong="self.dweight = dout.T @ x + x.dtype.type(0.01) * self.weight",
        why="The optimiser adds weight_decay * weight. In both places it counts twice.",
    ),
]
