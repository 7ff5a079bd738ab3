"""The chapter's recipe for any model of either package: Adam with learning rate 1e-3, batches of 64.

What train_mnist does, without its checkpoints, devices and processes: the same seed gives the same run.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.data import Dataset
from parity.weights import Model


def train(
    model: Model,
    dataset: Dataset,
    seed: int,
    epochs: int = 5,
    each_epoch: Callable[[dict], Any] = lambda entry: None,
) -> list[dict]:
    """Train a float32 model on the CPU, in place; return epoch, train_loss and test_accuracy of each epoch.

    seed        of the order of the images; the weights are those that the model has
    each_epoch  is called with each entry of the log, to show it
    """
    log: list[dict] = []
    package, place, loss_fn, optimizer = side_of(model)
    images, labels = place(dataset.train_images), place(dataset.train_labels)
    tests = place(dataset.test_images), place(dataset.test_labels)
    for epoch in range(1, epochs + 1):
        order = place(np.random.default_rng([seed, epoch]).permutation(len(images)))
        batches = [order[i : i + 64] for i in range(0, len(order), 64)]
        loss = package.train_epoch(model, loss_fn, optimizer, images, labels, batches)
        log.append({"epoch": epoch, "train_loss": loss, "test_accuracy": package.evaluate(model, *tests)})
        each_epoch(log[-1])
    return log


def side_of(model: Model) -> tuple[Any, Callable, Any, Any]:
    """The package that trains `model`, what puts an array where it computes, a loss and an optimiser."""
    if isinstance(model, torch.nn.Module):
        model.to(memory_format=torch.channels_last)  # N, H, W, C in memory: the faster convolution on a CPU
        adam = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
        return tt, torch.from_numpy, torch.nn.CrossEntropyLoss(), adam
    return tn, np.asarray, tn.CrossEntropyLoss(), tn.Adam(model.parameters(), 1e-3)
