"""Where in a wrong tensor the mistake sits: what the code gave, what is right, and the difference.

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
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure, SubFigure

from parity.report import MISMATCH, Row

Array = np.ndarray[Any, Any]
PANELS = 8
IMAGES, CHANNELS = 4, 8  # drawn of a tensor at most: images downwards, channels to the right
ENTRIES = 128  # in a row or a column of a picture
TICKS = 10  # numbers along an axis
WITHIN = "#d4d7dc"  # the colour of a right entry
NOT_FINITE = "#000000"  # of NaN and infinities, which no scale has
GREY = 0.15  # share of the colour bar for what is within rounding
BEYOND = 1e16  # from here on a bound is as good as 0: that of a layer which rounds nothing
WIDTH = 4.0  # in inches, of one picture
LETTERS = 12  # an inch

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

    ratios    |error| / bound of every entry: 0 to 1 is right, and an error where the bound is 0 is inf; NaN
              counts as inf. A tensor of a wrong shape has none.
    title     what else should stand above the picture, such as the case; may be empty
    axes      what runs along each axis, such as ("image n", "input k"); by the tensor's name if empty
    given, expected  what the code gave and what is right; without them the ratios are drawn
    caption   what is wrong, in a sentence
    """

    stage: str
    tensor: str
    ratios: Array
    title: str = ""
    axes: tuple[str, ...] = ()
    given: Array | None = None
    expected: Array | None = None
    caption: str = ""


def heat_map(found: Any, path: str | Path | None = None) -> Figure | None:
    """Draw the wrong tensors of a Report or a Checkup, and write the picture to path if there is one.

    Of a class every tensor is drawn once, from the first case that shows it. None if nothing is to be drawn:
    all is right, or what is wrong has no numbers (an exception, a wrong shape).
    """
    panels: dict[tuple[str, str, str], Panel] = {}
    for check in getattr(found, "checks", [found]):  # of a Report that is itself
        for row in check.rows:
            if row.ratios is not None and row.verdict == MISMATCH:
                key = getattr(check, "owner", ""), row.stage, row.tensor
                panels.setdefault(key, _panel_of(check, row, row.ratios))
    if not panels:
        return None
    figure = draw(list(panels.values()))
    if path is not None:
        save(figure, path)
    return figure


def _panel_of(check: Any, row: Row, ratios: Array) -> Panel:
    owner, case = getattr(check, "owner", ""), getattr(check, "case", "")
    stage = row.stage
    if owner:  # a student's class; if it is a model its stages have names
        stage = f"{owner} {stage}" if len({other.stage for other in check.rows}) > 1 else owner
    said = [d.sentence for d in check.diagnoses if (d.stage, d.tensor) == (row.stage, row.tensor)]
    return Panel(
        stage,
        f"parameter {row.tensor}" if row.stage == "steps" else row.tensor,
        ratios,
        ", ".join(filter(None, (case, f"{row.run} run" if row.run else ""))),
        axes_of(row.stage, row.tensor, ratios.ndim),
        row.given,
        row.expected,
        " ".join(said),
    )


def draw(panels: Sequence[Panel]) -> Figure:
    """A row for each panel, at most PANELS, and a line that counts the others.

    A row shows "mine", "expected" and "difference" side by side, or the ratios if the panel has no more.
    Each picture has a scale of its own: the values from minus to plus the largest, with 0 in white; of a
    difference only what is beyond rounding has a colour. Numbers that are not finite are black and counted.

    (N, C, H, W) is drawn as N rows of C images, (C, H, W) as one row, a matrix as it is, a vector as a row.
    Of a large tensor only a part is drawn, and the title says which: the first images, channels, rows and
    columns, or where these are right, those from the first wrong one on. Raises ValueError for no panels,
    for no entries, and for names of axes that do not fit.
    """
    if not panels:
        raise ValueError("draw: panels is empty, expected at least one")
    views, more = [_View(panel) for panel in panels[:PANELS]], len(panels) - PANELS
    across = max(len(view.scales) for view in views)
    width = max(WIDTH * across, 5.6)
    heights = [view.height(across, width) for view in views] + [0.4] * (more > 0)
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for view, part in zip(views, parts, strict=False):
        view.draw(part, across, width)
    if more > 0:
        words = f"and {more} more that {'is' if more == 1 else 'are'} not drawn"
        parts[-1].text(0.5, 0.5, words, fontsize=10, ha="center", va="center")
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


class _Ratios:
    """Colours of ratios: grey up to 1, then darker by the logarithm up to the largest."""

    label = "error / bound"

    def __init__(self, ratios: Array):
        largest = ratios[ratios <= BEYOND].max(initial=1.0)
        self.decades = max(1, math.ceil(math.log10(largest)))
        self.beyond = bool((ratios > BEYOND).any())
        self.right = -self.decades * GREY / (1 - GREY)  # where the grey begins
        grey = math.floor(256 * GREY)  # rounded up, it would swallow what is just above 1
        viridis = colormaps["viridis"](np.linspace(0.82, 0.0, 256 - grey))
        self.colours: Colormap = ListedColormap([WITHIN] * grey + list(viridis))
        self.norm = Normalize(self.right, self.decades)
        self.numbers = np.where(ratios > 1, np.log10(np.clip(ratios, 1.0, 10.0**self.decades)), self.right)
        self.title = ""

    def ticks(self) -> tuple[list[float], list[str]]:
        step = math.ceil(self.decades / 4)
        ticks = [*range(0, self.decades - step + 1, step), self.decades]
        names = ["1", "10", *(f"$10^{{{tick}}}$" for tick in range(2, self.decades + 1))]
        names[-1] += " and more" if self.beyond else ""
        return [0.6 * self.right, *ticks], ["right", *(names[tick] for tick in ticks)]


class _Values:
    """Colours of numbers around 0: blue below, red above. right: entries that are drawn grey instead."""

    label = ""

    def __init__(self, title: str, values: Array, right: Array | None = None):
        finite = np.isfinite(values)
        shown = finite if right is None else finite & ~right
        self.largest = float(np.abs(values[shown]).max(initial=0.0))
        limit = self.largest or 1.0
        self.norm = Normalize(-limit, limit)
        count = int((~finite).sum())
        self.title = f"{title}, {count:,} not finite (black)" if count else title
        self.colours = colormaps["RdBu_r"].with_extremes(bad=NOT_FINITE, under=WITHIN)
        self.numbers = np.ma.masked_invalid(values)
        if right is not None:
            self.numbers[right] = -2 * limit  # below the scale, which has the colour of a right entry

    def ticks(self) -> tuple[list[float], list[str]]:
        if not self.largest:
            return [0.0], ["0"]
        return [-self.largest, 0.0, self.largest], [f"{-self.largest:.3g}", "0", f"{self.largest:.3g}"]


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
        place = panel.tensor if panel.stage == panel.tensor else place
        lines = [": ".join(filter(None, (place, panel.title))), count]
        cuts = [
            f"{_letter(name) or name} {start} to {start + size - 1} of {full}"
            for name, start, size, full in zip(names, starts, part.shape, whole.shape, strict=True)
            if size < full
        ]
        if cuts:
            lines[1] += f"; drawn: {', '.join(cuts)}"
        self.lines, self.caption = lines, panel.caption
        self.is_number = not part.ndim
        self.shape = (1,) * (4 - part.ndim) + part.shape
        self.names = ("",) * (4 - part.ndim) + names
        self.starts = [0] * (4 - part.ndim) + starts
        N, C, H, W = self.shape
        self.aspect = 0.3 if self.is_number else min(max(N * H / (C * W), 0.1 if N * H == 1 else 0.3), 1.0)
        if panel.given is None or panel.expected is None:
            self.scales: list[_Ratios | _Values] = [_Ratios(part)]
        else:
            place_of_part = tuple(slice(a, a + n) for a, n in zip(starts, part.shape, strict=True))
            given, expected = (
                np.asarray(array, np.float64).reshape(whole.shape)[place_of_part]
                for array in (panel.given, panel.expected)
            )
            with np.errstate(invalid="ignore"):
                difference = given - expected
            self.scales = [
                _Values("mine", given),
                _Values("expected", expected),
                _Values("difference (grey: right)", difference, part <= 1),
            ]

    def texts(self, width: float) -> tuple[list[str], list[str]]:
        """The lines above and below the pictures, which are `width` inches wide together."""
        letters = round(width * LETTERS)
        above = [line for text in self.lines for line in textwrap.wrap(text, letters)]
        return above, textwrap.wrap(self.caption, letters)

    def height(self, across: int, width: float) -> float:
        """In inches, with room for the words."""
        above, below = self.texts(width)
        return 1.6 + (width / across - 0.4) * self.aspect + 0.2 * (len(above) + len(below))

    def draw(self, figure: SubFigure, across: int, width: float) -> None:
        above, below = self.texts(width)
        figure.suptitle("\n".join(above), fontsize=11, parse_math=False)
        if below:
            figure.supxlabel("\n".join(below), fontsize=10, parse_math=False)
        drawn = figure.subplots(1, across, squeeze=False)[0]
        for i, axes in enumerate(drawn):
            if i < len(self.scales):
                self._draw_one(figure, axes, self.scales[i], first=i == 0)
            else:
                axes.remove()

    def _draw_one(self, figure: SubFigure, axes: Axes, scale: _Ratios | _Values, first: bool) -> None:
        N, C, H, W = self.shape
        flat = scale.numbers.reshape(self.shape).transpose(0, 2, 1, 3).reshape(N * H, C * W)
        axes.imshow(flat, cmap=scale.colours, norm=scale.norm, aspect="auto", interpolation="nearest")
        axes.set_box_aspect(self.aspect)
        axes.set_anchor("N")
        axes.spines[:].set_visible(False)
        if max(flat.shape) <= ENTRIES / 2:
            _lines(axes, flat.shape, 1, 1, 0.4, "white")
        _lines(axes, flat.shape, H, W, 1.2, "#6b7280")
        axes.set_title(scale.title, fontsize=10, parse_math=False)
        start, names = self.starts, self.names
        _number(axes.xaxis, (names[1], start[1], C), (names[3], start[3], W), TICKS)
        if first:
            _number(axes.yaxis, (names[0], start[0], N), (names[2], start[2], H), round(TICKS * self.aspect))
        else:  # as in the picture beside it
            axes.yaxis.set_ticks([])
        if self.is_number:
            number = scale.numbers.item() if isinstance(scale, _Values) else 10.0 ** scale.numbers.item()
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
            axes.text(0, 0, f"{number:.6g}", ha="center", va="center", bbox=box)
            axes.set_xlabel("a single number")
        bar = figure.colorbar(
            ScalarMappable(scale.norm, scale.colours),
            ax=axes,
            label=scale.label,
            location="bottom",
            shrink=0.8,
            aspect=25,
        )
        places, words = scale.ticks()
        bar.set_ticks(places, labels=words)
        bar.ax.tick_params(length=0, labelsize=8)


def _cut(ratios: Array) -> tuple[Array, list[int]]:
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


def _lines(axes: Axes, shape: tuple[int, ...], down: int, across: int, width: float, colour: str) -> None:
    """Lines after every `down` rows and every `across` columns."""
    rows, columns = shape
    axes.hlines(np.arange(down, rows, down) - 0.5, -0.5, columns - 0.5, colour, linewidth=width)
    axes.vlines(np.arange(across, columns, across) - 0.5, -0.5, rows - 0.5, colour, linewidth=width)


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
