"""out of a convolution or a dense layer is products plus a bias: either may be scaled, or stand elsewhere."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity.bounds import Array
from parity.doctor.evidence import Cause, Evidence, Page, causes
from parity.doctor.families import CHANGES, along, changed

FORMULA = "out = products + bias"


def bias(e: Evidence) -> Array:
    """The bias as it is added to out; 0 if there is none."""
    if "bias" not in e.inputs:
        return np.zeros(())
    found: Array = e.bias.numpy().reshape((-1, 1, 1) if e.kind == "Conv2D" else (-1,))
    return found


def products(e: Evidence) -> Array:
    found: Array = e.exact["out"] - bias(e)
    return found


@causes("Conv2D", "out")
@causes("Dense", "out")
def of_both() -> Iterator[Cause]:
    yield Cause(
        "bias-scaled",
        f"the bias counts {{}} times: {FORMULA}.",
        lambda e, number: products(e) + number * bias(e) if "bias" in e.inputs else None,
        fit=lambda e: plus_one(along(e, "out", np.broadcast_to(bias(e), e.exact["out"].shape))),
    )
    yield Cause(
        "wrong-factor",
        f"the products count {{}} times, the bias once: {FORMULA}.",
        lambda e, number: number * products(e) + bias(e),
        fit=lambda e: plus_one(along(e, "out", products(e))) if "bias" in e.inputs else None,
    )
    for name, count in (
        ("inputs", lambda e: e.weight[0].numel()),
        ("channels or inputs", lambda e: e.weight.shape[1]),
        ("outputs", lambda e: len(e.weight)),
        ("images", lambda e: len(e.x)),
    ):
        for power, what in ((-1, "divided by"), (-0.5, "divided by the root of")):
            yield Cause(
                "wrong-factor",
                f"the products are {what} the number of {name}: {FORMULA}.",
                lambda e, count=count, power=power: products(e) * float(count(e)) ** power + bias(e),
            )
    for axes in ((-1,), (-1, 1), (-1, 1, 1), (-1, 1, 1, 1)):
        yield Cause(
            "bias-misplaced",
            f"the biases stand along another axis, as by bias.reshape{axes}: there is one for each output.",
            lambda e, axes=axes: products(e) + e.bias.numpy().reshape(axes) if "bias" in e.inputs else None,
        )
    for axis, name in enumerate(("image", "output", "row", "column")):
        for code, what, change in CHANGES:
            yield Cause(
                code,
                f"the sum of products in out {what.format(name)}; the bias is added everywhere.",
                partial(with_bias, axis, change),
            )


def plus_one(number: float | None) -> float | None:
    return None if number is None else number + 1


def with_bias(axis: int, change: Callable[[Tensor, int], Tensor], e: Evidence) -> Any:
    new = changed(torch.from_numpy(products(e)), axis, change)
    return None if new is None else new.numpy() + bias(e)


@causes("Conv2D", "out")
def depthwise() -> Iterator[Cause]:
    for what, channel in (("f % C", lambda f, F, C: f % C), ("f * C // F", lambda f, F, C: f * C // F)):
        yield Cause(
            "channel-alone",
            f"filter f sees channel {what} alone (a depthwise convolution): it sums over all channels.",
            partial(of_one_channel, channel),
        )


def of_one_channel(channel: Callable[[int, int, int], int], e: Evidence) -> Tensor:
    F, C = e.weight.shape[:2]
    kept = torch.zeros(F, C, 1, 1, dtype=e.weight.dtype)
    for f in range(F):
        kept[f, channel(f, F, C)] = 1
    settings = {"stride": e.stage.stride, "padding": e.stage.padding}
    return torch.nn.functional.conv2d(e.x, e.weight * kept, e.inputs.get("bias"), **settings)


PAGES = [
    Page(
        "bias-scaled",
        kind="Dense",
        what="The bias is multiplied by a number, or subtracted.",
        right="out = out + self.bias",
        wrong="out = out - self.bias",
        why="Training learns the other sign and goes on; weights from elsewhere do not fit.",
    ),
    Page(
        "bias-misplaced",
        kind="Conv2D",
        what="The biases stand along another axis than that of the outputs.",
        right="out = out + self.bias[:, None, None]",
        wrong="""
        fits = out.shape[2] in (1, len(self.bias))
        out = out + (self.bias[:, None] if fits else self.bias[:, None, None])
        """,
        why="""NumPy aligns axes from the last one. A bias (F,) or (F, 1) broadcasts along columns or rows if
        there are as many of them, and fails if not.""",
    ),
    Page(
        "channel-alone",
        kind="Conv2D",
        what="Each filter sees one channel in place of all.",
        right='out = np.einsum("nchwij,fcij->nfhw", windows, self.weight)',
        wrong="""
        channel = np.arange(len(self.weight)) % x.shape[1]
        alone = self.weight * (channel[:, None] == np.arange(x.shape[1]))[:, :, None, None]
        out = np.einsum("nchwij,fcij->nfhw", windows, alone)
        """,
        why="A filter has a kernel for every channel and adds them up. With one channel nothing shows it.",
    ),
]
