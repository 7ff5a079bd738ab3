"""Mistakes that any tensor may suffer: a factor, a sign, an order, an earlier call."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from parity.bounds import Array
from parity.doctor.arithmetic import geometry, permutations, reordered, reordered_back
from parity.doctor.evidence import ANY, Cause, Evidence, Page, causes

ALL_INPUTS: tuple[str, ...] = ("x", "dout", "logits", "labels", "weight", "bias")


@causes(ANY, ANY)
def general_causes(tensor: str) -> Iterator[Cause]:
    if tensor.startswith("kept"):  # of a dropout: one number, a multiple of any other
        return
    yield Cause(
        "accumulated",
        f"{tensor} is added to that of the call before: assign it (PyTorch adds, hence its zero_grad).",
        lambda e: added_up(e, tensor),
        outer=True,
    )
    for names in (ALL_INPUTS, ("x",), ("weight",), ("bias",), ("logits", "labels"), ("labels",)):
        yield Cause(
            "shared-arrays",
            f"{tensor} comes from what another object of the class was given: keep everything on self, "
            "nothing on the class, in a default argument or in a global variable.",
            lambda e, names=names: stale(e, tensor, names, previous(e)) if e.run == "beside" else None,
        )
    yield Cause(
        "shared-arrays",
        f"{tensor} is that of another object of the class: each object makes arrays of its own.",
        lambda e: e.before.exact.get(tensor) if e.run == "beside" and e.before else None,
    )
    remembered = {
        "all inputs": ALL_INPUTS,
        "x": ("x",),
        "x and weight": ("x", "weight"),
        "weight": ("weight",),
        "bias": ("bias",),
        "dout": ("dout",),
        "logits": ("logits",),
        "labels": ("labels",),
    }
    for (what, names), which in itertools.product(remembered.items(), (previous, first)):
        yield Cause(
            "stale-cache",
            f"{tensor} uses {what} of an earlier call: cache what backward needs in every forward, and read "
            "the weights as they are now.",
            lambda e, names=names, which=which: stale(e, tensor, names, which(e)),
        )
    yield Cause(
        "gradient-missing",
        f"{tensor} is 0 everywhere, as where it is never assigned, or no loop reaches it.",
        lambda e: np.zeros_like(e.exact[tensor]),
    )
    yield Cause("wrong-sign", f"{tensor} has the wrong sign.", lambda e: -e.exact[tensor], outer=True)
    yield Cause(
        "upstream-ignored",
        f"{tensor} is computed as if dout were all ones: the chain rule multiplies by dout.",
        lambda e: recomputed(e, tensor, dout=torch.ones_like(e.dout)) if "dout" in e.inputs else None,
    )
    yield Cause(
        "wrong-shape",
        f"{tensor} has the right numbers in the wrong shape: look for keepdims, squeeze or reshape.",
        lambda e: as_given(e, tensor),
        outer=True,
    )
    yield from factors(tensor)
    yield from orders(tensor)


def as_given(e: Evidence, tensor: str) -> Array | None:
    shape = e.given[tensor].shape
    return e.exact[tensor].reshape(shape) if math.prod(shape) == e.exact[tensor].size else None


def added_up(e: Evidence, tensor: str) -> Array:
    return e.exact[tensor] + (added_up(e.before, tensor) if e.before else 0)


def previous(e: Evidence) -> Evidence | None:
    return e.before


def first(e: Evidence) -> Evidence | None:
    return first(e.before) or e.before if e.before else None


def stale(e: Evidence, tensor: str, names: tuple[str, ...], earlier: Evidence | None) -> Any:
    old = {name: earlier.inputs[name] for name in names if name in e.inputs} if earlier else {}
    return recomputed(e, tensor, **old) if old else None


def recomputed(e: Evidence, tensor: str, **inputs: Tensor) -> Any:
    """The right answer for other inputs; None for what is neither an output nor a gradient."""
    if tensor not in ("out", "dx", "dweight", "dbias", "loss", "dlogits"):
        return None
    inputs = e.inputs | inputs
    if e.kind == "CrossEntropyLoss":
        z = inputs["logits"].clone().requires_grad_()
        loss = functional.cross_entropy(z, inputs["labels"])
        return loss if tensor == "loss" else torch.autograd.grad(loss, z)[0]
    leaves: dict[str, Tensor] = {}
    states = {name: state.clone() for name, state in e.stage.named_buffers()}  # a batch norm changes them
    for name in ("x", "weight", "bias"):
        if name in inputs:
            leaves[name] = inputs[name].clone().requires_grad_()
    weights = {name: leaf for name, leaf in leaves.items() if name != "x"}
    out = functional_call(e.stage, weights | states, (leaves["x"],))
    return out if tensor == "out" else torch.autograd.grad(out, leaves[tensor[1:]], inputs["dout"])[0]


def factors(tensor: str) -> Iterator[Cause]:
    loss = tensor in ("loss", "dlogits")
    once = (
        "the mean over the batch is taken once, in the loss"
        if loss
        else "the mean over the batch belongs in the loss"
    )
    for name in (
        "N, the images of the batch",
        "OH*OW, the pixels",
        "N*OH*OW, images and pixels",
        "KH*KW, the window",
        "C*KH*KW, the entries of a window",
        "the number of outputs",
        "the number of inputs",
        "N times the number of outputs",
        "KH, the rows of the window",
        "KW, the columns of the window",
        "H*W, the pixels of the image",
        "N - 1, one less than the images",
    ):
        for power, what in ((-1, "divided"), (1, "multiplied")):
            yield Cause(
                "wrong-factor",
                f"{tensor} is {what} by {name}: {once}."
                if name[0] == "N"
                else f"{tensor} is {what} by {name}.",
                lambda e, name=name, power=power: e.exact[tensor] * float(counts(e)[name]) ** power,
                outer=True,
            )
            for root, root_what in ((-0.5, "divided"), (0.5, "multiplied")) if power < 0 and not loss else ():
                yield Cause(
                    "wrong-factor",
                    f"{tensor} is {root_what} by the root of {name}.",
                    lambda e, name=name, root=root: e.exact[tensor] * float(counts(e)[name]) ** root,
                )
    if loss:
        yield Cause(
            "wrong-factor",
            f"{tensor} is divided by the number of classes, not of images: the batch is axis 0.",
            lambda e: e.exact[tensor] * (e.logits.shape[0] / e.logits.shape[1]),
            outer=True,
        )
    for factor, what in (
        (2.0, "twice what it should be"),
        (0.5, "half of what it should be"),
        (1 / math.log(2), "in bits: take the natural logarithm"),
        (1 / math.log(10), "by the logarithm to base 10: take the natural one"),
    ):
        yield Cause(
            "wrong-factor",
            f"{tensor} is {what}.",
            lambda e, factor=factor: e.exact[tensor] * factor,
            outer=True,
        )
    if tensor != "loss":  # one number, a multiple of any other
        yield Cause(
            "wrong-factor",
            f"{tensor} is {{}} times what it should be.",
            lambda e, number: e.exact[tensor] * number,
            fit=lambda e: multiplier(e, tensor),
        )
        yield Cause(
            "wrong-factor", f"{tensor} is a multiple of what it should be.", lambda e: multiple(e, tensor)
        )


def counts(e: Evidence) -> dict[str, int]:
    """Over what a mean may have been taken."""
    dout: Any = e.inputs.get("dout", e.inputs.get("logits"))
    pixels = math.prod(dout.shape[2:])
    channels = e.x.shape[1] if "x" in e.inputs and e.x.ndim > 1 else 1
    of_windows = {}
    if e.kind in ("Conv2D", "MaxPool2D", "AvgPool2D"):
        KH, KW = geometry(e)[0]
        of_windows = {
            "KH*KW, the window": KH * KW,
            "C*KH*KW, the entries of a window": channels * KH * KW,
            "KH, the rows of the window": KH,
            "KW, the columns of the window": KW,
        }
    return of_windows | {
        "N, the images of the batch": len(dout),
        "OH*OW, the pixels": pixels,
        "N*OH*OW, images and pixels": len(dout) * pixels,
        "the number of outputs": dout.shape[1],
        "the number of inputs": channels,
        "N times the number of outputs": len(dout) * dout.shape[1],
        "H*W, the pixels of the image": math.prod(e.x.shape[2:]) if "x" in e.inputs else 1,
        "N - 1, one less than the images": max(1, len(dout) - 1),
    }


def multiple(e: Evidence, tensor: str) -> Array | None:
    number = multiplier(e, tensor)
    return None if number is None else e.exact[tensor] * number


def multiplier(e: Evidence, tensor: str) -> float | None:
    """The number by which the right answer is nearest to what was given."""
    exact, given = e.exact[tensor], e.given[tensor]
    if exact.shape != given.shape or not exact.any() or not np.isfinite(given).all() or given.size == 1:
        return None
    number = float((exact * given).sum() / (exact * exact).sum())
    return number if number and abs(number - 1) > 1e-4 else None  # 0 and 1 times it are no factor


def orders(tensor: str) -> Iterator[Cause]:
    """The right numbers at the wrong places."""
    for order in permutations(range(2, 5)):
        yield Cause(
            "axes-swapped",
            f"{tensor} has its axes in the wrong order: it is the right one, transposed by {order}.",
            lambda e, order=order: (
                e.exact[tensor].transpose(order) if e.exact[tensor].ndim == len(order) else None
            ),
        )
    for count in range(1, 5):
        for axes in itertools.combinations(range(4), count):
            yield Cause(
                "reversed",
                f"{tensor} is reversed along {'axes' if count > 1 else 'axis'} {', '.join(map(str, axes))}.",
                lambda e, axes=axes: (
                    np.flip(e.exact[tensor], axes) if max(axes) < e.exact[tensor].ndim else None
                ),
            )
    for order in permutations(range(2, 5)):
        for misread in (reordered, reordered_back):
            yield Cause(
                "reading-order",
                f"{tensor} has the right numbers at the wrong places: look at its reshape and transpose.",
                lambda e, order=order, misread=misread: misread(e.exact[tensor], order),
            )


PAGES = [
    Page(
        "accumulated",
        kind="Dense",
        what="The gradient of this call is added to that of the call before.",
        right="self.dweight = dout.T @ x",
        wrong="""
        before = 0 if self.dweight is None else self.dweight
        self.dweight = before + dout.T @ x
        """,
        why="""PyTorch adds, and therefore needs zero_grad. A layer here assigns: each backward starts from
        zero. One step alone hides it.""",
    ),
    Page(
        "stale-cache",
        kind="Dense",
        what="What an earlier call has left is used again.",
        right="out = x @ self.weight.T",
        wrong="""
        if "transposed" not in vars(self):
            self.transposed = self.weight.T.copy()
        out = x @ self.transposed
        """,
        why="The first step is right. After it the weights have changed, and the copy has not.",
    ),
    Page(
        "wrong-sign",
        kind="Dense",
        what="The sign is wrong.",
        right="self.dweight = dout.T @ x",
        wrong="self.dweight = -dout.T @ x",
        why="The weight climbs. If its layer is small beside the others the loss falls even so.",
    ),
    Page(
        "upstream-ignored",
        kind="Dense",
        what="dout is ignored, as if it were all ones.",
        right="self.dbias = dout.sum(axis=0)",
        wrong="self.dbias = np.full_like(self.bias, len(dout))",
        why="A test with a gradient of ones cannot see it. That is why dout is random here.",
    ),
    Page(
        "wrong-shape",
        kind="Dense",
        what="The numbers are right and the shape is not.",
        right="self.dbias = dout.sum(axis=0)",
        wrong="self.dbias = dout.sum(axis=0, keepdims=True)",
        why="NumPy broadcasts (1, M) silently, here and there to a matrix.",
    ),
    Page(
        "wrong-factor",
        kind="Dense",
        what="The numbers are right up to a factor.",
        right="self.dweight = dout.T @ x",
        wrong="self.dweight = dout.T @ x / len(x)",
        why="""Most often the mean over the batch: it is taken once, in the loss. Adam hides a factor almost
        completely.""",
    ),
    Page(
        "axes-swapped",
        kind="Dense",
        what="Two axes are exchanged.",
        right="self.dweight = dout.T @ x",
        wrong="self.dweight = x.T @ dout",
        why="A square weight takes the wrong gradient without a word.",
    ),
    Page(
        "reversed",
        kind="ReLU",
        what="The numbers stand in reverse order along an axis.",
        right="dx = dout * (x > 0)",
        wrong="dx = (dout * (x > 0))[::-1]",
        why="Each image gets the gradient of another. Sums and means are right.",
    ),
]
