"""Mistakes in dropout. e.mask is read off the code's own out: 1 where an entry was kept."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from parity.bounds import Array
from parity.doctor.evidence import Cause, Evidence, Page, causes

SCALES = {
    "scale-missing": ("kept entries are not scaled: divide by 1 - p, so that the mean stays", lambda p: 1.0),
    "scaled-twice": ("kept entries are scaled twice: divide by 1 - p once", lambda p: 1 / (1 - p) ** 2),
    "scaled-by-p": ("kept entries are divided by p: the share of kept entries is 1 - p", lambda p: 1 / p),
    "scaled-down": ("kept entries are multiplied by 1 - p: divide by it", lambda p: 1 - p),
}


def drops(e: Evidence) -> bool:
    return bool(e.stage.training and e.stage.p)


@causes("Dropout", "out")
def out_causes() -> Iterator[Cause]:
    return causes_of_both("out", "x")


@causes("Dropout", "dx")
def dx_causes() -> Iterator[Cause]:
    formula = "dx = dout * mask / (1 - p), with the mask of forward"
    yield from causes_of_both("dx", "dout")
    for scale in (lambda p: 1.0, lambda p: 1 / (1 - p)):
        yield Cause(
            "mask-missing",
            f"dout passes everywhere: {formula}.",
            lambda e, scale=scale: e.dout * scale(e.stage.p) if drops(e) else None,
        )
    yield Cause(
        "mask-drawn-again",
        f"dx is 0 at other places than out, as if backward had a mask of its own: {formula}.",
        lambda e: dropped(e, "dx", "dout") if drops(e) and keeps_a_multiple(e) else None,
    )


def causes_of_both(tensor: str, of: str) -> Iterator[Cause]:
    for code, (sentence, scale) in SCALES.items():
        yield Cause(
            code,
            f"{sentence}; {tensor} = {of} * mask / (1 - p).",
            lambda e, scale=scale: e.inputs[of] * e.mask * scale(e.stage.p) if drops(e) else None,
        )
    sentence = SCALES["scaled-by-p"][0]
    yield Cause(
        "scaled-by-p",
        f"{sentence}, and where p is 0 nothing is; {tensor} = {of} * mask / (1 - p).",
        lambda e: e.inputs[of] * e.mask / torch.tensor(e.stage.p) if e.stage.training else None,
    )
    yield Cause(
        "active-in-evaluation",
        f"entries are dropped in evaluation: there {tensor} = {of}.",
        lambda e: None if e.stage.training else dropped(e, tensor, of),
    )
    for what, power in (("multiplies", 1), ("divides", -1)):
        yield Cause(
            "scaled-in-evaluation",
            f"evaluation {what} by 1 - p: only training scales, in evaluation {tensor} = {of}.",
            lambda e, power=power: None if e.stage.training else e.inputs[of] * (1 - e.stage.p) ** power,
        )


def dropped(e: Evidence, tensor: str, of: str) -> Array | None:
    """The right scale under another mask: the one that the given tensor shows."""
    given, array = e.given[tensor], e.inputs[of].numpy()
    kept = given != 0
    if given.shape != array.shape or kept.all():
        return None
    found: Array = array * kept / (1 - e.stage.p)
    return found


@causes("Dropout", "kept")
def kept_causes() -> Iterator[Cause]:
    return causes_of_a_share("kept")


@causes("Dropout", "kept again")
def kept_again_causes() -> Iterator[Cause]:
    for cause in causes_of_a_share("kept again"):  # what makes the share of one run wrong is told there
        yield replace(cause, predict=lambda e, cause=cause: cause.predict(e) if "kept" in e.wrong else None)
    yield Cause(
        "mask-drawn-once",
        "every forward has the same mask: draw another one in each, from a generator that goes on.",
        lambda e: e.given["kept again"] if drops(e) and e.before and is_mask_of(e.before, e) else None,
    )
    yield Cause(
        "mask-shared",
        "all images share one mask: draw for every entry, rng.random(x.shape).",
        lambda e: e.given["kept again"] if drops(e) and shared_over(e, (0,)) else None,
    )


def causes_of_a_share(tensor: str) -> Iterator[Cause]:
    """Of the share of kept entries, which chance moves: a prediction is what was given, if it may be."""
    yield Cause(
        "nothing-dropped",
        "no entry is dropped in training: mask = rng.random(x.shape) >= p.",
        lambda e: (e.given[tensor] if passes(e) else np.full((), np.nan)) if e.stage.p else None,
    )
    for axes, sentence in (
        ((1, 2, 3), "all entries of an image share one draw"),
        ((2, 3), "all entries of a channel share one draw, as in nn.Dropout2d"),
        ((0,), "all images share one mask"),
    ):
        yield Cause(
            "mask-shared",
            f"{sentence}: draw for every entry, rng.random(x.shape).",
            lambda e, axes=axes: e.given[tensor] if shared_over(e, axes) else None,
        )
    yield Cause(
        "probability-reversed",
        "entries are kept with probability p: p is the probability to drop one.",
        lambda e: e.given[tensor] if near_share(e, e.stage.p) else None,
        everywhere=True,
    )
    yield Cause(
        "setting-ignored",
        "half of all entries are kept whatever p is: mask = rng.random(x.shape) >= p.",
        lambda e: e.given[tensor] if e.stage.training and near_share(e, 0.5) else None,
        everywhere=True,
    )


def keeps_a_multiple(e: Evidence) -> bool:
    """Whether what out keeps is one multiple of x, so that its zeros are those of a mask."""
    out, x = e.given.get("out"), e.x.numpy()
    if out is None or out.shape != x.shape or not (kept := out != 0).any() or not x[kept].all():
        return False
    multiples = out[kept] / x[kept]
    return bool(np.ptp(multiples) <= 1e-4 * abs(multiples[0]))


def varies(e: Evidence) -> bool:
    return bool(e.mask.any() and not e.mask.all())


def passes(e: Evidence) -> bool:
    """Whether out is x, or one multiple of it: what is dropped to another number than 0 is not kept."""
    out, x = e.given.get("out"), e.x.numpy()
    if not e.mask.all() or out is None or out.shape != x.shape or not x.any():
        return bool(e.mask.all())
    multiple = (out * x).sum() / (x * x).sum() * x
    return bool(np.abs(out - multiple).max() <= 1e-4 * np.abs(out).max())


def is_mask_of(before: Evidence, e: Evidence) -> bool:
    return varies(e) and before.mask.shape == e.mask.shape and bool((before.mask == e.mask).all())


def shared_over(e: Evidence, axes: tuple[int, ...]) -> bool:
    """Whether these axes have one draw, and no other axis has."""

    def is_one(axes: tuple[int, ...]) -> bool:
        return bool((e.mask.amin(axes) == e.mask.amax(axes)).all())

    axes = tuple(axis for axis in axes if axis < e.x.ndim)
    several = math.prod(e.x.shape[axis] for axis in axes) > 1
    others = [axis for axis in range(e.x.ndim) if axis not in axes and e.x.shape[axis] > 1]
    return (
        varies(e) and bool(axes) and several and is_one(axes) and not any(is_one((axis,)) for axis in others)
    )


def near_share(e: Evidence, share: float) -> bool:
    """Whether chance may well make what was given of this share; where p is 1/2 nothing tells them apart."""
    spread = 4 * math.sqrt(share * (1 - share) / e.x.numel())
    return abs(float(e.given["kept"]) - share) <= spread


PAGES = [
    Page(
        "scale-missing",
        kind="Dropout",
        what="Kept entries are not scaled.",
        right="scale = x.dtype.type(1 / (1 - self.p))",
        wrong="scale = x.dtype.type(1)",
        why="""In training out is then smaller by 1 - p on average than in evaluation, and every layer behind
        it sees another scale.""",
    ),
    Page(
        "scaled-twice",
        kind="Dropout",
        what="Kept entries are scaled twice.",
        right="scale = x.dtype.type(1 / (1 - self.p))",
        wrong="scale = x.dtype.type(1 / (1 - self.p) ** 2)",
        why="Once in forward is enough; the mean of out is then that of x.",
    ),
    Page(
        "scaled-by-p",
        kind="Dropout",
        what="Kept entries are divided by p.",
        right="scale = x.dtype.type(1 / (1 - self.p))",
        wrong="scale = x.dtype.type(1 / self.p if self.p else 1)",
        why="A share p is dropped and 1 - p stays. With p = 1/2 the two agree.",
    ),
    Page(
        "scaled-down",
        kind="Dropout",
        what="Kept entries are multiplied by 1 - p.",
        right="scale = x.dtype.type(1 / (1 - self.p))",
        wrong="scale = x.dtype.type(1 - self.p)",
        why="The output shrinks twice: once by what is missing and once by the factor.",
    ),
    Page(
        "active-in-evaluation",
        kind="Dropout",
        what="Entries are dropped in evaluation.",
        right="if self.training:",
        wrong="if True:",
        why="Evaluation then is a lottery: the same image gets another answer each time.",
    ),
    Page(
        "scaled-in-evaluation",
        kind="Dropout",
        what="Evaluation multiplies by 1 - p.",
        right="mask, scale = np.ones_like(x), x.dtype.type(1)",
        wrong="mask, scale = np.ones_like(x), x.dtype.type(1 - self.p)",
        why="""That was the rule of the first paper, whose training did not scale. Inverted dropout leaves
        evaluation alone.""",
    ),
    Page(
        "mask-drawn-again",
        kind="Dropout",
        what="dx is 0 at other places than out, as if backward had a mask of its own.",
        right="mask, scale = self.cache",
        wrong="""
        mask, scale = self.cache
        mask = (self.rng.random(mask.shape) >= self.p).astype(mask.dtype) if self.training else mask
        """,
        why="The gradient reaches units that took no part, and misses those that did.",
    ),
    Page(
        "probability-reversed",
        kind="Dropout",
        what="Entries are kept with probability p.",
        right="mask = np.array(self.rng.random(x.shape) >= self.p, x.dtype)",
        wrong="mask = np.array(self.rng.random(x.shape) < self.p, x.dtype)",
        why="p is the probability to drop an entry. With p = 1/2 both are the same.",
    ),
    Page(
        "mask-shared",
        kind="Dropout",
        what="Many entries share one draw, all of a channel, say.",
        right="mask = np.array(self.rng.random(x.shape) >= self.p, x.dtype)",
        wrong="""
        draws = self.rng.random((*x.shape[:2], *[1] * (x.ndim - 2)))
        mask = np.ones_like(x) * (draws >= self.p)
        """,
        why="""Whole channels vanish together: that is nn.Dropout2d, another layer. The mean of out is right,
        and a test with one pixel an image hides it.""",
    ),
    Page(
        "mask-drawn-once",
        kind="Dropout",
        what="Every forward has the same mask.",
        right="mask = np.array(self.rng.random(x.shape) >= self.p, x.dtype)",
        wrong="mask = np.array(np.random.default_rng(0).random(x.shape) >= self.p, x.dtype)",
        why="""A generator that is made anew in forward, or a mask that is kept, drops the same units in every
        step: what is trained is one smaller network.""",
    ),
    Page(
        "nothing-dropped",
        kind="Dropout",
        what="No entry is dropped in training.",
        right="mask = np.array(self.rng.random(x.shape) >= self.p, x.dtype)",
        wrong="mask = np.ones_like(x)",
        why="The network overfits as if there were no dropout.",
    ),
]
