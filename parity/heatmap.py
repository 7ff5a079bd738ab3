"""Where in a wrong tensor the mistake sits: |error| / bound of every entry, as a picture.

The one file of parity that needs matplotlib; it is imported when a picture is asked for.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from parity.report import MISMATCH

PANELS = 12
IMAGES, CHANNELS = 4, 8  # drawn of a tensor at most: images downwards, channels to the right
ENTRIES = 128  # in a row or a column of a picture
TICKS = 12  # numbers along an axis
WITHIN = "#e5e7eb"  # the colour of a right entry
GREY = 0.15  # share of the colour bar for what is within rounding
BEYOND = 1e16  # from here on a bound is as good as 0: that of a layer which rounds nothing

AXES = {
    ("weight", 4): ("filter f", "channel c", "row i", "column j"),
    ("weight", 2): ("output m", "input k"),
    ("bias", 1): ("output",),
    ("logits", 2): ("image n", "class k"),
    ("out", 2): ("image n", "output m"),
    ("x", 2): ("image n", "input k"),
    ("out", 4): ("image n", "channel c", "row h", "column w"),
    ("x", 4): ("image n", "channel c", "row h", "column w"),
}
OTHERS = ("block", "part", "row", "column")


@dataclass(frozen=True)
class Panel:
    """One wrong tensor.

    ratios  |error| / bound of every entry: 0 to 1 is right, and an error where the bound is 0 is inf; NaN
            counts as inf. A tensor of a wrong shape has none.
    title   what else should stand above the picture, such as the case; may be empty
    axes    what runs along each axis, such as ("image n", "input k"); by the tensor's name if empty
    """

    stage: str
    tensor: str
    ratios: np.ndarray
    title: str = ""
    axes: tuple[str, ...] = ()


def heat_map(found: Any, path: str | Path | None = None) -> Figure | None:
    """Draw the wrong tensors of a Report or a Checkup, and write the picture to path if there is one.

    Of a class every tensor is drawn once, from the first case that shows it. None if nothing is to be drawn:
    all is right, or what is wrong has no numbers (an exception, a wrong shape).
    """
    if hasattr(found, "checks"):
        rows = [
            (f"{check.owner}: {check.case}", check.owner, row) for check in found.checks for row in check.rows
        ]
    else:
        rows = [("", row.stage, row) for row in found.rows]
    panels: dict[tuple[str, str, str], Panel] = {}
    for title, owner, row in rows:
        if row.ratios is not None and row.verdict == MISMATCH:
            key = owner, row.stage, row.tensor
            panels.setdefault(key, Panel(row.stage, row.tensor, row.ratios, title))
    if not panels:
        return None
    figure = draw(list(panels.values()))
    if path is not None:
        save(figure, path)
    return figure


def draw(panels: Sequence[Panel]) -> Figure:
    """One picture for each panel, all in the same colours; at most PANELS, and a line that counts the others.

    (N, C, H, W) is drawn as N rows of C images, (C, H, W) as one row, a matrix as it is, a vector as a row.
    Of a large tensor only a part is drawn, and the title says which: the first images, channels, rows and
    columns, or where these are right, those from the first wrong one on. Raises ValueError for no panels,
    for no entries, and for names of axes that do not fit.
    """
    if not panels:
        raise ValueError("draw: panels is empty, expected at least one")
    views, more = [_View(panel) for panel in panels[:PANELS]], len(panels) - PANELS
    scale = _Scale([view.part for view in views])
    across = min(4, math.ceil(math.sqrt(len(views))))
    width = 5.6 if len(views) == 1 else 4.0  # in inches, of one panel
    rows = [views[start : start + across] for start in range(0, len(views), across)]
    heights = [1.5 + (width - 1) * max(view.aspect for view in row) for row in rows]
    size = width * across + 1.1, max(3.4, sum(heights)) + 0.3 * (more > 0)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(len(rows), across, height_ratios=heights)
    drawn = []
    for down, row in enumerate(rows):
        for right, view in enumerate(row):
            drawn.append(figure.add_subplot(grid[down, right]))
            view.draw(drawn[-1], scale, letters=round(10 * width))
    scale.draw_bar(figure, drawn, thin=20 * len(rows))
    if more > 0:
        figure.supxlabel(f"and {more} more that {'is' if more == 1 else 'are'} not drawn", fontsize=10)
    return figure


def save(figure: Figure, path: str | Path) -> None:
    """Write the picture to path, .png or .svg. Raises ValueError for another ending."""
    if Path(path).suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"save: path is {str(path)!r}, expected a name that ends in .png or .svg")
    figure.savefig(path, dpi=150)


def axes_of(stage: str, tensor: str, ndim: int) -> tuple[str, ...]:
    """What runs along the axes of a tensor, by its name: a gradient's are those of what it belongs to."""
    name = tensor
    if stage == "steps" and ndim and " " not in name:  # the weights after every step of an optimiser
        return ("step", *axes_of("", "", ndim - 1))
    name = name.split(" ")[0]
    known = AXES.get((name if name == "out" else name.removeprefix("d"), ndim))
    return known or (*(f"axis {i}" for i in range(ndim - 4)), *OTHERS[max(0, 4 - ndim) :])


class _Scale:
    """The colours of a figure: grey up to 1, then darker by the logarithm up to the largest ratio of all."""

    def __init__(self, all_ratios: Sequence[np.ndarray]):
        ratios = np.concatenate([part.ravel() for part in all_ratios])
        largest = ratios[ratios <= BEYOND].max(initial=1.0)
        self.decades = max(1, math.ceil(math.log10(largest)))
        self.beyond = bool((ratios > BEYOND).any())
        self.right = -self.decades * GREY / (1 - GREY)  # where the grey begins
        grey = math.floor(256 * GREY)  # rounded up, it would swallow what is just above 1
        viridis = colormaps["viridis"](np.linspace(0.82, 0.0, 256 - grey))
        self.colours = ListedColormap([WITHIN] * grey + list(viridis))
        self.norm = Normalize(self.right, self.decades)

    def __call__(self, ratios: np.ndarray) -> np.ndarray:
        """Where on the scale each ratio stands: at its decimal logarithm, or in the grey."""
        return np.where(ratios > 1, np.log10(np.clip(ratios, 1.0, 10.0**self.decades)), self.right)

    def draw_bar(self, figure: Figure, drawn: list[Axes], thin: float) -> None:
        colours = ScalarMappable(self.norm, self.colours)
        bar = figure.colorbar(colours, ax=drawn, label="error / bound", aspect=thin, panchor=False)
        step = math.ceil(self.decades / 8)
        ticks = [*range(0, self.decades - step + 1, step), self.decades]
        names = ["1", "10", *(f"$10^{{{tick}}}$" for tick in range(2, self.decades + 1))]
        names[-1] += " and more" if self.beyond else ""
        bar.set_ticks(
            [0.6 * self.right, *ticks], labels=["within\nrounding", *(names[tick] for tick in ticks)]
        )
        bar.ax.tick_params(length=0, labelsize=9)


class _View:
    """What is drawn of a panel, and what is written around it."""

    def __init__(self, panel: Panel):
        whole = np.asarray(panel.ratios, np.float64)
        whole = np.where(np.isnan(whole), np.inf, whole)
        names = panel.axes or axes_of(panel.stage, panel.tensor, whole.ndim)
        place = f"{panel.stage} {panel.tensor}"
        if len(names) != whole.ndim:
            raise ValueError(f"draw: axes of {place} is {names}, expected {whole.ndim} names")
        if not whole.size:
            raise ValueError(f"draw: ratios of {place} has shape {whole.shape}, expected at least one entry")
        count = f"{(whole > 1).sum():,} of {whole.size:,} {'entries' if whole.ndim else 'entry'} wrong"
        if whole.ndim > 4:  # (step, filter, channel, row, column): all but the last three run down
            names = (", ".join(names[:-3]), *names[-3:])
            whole = whole.reshape(-1, *whole.shape[-3:])
        part, starts = _cut(whole)
        self.lines = [panel.tensor if panel.stage == panel.tensor else place, panel.title, count]
        cuts = [
            f"{_letter(name) or name} {start} to {start + size - 1} of {full}"
            for name, start, size, full in zip(names, starts, part.shape, whole.shape, strict=True)
            if size < full
        ]
        if cuts:
            self.lines.append(f"drawn: {', '.join(cuts)}")
        self.is_number = not part.ndim
        self.part = part.reshape((1,) * (4 - part.ndim) + part.shape)
        self.names = ("",) * (4 - part.ndim) + names
        self.starts = [0] * (4 - part.ndim) + starts
        N, C, H, W = self.part.shape
        self.aspect = 0.3 if self.is_number else min(max(N * H / (C * W), 0.1 if N * H == 1 else 0.3), 1.0)

    def draw(self, axes: Axes, scale: _Scale, letters: int) -> None:
        N, C, H, W = self.part.shape
        flat = self.part.transpose(0, 2, 1, 3).reshape(N * H, C * W)
        axes.imshow(scale(flat), cmap=scale.colours, norm=scale.norm, aspect="auto", interpolation="nearest")
        axes.set_box_aspect(self.aspect)
        axes.set_anchor("N")
        axes.spines[:].set_visible(False)
        if max(flat.shape) <= ENTRIES / 2:
            _lines(axes, flat.shape, 1, 1, 0.4)
        _lines(axes, flat.shape, H, W, 2.5)
        title = "\n".join(line for text in self.lines for line in textwrap.wrap(text, letters))
        axes.set_title(title, fontsize=10, parse_math=False)
        first, names = self.starts, self.names
        _number(axes.xaxis, (names[1], first[1], C), (names[3], first[3], W), TICKS)
        _number(axes.yaxis, (names[0], first[0], N), (names[2], first[2], H), round(TICKS * self.aspect))
        if self.is_number:
            dark = scale.norm(scale(self.part)).item() > 0.5
            number = f"{self.part.item():.3g}"
            axes.text(0, 0, number, color="white" if dark else "black", ha="center", va="center")
            axes.set_xlabel("a single number")


def _cut(ratios: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """What is drawn of a tensor, and where on each axis it begins: at the first wrong one if need be."""
    limits = [ENTRIES] * ratios.ndim
    if ratios.ndim > 2:
        limits[-3] = min(CHANNELS, max(1, ENTRIES // ratios.shape[-1]))
    if ratios.ndim > 3:
        limits[-4] = min(IMAGES, max(1, ENTRIES // ratios.shape[-2]))
    starts = []
    for axis, limit in enumerate(limits):
        others = tuple(i for i in range(ratios.ndim) if i != axis)
        wrong = np.any(ratios > 1, axis=others, keepdims=True).ravel()
        first = 0 if wrong[:limit].any() else int(wrong.argmax())
        start = max(0, min(first, len(wrong) - limit))
        ratios = ratios.take(range(start, min(start + limit, len(wrong))), axis)
        starts.append(start)
    return ratios, starts


def _lines(axes: Axes, shape: tuple[int, ...], down: int, across: int, width: float) -> None:
    """White lines after every `down` rows and every `across` columns."""
    rows, columns = shape
    axes.hlines(np.arange(down, rows, down) - 0.5, -0.5, columns - 0.5, "white", linewidth=width)
    axes.vlines(np.arange(across, columns, across) - 0.5, -0.5, rows - 0.5, "white", linewidth=width)


def _number(axis: Axis, block: tuple[str, int, int], entry: tuple[str, int, int], room: int) -> None:
    """Number the entries, and beyond them the blocks that they are part of: (name, first number, count)."""
    (block_name, first_block, blocks), (entry_name, first_entry, entries) = block, entry
    step = next((s for s in (1, 2, 5, 10, 20) if entries / s <= room), 50)
    places = list(range(0, entries, step)) if entry_name else []
    axis.set_tick_params(which="both", length=0)
    if not block_name:
        axis.set_ticks(places, [str(first_entry + place) for place in places])
        axis.set_tick_params(labelsize=9)
        axis.set_label_text(entry_name)
        return
    if blocks * entries > room:
        places = sorted({0, entries - 1})
    starts = range(0, blocks * entries, entries)[: blocks if blocks * entries <= 2 * room else 1]
    letter = _letter(block_name)
    labels = [f"{letter}={first_block + b}" if letter else str(first_block + b) for b in range(blocks)]
    axis.remove_overlapping_locs = False  # the middle entry and its block are numbered in the same place
    axis.set_ticks([b * entries + (entries - 1) / 2 for b in range(blocks)], labels)
    axis.set_tick_params(which="major", pad=14 if isinstance(axis, XAxis) else 19, labelsize=9)
    axis.set_ticks([start + place for start in starts for place in places], minor=True)
    axis.set_ticklabels([str(first_entry + place) for _ in starts for place in places], minor=True)
    axis.set_tick_params(which="minor", pad=2, labelsize=8)
    axis.set_label_text(f"{entry_name} in each {block_name}")


def _letter(name: str) -> str:
    """The n of "image n", if it has one."""
    last = name.rpartition(" ")[2]
    return last if len(last) == 1 and last.isalpha() else ""
