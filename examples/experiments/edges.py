"""Are the learned filters edge detectors, and are edge detectors the best? python -m examples.edges

The chapter says (31.3) that the network has found edge detection by itself, and that this first step is
"optimal". Both halves are measured here. How much of a filter is an edge: the share of its energy
(the sum of its squared weights) that lies in the span of edge filters, against untrained filters and against
chance. How good edges are: the test accuracy of a network whose first filters are fixed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

import tinycnn_numpy as tn
from examples.common.data import Dataset
from examples.common.figures import BLUE, GREEN, INDIGO, RED
from examples.common.models import start
from examples.common.statistics import paired
from examples.common.training import train
from parity import numpy_state

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])  # from left to right; .T from top to bottom
PREWITT = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])
LINE = np.array([[-1, 2, -1], [-1, 2, -1], [-1, 2, -1]])  # a bright column between dark ones
DIAGONAL = np.array([[0, 1, 2], [-1, 0, 1], [-2, -1, 0]])  # Sobel's, turned by 45 degrees


def orthonormal(filters: Sequence[np.ndarray]) -> np.ndarray:
    """An orthonormal basis (k, 9) of what (3, 3) filters span."""
    _, sizes, basis = np.linalg.svd(np.reshape(filters, (-1, 9)).astype(float))
    return basis[: (sizes > 1e-9 * sizes[0]).sum()]


# Sobel's two: cos(a) SOBEL + sin(a) SOBEL.T is an edge at any angle a. All six together span four dimensions:
# every filter that changes its sign when it is turned by 180 degrees.
GRADIENT = orthonormal([SOBEL, SOBEL.T])
LINES = orthonormal([LINE, LINE.T])  # at a right angle to every edge: a line answers alike on both sides
ODD = orthonormal([SOBEL, SOBEL.T, PREWITT, PREWITT.T, DIAGONAL, DIAGONAL[:, ::-1]])


def edge_share(filters: np.ndarray, span: np.ndarray = GRADIENT, remove_mean: bool = False) -> np.ndarray:
    """The share, 0 to 1, of each filter's energy that lies in `span`: (F, 3, 3) -> (F,).

    For a filter w of 9 numbers and P the projection on the span: |P w|^2 / |w|^2, and 0 for w = 0. With
    remove_mean the mean of w is taken off first, so that what a filter answers to a plain grey area does not
    count. GRADIENT gives 1 for a Sobel filter at any angle, 8/9 for Prewitt's; ODD gives 1 for both.
    """
    flat = np.reshape(filters, (-1, 9)).astype(float)
    energy = (flat**2).sum(axis=1)
    if remove_mean:
        flat = flat - flat.mean(axis=1, keepdims=True)
    left = (flat**2).sum(axis=1)
    inside = ((flat @ span.T) ** 2).sum(axis=1)
    left[left <= 1e-24 * energy] = 0  # a constant filter, but for rounding
    return np.divide(inside, left, out=np.zeros_like(inside), where=left > 0)


def chance(span: np.ndarray, remove_mean: bool = False) -> float:
    """The mean share of filters whose 9 weights are drawn independently from one symmetric distribution.

    Then E[w w' / |w|^2] is the unit matrix / 9, so it is k / 9 for a span of k dimensions; without the mean,
    which no edge has, k / 8. True for uniform weights (what PyTorch starts from) as for normal ones.
    """
    return len(span) / (8 if remove_mean else 9)


def step_edges() -> np.ndarray:
    """Every way in which a straight edge, anywhere, cuts the 9 pixels in two: (T, 9), each of mean 0."""
    y, x = np.mgrid[-1:2, -1:2].reshape(2, 9)
    cuts = set()
    for angle in np.linspace(0, 2 * np.pi, 720, endpoint=False) + 0.001:
        along = np.cos(angle) * x + np.sin(angle) * y
        cuts |= {tuple(along > value) for value in along}
    patterns = np.array([cut for cut in sorted(cuts) if any(cut)], dtype=float)
    return patterns - patterns.mean(axis=1, keepdims=True)


def step_share(filters: np.ndarray) -> np.ndarray:
    """The share of a filter's energy, its mean removed, that the most similar step_edges() explains.

    More generous than edge_share: an edge beside the middle of the window counts as well. (F, 3, 3) -> (F,).
    """
    steps = step_edges()
    return np.max([edge_share(filters, step[None] / np.linalg.norm(step), True) for step in steps], axis=0)


MEASURES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "Sobel span, 2 of 9": (edge_share, chance(GRADIENT)),
    "odd filters, 4 of 9": (partial(edge_share, span=ODD), chance(ODD)),
    "Sobel span, mean removed, 2 of 8": (partial(edge_share, remove_mean=True), chance(GRADIENT, True)),
    "odd filters, mean removed, 4 of 8": (partial(edge_share, span=ODD, remove_mean=True), chance(ODD, True)),
    "best step edge, mean removed": (step_share, np.nan),
}


def untrained_filters(networks: int) -> np.ndarray:
    """The first filters of MNISTCNN as they start, for seeds from 1,000,000 on: (networks, 16, 3, 3)."""
    layers = (tn.Conv2D(1, 16, kernel_size=3, rng=np.random.default_rng(10**6 + i)) for i in range(networks))
    return np.stack([layer.weight[:, 0] for layer in layers])


def first_filters(model) -> np.ndarray:
    """(16, 3, 3) of an MNISTCNN of either side."""
    return numpy_state(model)["conv1.weight"][:, 0]


def p_value(trained: np.ndarray, untrained: np.ndarray, draws: int = 10_000) -> float:
    """How often the mean of as many untrained networks reaches that of the trained ones; one-sided.

    Both are the mean shares of networks (the filters of one network are not independent). At least
    1 / (draws + 1).
    """
    chosen = np.random.default_rng(0).choice(untrained, (draws, len(trained)))
    return float((1 + (chosen.mean(axis=1) >= trained.mean()).sum()) / (draws + 1))


@dataclass(frozen=True)
class Shares:
    """One of MEASURES over several networks: the shares (networks, 16), and what training did to them.

    gain and error: of the same filter, trained minus untrained; mean over networks and its standard error.
    """

    name: str
    chance: float  # NaN where only the untrained filters tell
    trained: np.ndarray
    untrained: np.ndarray
    gain: float
    error: float
    p: float


def share_rows(before: np.ndarray, trained: np.ndarray, untrained: np.ndarray) -> list[Shares]:
    """Every one of MEASURES for filters (networks, 16, 3, 3): trained ones, `before` training, and others."""
    rows = []
    for name, (share, expected) in MEASURES.items():
        old, new, null = (share(filters).reshape(-1, 16) for filters in (before, trained, untrained))
        gains = (new - old).mean(axis=1)
        error = float(gains.std(ddof=1)) / np.sqrt(len(gains))
        p = p_value(new.mean(axis=1), null.mean(axis=1))
        rows.append(Shares(name, expected, new, null, float(gains.mean()), error, p))
    return rows


def fixed_filters(kind: str, seed: int, learned: np.ndarray) -> np.ndarray:
    """(16, 3, 3): "edges" at 16 angles, "random" as the network of this seed starts, or "learned".

    All have the norms of the learned ones: only directions differ.
    """
    filters = learned
    if kind == "edges":
        angles = 2 * np.pi * np.arange(16)[:, None, None] / 16
        filters = np.cos(angles) * SOBEL + np.sin(angles) * SOBEL.T
    elif kind == "random":
        filters = first_filters(start("MNISTCNN", "torch", seed))
    norms = [np.linalg.norm(these, axis=(1, 2), keepdims=True) for these in (learned, filters)]
    return filters * norms[0] / norms[1]


def fixed_network(filters: np.ndarray, seed: int) -> torch.nn.Module:
    """The untrained MNISTCNN of a seed whose first filters are `filters` (16, 3, 3) and stay so."""
    model = start("MNISTCNN", "torch", seed)
    with torch.no_grad():
        model.conv1.weight.copy_(torch.from_numpy(filters)[:, None])
    model.conv1.weight.requires_grad_(False)
    return model


def fixed_accuracies(dataset: Dataset, learned: Sequence[np.ndarray], epochs: int) -> dict[str, np.ndarray]:
    """Test accuracy in percent for each kind of fixed_filters, seeds 0, 1, ...: all else is trained anew."""
    found: dict[str, list[float]] = {"edges": [], "random": [], "learned": []}
    for seed, filters in enumerate(learned):
        for kind, accuracies in found.items():
            model = fixed_network(fixed_filters(kind, seed, filters), seed)
            accuracies.append(train(model, dataset, seed, epochs)[-1]["test_accuracy"])
    return {kind: np.array(accuracies) for kind, accuracies in found.items()}


def edge_verdict(shares: Shares) -> str:
    """What may be said of filters with these shares."""
    most = 100 * (shares.trained > 0.5).mean(), 100 * (shares.untrained > 0.5).mean()
    means = f"mean share {shares.trained.mean():.2f} against {shares.untrained.mean():.2f} untrained"
    told = "lean towards edges" if shares.p < 0.05 else "cannot be told from untrained ones by it"
    are = "most of them are" if most[0] > 50 else "most of them are not"
    counts = f"{most[0]:.0f} % have more than half of their energy there, {most[1]:.0f} % of untrained ones"
    lean = f"{shares.name}: trained filters {told} ({means}, p = {shares.p:.2g})"
    return f"{lean}; {are} edge detectors ({counts})."


def optimum_verdict(accuracies: dict[str, np.ndarray]) -> str:
    """What may be said of "optimal", given what fixed_accuracies found."""
    parts = []
    for kind in ("random", "learned"):
        gain = paired(accuracies["edges"], accuracies[kind])
        what = {0: "no difference shown", 1: "edges better", -1: "edges worse"}[gain.winner]
        parts.append(f"edges minus {kind} {gain.rounded(2)} points, 95 % interval of the seeds: {what}")
    worse = any("worse" in part for part in parts)
    better = all("better" in part for part in parts)
    end = "refuted" if worse else "supported, among these three" if better else "not shown"
    return f'"Optimal" is {end} ({"; ".join(parts)}).'


def picture(shares: Shares, accuracies: dict[str, np.ndarray], title: str) -> Figure:
    """Left the shares of the Sobel span, right a dot for each seed and kind of filters."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    bins = np.linspace(0, 1, 11)
    for values, name, style in zip(
        (shares.trained, shares.untrained),
        ("trained", "untrained"),
        ({"color": BLUE, "alpha": 0.55, "hatch": "///"}, {"color": "black", "histtype": "step", "lw": 2}),
        strict=True,
    ):
        weights = np.full(values.size, 100 / values.size)
        left.hist(values.ravel(), bins, weights=weights, label=f"{name}, {values.size:,} filters", **style)
    left.axvline(shares.chance, color=RED, ls="--", label="chance for the mean, 2/9")
    left.set(xlabel="share of a filter's energy in the Sobel span", ylabel="filters per bin (%)", xlim=(0, 1))
    left.set_title("How much of a filter is an edge?")
    left.legend()
    names = list(accuracies)
    for seed in range(len(accuracies[names[0]])):
        right.plot(names, [accuracies[name][seed] for name in names], "-", color="0.8", zorder=1)
    for name, marker, color in zip(names, "os^D", (INDIGO, RED, GREEN, "black"), strict=False):
        values = accuracies[name]
        right.scatter([name] * len(values), values, marker=marker, color=color, zorder=2)
        right.plot([name], [values.mean()], "_", color="black", ms=34, zorder=3)
    right.set(xlabel="first filters (the rest is trained)", ylabel="test accuracy (%)")
    right.set_title("How good are they? A line a seed, a bar the mean")
    right.margins(x=0.15)
    right.grid(axis="y", alpha=0.3)
    left.xaxis.set_major_locator(MultipleLocator(0.2))
    figure.suptitle(title)
    return figure
