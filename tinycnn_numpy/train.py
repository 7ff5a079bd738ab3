"""The training loop, with backpropagation in sight. Read beside tinycnn_torch/train.py."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tinycnn_numpy.cache import no_grad
from tinycnn_numpy.checks import Array
from tinycnn_numpy.layer import Layer
from tinycnn_numpy.optim import Optimizer
from tinycnn_numpy.schedule import OneCycle


def train_step(model: Layer, loss_fn: Any, optimizer: Optimizer, x: Array, y: Array) -> float:
    """One step of the optimiser for the images x (N, C, H, W) with labels y (N,); return their mean loss."""
    logits = model(x)
    loss = loss_fn(logits, y)
    model.backward_weights(loss_fn.backward())
    optimizer.step()
    return float(loss)


def train_epoch(
    model: Layer,
    loss_fn: Any,
    optimizer: Optimizer,
    images: Array,
    labels: Array,
    batches: Iterable[Array],
    schedule: OneCycle | None = None,
) -> float:
    """Take one step for every index array in `batches`; return the mean loss of the images seen.

    images (M, C, H, W) and labels (M,) hold the whole training set. schedule: of the learning rate,
    after each step. Raises ValueError if `batches` is empty.
    """
    total, seen = 0.0, 0
    for batch in batches:
        loss = train_step(model, loss_fn, optimizer, images[batch], labels[batch])
        if schedule:
            schedule.step()
        total, seen = total + loss * len(batch), seen + len(batch)
    if seen == 0:
        raise ValueError("train_epoch: batches is empty, expected at least one array of indices")
    return total / seen


@no_grad()
def evaluate(model: Layer, images: Array, labels: Array, batch_size: int = 250) -> float:
    """The share of images that the model labels right, in percent. Raises ValueError for no images."""
    if len(images) == 0:
        raise ValueError("evaluate: images is empty, expected at least one")
    correct = 0
    with in_evaluation(model):
        for start in range(0, len(images), batch_size):
            logits = model(images[start : start + batch_size])
            correct += int((logits.argmax(axis=1) == labels[start : start + batch_size]).sum())
    return 100 * correct / len(images)


@contextmanager
def in_evaluation(model: Layer) -> Iterator[None]:
    """All of the model in evaluation; afterwards, whatever happens, every part is in the mode that it had."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
