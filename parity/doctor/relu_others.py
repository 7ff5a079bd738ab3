"""A ReLU that is another function: by its name, with its slope, or open at other places."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from parity.bounds import Array
from parity.doctor.evidence import Cause, Evidence, Page, causes

OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "softplus, log(1 + exp(x))": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "swish (SiLU), x * sigmoid(x)": functional.silu,
    "GELU": functional.gelu,
    "GELU by its tanh formula": partial(functional.gelu, approximate="tanh"),
    "ELU, exp(x) - 1 where x is negative": functional.elu,
    "SELU": functional.selu,
    "mish": functional.mish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "ReLU6, at most 6": functional.relu6,
    "hard tanh": functional.hardtanh,
    "hard sigmoid": functional.hardsigmoid,
    "hard swish": functional.hardswish,
    "softsign": functional.softsign,
    "log sigmoid": functional.logsigmoid,
    "exp(x)": torch.exp,
    "the square of max(x, 0)": lambda x: x.clamp(min=0) ** 2,
    "x * x": torch.square,
    "the root of max(x, 0)": lambda x: x.clamp(min=0).sqrt(),
    "max(x, 1)": lambda x: x.clamp(min=1),
    "max(-x, 0)": lambda x: (-x).clamp(min=0),
    "softmax over axis 1": partial(functional.softmax, dim=1),
    "softmax over the last axis": partial(functional.softmax, dim=-1),
    "the sign of x": torch.sign,
}
MASKS: dict[str, Callable[[Tensor], Tensor]] = {
    "x is above its mean": lambda x: x > x.mean(),
    "x is above the mean of its image": lambda x: x > x.flatten(1).mean(1).reshape(-1, *[1] * (x.ndim - 1)),
    "x is above 1": lambda x: x > 1,
    "x is above 1e-8": lambda x: x > 1e-8,
    "x is at least 1": lambda x: x >= 1,
    "x is not 0": lambda x: x != 0,
    "x lies between 0 and 1": lambda x: (x > 0) & (x < 1),
    "x lies between 0 and 6": lambda x: (x > 0) & (x < 6),
    "abs(x) is at most 1": lambda x: x.abs() <= 1,
    "any number of its image is positive": lambda x: of_image(x, torch.any),
    "all numbers of its image, or of x, are positive": lambda x: of_image(x, torch.all),
    "the same place of the first image is positive": lambda x: (x[:1] > 0).expand_as(x),
}


def of_image(x: Tensor, which: Callable[..., Tensor]) -> Tensor:
    return which((x > 0).flatten(1), dim=1).reshape(-1, *[1] * (x.ndim - 1)).expand_as(x)


def derivative(function: Callable[[Tensor], Tensor], e: Evidence, at: Tensor) -> Tensor | None:
    """None where it is 0 everywhere: so is that of many functions."""
    x = at.clone().requires_grad_()
    found = torch.autograd.grad(function(x), x, e.dout)[0]
    return found if found.any() else None


@causes("ReLU", "out")
def out_causes() -> Iterator[Cause]:
    for name, function in OTHERS.items():
        yield Cause(
            "another-activation",
            f"out is {name}: a ReLU is max(x, 0).",
            lambda e, function=function: function(e.x),
        )
    yield Cause(
        "leaky",
        "{} times each negative number passes: out = max(x, 0).",
        lambda e, slope: functional.leaky_relu(e.x, slope),
        fit=lambda e: share(e, "out", np.minimum(e.x.numpy(), 0)),
    )
    yield Cause(
        "another-activation",
        "out is {} where x is not positive: out = max(x, 0).",
        lambda e, number: torch.where(e.x > 0, e.x, number),
        fit=lambda e: share(e, "out", (e.x <= 0).double().numpy()),
    )
    yield Cause(
        "another-activation",
        "out is max(x, {}): the largest of x and 0 is meant.",
        lambda e, number: e.x.clamp(min=number),
        fit=lambda e: float(e.given["out"].min()) if e.given["out"].size > 1 else None,
    )
    for name, mask in MASKS.items():
        yield Cause(
            "mask-elsewhere",
            f"out is x where {name}, and 0 elsewhere: x passes where it is positive.",
            lambda e, mask=mask: e.x * mask(e.x),
        )


@causes("ReLU", "dx")
def dx_causes() -> Iterator[Cause]:
    formula = "dx = dout * [x > 0]"
    for what, where in (
        ("the derivative of", lambda e: e.x),
        ("the derivative, at out in place of x, of", lambda e: e.x.clamp(min=0)),
    ):
        for name, function in OTHERS.items():
            yield Cause(
                "another-activation",
                f"dout is multiplied by {what} {name}: {formula}.",
                lambda e, function=function, where=where: derivative(function, e, where(e)),
            )
    for name, mask in MASKS.items():
        yield Cause(
            "mask-elsewhere",
            f"dout passes where {name}: {formula}.",
            lambda e, mask=mask: e.dout * mask(e.x),
        )
    yield Cause(
        "mask-includes-zero",
        f"{{}} times dout passes where x is 0: {formula}, and [0 > 0] is 0.",
        lambda e, part: e.dout * ((e.x > 0) + part * (e.x == 0)),
        fit=lambda e: share(e, "dx", (e.dout * (e.x == 0)).numpy()),
    )
    yield Cause(
        "leaky",
        f"{{}} times dout passes where x is negative: {formula}.",
        lambda e, slope: e.dout * torch.where(e.x < 0, slope, (e.x > 0).double()),
        fit=lambda e: share(e, "dx", (e.dout * (e.x < 0)).numpy()),
    )
    yield Cause(
        "leaky",
        f"{{}} times dout passes where x is not positive: {formula}.",
        lambda e, slope: e.dout * torch.where(e.x > 0, 1.0, slope),
        fit=lambda e: share(e, "dx", (e.dout * (e.x <= 0)).numpy()),
    )
    for what, shut in (
        ("x", lambda e: e.x),
        ("-dout", lambda e: -e.dout),
        ("1", lambda e: torch.ones_like(e.x)),
        ("-1", lambda e: -torch.ones_like(e.x)),
    ):
        yield Cause(
            "shut-not-zero",
            f"dx is {what} where x is not positive: {formula}, 0 there.",
            lambda e, shut=shut: torch.where(e.x > 0, e.dout, shut(e)),
        )
    for what, opened in (
        ("x", lambda e: e.x),
        ("1", lambda e: torch.ones_like(e.x)),
        ("abs(dout)", lambda e: e.dout.abs()),
        ("dout + 1", lambda e: e.dout + 1),
        ("dout + x", lambda e: e.dout + e.x),
    ):
        yield Cause(
            "upstream-ignored",
            f"dx is {what} where x is positive: {formula}, dout there.",
            lambda e, opened=opened: opened(e) * (e.x > 0),
        )
    yield Cause(
        "wrong-shape",
        f"dx is dout[x > 0], a list without the entries that are shut: {formula} keeps a 0 there.",
        lambda e: e.dout[e.x > 0],
    )
    yield Cause(
        "reading-order",
        f"the open places get the first numbers of dout in turn, not those at the same places: {formula}.",
        placed_in_turn,
    )


def placed_in_turn(e: Evidence) -> Array:
    dx = np.zeros_like(e.exact["dx"])
    np.place(dx, (e.x > 0).numpy(), e.dout.numpy())
    return dx


def share(e: Evidence, tensor: str, direction: Array) -> float | None:
    """How often `direction` is added to the right answer, if it is 0 in some entries and not in others."""
    given, exact = e.given[tensor], e.exact[tensor]
    if given.shape != exact.shape or not np.isfinite(given).all() or np.count_nonzero(direction) < 2:
        return None
    return float(((given - exact) * direction).sum() / np.square(direction).sum())


PAGES = [
    Page(
        "another-activation",
        kind="ReLU",
        what="The function, or the derivative, is that of another activation.",
        right="out = np.maximum(x, 0)",
        wrong="out = np.logaddexp(x, x.dtype.type(0))",
        why="""Softplus, swish, GELU and ELU train as well and may even train better. They are other layers:
        weights from elsewhere do not fit, and forward and backward must be of the same one.""",
    ),
    Page(
        "mask-elsewhere",
        kind="ReLU",
        what="The gate opens by another rule than x > 0.",
        right="dx = dout * (x > 0)",
        wrong="dx = dout * (x > x.mean())",
        why="out passed where x was positive. The gradient must pass at the same places and at no other.",
    ),
    Page(
        "shut-not-zero",
        kind="ReLU",
        what="Where the gate is shut something else stands than 0.",
        right="dx = dout * (x > 0)",
        wrong="dx = np.where(x > 0, dout, x)",
        why="Where out does not change with x the gradient is 0, whatever dout or x is there.",
    ),
]
