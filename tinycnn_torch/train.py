"""The training loop, with backpropagation in one line. Read beside tinycnn_numpy/train.py."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def train_step(model: nn.Module, loss_fn: nn.Module, optimizer: Optimizer, x: Tensor, y: Tensor) -> Tensor:
    """One step of the optimiser for the images x (N, C, H, W) with labels y (N,); return their mean loss."""
    logits = model(x)
    loss = loss_fn(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def train_epoch(
    model: nn.Module,
    loss_fn: nn.Module,
    optimizer: Optimizer,
    images: Tensor,
    labels: Tensor,
    batches: Iterable[Tensor],
    schedule: LRScheduler | None = None,
    step: Callable[..., Tensor] = train_step,
) -> float:
    """Take one step for every index tensor in `batches`; return the mean loss of the images seen.

    images (M, C, H, W) and labels (M,) hold the whole training set, on the model's device; so does each
    batch. The loss is summed up on the device and read once: reading it at every step would make the GPU
    wait. schedule: of the learning rate, after each step. step: see CapturedStep. Raises ValueError if
    `batches` is empty.
    """
    total: Tensor | float = 0.0
    seen = 0
    for batch in batches:
        loss = step(model, loss_fn, optimizer, images[batch], labels[batch])
        if schedule:
            schedule.step()
        total, seen = total + loss * len(batch), seen + len(batch)
    if seen == 0:
        raise ValueError("train_epoch: batches is empty, expected at least one tensor of indices")
    return float(total) / seen


@torch.no_grad()
def evaluate(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 250) -> float:
    """The share of images that the model labels right, in percent. Raises ValueError for no images."""
    if len(images) == 0:
        raise ValueError("evaluate: images is empty, expected at least one")
    correct = torch.zeros((), dtype=torch.int64, device=labels.device)
    with in_evaluation(model):
        for start in range(0, len(images), batch_size):
            logits = model(images[start : start + batch_size])
            correct += (logits.argmax(dim=1) == labels[start : start + batch_size]).sum()
    return 100 * int(correct) / len(images)


@contextmanager
def in_evaluation(model: nn.Module) -> Iterator[None]:
    """All of the model in evaluation; afterwards, whatever happens, every part is in the mode that it had."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
