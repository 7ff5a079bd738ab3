"""How large and how good are the pretrained models of the chapter? python -m examples.zoo

Section 31.4 of the chapter. The parameters are counted on PyTorch's meta device, where a tensor has a shape
and no memory; the accuracies are those that torchvision publishes with its weights. Nothing is downloaded.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import nn

from examples.common.figures import AMBER, INDIGO

# What the chapter prints: in its list, and in its table with label, year, parameters and ImageNet top-1 in %.
PRINTED_LIST = {
    "resnet18": "11,689,512",
    "resnet50": "25,557,032",
    "vgg16": "138,357,544",
    "mobilenet_v2": "3,504,872",
    "efficientnet_b0": "5,288,548",
}
PRINTED_TABLE = {
    "alexnet": ("AlexNet", 2012, "61M", "56.5"),
    "vgg16": ("VGG-16", 2014, "138M", "71.6"),
    "resnet50": ("ResNet-50", 2015, "25M", "76.1"),
    "efficientnet_b0": ("EfficientNet-B0", 2019, "5.3M", "77.1"),
    "vit_b_16": ("ViT-B/16", 2020, "86M", "77.9"),
}


@dataclass(frozen=True)
class Weights:
    """One published set: how many parameters torchvision says, how many we count, ImageNet top-1 in percent.

    top1 is NaN where no classifier was published.
    """

    name: str
    said: int
    counted: int
    top1: float


@dataclass(frozen=True)
class Row:
    """A model: what we count for weights=None, what is published, what the chapter prints ("" if nothing)."""

    name: str
    parameters: int
    weights: tuple[Weights, ...]
    printed_in_list: str = ""
    label: str = ""
    year: int = 0
    printed_parameters: str = ""
    printed_top1: str = ""


def meta_model(name: str, **options) -> nn.Module:
    """A model of torchvision, untrained, without memory. Raises KeyError or ValueError for no such name."""
    from torchvision import models

    with torch.device("meta"):
        return models.get_model(name, weights=None, **options)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def published(name: str) -> tuple[Weights, ...]:
    """Every set of weights that torchvision publishes for a model, counted again at its image size."""
    from torchvision import models

    found = []
    for weights in models.get_model_weights(name):
        size = weights.transforms().crop_size[0]
        # only a ViT's position embedding depends on the size
        model = meta_model(name, image_size=size) if name.startswith("vit") else meta_model(name)
        top1 = weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        found.append(Weights(weights.name, weights.meta["num_params"], count(model), top1))
    return tuple(found)


def zoo_rows() -> list[Row]:
    """The models of the chapter's list, then those that stand in its table alone."""
    rows = []
    for name in PRINTED_LIST | PRINTED_TABLE:
        table = PRINTED_TABLE.get(name, ())
        rows.append(Row(name, count(meta_model(name)), published(name), PRINTED_LIST.get(name, ""), *table))
    return rows


def count_verdict(printed: str, counted: int) -> str:
    """Whether a printed count, "11,689,512" or "5.3M", is the counted one, to the digits that it shows."""
    if not printed.endswith("M"):
        difference = int(printed.replace(",", "")) - counted
        return "agrees" if difference == 0 else f"differs by {difference:+,}"
    digits = len(printed.partition(".")[2].rstrip("M"))
    millions, value = counted / 1e6, float(printed.rstrip("M"))
    if f"{millions:.{digits}f}" == f"{value:.{digits}f}":
        return "agrees"
    if math.floor(millions * 10**digits) == round(value * 10**digits):
        return f"cut off, not rounded: {millions:.{digits}f}M"
    return f"differs by {value - millions:+.{digits + 1}f}M"


def top1_verdict(printed: str, weights: Sequence[Weights]) -> str:
    """Which published weights have the printed accuracy, to its digits; else how far off the nearest is."""
    digits = len(printed.partition(".")[2])
    known = [each for each in weights if not math.isnan(each.top1)]
    if same := [each.name for each in known if f"{each.top1:.{digits}f}" == printed]:
        return f"agrees with {', '.join(same)}"
    nearest = min(known, key=lambda each: abs(each.top1 - float(printed)))
    return f"differs by {float(printed) - nearest.top1:+.1f} from {nearest.name}"


def picture(rows: Sequence[Row]) -> Figure:
    """Top-1 accuracy against parameters: what torchvision publishes, and what the chapter prints."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    for index, row in enumerate(rows):
        top1 = [each.top1 for each in row.weights if not math.isnan(each.top1)]
        millions = [row.parameters / 1e6] * len(top1)
        axes.plot(millions, top1, ":", color="0.6", zorder=1)
        axes.scatter(millions, top1, color=INDIGO, zorder=2, label="" if index else "torchvision's weights")
        if row.printed_top1:
            axes.plot([millions[0]] * 2, [float(row.printed_top1), min(top1)], ":", color="0.6", zorder=1)
            axes.scatter(millions[0], float(row.printed_top1), 70, color=AMBER, marker="x", lw=2, zorder=3)
        axes.annotate(
            row.label or row.name,
            (millions[0], max(top1)),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
        )
    axes.scatter([], [], 70, color=AMBER, marker="x", lw=2, label="printed in the chapter")
    axes.set(xscale="log", xlim=(2, 300), ylim=(54, 90))
    axes.set(xlabel="parameters (millions, log scale)", ylabel="ImageNet top-1 accuracy (%)")
    axes.set_xticks([3, 5, 10, 30, 100, 200], ["3", "5", "10", "30", "100", "200"], minor=False)
    axes.set_xticks([], minor=True)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    axes.set_title("A model has several published accuracies: one for each training recipe")
    return figure
