"""What the checks share: the data set, the finished training runs, and one trained network."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from examples.audit.claim import NotHereError
from examples.common.data import Dataset
from examples.common.models import start
from examples.common.training import train
from examples.experiments import seeds


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

    def chapters_recipe(self) -> None:
        """Raises NotHereError unless the runs are like the chapter's: on MNIST, five epochs."""
        self.mnist()
        if self.epochs != 5:
            raise NotHereError(f"the chapter trains for 5 epochs, here: {self.epochs}")

    def logs(self, model: str, backend: str = "torch") -> list[list[dict]]:
        """A training log of `model` for every seed: training.train's."""
        return seeds.logs(self.results, self.dataset, model, backend, range(self.seeds), self.epochs)

    def by_epoch(self, model: str, what: str, backend: str = "torch") -> np.ndarray:
        """(seeds, epochs): test_accuracy in percent or train_loss."""
        return np.array([[entry[what] for entry in log] for log in self.logs(model, backend)])

    def last(self, model: str, backend: str = "torch") -> np.ndarray:
        """(seeds,): test accuracy after the last epoch, in percent."""
        return self.by_epoch(model, "test_accuracy", backend)[:, -1]

    def correct(self, model: str, backend: str = "torch") -> np.ndarray:
        """(seeds, images): whether each test image is labelled right after the last epoch."""
        return seeds.correct(self.logs(model, backend), len(self.dataset.test_images))

    def chapters_run(self, what: str) -> np.ndarray:
        """Of each epoch of the chapter's own loop from its seed: see experiments.chapter.train. On MNIST."""
        [log] = seeds.logs(self.results, self.mnist(), "MNISTCNN", "chapter", [42], 5)
        return np.array([entry[what] for entry in log])

    def trained_on(self, model: str, dataset: Dataset) -> np.ndarray:
        """(seeds,): test accuracy in percent after training on other images than the Lab's."""
        runs = (train(start(model, "torch", seed), dataset, seed, self.epochs) for seed in range(self.seeds))
        return seeds.last_accuracies(runs)

    @cached_property
    def networks(self) -> list[torch.nn.Module]:
        """Trained MNISTCNNs of three seeds, for what no log tells."""
        return self.trained("MNISTCNN")

    def trained(self, model: str) -> list[torch.nn.Module]:
        networks = [start(model, "torch", seed) for seed in range(3)]
        for seed, network in enumerate(networks):
            train(network, self.dataset, seed, self.epochs)
        return networks


def spread(values: np.ndarray, digits: int = 2) -> str:
    """Mean, standard deviation and range over seeds."""
    facts = values.mean(), values.std(ddof=1), values.min(), values.max()
    mean, std, low, high = (f"{fact:.{digits}f}" for fact in facts)
    return f"{mean} (std {std}, {low} to {high}, {len(values)} seeds)"


def standing(printed: float, values: np.ndarray) -> tuple[float, float]:
    """How many standard deviations a printed value lies above the mean of ours, and how many one may.

    The second is Student's 95 % interval for one more value of the same kind. Raises NotHereError where all
    values are equal.
    """
    if (std := values.std(ddof=1)) == 0:
        raise NotHereError(f"all seeds give {values[0]}: more of them are needed")
    n = len(values)
    return float((printed - values.mean()) / std), float(stats.t.ppf(0.975, n - 1) * np.sqrt(1 + 1 / n))
