"""Where the gradient of a window goes: positions, padding that wins, means where sums are meant."""

import itertools
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from parity.bounds import Array
from parity.doctor.arithmetic import cropped, geometry, scatter
from parity.doctor.convolution import paddings
from parity.doctor.evidence import Cause, Evidence, causes
from parity.doctor.places import gradients_of_windows
from parity.doctor.pooling import given_back, onehot, shares

FORMULA = "dx_padded[n, c, h*SH + i, w*SW + j] += dout[n,c,h,w] where i, j is the winner"


@causes("MaxPool2D", "dx")
def flat_positions() -> Iterator[Cause]:
    """The winner of window h, w at row*L + column of an image that is written as one list."""
    offsets: dict[str, Any] = {
        "": lambda S: S,
        "the strides of rows and columns are exchanged": lambda S: S[::-1],
        "the columns step by the stride of the rows": lambda S: (S[0], S[0]),
        "the rows step by the stride of the columns": lambda S: (S[1], S[1]),
        "the offset h*SH, w*SW of the window is left out": lambda S: (0, 0),
        "the offset of the window's rows is left out": lambda S: (0, S[1]),
        "the offset of the window's columns is left out": lambda S: (S[0], 0),
        "windows start at h, w": lambda S: (1, 1),
        "the offsets of the rows stand along the columns, [:, None] is missing": None,
    }
    lengths: dict[str, Any] = {
        "": lambda H, W, PH, PW: W + 2 * PW,
        "a row has the length of the image without padding": lambda H, W, PH, PW: W,
        "a row has the length of a column": lambda H, W, PH, PW: H + 2 * PH,
        "a row has the length of a column without padding": lambda H, W, PH, PW: H,
    }
    channels = {"": False, "all channels go into channel 0": True}
    everything = itertools.product(offsets.items(), lengths.items(), channels.items())
    for (offset, stride), (row, length), (channel, first) in everything:
        what = "; ".join(text for text in (offset, row, channel) if text)
        if what:
            yield Cause(
                "winner-misplaced",
                f"dx is as where {what}: {FORMULA}.",
                partial(placed, stride, length, first),
            )


def placed(stride: Any, length: Any, first: bool, e: Evidence) -> Array:
    """Raises IndexError where the code would."""
    (_, KW), S, (PH, PW) = geometry(e)
    (N, C, H, W), (OH, OW) = e.x.shape, e.dout.shape[2:]
    winner = shares(e, "first").argmax(dim=2).reshape(N, C, OH, OW).numpy()
    n, c, h, w = np.ogrid[:N, :C, :OH, :OW]
    SH, SW = stride(S) if stride else S
    rows = h * SH if stride else np.arange(OH) * SH  # the latter only where it broadcasts
    place = (rows + winner // KW) * length(H, W, PH, PW) + w * SW + winner % KW
    image = np.zeros((N, C, (H + 2 * PH) * (W + 2 * PW)))
    np.add.at(image, (n, 0 * c if first else c, place), e.dout.numpy())
    return cropped(e, image.reshape(N, C, H + 2 * PH, W + 2 * PW))


@causes("MaxPool2D", "dx")
def padding_that_wins() -> Iterator[Cause]:
    yield from paddings(winners_among, "-inf")
    yield Cause(
        "absolute-value",
        f"the gradient goes to the largest magnitude, which padding of -inf has: {FORMULA}.",
        lambda e: winners_among(e, magnitudes(e)),
    )


def magnitudes(e: Evidence) -> Tensor:
    _, _, (PH, PW) = geometry(e)
    return functional.pad(e.x.abs(), (PW, PW, PH, PH), value=math.inf)


def winners_among(e: Evidence, padded: Tensor) -> Tensor:
    """dx of a max pool over an image that is padded already."""
    windows = functional.unfold(padded, e.stage.kernel_size, stride=e.stage.stride)
    windows = windows.reshape(*padded.shape[:2], -1, windows.shape[-1])
    winner = onehot(windows.argmax(dim=2, keepdim=True), windows)
    return given_back(e, winner)


@causes("AvgPool2D", "out")
def padding_that_counts() -> Iterator[Cause]:
    yield from paddings(lambda e, padded: functional.avg_pool2d(padded, e.stage.kernel_size, e.stage.stride))


@causes("Conv2D", "dx")
@causes("MaxPool2D", "dx")
@causes("AvgPool2D", "dx")
def overlaps() -> Iterator[Cause]:
    for what, everywhere in (("the windows that read it", True), ("the gradients that it gets", False)):
        yield Cause(
            "wrong-factor",
            f"dx of a pixel is divided by the number of {what}: gradients add up where windows overlap.",
            partial(averaged, everywhere),
        )
    yield Cause(
        "rounded-down",
        "the gradients of windows are rounded down, as by //: keep the fraction.",
        lambda e: cropped(e, scatter(e, gradients_of_windows(e).floor())),
    )


def averaged(everywhere: bool, e: Evidence) -> Array:
    gradients = gradients_of_windows(e)
    one = torch.ones_like(gradients) if everywhere else (gradients != 0).double()
    return cropped(e, scatter(e, gradients) / np.maximum(scatter(e, one), 1))


@causes("Conv2D", "out")
@causes("MaxPool2D", "out")
@causes("AvgPool2D", "out")
@causes("Dense", "out")
@causes("ReLU", "out")
def whole_numbers() -> Iterator[Cause]:
    for what, rounded in (
        ("rounded down", np.floor),
        ("cut off behind the point", np.trunc),
        ("rounded to whole numbers", np.round),
    ):
        yield Cause(
            "rounded-down",
            f"out is {what}, as by // or an array of int: it has the dtype of x, and division is /.",
            lambda e, rounded=rounded: rounded(e.exact["out"]),
        )


@causes("Conv2D", "dweight")
def dilations() -> Iterator[Cause]:
    """dweight as a correlation of the padded image with a dout that is spread by the stride."""
    yield Cause(
        "stride-ignored",
        "dout is not dilated by the stride before it is correlated with x: dweight has another shape then.",
        lambda e: correlated(e, 1),
    )
    yield Cause(
        "wrong-size",
        "dweight has a row or column for each that no window reads: cut it to (KH, KW).",
        lambda e: correlated(e, geometry(e)[1]),
    )
    yield Cause(
        "moved",
        "dweight pairs dout with windows that end at the last row and column: they start at the first.",
        lambda e: correlated(e, geometry(e)[1])[:, :, -e.weight.shape[2] :, -e.weight.shape[3] :],
    )


def correlated(e: Evidence, dilation: int | tuple[int, int]) -> Tensor:
    _, _, (PH, PW) = geometry(e)
    x = functional.pad(e.x, (PW, PW, PH, PH)).transpose(0, 1)
    return functional.conv2d(x, e.dout.transpose(0, 1), dilation=dilation).transpose(0, 1)
