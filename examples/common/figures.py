"""The pictures of the examples: the chapter's colours, constrained layout, a unit on every axis.

Colour is never the only cue: each of the five colours goes with a marker, a line style or a label of its
own.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator

from examples.common.cli import fail

BLUE, GREEN, RED, AMBER, INDIGO = "#3b82f6", "#059669", "#dc2626", "#d97706", "#4f46e5"


def save(figure: Figure, path: Path) -> None:
    """Write a picture, PNG or SVG by its name, into a folder that is made if need be; print where."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    print(f"picture: {os.fspath(path)}", flush=True)


def training_curves(logs: dict[str, list[dict]], title: str) -> Figure:
    """Training loss and test accuracy by epoch, side by side; a line for each name with its metrics.jsonl."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = zip(("o-", "s--", "^-.", "D:"), (INDIGO, AMBER, GREEN, RED), strict=True)
    for (name, log), (style, color) in zip(logs.items(), styles, strict=False):
        epochs = [entry["epoch"] for entry in log]
        left.plot(epochs, [entry["train_loss"] for entry in log], style, color=color, label=name)
        right.plot(epochs, [entry["test_accuracy"] for entry in log], style, color=color, label=name)
    left.set(xlabel="epoch", ylabel="training loss (nats)", ylim=(0, None))
    right.set(xlabel="epoch", ylabel="test accuracy (%)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(logs) > 1:
            axes.legend()
    figure.suptitle(title)
    return figure


def image_grid(
    images: np.ndarray,
    columns: int,
    title: str,
    *,
    name: str,
    unit: str,
    rows: Sequence[str] = (),
    beside: tuple[np.ndarray, str] | None = None,
) -> Figure:
    """Small images (K, H, W), `columns` to a row, on one colour scale.

    name    of one image: "filter" gives filter 0, filter 1, ... above them
    unit    of the colour bar. Where values are of both signs its middle is 0, blue below and red above.
    rows    what stands to the left of each row; then each row counts for itself
    beside  an image (H, W) in grey, to the left of all, and what stands above it
    """
    count = -(-len(images) // columns)
    width, height = 1.25 * columns + 1.6, 1.5 * count + 0.9
    extra = min(height - 0.9, 2.6) if beside else 0
    figure = Figure(figsize=(width + extra, height), layout="constrained")
    figure.suptitle(title)
    whole: FigureBase = figure
    if beside:
        left, whole = figure.subfigures(1, 2, squeeze=False, width_ratios=[extra, width])[0]
        axes = left.subplots()
        axes.imshow(beside[0], cmap="gray")
        axes.set(xticks=[], yticks=[])
        axes.set_title(beside[1], fontsize=9)
    grid = whole.subplots(count, columns, squeeze=False)
    low, high = float(images.min()), float(images.max())
    colors = {"cmap": "viridis", "vmin": low, "vmax": high}
    if low < 0 < high:
        limit = max(-low, high)
        colors = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    for axes in grid.flat:
        axes.set_axis_off()
    for index, (axes, image) in enumerate(zip(grid.flat, images, strict=False)):
        shown = axes.imshow(image, **colors)
        axes.set(xticks=[], yticks=[])
        axes.set_axis_on()
        axes.set_title(f"{name} {index % columns if rows else index}", fontsize=9)
    for axes, label in zip(grid[:, 0], rows, strict=False):
        axes.set_ylabel(label)
    whole.colorbar(shown, ax=grid, label=unit, shrink=0.9)
    return figure
