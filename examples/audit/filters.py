"""Section 31.3: what the first layer has learned."""

import warnings

import numpy as np
from matplotlib.figure import Figure

from examples.audit.claim import claim, confirmed, exactly, holds, only_if, open_, wrong
from examples.audit.networks import traced
from examples.common.figures import image_grid
from examples.common.statistics import paired
from examples.experiments.edges import edge_share, first_filters, fixed_accuracies, p_value, untrained_filters
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


@claim("31.3", "edge detection is the optimal first step", by="examples.edges")
def optimal(lab):
    """Fixed edges against fixed random and fixed learned filters; the rest is trained for two epochs."""
    lab.chapters_recipe()
    found = fixed_accuracies(lab.dataset, [first_filters(network) for network in lab.networks], 2)
    gains = {kind: paired(found["edges"], found[kind]) for kind in ("random", "learned")}
    means = ", ".join(f"{kind} {accuracies.mean():.2f} %" for kind, accuracies in found.items())
    told = "; ".join(f"edges - {kind} {gain.mean:+.2f} +- {gain.error:.2f}" for kind, gain in gains.items())
    text = f"test accuracy with fixed first filters: {means}; {told}"
    winners = [gain.winner for gain in gains.values()]
    if winners == [1, 1]:
        return confirmed(text)
    return wrong(text) if min(winners) < 0 else open_(f"{text} with {len(lab.networks)} networks of each")
