"""What several kinds of layers share in predicting a mistake."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from parity.bounds import Array, pair
from parity.doctor.evidence import Cause, Evidence, Predict


def permutations(sizes: range) -> Iterator[tuple[int, ...]]:
    """Every other order of the axes of a tensor."""
    for n in sizes:
        yield from (order for order in itertools.permutations(range(n)) if order != tuple(range(n)))


def one_of_many(
    tensor: str, what: str, letters: str, predict: Callable[[Evidence, Callable[[Tensor, int], Tensor]], Any]
) -> Iterator[Cause]:
    """A sum of which one term is kept. predict(e, keep) multiplies by keep(array, axis), 1 at that term."""
    for which, index in (("last", -1), ("first", 0)):

        def keep(array: Tensor, axis: int, index: int = index) -> Tensor:
            mask = torch.zeros(array.shape[axis], dtype=array.dtype)
            mask[index] = 1
            return mask.reshape([-1 if a == axis else 1 for a in range(array.ndim)])

        yield Cause(
            f"{which}-only",
            f"only the {which} {what} counts: {tensor} sums over all of them, sum_{letters} (look for `=` in "
            "place of `+=`, a line outside its loop, a return or zeros inside it).",
            lambda e, keep=keep: predict(e, keep),
        )


def misread_dout(tensor: str, predict: Callable[[Evidence, Tensor], Any]) -> Iterator[Cause]:
    """dout taken in another order than it has. predict(e, dout) is the right tensor for another dout."""
    pairs = f"{tensor} pairs dout[n,f,h,w] with the window that made out[n,f,h,w]"
    moved = "as by a reshape of dout without a transpose, or by h and w exchanged in the windows' index"
    other = f"dout[n,f,h,w] meets another window than that of out[n,f,h,w] in {tensor}, {moved}"
    if tensor == "dbias":
        pairs = "dbias[f] sums dout[n,f,h,w] over n, h, w"
        other = f"{pairs}: numbers of other outputs are summed here, as by a reshape without a transpose"
    for axes, what in (
        ((0,), "images"),
        ((2,), "rows"),
        ((3,), "columns"),
        ((2, 3), "pixels"),
        ((1,), "channels"),
    ):
        yield Cause(
            "reversed",
            f"dout's {what} are taken in reverse, or what they meet is: {pairs}.",
            lambda e, axes=axes: predict(e, e.dout.flip(axes)) if max(axes) < e.dout.ndim else None,
        )
    for order in permutations(range(4, 5)):
        for misread in (reordered, reordered_back):
            yield Cause(
                "reading-order",
                f"{other}.",
                lambda e, order=order, misread=misread: _misread(e, order, misread, predict),
            )


def _misread(
    e: Evidence,
    order: tuple[int, ...],
    misread: Callable[[Array, tuple[int, ...]], Array | None],
    predict: Callable[[Evidence, Tensor], Any],
) -> Any:
    dout = misread(e.dout.numpy(), order)
    return None if dout is None else predict(e, torch.from_numpy(np.ascontiguousarray(dout)))


def reordered(array: Array, order: tuple[int, ...]) -> Array | None:
    """Transposed, then poured into the old shape."""
    return array.transpose(order).reshape(array.shape) if array.ndim == len(order) else None


def reordered_back(array: Array, order: tuple[int, ...]) -> Array | None:
    """Poured into a transposed shape, then transposed back."""
    if array.ndim != len(order):
        return None
    return array.reshape([array.shape[axis] for axis in order]).transpose(np.argsort(order))


def padded_on_one_side(x: Tensor, padding: Any, before: bool, fill: float = 0.0) -> Tensor:
    """2 * padding on one side instead of padding on both."""
    (PH, PW), first, last = pair(padding), 2 * before, 2 * (not before)
    return functional.pad(x, (PW * first, PW * last, PH * first, PH * last), value=fill)


def geometry(e: Evidence) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """kernel, stride and padding as pairs."""
    kernel = pair(e.weight.shape[2:]) if "weight" in e.inputs else pair(e.stage.kernel_size)
    return kernel, pair(e.stage.stride), pair(e.stage.padding)


def scatter(e: Evidence, dwindows: Tensor, how: str = "add", stride: Any = None, only: Any = None) -> Array:
    """Write the gradients of windows (N, C, KH*KW, OH*OW) into the padded image, rightly or wrongly.

    how     "add", "by pixel" (each window overwrites), "by kernel" (each kernel position overwrites)
    only    a mask of windows: elsewhere nothing is written at all
    """
    (KH, KW), own, (PH, PW) = geometry(e)
    (SH, SW), (N, C, H, W), (OH, OW) = stride or own, e.x.shape, e.dout.shape[2:]
    image = np.zeros((N, C, max(H + 2 * PH, SH * OH + KH), max(W + 2 * PW, SW * OW + KW)))
    grads = dwindows.numpy().reshape(N, C, KH, KW, OH, OW)
    masks = np.ones_like(grads, bool) if only is None else only.numpy().reshape(grads.shape)
    places = np.ndindex(OH, OW) if how == "by pixel" else np.ndindex(KH, KW)
    for a, b in places:
        if how == "by pixel":
            view = image[:, :, a * SH : a * SH + KH, b * SW : b * SW + KW]
            new, mask = grads[..., a, b], masks[..., a, b]
        else:
            view = image[:, :, a : a + SH * OH : SH, b : b + SW * OW : SW]
            new, mask = grads[:, :, a, b], masks[:, :, a, b]
        view[mask] = new[mask] + (view[mask] if how == "add" else 0)
    return image[:, :, : H + 2 * PH, : W + 2 * PW]


def cropped(e: Evidence, image: Array, top: int | None = None, left: int | None = None) -> Array:
    """The image (H, W) inside a padded one, from another corner if one is given."""
    (_, _, (PH, PW)), (H, W) = geometry(e), e.x.shape[2:]
    top, left = PH if top is None else top, PW if left is None else left
    return image[:, :, top : top + H, left : left + W]


def back_to_pixels(dwindows: Predict, formula: str, only: Predict = None) -> Iterator[Cause]:
    """What goes wrong when the gradients of windows are added back to the pixels that they were read from."""
    masks = [None, only] if only else [None]
    for how, loop in (("by pixel", "window"), ("by kernel", "position i, j of the kernel")):
        for mask in masks:
            yield Cause(
                "window-overwritten",
                f"where windows overlap, a pixel keeps the gradient of the last {loop} alone: {formula} "
                "(`+=`, not `=`; with arrays of indices np.add.at).",
                lambda e, how=how, mask=mask: cropped(e, scatter(e, dwindows(e), how, only=mask and mask(e))),
            )
    for stride, what in ((lambda e: (1, 1), "1"), (lambda e: geometry(e)[0], "the kernel's size")):
        yield Cause(
            "stride-ignored",
            f"dx is computed as if the stride were {what}: {formula}.",
            lambda e, stride=stride: cropped(e, scatter(e, dwindows(e), stride=stride(e))),
        )
    inside = "crop the same padding from each side, dx = dx_padded[:, :, PH:PH+H, PW:PW+W]"
    corners = {
        "by PH rows down, PW columns right, as where the crop starts at 0, 0 or windows at h*S + P": (
            lambda PH, PW: (0, 0)
        ),
        "by PH rows up, PW columns left, as where the crop starts at 2*PH, 2*PW or windows at h*S - P": (
            lambda PH, PW: (2 * PH, 2 * PW)
        ),
        "as where the paddings of rows and columns are exchanged, in the crop or before it": (
            lambda PH, PW: (PW, PH)
        ),
        "as where the columns have the rows' padding, in the crop or before it": lambda PH, PW: (PH, PH),
        "as where the rows have the columns' padding, in the crop or before it": lambda PH, PW: (PW, PW),
    }
    for where, corner in corners.items():
        yield Cause(
            "padding-cropped",
            f"dx is moved {where}: {inside}.",
            lambda e, corner=corner: cropped(e, _wide(e, dwindows), *corner(*geometry(e)[2])),
        )
    for cut, where in (
        (lambda image, PH, PW: image, "not cropped"),
        (
            lambda image, PH, PW: image[:, :, PH:-PH, PW:-PW],
            "cropped by P:-P, which leaves nothing where P is 0",
        ),
        (
            lambda image, PH, PW: image[PH:-PH, PW:-PW] if PH and PW else image,
            "cropped from images and channels",
        ),
    ):
        yield Cause(
            "padding-cropped",
            f"the padding is {where}: {inside}.",
            lambda e, cut=cut: cut(scatter(e, dwindows(e)), *geometry(e)[2]),
        )


def _wide(e: Evidence, dwindows: Predict) -> Array:
    """The padded image with room for a crop that starts too far to the right or below."""
    image, (PH, PW) = scatter(e, dwindows(e)), geometry(e)[2]
    room = 2 * max(PH, PW)
    return np.pad(image, [(0, 0), (0, 0), (0, room), (0, room)])
