"""How soon is MNISTCNN as good as the chapter's? The one-cycle schedule against the chapter's own loop.

Seconds are those of the training steps alone: what is tested after each epoch is looked at, and not counted.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch

from examples.common.data import Dataset
from examples.common.flags import RECIPES
from examples.common.models import start
from examples.common.processes import Processes
from examples.common.training import backend_of, batches_of, steps_of
from examples.experiments import chapter
from tinycnn_torch import MNISTCNN

TARGETS = {98.75: 1, 99.0: 2}  # test accuracy in percent, the chapter's first; epochs of a one-cycle run
PEAK, BETAS, SMOOTHING = RECIPES["one-cycle"]


@dataclass(frozen=True)
class Epoch:
    number: int
    seconds: float  # of training since the first step
    accuracy: float  # in percent, of the test images


def one_cycle(
    dataset: Dataset,
    backend: str,
    device: str,
    seed: int,
    epochs: int,
    peak: float = PEAK,
    captured: bool = True,
) -> Iterator[Epoch]:
    """A run of `epochs` under the schedule, epoch by epoch."""
    model = start("MNISTCNN", backend, seed)
    trained = backend_of(model, peak, BETAS, Processes(device), captured=captured, label_smoothing=SMOOTHING)
    place, count = trained.place, len(dataset.train_images)
    images, labels = place(dataset.train_images), place(dataset.train_labels)
    tests = place(dataset.test_images), place(dataset.test_labels)
    schedule = trained.one_cycle(peak, epochs * steps_of(count), 0)

    def train_epoch(epoch: int) -> None:
        trained.train_epoch(images, labels, batches_of(place, count, seed, epoch), schedule)

    return timed(epochs, train_epoch, lambda: trained.evaluate(*tests))


def chapters_loop(dataset: Dataset, seed: int, epochs: int) -> Iterator[Epoch]:
    """A run of the chapter's own loop at its constant rate, on the CPU."""
    torch.manual_seed(seed)
    model = MNISTCNN()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    train_loader, test_loader = chapter.loaders(dataset)

    def train_epoch(epoch: int) -> None:
        chapter.train_epoch(model, optimizer, train_loader)

    return timed(epochs, train_epoch, lambda: chapter.evaluate(model, test_loader))


def timed(epochs: int, train_epoch: Callable[[int], None], evaluate: Callable[[], float]) -> Iterator[Epoch]:
    seconds = 0.0
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        train_epoch(epoch)
        seconds += time.perf_counter() - began
        yield Epoch(epoch, seconds, evaluate())


def reached(run: Iterable[Epoch], target: float) -> tuple[bool, Epoch]:
    """Whether a test came out at the target or above, and the first epoch that did; otherwise the last."""
    for epoch in run:
        if epoch.accuracy >= target:
            return True, epoch
    return False, epoch


def held_back(dataset: Dataset) -> Dataset:
    """A data set to choose settings on: its tests are the last sixth of the training images.

    The test images have no say in what is chosen, or the accuracy on them would be too good.
    """
    cut = len(dataset.train_images) * 5 // 6
    images, labels = dataset.train_images, dataset.train_labels
    return replace(
        dataset,
        train_images=images[:cut],
        train_labels=labels[:cut],
        test_images=images[cut:],
        test_labels=labels[cut:],
    )
