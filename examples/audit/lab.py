"""What the checks share: the data set, the finished training runs, and one trained network."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from examples import seeds
from examples.audit.claim import NotHereError
from examples.data import Dataset
from examples.recipe import train


@dataclass
class Lab:
    """results: file of the runs that examples.seeds trains; a check that needs one gets it trained, once."""

    dataset: Dataset
    results: Path
    seeds: int = 10
    epochs: int = 5

    def mnist(self) -> Dataset:
        """The data set if it is MNIST, of which the chapter speaks. Raises NotHereError if it is another."""
        if self.dataset.name != "mnist":
            raise NotHereError(f"needs MNIST, and here is {self.dataset.name}: give --data-dir")
        return self.dataset

    def logs(self, model: str, backend: str = "torch") -> list[list[dict]]:
        """A training log of `model` for every seed: recipe.train's."""
        return seeds.logs(self.results, self.dataset, model, backend, range(self.seeds), self.epochs)

    def by_epoch(self, model: str, what: str, backend: str = "torch") -> np.ndarray:
        """(seeds, epochs): test_accuracy in percent or train_loss."""
        return np.array([[entry[what] for entry in log] for log in self.logs(model, backend)])

    def last(self, model: str, backend: str = "torch") -> np.ndarray:
        """(seeds,): test accuracy after the last epoch, in percent."""
        return self.by_epoch(model, "test_accuracy", backend)[:, -1]

    @cached_property
    def networks(self) -> list[torch.nn.Module]:
        """Trained MNISTCNNs of three seeds, for what no log tells."""
        return [self.trained("MNISTCNN", seed) for seed in range(3)]

    @cached_property
    def mlp(self) -> torch.nn.Module:
        return self.trained("MLP", 0)

    def trained(self, model: str, seed: int) -> torch.nn.Module:
        network = seeds.start(model, "torch", seed)
        train(network, self.dataset, seed, self.epochs)
        return network


def spread(values: np.ndarray, digits: int = 2) -> str:
    """Mean, standard deviation and range over seeds."""
    facts = values.mean(), values.std(ddof=1), values.min(), values.max()
    mean, std, low, high = (f"{fact:.{digits}f}" for fact in facts)
    return f"{mean} (std {std}, {low} to {high}, {len(values)} seeds)"


def standing(printed: float, values: np.ndarray) -> float:
    """How many standard deviations a printed value lies above the mean of ours."""
    return float((printed - values.mean()) / values.std(ddof=1))
