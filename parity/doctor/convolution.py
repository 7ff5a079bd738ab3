"""Mistakes in a convolution."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from parity.doctor.arithmetic import (
    back_to_pixels,
    geometry,
    misread_dout,
    one_of_many,
    padded_on_one_side,
    permutations,
)
from parity.doctor.evidence import Cause, Evidence, Predict


def conv(e: Evidence, **changed) -> Tensor:
    """out of a convolution of which some arguments are changed."""
    arguments = {"input": e.x, "weight": e.weight, "bias": e.inputs.get("bias")}
    return functional.conv2d(**(arguments | {"stride": e.stage.stride, "padding": e.stage.padding} | changed))


def transposed(e: Evidence) -> Tensor:
    """Rows and columns of the kernel exchanged; one that is not square is poured into the old shape."""
    return e.weight.transpose(2, 3).reshape(e.weight.shape)


def exchanged(e: Evidence) -> Tensor:
    """Filters and channels exchanged; where there are not as many, poured into the other shape."""
    F, C, KH, KW = e.weight.shape
    return e.weight.reshape(C, F, KH, KW).transpose(0, 1)


def with_weight(compute, change) -> Predict:
    return lambda e: compute(e, weight=change(e))


def out_causes() -> Iterator[Cause]:
    formula = "out[n,f,h,w] = bias[f] + sum_cij weight[f,c,i,j] * x[n, c, h*S+i, w*S+j]"
    for axes, what in (((2, 3), "turned by 180 degrees"), ((2,), "upside down"), ((3,), "mirrored")):
        yield Cause(
            "kernel-flipped",
            f"the kernel is {what}, as a true convolution turns it; a CNN correlates: {formula}.",
            with_weight(conv, lambda e, axes=axes: e.weight.flip(axes)),
        )
    yield Cause(
        "kernel-transposed",
        f"rows and columns of the kernel are exchanged: {formula}, with i along the rows of both.",
        with_weight(conv, transposed),
    )
    yield Cause(
        "filters-for-channels",
        f"filters and channels are exchanged: weight is (F, C, KH, KW); {formula}.",
        with_weight(conv, exchanged),
    )
    for order in permutations(range(3, 4)):
        for there in (True, False):
            yield Cause(
                "reading-order",
                "kernel and windows are read in different orders: both must run c, i, j (or both any "
                "other way) "
                "before they become rows and columns of a matrix product.",
                with_weight(conv, lambda e, order=order, there=there: kernel_misread(e, order, there)),
            )
    for code, times, what in (
        ("bias-dropped", lambda e: 0, "not added"),
        ("bias-twice", lambda e: 2, "added twice"),
        ("bias-per-cell", lambda e: math.prod(e.weight.shape[1:]), "added to every product"),
        ("bias-per-cell", lambda e: e.weight.shape[1], "added once for every channel"),
    ):
        yield Cause(
            code,
            f"the bias is {what}: {formula}, once.",
            lambda e, times=times: conv(e, bias=times(e) * e.bias) if "bias" in e.inputs else None,
        )
    for cut in (True, False):
        yield Cause(
            "stride-ignored",
            f"the windows step by 1 whatever the stride is: {formula}.",
            lambda e, cut=cut: (
                conv(e, stride=1)[:, :, : e.dout.shape[2], : e.dout.shape[3]] if cut else conv(e, stride=1)
            ),
        )
    yield Cause(
        "height-for-width",
        f"the strides of rows and columns are exchanged: {formula}.",
        lambda e: conv(e, stride=geometry(e)[1][::-1]),
    )
    yield Cause(
        "height-for-width",
        f"the paddings of rows and columns are exchanged: {formula}, x padded by (PH, PW).",
        lambda e: conv(e, padding=geometry(e)[2][::-1]),
    )
    yield Cause(
        "padding-ignored",
        "the image is not padded: `padding` rows and columns of zeros belong on each of its four sides.",
        lambda e: conv(e, padding=0),
    )
    for before, where in ((False, "below and to the right"), (True, "above and to the left")):
        yield Cause(
            "padding-one-sided",
            f"all padding is put {where}: `padding` rows and columns of zeros belong on each of the "
            "four sides.",
            lambda e, before=before: conv(
                e, input=padded_on_one_side(e.x, e.stage.padding, before), padding=0
            ),
        )
    yield from one_of_many(
        "out", "channel", "c", lambda e, keep: conv(e, weight=e.weight * keep(e.weight, 1))
    )


def kernel_misread(e: Evidence, order: tuple[int, ...], there: bool) -> Tensor:
    """The entries of each filter in another order than those of the windows."""
    axes = [0, *(axis + 1 for axis in order)]
    if there:
        return e.weight.permute(axes).reshape(e.weight.shape)
    return e.weight.reshape([e.weight.shape[axis] for axis in axes]).permute(np.argsort(axes).tolist())


def dweight(e: Evidence, x: Tensor | None = None, dout: Tensor | None = None, **changed) -> Tensor:
    settings = {"stride": e.stage.stride, "padding": e.stage.padding} | changed
    x, dout = e.x if x is None else x, e.dout if dout is None else dout
    return conv2d_weight(x, e.weight.shape, dout, **settings)


def dweight_causes() -> Iterator[Cause]:
    formula = "dweight[f,c,i,j] = sum_nhw dout[n,f,h,w] * x[n, c, h*S+i, w*S+j]"
    yield Cause(
        "kernel-flipped", f"dweight is turned by 180 degrees: {formula}.", lambda e: dweight(e).flip(2, 3)
    )
    yield Cause(
        "stride-ignored", f"dout[h,w] is paired with the window at h, w: {formula}.", dweight_at_stride_1
    )
    yield Cause(
        "padding-one-sided",
        f"x is read as if all padding stood on one side: {formula}, with x padded on all four.",
        lambda e: dweight(e, x=padded_on_one_side(e.x, e.stage.padding, before=False), padding=0),
    )
    sums = {
        "image of the batch": (0,),
        "row of pixels": (2,),
        "pixel": (2, 3),
        "pixel of an image": (0, 2, 3),
    }
    for what, axes in sums.items():
        yield from one_of_many(
            "dweight",
            what,
            "nhw",
            kept_dout(axes),
        )
    yield from misread_dout("dweight", lambda e, dout: dweight(e, dout=dout))


def kept_dout(axes: tuple[int, ...]):
    """dweight of one entry of dout along these axes."""
    return lambda e, keep: dweight(e, dout=e.dout * math.prod(keep(e.dout, axis) for axis in axes))


def dweight_at_stride_1(e: Evidence) -> Tensor:
    (KH, KW), _, (PH, PW) = geometry(e)
    OH, OW = e.dout.shape[2:]
    x = functional.pad(e.x, (PW, PW, PH, PH))[:, :, : OH + KH - 1, : OW + KW - 1]
    return conv2d_weight(x, e.weight.shape, e.dout)


def dbias_causes(axes: tuple[int, ...] = (0, 2, 3)) -> Iterator[Cause]:
    """Also those of Dense, whose bias is summed over axis 0 alone."""
    formula = (
        f"dbias is the sum of dout over {'axes' if len(axes) > 1 else 'axis'} {', '.join(map(str, axes))}"
    )
    yield Cause(
        "summed-over-all",
        f"all biases get the same number: {formula}, one for each bias.",
        lambda e: np.full(e.exact["dbias"].shape, e.dout.sum()),
    )
    yield Cause(
        "summed-over-all", f"dbias is one number: {formula}, one for each bias.", lambda e: e.dout.sum()
    )
    for size in range(len(axes)):
        for some in itertools.combinations(axes, size):
            rest = tuple(axis for axis in axes if axis not in some)
            where = f"{'axes' if len(rest) > 1 else 'axis'} {', '.join(map(str, rest))}"
            yield Cause(
                "not-summed",
                f"the sum over {where} is missing: {formula}.",
                lambda e, some=some: e.dout.sum(some) if some else e.dout,
            )
            for code, what, take in (
                ("wrong-factor", "averaged", torch.mean),
                ("first-only", "taken from the first entry only", lambda t, axes: picked(t, axes, 0)),
                ("last-only", "taken from the last entry only", lambda t, axes: picked(t, axes, -1)),
            ):
                yield Cause(
                    code,
                    f"dbias is {what} along {where}: {formula}.",
                    lambda e, some=some, rest=rest, take=take: take(
                        e.dout.sum(some, keepdim=True) if some else e.dout, rest
                    ).flatten(),
                )
    yield from misread_dout("dbias", lambda e, dout: dout.sum(axes))


def picked(tensor: Tensor, axes: tuple[int, ...], index: int) -> Tensor:
    for axis in axes:
        tensor = tensor.select(axis, index).unsqueeze(axis)
    return tensor


def dx(e: Evidence, dout: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
    weight, dout = e.weight if weight is None else weight, e.dout if dout is None else dout
    return conv2d_input(e.x.shape, weight, dout, e.stage.stride, e.stage.padding)


def dx_causes() -> Iterator[Cause]:
    formula = "dx[n, c, h*S+i, w*S+j] += sum_f weight[f,c,i,j] * dout[n,f,h,w]"
    yield Cause(
        "kernel-flipped",
        f"the kernel is turned the wrong way: {formula}. (A full convolution of dout takes the kernel "
        "turned by "
        "180 degrees, and a correlation turns it once more.)",
        with_weight(dx, lambda e: e.weight.flip(2, 3)),
    )
    yield Cause(
        "kernel-transposed",
        f"rows and columns of the kernel are exchanged: {formula}.",
        with_weight(dx, transposed),
    )
    yield Cause(
        "filters-for-channels",
        f"filters and channels are exchanged: {formula}, summed over f, the filters.",
        with_weight(dx, exchanged),
    )
    yield from back_to_pixels(dwindows, formula)
    yield from one_of_many("dx", "filter", "f", lambda e, keep: dx(e, dout=e.dout * keep(e.dout, 1)))
    yield from misread_dout("dx", lambda e, dout: dx(e, dout=dout))
    for order in permutations(range(3, 4)):
        for there in (True, False):
            yield Cause(
                "reading-order",
                f"the kernel is read in another order than the windows that dx is added back through: "
                f"{formula}.",
                with_weight(dx, lambda e, order=order, there=there: kernel_misread(e, order, there)),
            )


def dwindows(e: Evidence) -> Tensor:
    """The gradient of every window, (N, C, KH*KW, OH*OW)."""
    return torch.einsum("nfp,fck->nckp", e.dout.flatten(2), e.weight.flatten(2))


CAUSES = {"out": out_causes, "dweight": dweight_causes, "dbias": dbias_causes, "dx": dx_causes}
