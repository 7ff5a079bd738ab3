"""Does a network learn new digits from fewer examples if it knows others? python -m examples.transfer

Section 31.4 of the chapter calls it transfer learning: keep the trained body of a network, replace its head.
Here the body (conv1 to pool2) of an MNISTCNN learns the digits 0 to 4, and a new head tells 5 to 9 apart
from few labelled images of the 8 x 8 digits of scikit-learn.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from matplotlib.figure import Figure

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.data import Dataset
from examples.common.figures import AMBER, GREEN, INDIGO, RED
from examples.common.models import start
from examples.common.statistics import Paired
from examples.common.training import backend_of
from parity import copy_weights

WAYS = ["frozen body", "whole network", "from scratch", "frozen untrained body"]


def replace_head(model: tt.MNISTCNN, classes: int) -> None:
    model.requires_grad_(False)  # the body stays as it is
    model.fc = torch.nn.Linear(800, classes)  # the new head alone learns


def replace_head_by_hand(model: tn.MNISTCNN, classes: int, rng: np.random.Generator) -> tn.Adam:
    model.stages["fc"] = tn.Dense(800, classes, rng=rng)
    return tn.Adam(model.fc.parameters())  # the body stays as it is: only the head is in the optimiser


def some_classes(dataset: Dataset, first: int, last: int) -> Dataset:
    """The images of the digits first to last, labelled from 0 on."""
    parts = {}
    for part in ("train", "test"):
        labels = getattr(dataset, f"{part}_labels")
        chosen = (first <= labels) & (labels <= last)
        parts[f"{part}_images"] = getattr(dataset, f"{part}_images")[chosen]
        parts[f"{part}_labels"] = labels[chosen] - first
    return replace(dataset, **parts)


def fewest(dataset: Dataset) -> int:
    """How many training images the smallest of five classes has."""
    return int(np.bincount(dataset.train_labels, minlength=5).min())


def few_of_each(dataset: Dataset, per_class: int, rng: np.random.Generator) -> Dataset:
    """The same test set and `per_class` training images of each class, drawn without repetition.

    Raises ValueError if a class has fewer.
    """
    if per_class > (available := fewest(dataset)):
        raise ValueError(f"per_class is {per_class}, expected at most {available}, which every class has")
    classes = [rng.permutation(np.flatnonzero(dataset.train_labels == label)) for label in range(5)]
    chosen = np.concatenate([images[:per_class] for images in classes])
    images, labels = dataset.train_images[chosen], dataset.train_labels[chosen]
    return replace(dataset, train_images=images, train_labels=labels)


def fit(model: torch.nn.Module, dataset: Dataset, seed: int, steps: int) -> float:
    """Take `steps` steps of the chapter's recipe, in place; return the test accuracy in percent.

    Counted in steps and not in epochs, so that a few images are learned as thoroughly as many.
    """
    backend = backend_of(model)
    place = backend.place
    images, labels = place(dataset.train_images), place(dataset.train_labels)
    rng = np.random.default_rng([seed, 1])
    batches: list[torch.Tensor] = []
    while len(batches) < steps:
        order = place(rng.permutation(len(images)))
        batches += [order[i : i + 64] for i in range(0, len(order), 64)]
    backend.train_epoch(images, labels, batches[:steps])
    return backend.evaluate(place(dataset.test_images), place(dataset.test_labels))


def with_new_head(model: tt.MNISTCNN, seed: int) -> tt.MNISTCNN:
    """The body of a model, frozen, under a new head of 5 classes whose weights the seed gives."""
    copy = tt.MNISTCNN()
    replace_head(copy, 5)
    for name in ("conv1", "conv2"):
        copy_weights(getattr(model, name), getattr(copy, name))
    copy_weights(tn.Dense(800, 5, rng=np.random.default_rng([seed, 2])), copy.fc)
    return copy


def train_body(source: Dataset, seed: int, steps: int) -> tuple[tt.MNISTCNN, float]:
    """An MNISTCNN that tells the digits 0 to 4 of `source` apart, and its test accuracy in percent."""
    model = with_new_head(start("MNISTCNN", "torch", seed), seed).requires_grad_(True)
    return model, fit(model, some_classes(source, 0, 4), seed, steps)


def transfer_accuracies(
    bodies: Sequence[tt.MNISTCNN], target: Dataset, sizes: Sequence[int], steps: int
) -> dict[str, np.ndarray]:
    """Test accuracy on the digits 5 to 9 of `target`, in percent: (sizes, seeds) for each of WAYS.

    bodies  trained ones, from seeds 0, 1, ... Raises ValueError for a size that few_of_each cannot draw.
    A seed has its own body, labelled images and head; its four ways share the first weights and the batches.
    """
    target = some_classes(target, 5, 9)
    found = {way: np.zeros((len(sizes), len(bodies))) for way in WAYS}
    for seed, body in enumerate(bodies):
        untrained = start("MNISTCNN", "torch", seed)
        for row, size in enumerate(sizes):
            few = few_of_each(target, size, np.random.default_rng([seed, 3, size]))
            for way in WAYS:
                model = with_new_head(body if way in WAYS[:2] else untrained, seed)
                model.requires_grad_("frozen" not in way)
                model.fc.requires_grad_(True)
                found[way][row, seed] = fit(model, few, seed, steps)
    return found


def verdict(accuracies: dict[str, np.ndarray], sizes: Sequence[int], way: str) -> str:
    """Whether `way` beats "from scratch", seed by seed: over all sizes together, then for each alone.

    The first is one test; of many sizes one may seem to help by chance.
    """
    gains = accuracies[way] - accuracies["from scratch"]

    def judged(values: np.ndarray) -> tuple[str, str]:
        gain = Paired(values)
        word = {0: "no difference shown", 1: "helps", -1: "harms"}[gain.winner]
        return word, gain.rounded(1)

    word, overall = judged(gains.mean(axis=0))
    alone = {size: judged(row) for size, row in zip(sizes, gains, strict=True)}
    shown = [str(size) for size, (found, _) in alone.items() if found == word]
    clear = f", clear alone at {', '.join(shown)}" if shown and word in ("helps", "harms") else ""
    return f"{way}: {word}, {overall} points{clear} ({'; '.join(text for _, text in alone.values())})"


def picture(accuracies: dict[str, np.ndarray], sizes: Sequence[int], title: str) -> Figure:
    """Accuracy by the number of labelled images: mean and standard deviation over the seeds."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    styles = zip(("o-", "s--", "^-.", "D:"), (INDIGO, GREEN, RED, AMBER), (-3, -1, 1, 3), strict=True)
    for (way, values), (style, color, aside) in zip(accuracies.items(), styles, strict=True):
        x = np.array(sizes) * 1.015**aside  # beside each other, not above
        axes.errorbar(
            x, values.mean(axis=1), values.std(axis=1, ddof=1), fmt=style, color=color, label=way, capsize=3
        )
    axes.set(xscale="log", xlabel="labelled images of each new digit (log scale)")
    axes.set_ylabel("test accuracy (%), chance is 20")
    axes.set_xticks(list(sizes), [str(size) for size in sizes])
    axes.set_xticks([], minor=True)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    axes.set_title(title)
    return figure
