"""Exercise 31.2: average pooling in place of max pooling, and what each makes of its maps."""

import argparse
import textwrap
from dataclasses import dataclass

import torch
from torch import nn

import tinycnn_torch as tt
from examples.common.data import Dataset
from examples.common.figures import save
from examples.common.models import start
from examples.common.training import train
from examples.experiments import seeds
from examples.experiments.compare_mlp import compare, introduction, verdict
from examples.experiments.shapes import outputs

QUESTION = """Put average pooling in place of both max poolings, train for 5 epochs and compare the accuracy.
How does the difference fit with what the two poolings do?"""
MODEL = "AveragePooling"


def solve(dataset: Dataset, args: argparse.Namespace) -> None:
    models = ["MNISTCNN", MODEL]
    print(introduction(models, dataset, args.backend, args.seeds, args.epochs), flush=True)
    found = compare(models, dataset, args.backend, args.seeds, args.epochs, args.results)
    print(found)
    difference = found.difference(MODEL, "MNISTCNN")
    print(f"{MODEL} - MNISTCNN, seed by seed: {difference}")
    print(seeds.sampling(found.last[MODEL].mean(), dataset))

    print("What pooling does, measured on the test images after 1 epoch from seed 0, with PyTorch:")
    rows = [after_one_epoch(name, dataset) for name in ("MNISTCNN", MODEL)]
    print(f"{'':56}{'MNISTCNN':>8}{MODEL:>16}")
    for name, meaning in MEANINGS.items():
        print(f"{meaning:56}{getattr(rows[0], name):8.2f}{getattr(rows[1], name):16.2f}")
    conclusion = verdict(difference, MODEL, "MNISTCNN")
    print(f"On {dataset.name}, after {seeds.epochs_in_words(args.epochs)}, {conclusion}.")
    print(f"The maximum passes on the strongest response whole, the average {rows[1].passed_on:.0f} % of it,")
    print(
        f"and a response stays 0 only where the whole window is 0: {rows[1].zeros_behind:.0f} % behind pool1."
    )
    print(why(difference.winner))
    save(found.curves(), args.output_dir / "average_pooling.png")


def why(winner: int) -> str:
    """What the two poolings are, and what of it the accuracies show. winner: 1 if the average is better."""
    shown = {
        1: "Here blurring costs less than it saves.",
        0: "These runs do not show that it matters for the accuracy.",
        -1: "Here choosing is worth the difference above.",
    }
    text = (
        "Why: average pooling is a convolution with the fixed weights 1/4 and stride 2: it blurs, whatever "
    )
    text += "the image shows. The maximum chooses: it keeps that a feature is there and forgets where in its "
    text += "window, "
    return textwrap.fill(f"{text}and its gradient goes to the winner alone. {shown[winner]}", 105)


MEANINGS = {
    "zeros_before": "zeros in relu1's maps (%)",
    "zeros_behind": "zeros in pool1's maps (%)",
    "passed_on": "what pool1 passes on of each window's largest (%)",
    "change": "change of pool2's maps when the image moves 1 pixel (%)",
    "accuracy": "test accuracy (%)",
    "accuracy_moved": "test accuracy when all images move 2 pixels (%)",
}


@dataclass(frozen=True)
class Pooling:
    """What a network's pooling does, over many images, in percent: see MEANINGS."""

    zeros_before: float
    zeros_behind: float
    passed_on: float
    change: float
    accuracy: float
    accuracy_moved: float


def after_one_epoch(model: str, dataset: Dataset) -> Pooling:
    network = start(model, "torch", 0)
    train(network, dataset, seed=0, epochs=1)
    return measure(network, torch.from_numpy(dataset.test_images), torch.from_numpy(dataset.test_labels))


@torch.no_grad()
def measure(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Pooling:
    """images (N, 1, 28, 28), labels (N,); the first 1,000 of them where whole maps are looked at."""
    first = images[:1000]
    stages, moved = outputs(network, first), outputs(network, move(first, 1))
    relu1, pool1, pool2 = (stages[name] for name in ("relu1", "pool1", "pool2"))
    largest = nn.functional.max_pool2d(relu1, 2)
    return Pooling(
        zeros_before=100 * float((relu1 == 0).float().mean()),
        zeros_behind=100 * float((pool1 == 0).float().mean()),
        passed_on=100 * float(pool1.sum() / largest.sum()),
        change=100 * float((moved["pool2"] - pool2).norm() / pool2.norm()),
        accuracy=tt.evaluate(network, images, labels),
        accuracy_moved=tt.evaluate(network, move(images, 2), labels),
    )


def move(images: torch.Tensor, pixels: int) -> torch.Tensor:
    """Images moved to the right; what enters on the left is background."""
    moved = torch.full_like(images, float(images.min()))
    moved[..., pixels:] = images[..., :-pixels]
    return moved
