"""Mistakes in dropout. e.mask is read off the code's own out: 1 where an entry was kept."""

from collections.abc import Iterator

import numpy as np

from parity.bounds import Array
from parity.doctor.evidence import Cause, Evidence, Page, causes

RIGHT = "out = x * mask / (1 - p)"


def factors(e: Evidence) -> dict[str, float]:
    """Wrong scales of what is kept, for a p between 0 and 1."""
    p = e.stage.p
    return {
        "scale-missing": 1.0,
        "scaled-twice": 1 / (1 - p) ** 2,
        "scaled-by-p": 1 / p,
        "scaled-down": 1 - p,
    }


SCALES = {
    "scale-missing": "what is kept does not grow: divide by 1 - p, so that the mean stays",
    "scaled-twice": "what is kept grows twice: divide by 1 - p once",
    "scaled-by-p": "what is kept is divided by p: the share that is kept is 1 - p",
    "scaled-down": "what is kept is multiplied by 1 - p: divide by it",
}


@causes("Dropout", "out")
def out_causes() -> Iterator[Cause]:
    for code, sentence in SCALES.items():
        yield Cause(
            code,
            f"{sentence}; {RIGHT}.",
            lambda e, code=code: e.x * e.mask * factors(e)[code] if e.stage.training and e.stage.p else None,
        )
    yield Cause(
        "active-in-evaluation",
        "numbers are left out in evaluation: there out = x.",
        lambda e: None if e.stage.training else dropped(e, e.x.numpy(), e.given["out"]),
    )
    yield Cause(
        "scaled-in-evaluation",
        "evaluation multiplies by 1 - p: what is kept has grown in training already, so out = x.",
        lambda e: None if e.stage.training else e.x * (1 - e.stage.p),
    )


@causes("Dropout", "dx")
def dx_causes() -> Iterator[Cause]:
    for code, sentence in SCALES.items():
        yield Cause(
            code,
            f"{sentence}; dx = dout * mask / (1 - p).",
            lambda e, code=code: (
                e.dout * e.mask * factors(e)[code] if e.stage.training and e.stage.p else None
            ),
        )
    yield Cause(
        "mask-missing",
        "dout passes everywhere: dx = dout * mask / (1 - p), with the mask of forward.",
        lambda e: e.dout if e.stage.training and e.stage.p else None,
    )
    yield Cause(
        "mask-missing",
        "dout passes everywhere: dx = dout * mask / (1 - p), with the mask of forward.",
        lambda e: e.dout / (1 - e.stage.p) if e.stage.training and e.stage.p else None,
    )
    yield Cause(
        "mask-drawn-again",
        "backward draws a mask of its own: dx = dout * mask / (1 - p), with the mask of forward.",
        lambda e: dropped(e, e.dout.numpy(), e.given["dx"]) if e.stage.training and e.stage.p else None,
    )
    yield Cause(
        "active-in-evaluation",
        "numbers are left out in evaluation: there dx = dout.",
        lambda e: None if e.stage.training else dropped(e, e.dout.numpy(), e.given["dx"]),
    )


def dropped(e: Evidence, array: Array, given: Array) -> Array | None:
    """The right scale under another mask: the one that `given` shows."""
    return array * (given != 0) / (1 - e.stage.p) if given.shape == array.shape else None


@causes("Dropout", "kept")
def kept_causes() -> Iterator[Cause]:
    yield Cause(
        "probability-reversed",
        "the share p is kept: p is the probability with which a number is left out.",
        lambda e: near_share(e, e.stage.p),
    )
    yield Cause(
        "nothing-dropped",
        "nothing is left out in training.",
        lambda e: np.ones(()) if e.stage.p else None,
    )


def near_share(e: Evidence, share: float) -> Array | None:
    """What was given, if chance may well make it of this share; where p is 1/2 nothing tells them apart."""
    given, spread = e.given["kept"], 4 * (share * (1 - share) / e.x.numel()) ** 0.5
    return given if abs(float(given) - share) <= spread else None


PAGES = [
    Page(
        code="scale-missing",
        kind="Dropout",
        what="What is kept does not grow.",
        right="scale = x.dtype.type(1 / (1 - self.p))",
        wrong="scale = x.dtype.type(1)",
        why=(
            "In training out is then smaller by 1 - p on average than in evaluation, and every "
            "layer behind it sees another scale."
        ),
    ),
    Page(
        code="scaled-twice",
        kind="Dropout",
        what="What is kept grows twice.",
        right="scale = x.dtype.type(1 / (1 - self.p))",
        wrong="scale = x.dtype.type(1 / (1 - self.p) ** 2)",
        why="Once in forward is enough; the mean of out is then that of x.",
    ),
    Page(
        code="scaled-by-p",
        kind="Dropout",
        what="What is kept is divided by p.",
        right="scale = x.dtype.type(1 / (1 - self.p))",
        wrong="scale = x.dtype.type(1 / self.p if self.p else 1)",
        why="p is what is left out; the share 1 - p stays. With p = 1/2 the two agree.",
    ),
    Page(
        code="scaled-down",
        kind="Dropout",
        what="What is kept is multiplied by 1 - p.",
        right="scale = x.dtype.type(1 / (1 - self.p))",
        wrong="scale = x.dtype.type(1 - self.p)",
        why="The output shrinks twice: once by what is missing and once by the factor.",
    ),
    Page(
        code="active-in-evaluation",
        kind="Dropout",
        what="Numbers are left out in evaluation.",
        right="if self.training:",
        wrong="if True:",
        why="Evaluation then is a lottery: the same image gets another answer each time.",
    ),
    Page(
        code="scaled-in-evaluation",
        kind="Dropout",
        what="Evaluation multiplies by 1 - p.",
        right="mask, scale = np.ones_like(x), x.dtype.type(1)",
        wrong="mask, scale = np.ones_like(x), x.dtype.type(1 - self.p)",
        why=(
            "That was the rule of the first paper, whose training did not scale. Inverted dropout"
            " leaves evaluation alone."
        ),
    ),
    Page(
        code="mask-drawn-again",
        kind="Dropout",
        what="backward draws a mask of its own.",
        right="mask, scale = self.cache",
        wrong=(
            "mask, scale = self.cache\n"
            "mask = (self.rng.random(mask.shape) >= self.p).astype(mask.dtype) if self.training else mask"
        ),
        why="The gradient reaches units that took no part, and misses those that did.",
    ),
    Page(
        code="probability-reversed",
        kind="Dropout",
        what="The share p is kept.",
        right="mask = np.array(self.rng.random(x.shape) >= self.p, x.dtype)",
        wrong="mask = np.array(self.rng.random(x.shape) < self.p, x.dtype)",
        why="p is the probability of being left out. With p = 1/2 nobody can tell.",
    ),
    Page(
        code="nothing-dropped",
        kind="Dropout",
        what="Nothing is left out in training.",
        right="mask = np.array(self.rng.random(x.shape) >= self.p, x.dtype)",
        wrong="mask = np.ones_like(x)",
        why="The network overfits as if there were no dropout.",
    ),
]
