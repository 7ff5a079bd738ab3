"""Mistakes in a convolution."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from parity.doctor.arithmetic import (
    back_to_pixels,
    cropped,
    geometry,
    misread_dout,
    one_of_many,
    padded_on_one_side,
    permutations,
    scatter,
)
from parity.doctor.evidence import Cause, Evidence, Page, Predict, causes


def conv(e: Evidence, **changed: Any) -> Tensor:
    """out of a convolution of which some arguments are changed."""
    arguments: dict[str, Any] = {"input": e.x, "weight": e.weight, "bias": e.inputs.get("bias")}
    arguments |= {"stride": e.stage.stride, "padding": e.stage.padding} | changed
    return functional.conv2d(**arguments)


def transposed(e: Evidence) -> Tensor:
    """Rows and columns of the kernel exchanged; one that is not square is poured into the old shape."""
    return e.weight.transpose(2, 3).reshape(e.weight.shape)


def exchanged(e: Evidence) -> Tensor:
    """Filters and channels exchanged; where there are not as many, poured into the other shape."""
    F, C, KH, KW = e.weight.shape
    return e.weight.reshape(C, F, KH, KW).transpose(0, 1)


def with_weight(compute: Callable[..., Tensor], change: Predict) -> Predict:
    return lambda e: compute(e, weight=change(e))


@causes("Conv2D", "out")
def out_causes() -> Iterator[Cause]:
    formula = "out[n,f,h,w] = bias[f] + sum_cij weight[f,c,i,j] * x[n, c, h*S+i, w*S+j]"
    for axes, what in (((2, 3), "turned by 180 degrees"), ((2,), "upside down"), ((3,), "mirrored")):
        yield Cause(
            "kernel-flipped",
            f"the kernel, or each window, is {what}: a CNN correlates and flips nothing, {formula}.",
            with_weight(conv, lambda e, axes=axes: e.weight.flip(axes)),
        )
    yield Cause(
        "kernel-transposed",
        f"rows and columns of the kernel, or of the windows, are exchanged: {formula}, with i along rows.",
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
                "weight and windows are flattened in different orders: flatten both in the order c, i, j.",
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
            f"the bias is {what}: {formula}.",
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
        "the image is not padded: put `padding` rows and columns of zeros on each of the four sides.",
        lambda e: conv(e, padding=0),
    )
    for before, moved, where in (
        (False, "down and to the right", "below and to the right"),
        (True, "up and to the left", "above and to the left or the image is padded twice"),
    ):
        yield Cause(
            "padding-one-sided",
            f"the windows stand PH rows and PW columns too far {moved}, as where all padding is {where}: "
            "window h, w starts at row h*S - PH, column w*S - PW of x.",
            lambda e, before=before: conv(
                e, input=padded_on_one_side(e.x, e.stage.padding, before), padding=0
            ),
        )
    yield from one_of_many(
        "out", "channel", "c", lambda e, keep: conv(e, weight=e.weight * keep(e.weight, 1))
    )
    for what, change in shared_biases():
        yield Cause(
            "bias-shared",
            f"{what}: {formula}.",
            lambda e, change=change: conv(e, bias=change(e.bias)) if "bias" in e.inputs else None,
        )
    yield Cause(
        "bias-per-cell",
        f"the bias is added once for each image: {formula}.",
        lambda e: conv(e, bias=len(e.x) * e.bias) if "bias" in e.inputs else None,
    )
    yield Cause(
        "wrong-factor",
        f"the products are averaged: they are added up, {formula}.",
        lambda e: conv(e, weight=e.weight / e.weight[0].numel()),
    )
    yield from paddings(lambda e, padded: conv(e, input=padded, padding=0))
    yield Cause(
        "summed-over-batch",
        f"every image gets the sum of all images: {formula}, for each n.",
        lambda e: conv(e, bias=None).sum(dim=0, keepdim=True).expand(len(e.x), -1, -1, -1) + bias_of(e),
    )


def bias_of(e: Evidence) -> Tensor:
    return e.bias[:, None, None] if "bias" in e.inputs else torch.zeros(())


def shared_biases() -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    yield "every output gets the sum of all biases", lambda b: b.sum().expand_as(b)
    yield "every output gets the mean of the biases", lambda b: b.mean().expand_as(b)
    yield "every output gets the first bias", lambda b: b[:1].expand_as(b)
    yield "every output gets the last bias", lambda b: b[-1:].expand_as(b)
    yield "the biases stand at the wrong outputs, by one", lambda b: b.roll(1)
    yield "the biases stand in reverse", lambda b: b.flip(0)


def paddings(compute: Callable[[Evidence, Tensor], Tensor], right: str = "0") -> Iterator[Cause]:
    """The image with something else around it than zeros, or than what is right."""
    for what, fill in (
        ("repeats the border", lambda x, edges: functional.pad(x, edges, mode="replicate")),
        ("mirrors the image", lambda x, edges: functional.pad(x, edges, mode="reflect")),
        ("goes around", lambda x, edges: functional.pad(x, edges, mode="circular")),
        ("is 1", lambda x, edges: functional.pad(x, edges, value=1.0)),
        ("is the mean of the images", lambda x, edges: functional.pad(x, edges, value=float(x.mean()))),
        ("is the smallest number", lambda x, edges: functional.pad(x, edges, value=float(x.min()))),
    ):
        yield Cause(
            "padding-value",
            f"the padding {what}: it should be {right}.",
            lambda e, fill=fill: compute(e, fill(e.x, (*[geometry(e)[2][1]] * 2, *[geometry(e)[2][0]] * 2))),
        )


def kernel_misread(e: Evidence, order: tuple[int, ...], there: bool) -> Tensor:
    """The entries of each filter in another order than those of the windows."""
    axes = [0, *(axis + 1 for axis in order)]
    if there:
        return e.weight.permute(axes).reshape(e.weight.shape)
    return e.weight.reshape([e.weight.shape[axis] for axis in axes]).permute(np.argsort(axes).tolist())


def dweight(e: Evidence, x: Tensor | None = None, dout: Tensor | None = None, **changed: Any) -> Tensor:
    settings = {"stride": e.stage.stride, "padding": e.stage.padding} | changed
    x, dout = e.x if x is None else x, e.dout if dout is None else dout
    found: Tensor = conv2d_weight(x, e.weight.shape, dout, **settings)  # type: ignore[no-untyped-call]
    return found


@causes("Conv2D", "dweight")
def dweight_causes() -> Iterator[Cause]:
    formula = "dweight[f,c,i,j] = sum_nhw dout[n,f,h,w] * x[n, c, h*S+i, w*S+j]"
    yield Cause(
        "kernel-flipped", f"dweight is turned by 180 degrees: {formula}.", lambda e: dweight(e).flip(2, 3)
    )
    yield Cause(
        "stride-ignored",
        f"dout[h,w] is paired with the window at h, w, not at h*S, w*S: {formula}.",
        dweight_at_stride_1,
    )
    yield Cause(
        "padding-one-sided",
        "dout meets windows PH rows and PW columns too far down and to the right, as where x is padded on "
        f"two sides only: {formula}.",
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
    yield from paddings(lambda e, padded: dweight(e, x=padded, padding=0))


def kept_dout(axes: tuple[int, ...]) -> Callable[..., Tensor]:
    """dweight of one entry of dout along these axes."""
    return lambda e, keep: dweight(e, dout=e.dout * math.prod(keep(e.dout, axis) for axis in axes))


def dweight_at_stride_1(e: Evidence) -> Tensor:
    (KH, KW), _, (PH, PW) = geometry(e)
    OH, OW = e.dout.shape[2:]
    x = functional.pad(e.x, (PW, PW, PH, PH))[:, :, : OH + KH - 1, : OW + KW - 1]
    found: Tensor = conv2d_weight(x, e.weight.shape, e.dout)  # type: ignore[no-untyped-call]
    return found


@causes("Conv2D", "dbias")
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
    settings = e.stage.stride, e.stage.padding
    found: Tensor = conv2d_input(e.x.shape, weight, dout, *settings)  # type: ignore[no-untyped-call]
    return found


@causes("Conv2D", "dx")
def dx_causes() -> Iterator[Cause]:
    formula = "dx[n, c, h*S+i, w*S+j] += sum_f weight[f,c,i,j] * dout[n,f,h,w]"
    yield Cause(
        "kernel-flipped",
        f"the kernel is turned the wrong way: {formula} (as a correlation of the padded dout, dx needs the "
        "kernel turned by 180 degrees).",
        with_weight(dx, lambda e: e.weight.flip(2, 3)),
    )
    yield Cause(
        "kernel-transposed",
        f"rows and columns of the kernel, or i and j in the place of the pixel, are exchanged: {formula}.",
        with_weight(dx, transposed),
    )
    yield Cause(
        "filters-for-channels",
        f"filters and channels are exchanged: {formula}.",
        with_weight(dx, exchanged),
    )
    yield from back_to_pixels(dwindows, formula)
    for how in ("by pixel", "by kernel"):
        yield Cause(
            "window-overwritten",
            f"a pixel keeps the gradient of the last window and filter alone: {formula} (`+=`, not `=`; with "
            "arrays of indices np.add.at).",
            lambda e, how=how: cropped(e, scatter(e, last_filter(e), how)),
        )
    yield Cause(
        "gradient-for-weight",
        f"dx is computed from dweight in place of weight: {formula}.",
        lambda e: dx(e, weight=torch.from_numpy(e.exact["dweight"])),
    )
    yield from one_of_many("dx", "filter", "f", lambda e, keep: dx(e, dout=e.dout * keep(e.dout, 1)))
    yield from misread_dout("dx", lambda e, dout: dx(e, dout=dout))
    for order in permutations(range(3, 4)):
        for there in (True, False):
            yield Cause(
                "reading-order",
                f"weight and windows are flattened in different orders: {formula}.",
                with_weight(dx, lambda e, order=order, there=there: kernel_misread(e, order, there)),
            )


def last_filter(e: Evidence) -> Tensor:
    """What each window gets from the last filter alone."""
    return torch.einsum("np,ck->nckp", e.dout[:, -1].flatten(1), e.weight[-1].flatten(1))


def dwindows(e: Evidence) -> Tensor:
    """The gradient of every window, (N, C, KH*KW, OH*OW)."""
    return torch.einsum("nfp,fck->nckp", e.dout.flatten(2), e.weight.flatten(2))


PAGES = [
    Page(
        "bias-shared",
        kind="Conv2D",
        what="Every output gets the same bias, or that of another.",
        right="out = out + self.bias[:, None, None]",
        wrong="out = out + self.bias.sum()",
        why="While all biases are 0, as most start, nothing shows it.",
    ),
    Page(
        "padding-value",
        kind="Conv2D",
        what="Something else than zeros stands around the image.",
        right="padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)])",
        wrong='padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], mode="edge")',
        why="Another layer, not a wrong one. It does not equal PyTorch's, whose default is zeros.",
    ),
    Page(
        "summed-over-batch",
        kind="Conv2D",
        what="Every image gets the sum of all images.",
        right='out = np.einsum("nchwij,fcij->nfhw", windows, self.weight)',
        wrong="""
        out = np.einsum("nchwij,fcij->fhw", windows, self.weight)
        out = np.stack([out] * len(x))
        """,
        why="A letter is missing on the right of an einsum. With a batch of one nothing shows it.",
    ),
    Page(
        "kernel-flipped",
        kind="Conv2D",
        what="The kernel is turned against the windows, by 180 degrees, say.",
        right='out = np.einsum("nchwij,fcij->nfhw", windows, self.weight)',
        wrong='out = np.einsum("nchwij,fcij->nfhw", windows, self.weight[:, :, ::-1, ::-1])',
        why="""Mathematics calls the turned one a convolution; a CNN correlates. A network learns turned
        kernels and trains as well, but no weights from PyTorch fit it.""",
    ),
    Page(
        "kernel-transposed",
        kind="Conv2D",
        what="Rows and columns of the kernel are exchanged.",
        right='dwindows = np.einsum("nfhw,fcij->nchwij", dout, self.weight)',
        wrong='dwindows = np.einsum("nfhw,fcji->nchwij", dout, self.weight)',
        why="""A square kernel hides it from every shape check, and a symmetric one from every number. The
        gradient points elsewhere; training slows down and nobody sees why.""",
    ),
    Page(
        "filters-for-channels",
        kind="Conv2D",
        what="Filters and channels of the weight are exchanged.",
        right='dwindows = np.einsum("nfhw,fcij->nchwij", dout, self.weight)',
        wrong="""
        dwindows = np.einsum("nfhw,cfij->nchwij", dout, self.weight.reshape(self.weight.shape[1], -1, KH, KW))
        """,
        why="""weight is (F, C, KH, KW): dx sums over the filters. With as many filters as channels every
        shape fits and every number is wrong.""",
    ),
    Page(
        "bias-dropped",
        kind="Conv2D",
        what="The bias is not added.",
        right="out = out + self.bias[:, None, None]",
        wrong="out = out + 0 * self.bias[:, None, None]",
        why="The bias starts near 0, so the first losses look right. The layer can never shift its output.",
    ),
    Page(
        "bias-twice",
        kind="Conv2D",
        what="The bias is added twice.",
        right="out = out + self.bias[:, None, None]",
        wrong="out = out + 2 * self.bias[:, None, None]",
        why="Training halves the bias and goes on; only a comparison of numbers shows it.",
    ),
    Page(
        "bias-per-cell",
        kind="Conv2D",
        what="The bias is added to every product of the window, not once to their sum.",
        right="out = out + self.bias[:, None, None]",
        wrong="out = out + self.bias[:, None, None] * self.weight[0].size",
        why="A sum over the window belongs before the bias. The effect is a bias that learns too fast.",
    ),
    Page(
        "stride-ignored",
        kind="Conv2D",
        what="The windows step by 1 whatever the stride is.",
        right="windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]",
        wrong="windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))",
        why="""With stride 1, the usual test, both are equal. With another stride out has the wrong shape, or
        the right shape and the wrong windows.""",
    ),
    Page(
        "height-for-width",
        kind="Conv2D",
        what="Rows and columns take each other's stride or padding.",
        right="windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]",
        wrong="windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SW, ::SH]",
        why="Square settings hide it. Test with a stride such as (2, 3).",
    ),
    Page(
        "padding-ignored",
        kind="Conv2D",
        what="The image is not padded.",
        right="padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)])",
        wrong="padded = x",
        why="Without padding out is smaller, and what stands at the border of the image is seen less often.",
    ),
    Page(
        "padding-one-sided",
        kind="Conv2D",
        what="The windows stand too far to one side, as where all of the padding is on the other.",
        right="padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)])",
        wrong="padded = np.pad(x, [(0, 0), (0, 0), (0, 2 * PH), (0, 2 * PW)])",
        why="""out has the right shape, moved by `padding` pixels. Training hides it; weights from elsewhere
        do not.""",
    ),
    Page(
        "first-only",
        kind="Conv2D",
        what="Of a sum only the first term is kept.",
        right='self.dweight = np.einsum("nfhw,nchwij->fcij", dout, windows)',
        wrong='self.dweight = np.einsum("nfhw,nchwij->fcij", dout[:1], windows[:1])',
        why="""A `return` inside the loop over the batch does this. One image is a noisy but honest gradient,
        so training works, only badly.""",
    ),
    Page(
        "last-only",
        kind="Conv2D",
        what="Of a sum only the last term is kept.",
        right='self.dweight = np.einsum("nfhw,nchwij->fcij", dout, windows)',
        wrong="""
        for n in range(len(dout)):
            self.dweight = np.einsum("fhw,chwij->fcij", dout[n], windows[n])
        """,
        why="""`=` where `+=` is meant. With a batch of one the two are equal, so test with more than one
        image.""",
    ),
    Page(
        "summed-over-all",
        kind="Conv2D",
        what="All biases get one and the same gradient.",
        right="self.dbias = dout.sum(axis=(0, 2, 3))",
        wrong="self.dbias = np.full_like(self.bias, dout.sum())",
        why="""Each bias belongs to one channel: its gradient is the sum over images and pixels of that
        channel alone.""",
    ),
    Page(
        "not-summed",
        kind="Conv2D",
        what="A sum is missing, so the gradient has more axes than the bias.",
        right="self.dbias = dout.sum(axis=(0, 2, 3))",
        wrong="self.dbias = dout.sum(axis=(2, 3))",
        why="""A bias that is used in every image and pixel collects from all of them. NumPy would broadcast
        the wrong shape in `bias -= lr * dbias`.""",
    ),
    Page(
        "window-overwritten",
        kind="Conv2D",
        what="Where windows overlap, a pixel keeps one of their gradients alone.",
        right="padded[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] += dwindows[:, :, h, w]",
        wrong="padded[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW] = dwindows[:, :, h, w]",
        why="""A pixel that several windows read moves the loss through all of them. Windows that do not
        overlap hide the difference between `=` and `+=`.""",
    ),
    Page(
        "padding-cropped",
        kind="Conv2D",
        what="dx is moved, or has its padding, as where the crop is at the wrong place.",
        right="dx = padded[:, :, PH : PH + H, PW : PW + W]",
        wrong="dx = padded[:, :, :H, :W]",
        why="""dx has the right shape and belongs to pixels beside the right ones. The first layer does not
        need dx, so a small network hides it.""",
    ),
]
