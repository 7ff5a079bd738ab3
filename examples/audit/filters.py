"""Section 31.3: what the first layer has learned."""

import warnings

import numpy as np
from matplotlib.figure import Figure

from examples.audit.claim import claim, confirmed, exactly, holds, only_if, open_, wrong
from examples.audit.networks import traced
from examples.common.figures import image_grid
from examples.common.statistics import paired
from examples.experiments.edges import (
    GRADIENT,
    LINES,
    edge_share,
    first_filters,
    fixed_accuracies,
    p_value,
    untrained_filters,
)
from examples.experiments.train_tinycnn import filters_of
from tinycnn_torch import MNISTCNN

PRINTED_RANGE = (-0.702, 0.590)
PRINTED_WARNING = (
    "This figure includes Axes that are not compatible with tight_layout, so results might be incorrect."
)


@claim("31.3", "the first layer's filters have shape (16, 1, 3, 3)", by="examples.features")
def filter_shape(lab):
    return exactly((16, 1, 3, 3), tuple(MNISTCNN().state_dict()["conv1.weight"].shape))


@claim("31.3", "their values run from -0.702 to 0.590", by="examples.chapter")
def filter_range(lab):
    """Those of the chapter's own loop, from its seed 42."""
    low, high = lab.chapters_run("filters")[-1].round(3).tolist()
    found, text = (low, high), f"{low} to {high} by the chapter's loop"
    if found == PRINTED_RANGE:
        return confirmed(text)
    near = all(1 / 2 < ours / printed < 2 for ours, printed in zip(found, PRINTED_RANGE, strict=True))
    return only_if(f"{text}: not with these versions") if near else wrong(text)


@claim("31.3", "tight_layout() may be incorrect here: the warning that is printed", by="examples.features")
def tight_layout(lab):
    """The printed warning, and whether the layout that examples.common.figures uses gives one."""
    filters = np.zeros((16, 3, 3))
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        figure = Figure()
        axes = figure.subplots(2, 8)
        figure.colorbar(axes[0, 0].imshow(filters[0]), ax=axes)
        figure.tight_layout()
    with warnings.catch_warnings(record=True) as ours:
        warnings.simplefilter("always")
        image_grid(filters, 8, "", name="filter", unit="weight").draw_without_rendering()
    return exactly_warned(PRINTED_WARNING, [str(warning.message) for warning in theirs], len(ours))


def exactly_warned(printed: str, messages: list[str], ours: int):
    """Confirmed if one of the messages is the printed one; `ours` is how many the other layout gives."""
    text = "; ".join(f'"{message}"' for message in messages) or "no warning"
    return holds(printed in messages, f"{text}; constrained layout gives {ours} warnings")


@claim("31.3", "16 feature maps of 26 x 26 after the first convolution", by="examples.features")
def first_maps(lab):
    return exactly((16, 26, 26), traced()["relu1"].shape[1:])


@claim("31.3", "the first filters have become edge detectors", by="examples.edges")
def edges(lab):
    lab.chapters_recipe()
    learned = np.stack([first_filters(network) for network in lab.networks])
    shares = [edge_share(filters).reshape(-1, 16) for filters in (learned, untrained_filters(1000))]
    p = p_value(*(share.mean(axis=1) for share in shares))
    half, null = (100 * float((share > 0.5).mean()) for share in shares)
    text = (
        f"{shares[0].mean():.2f} of their energy is an edge's, of untrained ones {shares[1].mean():.2f} "
        f"(p = {p:.2g}); {half:.0f} % have more than half, of untrained ones {null:.0f} %"
    )
    if p >= 0.05:
        return open_(text)
    return confirmed(text) if half > 50 else only_if(f"{text}: they lean towards edges, most are none")


@claim("31.3", "edge detection is the optimal first step", by="examples.edges", comparisons=2)
def optimal(lab):
    """Fixed edges against fixed random and fixed learned filters; the rest is trained for two epochs."""
    lab.chapters_recipe()
    found = fixed_accuracies(lab.dataset, [first_filters(network) for network in lab.networks], 2)
    gains = {kind: paired(found["edges"], found[kind]) for kind in ("random", "learned")}
    means = ", ".join(f"{kind} {accuracies.mean():.2f} %" for kind, accuracies in found.items())
    told = "; ".join(f"edges - {kind} {gain.rounded(2)}" for kind, gain in gains.items())
    text = f"test accuracy with fixed first filters: {means}; {told}"
    winners = [gain.winner for gain in gains.values()]
    if winners == [1, 1]:
        return confirmed(text)
    return wrong(text) if min(winners) < 0 else open_(f"{text} with {len(lab.networks)} networks of each")


@claim("31.3", "TinyCNN's filters resemble edge detectors", by="examples.train_tinycnn", comparisons=3)
def tinycnn_edges(lab):
    """20 networks on our line patterns: those of chapter 25 are not here."""
    before, after = np.swapaxes([filters_of(seed) for seed in range(20)], 0, 1)
    return edges_or_lines(before, after)


def edges_or_lines(before: np.ndarray, after: np.ndarray):
    """(networks, F, 3, 3) before and after training: do shares of edges grow, and more than those of lines?

    Confirmed if edges grow and exceed lines, wrong if they do not grow and lines do.
    """

    def shares(filters: np.ndarray, span: np.ndarray) -> np.ndarray:
        return edge_share(filters, span).reshape(filters.shape[:2]).mean(axis=1)  # (networks,)

    edge, line = ((shares(before, span), shares(after, span)) for span in (GRADIENT, LINES))
    gains, lead = [paired(new, old) for old, new in (edge, line)], paired(edge[1], line[1])
    text = (
        f"share of the energy before and after training on our line patterns: edges {edge[0].mean():.2f} and "
        f"{edge[1].mean():.2f}, lines {line[0].mean():.2f} and {line[1].mean():.2f} ({len(before)} networks)"
    )
    if gains[0].winner == 1:
        return confirmed(text) if lead.winner == 1 else only_if(f"{text}: line detectors at least as much")
    if gains[0].winner == -1 or gains[1].winner == 1:
        return wrong(f"{text}: they do not become edges")
    return open_(text)
