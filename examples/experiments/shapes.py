"""Trace the shapes through a model of both sides, for any input.

Section 31.2 of the book: (B, 1, 28, 28) -> (B, 16, 26, 26) -> ... -> (B, 10). Nothing here is computed from a
formula of sizes: both models run, stage by stage, and where an input does not fit, the stage itself says so.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import tinycnn_numpy as tn
from examples.common.figures import AMBER, BLUE, GREEN, INDIGO
from parity.render import table
from parity.weights import Model

COLORS = {"Conv2D": INDIGO, "ReLU": AMBER, "MaxPool2D": GREEN, "Flatten": "#6b7280", "Dense": BLUE}


class ShapeRow(NamedTuple):
    """What a stage gave.

    shape          of `out`, batch and all
    parameters     how many numbers it learns; weights are those without the bias
    multiply_adds  of the forward pass, the bias apart
    nbytes         of `out`
    """

    stage: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    weights: int
    multiply_adds: int
    nbytes: int

    @property
    def uses(self) -> int:
        """How often each weight is multiplied for one image: a convolution needs it at every place."""
        return self.multiply_adds // (self.weights * self.shape[0]) if self.weights else 0


class DoesNotFitError(ValueError):
    """A stage refused its input. rows: the stages before it; stage: its name."""

    def __init__(self, stage: str, message: str, rows: list[ShapeRow]):
        super().__init__(f"{stage}: {message}")
        self.stage, self.rows = stage, rows


def stages_of(model: Any) -> dict[str, Any]:
    """The stages of a model of either side, by name."""
    return dict(model.named_children() if isinstance(model, nn.Module) else model.named_layers())


@torch.no_grad()
def outputs(model: Model, x) -> dict[str, Any]:
    """What each stage makes of the images x (N, C, H, W): arrays from arrays, tensors from tensors."""
    found = {}
    for name, stage in stages_of(model).items():
        found[name] = x = stage(x)
    return found


def trace(model: Model, shape: tuple[int, ...] = (1, 1, 28, 28)) -> list[ShapeRow]:
    """Run a model of either side on zeros of `shape`, batch and all; a row for each stage.

    The multiply-adds on the NumPy side are those of its matrix products, for each entry of `out` one for each
    weight that leads to it; on the other side PyTorch counts. Raises DoesNotFitError with the error of the
    stage that refuses its input.
    """
    hand = not isinstance(model, nn.Module)
    x: Any = np.zeros(shape, np.float32) if hand else torch.zeros(shape)
    rows: list[ShapeRow] = []
    for name, stage in stages_of(model).items():
        try:
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                out = stage(x)
        except (ValueError, RuntimeError) as error:
            raise DoesNotFitError(name, " ".join(str(error).split()) + _needed(stage, x), rows) from None
        products = counter.get_total_flops() // 2
        if hand and stage.weight is not None:
            products = out.size * stage.weight[0].size
        sizes = {name: math.prod(array.shape) for name, array in stage.state_dict().items()}
        counts = sum(sizes.values()), sizes.get("weight", 0), products, out.nbytes
        rows.append(ShapeRow(name, type(stage).__name__, tuple(out.shape), *counts))
        x = out
    return rows


def _needed(stage: Any, x: Any) -> str:
    for setting in ("in_features", "in_channels"):
        if hasattr(stage, setting) and getattr(stage, setting) != x.shape[1]:
            return f"; {setting} is {getattr(stage, setting)} and would have to be {x.shape[1]}"
    return ""


def trace_both(
    hand: tn.Layer, module: nn.Module, shape: tuple[int, ...] = (1, 1, 28, 28)
) -> tuple[list[tuple[ShapeRow, ShapeRow]], DoesNotFitError | None]:
    """The rows of both sides in pairs, and what ended them: the NumPy side's error, or None if all fits.

    Raises ValueError that names the stage if the sides differ in anything, also in what they refuse.
    """
    found: list[list[ShapeRow]] = []
    refused: list[DoesNotFitError | None] = []
    for model in (hand, module):
        try:
            found.append(trace(model, shape))
            refused.append(None)
        except DoesNotFitError as error:
            found.append(error.rows)
            refused.append(error)
    for ours, theirs in zip(*found, strict=False):
        if (ours.stage, *ours[2:]) != (theirs.stage, *theirs[2:]):
            raise ValueError(f"{ours.stage}: NumPy {ours[2:]}, PyTorch {theirs.stage} {theirs[2:]}")
    by_hand, by_torch = refused
    if (by_hand and by_hand.stage) != (by_torch and by_torch.stage) or len(found[0]) != len(found[1]):
        raise ValueError(f"NumPy {by_hand or 'takes the input'}; PyTorch {by_torch or 'takes the input'}")
    return list(zip(*found, strict=True)), by_hand


def fitting_sizes(hand: tn.Layer, shape: tuple[int, ...]) -> tuple[int, int, str]:
    """By how many pixels an image may shrink and grow in height and width, and what refuses a larger one."""
    N, C, H, W = shape
    by, why = [0, 0], ""
    for side, sign in enumerate((-1, 1)):
        try:
            while by[side] < max(H, W):
                pixels = sign * (by[side] + 1)
                trace(hand, (N, C, H + pixels, W + pixels))
                by[side] += 1
        except ValueError as error:
            why = str(error)
    return by[0], by[1], why


def as_text(pairs: list[tuple[ShapeRow, ShapeRow]]) -> str:
    lines = [["stage", "NumPy", "PyTorch", "out", "parameters", "multiply-adds", "bytes of out"]]
    for ours, theirs in pairs:
        counts = [f"{ours.parameters:,}", f"{ours.multiply_adds:,}", f"{ours.nbytes:,}"]
        lines.append([ours.stage, ours.kind, theirs.kind, str(ours.shape), *counts])
    names = ("parameters", "multiply_adds", "nbytes")
    sums = (sum(getattr(ours, name) for ours, _ in pairs) for name in names)
    lines.append(["total", "", "", "", *(f"{total:,}" for total in sums)])
    widths = [max(len(line[i]) for line in lines) for i in range(7)]
    lines = [[*line[:4], *(line[i].rjust(widths[i]) for i in (4, 5, 6))] for line in lines]
    return "\n".join(table(lines))


def diagram(title: str, shape: tuple[int, ...], rows: list[ShapeRow]) -> Figure:
    """A box for the input and for each stage's output: images as high as their pixels, bars for vectors.

    How deep a box is goes with the square root of its channels, how long a bar is with that of its length.
    """
    boxes = [ShapeRow("x", "", shape, 0, 0, 0, 0), *rows]
    figure = Figure(figsize=(1.4 * len(boxes) + 0.4, 3.3), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_aspect("equal")
    pixels = max((max(box.shape[2:]) for box in boxes if len(box.shape) == 4), default=1)
    longest = max(box.shape[1] for box in boxes if len(box.shape) == 2)
    for i, box in enumerate(boxes):
        color, left = COLORS.get(box.kind, "#6b7280"), 1.6 * i
        if len(box.shape) == 4:
            _, C, H, W = box.shape
            height, width, depth = 1.2 * H / pixels, 0.5 * W / pixels, 0.06 * np.sqrt(C)
        else:
            height, width, depth = 1.5 * np.sqrt(box.shape[1] / longest), 0.1, 0.0
        _box(axes, left - (width + depth) / 2, -height / 2, width, height, depth, color)
        below = "\n".join(
            ("(B, " + ", ".join(map(str, box.shape[1:])) + ")", f"{box.parameters:,} parameters")
        )
        below = below if box.parameters else below.partition("\n")[0]
        above = f"{box.stage}\n{box.kind}" if box.kind else "input"
        axes.text(left, 1.2, above, ha="center", va="center", fontweight="bold", color=color, fontsize=12)
        axes.text(left, -0.9, below, ha="center", va="top", fontsize=10.5)
    for i in range(len(boxes) - 1):
        axes.annotate(
            "", (1.6 * i + 1.1, 0), (1.6 * i + 0.65, 0), arrowprops={"arrowstyle": "->", "color": "#6b7280"}
        )
    axes.set(xlim=(-0.8, 1.6 * len(boxes) - 0.8), ylim=(-1.3, 1.45))
    figure.suptitle(title, fontweight="bold")
    return figure


def _box(axes, left, bottom, width, height, depth, color) -> None:
    """Front, top and right side of a box drawn in parallel lines."""
    right, top, up = left + width, bottom + height, 0.6 * depth
    faces = {
        0.55: [(left, bottom), (right, bottom), (right, top), (left, top)],
        0.3: [(left, top), (right, top), (right + depth, top + up), (left + depth, top + up)],
        0.8: [(right, bottom), (right + depth, bottom + up), (right + depth, top + up), (right, top)],
    }
    for alpha, corners in faces.items():
        axes.add_patch(Polygon(corners, facecolor=color, alpha=alpha, edgecolor="#111827", linewidth=0.8))
