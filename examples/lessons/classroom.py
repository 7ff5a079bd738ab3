"""What the lessons share: their size, their data, and how a picture gets into a notebook."""

import base64
import dataclasses
import io
import os
from pathlib import Path

import numpy as np
import torch
from IPython.display import display
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from examples.common import data
from examples.common.data import Dataset

SIZE = os.environ.get("LESSON_SIZE", "full")
if SIZE not in ("small", "full"):
    raise ValueError(f"LESSON_SIZE is {SIZE!r}, expected small or full")
SMALL = SIZE == "small"  # every cell runs, on less data and for fewer steps

# Arrays as small as these gain nothing from more threads, and on a busy machine lose much.
torch.set_num_threads(1)
threadpool_limits(1)


def dataset(most: int | None = None) -> Dataset:
    """The data set LESSON_DATASET, auto, mnist or digits, as --dataset of the programs; prints which.

    MNIST is in the folder DATA_DIR (default: data), or is put there; auto takes the digits if it cannot be
    had. most: training images, where a lesson trains several networks; then with a third as many test images.
    """
    folder = Path(os.environ.get("DATA_DIR") or Path(__file__).parents[2] / "data")
    wanted = os.environ.get("LESSON_DATASET", "auto")
    if wanted not in data.NAMES:
        raise ValueError(f"LESSON_DATASET is {wanted!r}, expected one of {', '.join(data.NAMES)}")
    found, instead = data.load(wanted, folder)
    if instead:
        print(instead)
    if most:
        found = first(found, most, most // 3)
    if SMALL:
        found = first(found, 640, 200)
    print(f"data set: {found}")
    return found


def first(whole: Dataset, train: int, test: int) -> Dataset:
    """The first images of both parts."""
    return dataclasses.replace(
        whole,
        train_images=whole.train_images[:train],
        train_labels=whole.train_labels[:train],
        test_images=whole.test_images[:test],
        test_labels=whole.test_labels[:test],
    )


def show(figure: Figure, alt: str) -> None:
    """Put a picture under the cell; `alt` says what is to be seen, for those who cannot see it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    picture = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": f"[picture: {alt}]"}
    display(picture, raw=True, metadata={"image/png": {"alt": alt}})


def matrices(named: dict[str, np.ndarray], title: str) -> Figure:
    """Small matrices side by side, each entry with its number; blue below 0, white at 0, red above."""
    sizes = [array.shape[1] for array in named.values()]
    height = max(array.shape[0] for array in named.values())
    figure = Figure(figsize=(0.42 * sum(sizes) + 0.5 * len(sizes), 0.42 * height + 0.9), layout="constrained")
    grid = figure.subplots(1, len(named), squeeze=False, width_ratios=sizes)
    for axes, (name, array) in zip(grid[0], named.items(), strict=True):
        limit = float(np.abs(array).max()) or 1.0
        axes.imshow(
            array, cmap="RdBu_r", vmin=-2.2 * limit, vmax=2.2 * limit
        )  # pale: the numbers stay legible
        for (row, column), value in np.ndenumerate(array):
            axes.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=9)
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=10)
    figure.suptitle(title, fontsize=12)
    return figure
