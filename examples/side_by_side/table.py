"""The chapter's table, layer by layer, with the lines of the code and their true number."""

import textwrap
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.figures import INDIGO
from examples.side_by_side.aligned import beside_each_other, line_that_makes
from examples.side_by_side.lines import code_lines
from examples.side_by_side.pairs import backward_methods, pairs_of
from parity.render import table
from tinycnn_numpy import windows

LAYER_NAMES = {"Conv2D": "Convolution", "ReLU": "Activation", "MaxPool2D": "Pooling"}
HEADER = ("Layer", "NumPy, by hand", "forward", "backward", "class", "PyTorch")


class TableRow(NamedTuple):
    """The line of each side, and how many lines of code stand behind the one by hand (None: no such method).

    Behind PyTorch's stands no line that a user writes: each is 1 line, and 0 for its backward.
    """

    layer: str
    numpy: str
    forward: int | None
    backward: int | None
    whole: int | None
    torch: str


def layer_table(hand: type = tn.TinyCNN, torch: type = tt.TinyCNN) -> list[TableRow]:
    """A row for each stage of TinyCNN, then for the loss, the backward pass and the update.

    The row of the backward pass counts all that stands behind `loss.backward()`: the backwards of the stages'
    classes, each class once, of the loss and of Sequential. Raises NoCounterpartError as pairs_of does.
    """
    rows, classes = [], {}
    for pair in pairs_of(hand, torch):
        name = pair.hand.__name__
        counts = pair.forward_lines, pair.backward_lines, pair.class_lines
        rows.append(TableRow(LAYER_NAMES.get(name, name), pair.hand_line, *counts, pair.torch_line))
        classes[pair.hand] = pair.backward_lines
    step = beside_each_other(tn.train_step, tt.train_step)
    loss, backward, update = (
        next(row for row in step if row[1].startswith(start))
        for start in ("loss =", "loss.backward", "optimizer.step")
    )
    entropy = tn.CrossEntropyLoss
    counts = len(code_lines(entropy.forward)), len(code_lines(entropy.backward)), len(code_lines(entropy))
    through = sum(len(code_lines(method)) for method in backward_methods(tn.Sequential))
    rows.append(TableRow("Loss", loss[0], *counts, loss[1]))
    total = sum(classes.values()) + counts[1] + through
    rows.append(TableRow("Backward pass", backward[0], None, total, None, backward[1]))
    line = f"{update[0]}: {line_that_makes(tn.SGD.step, 'data')}"
    rows.append(TableRow("Update", line, None, None, len(code_lines(tn.SGD)), update[1]))
    return rows


def in_words(rows: list[TableRow]) -> str:
    """What is counted, beside what the chapter says of the code's length."""
    layers = [row for row in rows if row.forward is not None and row.layer != "Loss"]
    both = [(row.forward or 0) + (row.backward or 0) for row in layers]
    whole = [row.whole or 0 for row in layers]
    backward = next(row.backward for row in rows if row.layer == "Backward pass")
    return (
        "Counted are lines that hold code: no docstrings, comments or blank lines. The chapter speaks of 50 "
        "to 100 lines a layer and about 150 for the backward pass. Here forward and backward of a layer take "
        f"{min(both)} to {max(both)} lines, its class with constructor {min(whole)} to {max(whole)}, "
        f"the backward pass {backward}: that of the stages, of the loss and of Sequential. The "
        f"{len(code_lines(windows))} lines of windows.py, which convolution and pooling share, are not among "
        "them. On the PyTorch side each row is 1 line, and no line is written for backward."
    )


def as_text(rows: list[TableRow]) -> str:
    lines = [list(HEADER)]
    for row in rows:
        first, *rest = textwrap.wrap(row.numpy, 56)
        lines.append([row.layer, first, *counts_of(row), row.torch])
        lines += [["", "  " + part, "", "", "", ""] for part in rest]
    return "\n".join(table(lines))


def counts_of(row: TableRow) -> list[str]:
    return ["" if count is None else str(count) for count in (row.forward, row.backward, row.whole)]


def as_picture(rows: list[TableRow]) -> Figure:
    """In the chapter's style, with the lines counted."""
    widths = [0.11, 0.41, 0.07, 0.08, 0.055, 0.275]
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    cells = [
        [
            row.layer,
            "\n  ".join(textwrap.wrap(row.numpy, 54)),
            *(count.rjust(5) for count in counts_of(row)),
            row.torch,
        ]
        for row in rows
    ]
    drawn = axes.table(
        cells,
        colLabels=HEADER,
        colWidths=widths,
        cellLoc="left",
        colLoc="left",
        bbox=Bbox.unit(),
    )
    drawn.auto_set_font_size(False)
    for (i, j), cell in drawn.get_celld().items():
        code = i > 0 and j > 0
        cell.set(linewidth=0.6, edgecolor="#9ca3af", facecolor=("white", "#eef2ff")[i % 2])
        cell.set_height(1.35 if i and "\n" in cells[i - 1][1] else 1)
        cell.PAD = 0.01 / widths[j]
        cell.set_text_props(fontsize=10.5 if code else 11, family="monospace" if code else "sans-serif")
        if i == 0:
            cell.set_facecolor(INDIGO)
            cell.set_text_props(color="white", fontweight="bold")
    axes.set_title(
        "TinyCNN by hand and in PyTorch: the lines of the code, and how many stand behind them",
        fontsize=13,
        fontweight="bold",
        pad=12,
    )
    return figure
