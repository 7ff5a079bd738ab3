"""The pictures of the examples: the chapter's colours, constrained layout, a unit on every axis."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, GREEN, RED, AMBER, INDIGO = "#3b82f6", "#059669", "#dc2626", "#d97706", "#4f46e5"


def training_curves(log: list[dict], title: str) -> Figure:
    """Training loss and test accuracy by epoch, side by side, from the entries of a metrics.jsonl."""
    epochs, losses, accuracies = (
        [entry[name] for entry in log] for name in ("epoch", "train_loss", "test_accuracy")
    )
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, losses, "o-", color=INDIGO)
    left.set(xlabel="epoch", ylabel="training loss (nats)", ylim=(0, None))
    right.plot(epochs, accuracies, "o-", color=GREEN)
    right.set(xlabel="epoch", ylabel="test accuracy (%)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(title)
    return figure


def filters(rows: dict[str, np.ndarray], title: str) -> Figure:
    """One row of filters (F, KH, KW) for each name, all on one colour scale around 0."""
    count = len(next(iter(rows.values())))
    figure = Figure(figsize=(1.8 * count + 1.6, 1.9 * len(rows) + 0.8), layout="constrained")
    grid = figure.subplots(len(rows), count, squeeze=False)
    limit = max(float(np.abs(weights).max()) for weights in rows.values())
    for axes_row, (name, weights) in zip(grid, rows.items(), strict=True):
        for index, (axes, weight) in enumerate(zip(axes_row, weights, strict=True)):
            image = axes.imshow(weight, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set(xticks=[], yticks=[], title=f"filter {index}")
        axes_row[0].set_ylabel(name, fontsize=12)
    figure.colorbar(image, ax=grid, label="weight", shrink=0.8)
    figure.suptitle(title)
    return figure
