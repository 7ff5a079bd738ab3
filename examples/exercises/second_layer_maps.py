"""Exercise 31.3: the feature maps behind conv2, and how much a map of each layer knows of the class."""

import argparse

import numpy as np
import torch
from torch import nn

import tinycnn_torch as tt
from examples.common.cli import fail
from examples.common.data import Dataset
from examples.common.figures import save
from examples.common.models import start
from examples.common.training import train
from examples.experiments import features, seeds
from examples.experiments.shapes import outputs
from parity import copy_weights, save_weights

QUESTION = """Draw the 32 feature maps of 11 x 11 behind conv2 for a test digit, in a grid of 4 x 8.
Are they more abstract than those behind conv1?"""


def solve(dataset: Dataset, args: argparse.Namespace) -> None:
    model = start("MNISTCNN", args.backend, 0)
    networks = [as_torch(model)]
    log = train(model, dataset, 0, args.epochs)
    networks.append(as_torch(model))
    path = args.output_dir / "model.safetensors"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_weights(model, path, {"dataset": dataset.name})
    except OSError as error:
        fail(f"--output-dir {args.output_dir} cannot be written: {error.strerror}")
    after = f"after {seeds.epochs_in_words(args.epochs)}, test accuracy {log[-1]['test_accuracy']:.2f} %"
    print(f"{dataset}: MNISTCNN, {args.backend}, seed 0, {after}: {path}")
    lines, figures = features.portrait(model, dataset.name, dataset, digit=0)
    print(*lines, sep="\n")
    for name, figure in figures.items():
        save(figure, args.output_dir / f"{name}.png")

    untrained, trained = (class_shares(network, dataset) for network in networks)
    print("How much of the variance of a map's mean lies between the classes, over the test images,")
    print(f"median of the maps: {in_words(trained)}; before training {in_words(untrained)}.")
    more = "more" if trained["relu2"] > trained["relu1"] else "no more"
    gain = trained["relu2"] - untrained["relu2"]
    print(f"On {dataset.name} a map behind conv2 says {more} about the class than one behind conv1; training")
    print(f"has changed conv2's share by {gain:+.0f} points. The picture of one digit shows nothing of that.")


def as_torch(model) -> tt.MNISTCNN:
    network = tt.MNISTCNN()
    copy_weights(model, network)
    return network


def in_words(shares: dict[str, float]) -> str:
    return ", ".join(f"{share:.0f} % {stage}" for stage, share in shares.items())


@torch.no_grad()
def class_shares(network: nn.Module, dataset: Dataset) -> dict[str, float]:
    """Of relu1 and relu2, in percent: the class's share in the variance of a map's mean, median over maps."""
    images, labels = torch.from_numpy(dataset.test_images[:2000]), dataset.test_labels[:2000]
    maps = outputs(network, images)
    means = {name: maps[name].mean(dim=(2, 3)).numpy() for name in ("relu1", "relu2")}
    return {name: float(np.median(share_between(mean, labels))) for name, mean in means.items()}


def share_between(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Percent of the variance of each column that lies between the classes; constant columns are left out.

    values (N, columns), labels (N,). 0: the classes have the same mean; 100: the class says it all.
    """
    values = values[:, values.std(axis=0) > 0].astype(np.float64)
    within = sum(
        ((values[labels == label] - values[labels == label].mean(axis=0)) ** 2).sum(axis=0)
        for label in np.unique(labels)
    )
    return 100 * (1 - within / ((values - values.mean(axis=0)) ** 2).sum(axis=0))
