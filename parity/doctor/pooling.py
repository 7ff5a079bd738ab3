"""Mistakes in max and average pooling."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from parity.doctor.arithmetic import (
    back_to_pixels,
    cropped,
    geometry,
    misread_dout,
    padded_on_one_side,
    scatter,
)
from parity.doctor.evidence import Cause, Evidence, Page, causes
from parity.rules import windows_of

Pool = Callable[..., Tensor]


def onehot(index: Tensor, like: Tensor) -> Tensor:
    return torch.zeros_like(like).scatter(2, index, 1.0)


def shares(e: Evidence, rule: str, fill: float = -math.inf) -> Tensor:
    """Which part of dout each entry of a window gets, (N, C, KH*KW, OH*OW), by a right or wrong rule."""
    windows = windows_of(e.stage, e.x, fill)
    KH, KW = geometry(e)[0]
    winners = (windows == windows.amax(dim=2, keepdim=True)).double()
    place = torch.arange(KH * KW).reshape(-1, 1)
    first = (winners * (KH * KW - place)).argmax(dim=2, keepdim=True)
    match rule:
        case "first":
            return onehot(first, winners)
        case "last":
            return onehot((winners * (place + 1)).argmax(dim=2, keepdim=True), winners)
        case "by column":
            by_column = place % KW * KH + place // KW
            return onehot((winners * (KH * KW - by_column)).argmax(dim=2, keepdim=True), winners)
        case "smallest":
            return onehot(windows.argmin(dim=2, keepdim=True), winners)
        case "corner":
            return onehot(torch.zeros_like(first), winners)
        case "all":
            return winners
        case "shared":
            return winners / winners.sum(dim=2, keepdim=True)
        case "spread":
            return torch.full_like(winners, 1 / (KH * KW))
        case "everywhere":
            return torch.ones_like(winners)
    raise ValueError(f"shares: rule is {rule!r}")


def given_back(e: Evidence, share: Tensor, dout: Tensor | None = None) -> Tensor:
    """dx of a pooling in which `share` of dout goes back through each window."""
    dout = e.dout if dout is None else dout
    return torch.from_numpy(cropped(e, scatter(e, share * dout.flatten(2)[:, :, None])).copy())


def given_back_by(rule: str, e: Evidence, dout: Tensor) -> Tensor:
    return given_back(e, shares(e, rule), dout)


def geometry_causes(pool: Pool) -> Iterator[Cause]:
    """Windows of the wrong places, for either pooling."""
    formula = "window h, w starts at row h*S - padding, column w*S - padding"
    for stride, cut in ((1, True), (1, False), (None, False)):
        yield Cause(
            "stride-ignored",
            f"the windows step by {'the size of the kernel' if stride is None else 1}, not by S: {formula}.",
            lambda e, stride=stride, cut=cut: pool(e.x, e.stage.kernel_size, stride, e.stage.padding)[
                :, :, : e.dout.shape[2] if cut else None, : e.dout.shape[3] if cut else None
            ],
        )
    yield Cause(
        "height-for-width",
        f"the columns step by the stride of the rows: {formula}.",
        lambda e: columns_by_row_stride(e, pool),
    )
    yield Cause(
        "stride-ignored",
        "without a stride the windows step by 1: the stride is the size of the window unless it is given.",
        lambda e: (
            pool(e.x, e.stage.kernel_size, 1, e.stage.padding)
            if e.stage.stride == e.stage.kernel_size
            else None
        ),
    )
    yield Cause(
        "padding-ignored",
        "the image is not padded: put `padding` rows and columns on each of the four sides.",
        lambda e: pool(e.x, e.stage.kernel_size, e.stage.stride, 0),
    )
    yield Cause(
        "rounded-up",
        "incomplete windows are kept: out has (H + 2*padding - KH) // stride + 1 rows, rounded down.",
        lambda e: pool(e.x, e.stage.kernel_size, e.stage.stride, e.stage.padding, ceil_mode=True),
    )
    yield Cause(
        "reading-order",
        "the tiles are cut in the wrong order: H splits into OH, KH, x.reshape(N, C, OH, KH, OW, KW).",
        lambda e: tiles_interleaved(e, pool),
    )


def columns_by_row_stride(e: Evidence, pool: Pool) -> Tensor | None:
    """Pixels as a flat list, in which window h, w starts at h*SH rows and w*SH (not w*SW) columns."""
    (KH, KW), (SH, SW), (PH, PW) = geometry(e)
    if SH == SW:
        return None
    fill = -math.inf if pool is functional.max_pool2d else 0.0
    padded = functional.pad(e.x, (PW, PW, PH, PH), value=fill)
    (rows, columns), (OH, OW) = padded.shape[2:], e.dout.shape[2:]
    h, w, i, j = torch.meshgrid(*map(torch.arange, (OH, OW, KH, KW)), indexing="ij")
    index = ((h * SH + i) * columns + w * SH + j).clamp(max=rows * columns - 1)
    windows = padded.flatten(2)[:, :, index.flatten(2)]
    return windows.amax(dim=4) if fill else windows.mean(dim=4)


def tiles_interleaved(e: Evidence, pool: Pool) -> Tensor | None:
    (KH, KW), stride, padding = geometry(e)
    if stride != (KH, KW) or padding != (0, 0):
        return None
    (N, C), (OH, OW) = e.x.shape[:2], e.dout.shape[2:]
    tiles = e.x[:, :, : OH * KH, : OW * KW].reshape(N, C, KH, OH, KW, OW)
    return tiles.amax(dim=(2, 4)) if pool is functional.max_pool2d else tiles.mean(dim=(2, 4))


@causes("MaxPool2D", "out")
def max_out_causes() -> Iterator[Cause]:
    def mean(e: Evidence) -> Tensor:
        return windows_of(e.stage, e.x, 0.0).mean(dim=2).reshape(e.dout.shape)

    yield Cause(
        "zero-padding",
        "padding counts as 0 and wins over negative numbers: pad a max pool with -inf.",
        lambda e: windows_of(e.stage, e.x, 0.0).amax(dim=2).reshape(e.dout.shape),
    )
    yield Cause("mean-for-largest", "out is the mean of each window: a max pool keeps the largest.", mean)
    yield Cause(
        "absolute-value",
        "the largest magnitude is taken: a max pool keeps the largest number, sign included.",
        lambda e: functional.max_pool2d(e.x.abs(), e.stage.kernel_size, e.stage.stride, e.stage.padding),
    )
    for fill in (-math.inf, math.inf):
        yield Cause(
            "smallest-for-largest",
            "out is the smallest of each window: a max pool keeps the largest.",
            lambda e, fill=fill: windows_of(e.stage, e.x, fill).amin(dim=2).reshape(e.dout.shape),
        )
    yield Cause(
        "mean-for-largest",
        "out is the mean of each window: a max pool keeps the largest.",
        lambda e: windows_of(e.stage, e.x, -math.inf).mean(dim=2).reshape(e.dout.shape),
    )
    yield Cause(
        "absolute-value",
        "the largest magnitude is taken, padding with it: a max pool keeps the largest number.",
        lambda e: windows_of(e.stage, e.x, -math.inf).abs().amax(dim=2).reshape(e.dout.shape),
    )
    for axis, name in ((1, "channels"), (0, "images")):
        yield Cause(
            "over-other-axes",
            f"all {name} share one maximum: each has its own.",
            lambda e, axis=axis: (
                torch.from_numpy(e.exact["out"]).amax(dim=axis, keepdim=True).expand(e.dout.shape)
            ),
        )
    yield from geometry_causes(functional.max_pool2d)


@causes("MaxPool2D", "dx")
def max_dx_causes() -> Iterator[Cause]:
    formula = "dx[n, c, h*S+i, w*S+j] += dout[n,c,h,w] where i, j is the winner"
    for rule, code, sentence in (
        ("last", "ties-last", "of equal numbers the last gets the gradient: PyTorch gives it to the first."),
        (
            "by column",
            "ties-by-column",
            "of equal numbers the first down the columns gets the gradient: PyTorch reads row by row.",
        ),
        ("smallest", "smallest-for-largest", "the smallest number gets the gradient: it is the largest's."),
        ("shared", "ties-shared", "equal numbers share the gradient: PyTorch gives all of it to the first."),
        (
            "all",
            "ties-all",
            "each of several equal maxima gets the whole gradient: give it to the first alone.",
        ),
        (
            "spread",
            "gradient-spread",
            "the gradient is spread over the window as in average pooling: it belongs to the largest.",
        ),
        (
            "everywhere",
            "mask-missing",
            "every entry of a window gets the whole gradient: it belongs to the largest.",
        ),
        (
            "corner",
            "winner-misplaced",
            "the gradient goes to the first entry of a window: it belongs to the largest.",
        ),
    ):
        yield Cause(code, f"{sentence} {formula}.", lambda e, rule=rule: given_back(e, shares(e, rule)))
    yield Cause(
        "axes-swapped",
        f"row and column of the winner are exchanged: its place in the window is i*KW + j. {formula}.",
        winner_transposed,
    )
    yield Cause(
        "upstream-ignored",
        f"dx is the mask alone: {formula}.",
        lambda e: given_back(e, shares(e, "first"), torch.ones_like(e.dout)),
    )
    yield Cause(
        "zero-padding",
        "padded zeros win where all numbers are negative: pad with -inf.",
        lambda e: given_back(e, shares(e, "first", fill=0.0)),
    )
    yield Cause(
        "absolute-value",
        f"the gradient goes to the largest magnitude: it belongs to the largest number. {formula}.",
        lambda e: given_back(e, shares(replace(e, inputs=e.inputs | {"x": e.x.abs()}), "first")),
    )
    for corner in ((None, None), (0, 0)):
        yield Cause(
            "padding-ignored",
            f"dx is as if the windows began in the unpadded image: {formula}, all in padded coordinates.",
            lambda e, corner=corner: cropped(
                e, scatter(e, unpadded_winners(e) * e.dout.flatten(2)[:, :, None]), *corner
            ),
        )
    for what, keep, why in (
        ("first", 0, "a return inside the loop"),
        ("last", -1, "a line outside its loop, or zeros inside it"),
    ):
        yield Cause(
            f"{what}-only",
            f"only the {what} window returns its gradient, as by {why}: {formula}, for all h, w.",
            lambda e, keep=keep: given_back(e, shares(e, "first"), one_pixel(e.dout, keep)),
        )
    for rule in ("first", "last", "all", "shared"):
        yield from back_to_pixels(
            lambda e, rule=rule: shares(e, rule) * e.dout.flatten(2)[:, :, None],
            formula,
            only=lambda e, rule=rule: shares(e, rule) > 0,
        )
    yield from misread_dout("dx", partial(given_back_by, "first"))


def winner_transposed(e: Evidence) -> Tensor:
    """The gradient at row j, column i of the window instead of i, j, which may lie outside of it."""
    (KH, KW), (SH, SW), (PH, PW) = geometry(e)
    N, C, H, W = e.x.shape
    winner = shares(e, "first").argmax(dim=2).reshape(e.dout.shape)
    padded = torch.zeros(N, C, H + 2 * PH + KW, W + 2 * PW + KH, dtype=e.dout.dtype)
    n, c, h, w = torch.meshgrid(*map(torch.arange, e.dout.shape), indexing="ij")
    padded.index_put_((n, c, h * SH + winner % KW, w * SW + winner // KW), e.dout, accumulate=True)
    return padded[:, :, PH : PH + H, PW : PW + W]


def one_pixel(dout: Tensor, index: int) -> Tensor:
    kept = torch.zeros_like(dout)
    kept[:, :, index, index] = dout[:, :, index, index]
    return kept


def unpadded_winners(e: Evidence) -> Tensor:
    x = padded_on_one_side(e.x, e.stage.padding, before=False, fill=-math.inf)
    windows = functional.unfold(x, e.stage.kernel_size, stride=e.stage.stride)
    windows = windows.reshape(*e.x.shape[:2], -1, windows.shape[-1])
    return onehot(windows.argmax(dim=2, keepdim=True), windows)


@causes("AvgPool2D", "out")
def average_out_causes() -> Iterator[Cause]:
    for axis, name in ((1, "channels"), (0, "images")):
        yield Cause(
            "over-other-axes",
            f"all {name} share one mean: each has its own.",
            lambda e, axis=axis: (
                torch.from_numpy(e.exact["out"]).mean(dim=axis, keepdim=True).expand(e.dout.shape)
            ),
        )
    yield Cause(
        "rounded-down",
        "the mean is rounded down, as by // or an array of int: keep the fraction.",
        lambda e: np.floor(e.exact["out"]),
    )
    yield Cause(
        "real-cells-only",
        "padding is left out of the count: PyTorch divides by KH*KW everywhere (count_include_pad=True).",
        lambda e: functional.avg_pool2d(
            e.x, e.stage.kernel_size, e.stage.stride, e.stage.padding, count_include_pad=False
        ),
    )
    yield Cause(
        "largest-for-mean",
        "out is the largest of each window: an average pool takes the mean.",
        lambda e: windows_of(e.stage, e.x, 0.0).amax(dim=2).reshape(e.dout.shape),
    )
    yield from geometry_causes(functional.avg_pool2d)


@causes("AvgPool2D", "dx")
def average_dx_causes() -> Iterator[Cause]:
    formula = "dx[n, c, h*S+i, w*S+j] += dout[n,c,h,w] / (KH*KW) for all i, j"
    yield Cause(
        "real-cells-only",
        "padding is left out of the count: PyTorch divides by KH*KW everywhere (count_include_pad=True).",
        lambda e: given_back(
            e, shares(e, "everywhere") / windows_of(e.stage, torch.ones_like(e.x), 0.0).sum(2, keepdim=True)
        ),
    )
    for rule, code, sentence in (
        ("first", "winner-takes-all", "the gradient goes to the largest entry, as in max pooling:"),
        ("corner", "winner-misplaced", "the gradient goes to the first entry of every window:"),
    ):
        yield Cause(code, f"{sentence} {formula}.", lambda e, rule=rule: given_back(e, shares(e, rule)))
    yield Cause(
        "stride-ignored",
        f"every gradient is repeated side by side as if the stride were the kernel's size: {formula}.",
        repeated_tiles,
    )
    yield Cause(
        "wrong-factor",
        f"dx is multiplied by KH*KW, as where every pixel gets the whole gradient of its window: {formula}.",
        lambda e: given_back(e, shares(e, "everywhere")),
    )
    for rule, text in (("spread", formula), ("everywhere", f"{formula}, KH*KW being missing, too")):
        yield from back_to_pixels(lambda e, rule=rule: shares(e, rule) * e.dout.flatten(2)[:, :, None], text)
    yield from misread_dout("dx", partial(given_back_by, "spread"))


def repeated_tiles(e: Evidence) -> Tensor:
    (KH, KW), _, (PH, PW) = geometry(e)
    H, W = e.x.shape[2:]
    tiles = (e.dout / (KH * KW)).repeat_interleave(KH, dim=2).repeat_interleave(KW, dim=3)
    padded = torch.zeros(*e.x.shape[:2], H + 2 * PH, W + 2 * PW, dtype=tiles.dtype)
    rows, columns = min(padded.shape[2], tiles.shape[2]), min(padded.shape[3], tiles.shape[3])
    padded[:, :, :rows, :columns] = tiles[:, :, :rows, :columns]
    return padded[:, :, PH : PH + H, PW : PW + W]


PAGES = [
    Page(
        "smallest-for-largest",
        kind="MaxPool2D",
        what="The smallest number of a window is taken.",
        right="out = windows.max(axis=(4, 5))",
        wrong="out = windows.min(axis=(4, 5))",
        why="With bright digits on a dark ground the background is kept, and the digit is lost.",
    ),
    Page(
        "over-other-axes",
        kind="MaxPool2D",
        what="Channels, or images, share one result.",
        right="out = windows.max(axis=(4, 5))",
        wrong="out = np.repeat(windows.max(axis=(1, 4, 5))[:, None], x.shape[1], axis=1)",
        why="A pool knows nothing of the other channels. With one channel and one image nothing shows it.",
    ),
    Page(
        "rounded-down",
        kind="AvgPool2D",
        what="The mean is rounded down.",
        right="out = windows.mean(axis=(4, 5))",
        wrong="out = windows.sum(axis=(4, 5)) // (KH * KW)",
        why="// divides whole numbers. Pixels of 0 to 255 hide it, normalised ones do not.",
    ),
    Page(
        "zero-padding",
        kind="MaxPool2D",
        what="A max pool pads with 0, which wins over negative numbers.",
        right="padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], constant_values=-np.inf)",
        wrong="padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)])",
        why="Behind a ReLU nothing is negative and both agree. Elsewhere the border becomes 0.",
    ),
    Page(
        "mean-for-largest",
        kind="MaxPool2D",
        what="out is the mean of each window, not its largest number.",
        right="out = windows.max(axis=(4, 5))",
        wrong="out = np.where(np.isfinite(windows), windows, 0).mean(axis=(4, 5))",
        why="A network trains with either pooling. Which of the two it is shows in numbers alone.",
    ),
    Page(
        "absolute-value",
        kind="MaxPool2D",
        what="The largest magnitude is taken, not the largest number.",
        right="padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], constant_values=-np.inf)",
        wrong="padded = np.pad(abs(x), [(0, 0), (0, 0), (PH, PH), (PW, PW)], constant_values=-np.inf)",
        why="Behind a ReLU nothing is negative and the two agree.",
    ),
    Page(
        "rounded-up",
        kind="MaxPool2D",
        what="The last windows, which do not fit, are kept.",
        right="windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]",
        wrong="""
        more = [(0, -(padded.shape[2] - KH) % SH), (0, -(padded.shape[3] - KW) % SW)]
        padded = np.pad(padded, [(0, 0), (0, 0), *more], constant_values=-np.inf)
        windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]
        windows = windows[:, :, : -(-(x.shape[2] + PH) // SH), : -(-(x.shape[3] + PW) // SW)]
        """,
        why="""PyTorch rounds the number of windows down unless ceil_mode is set. A stride that divides the
        image hides it.""",
    ),
    Page(
        "ties-last",
        kind="MaxPool2D",
        what="Of equal numbers the last one gets the gradient.",
        right="winner = flat.argmax(axis=4)",
        wrong="winner = KH * KW - 1 - flat[..., ::-1].argmax(axis=4)",
        why="""PyTorch gives it to the first. Random numbers never tie; a ReLU makes ties of zeros all the
        time.""",
    ),
    Page(
        "ties-by-column",
        kind="MaxPool2D",
        what="Of equal numbers the first one down the columns gets the gradient.",
        right="winner = flat.argmax(axis=4)",
        wrong="""
        by_column = windows.swapaxes(4, 5).reshape(*dout.shape, KW * KH).argmax(axis=4)
        winner = by_column % KH * KW + by_column // KH
        """,
        why="PyTorch reads row by row. Only ties tell the two orders apart.",
    ),
    Page(
        "ties-shared",
        kind="MaxPool2D",
        what="Equal numbers share the gradient.",
        right="share = np.eye(KH * KW, dtype=x.dtype)[winner]",
        wrong="""
        share = (flat == flat.max(axis=4, keepdims=True)).astype(x.dtype)
        share = share / share.sum(axis=4, keepdims=True)
        """,
        why="""A fair rule, but not PyTorch's, which gives all of it to the first. Theano and TensorFlow have
        chosen differently here.""",
    ),
    Page(
        "ties-all",
        kind="MaxPool2D",
        what="Each of several equal maxima gets the whole gradient.",
        right="share = np.eye(KH * KW, dtype=x.dtype)[winner]",
        wrong="share = (flat == flat.max(axis=4, keepdims=True)).astype(x.dtype)",
        why="""`windows == out` marks every tie, so more gradient flows back than came in. The most frequent
        mistake of all in max pooling.""",
    ),
    Page(
        "gradient-spread",
        kind="MaxPool2D",
        what="The gradient is spread evenly over the window.",
        right="share = np.eye(KH * KW, dtype=x.dtype)[winner]",
        wrong="share = np.full(flat.shape, 1 / (KH * KW), x.dtype)",
        why="That is average pooling's backward. In a max pool only the winner moved out.",
    ),
    Page(
        "winner-misplaced",
        kind="MaxPool2D",
        what="The gradient goes to another place of the window than the winner's.",
        right="share = np.eye(KH * KW, dtype=x.dtype)[winner]",
        wrong="share = np.eye(KH * KW, dtype=x.dtype)[0 * winner]",
        why="The sum of dx is right, so a test that adds up does not see it.",
    ),
    Page(
        "real-cells-only",
        kind="AvgPool2D",
        what="Padding is left out of the count.",
        right="out = windows.mean(axis=(4, 5))",
        wrong="""
        ones = np.pad(np.ones_like(x), [(0, 0), (0, 0), (PH, PH), (PW, PW)])
        count = sliding_window_view(ones, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW].sum(axis=(4, 5))
        out = windows.sum(axis=(4, 5)) / count
        """,
        why="""PyTorch divides by KH*KW everywhere (count_include_pad=True), ONNX by the real cells. Without
        padding both agree.""",
    ),
    Page(
        "largest-for-mean",
        kind="AvgPool2D",
        what="out is the largest number of each window, not the mean.",
        right="out = windows.mean(axis=(4, 5))",
        wrong="out = windows.max(axis=(4, 5))",
        why="Copied from the max pool. Shapes cannot tell them apart.",
    ),
    Page(
        "winner-takes-all",
        kind="AvgPool2D",
        what="The gradient goes to the largest entry, as in max pooling.",
        right="dwindow = dout[:, :, h, w, None, None] * share",
        wrong="""
        pixels = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], constant_values=-np.inf)
        pixels = pixels[:, :, h * SH : h * SH + KH, w * SW : w * SW + KW]
        flat = pixels.reshape(*x.shape[:2], KH * KW)
        dwindow = dout[:, :, h, w, None] * np.eye(KH * KW, dtype=x.dtype)[flat.argmax(axis=2)]
        dwindow = dwindow.reshape(*x.shape[:2], KH, KW)
        """,
        why="In a mean every entry moved out equally, so each gets 1 / (KH*KW) of the gradient.",
    ),
]
