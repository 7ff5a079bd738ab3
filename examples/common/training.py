"""The one set-up of everything that trains here: a model of either package with its optimiser and loop.

The chapter's recipe is Adam with learning rate LR and batches of BATCH_SIZE images. `train` is what
train_mnist does, without its checkpoints, devices and processes: the same seed gives the same run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.optim.lr_scheduler import OneCycleLR

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common import processes
from examples.common.checkpoint import StopAtNaN
from examples.common.data import Dataset
from examples.common.flags import RECIPES
from examples.common.processes import Processes
from parity.weights import Model
from tinycnn_numpy.train import in_evaluation as tn_in_evaluation
from tinycnn_torch.train import in_evaluation as tt_in_evaluation

(LR, BETAS, _), BATCH_SIZE = RECIPES["constant"], 64


@dataclass(frozen=True)
class Backend:
    """place(array) puts data where the model computes; the other functions take what it returns."""

    model: Any
    optimizer: Any
    place: Callable
    train_epoch: Callable  # (images, labels, batches, schedule) -> mean loss of this process's share
    evaluate: Callable  # (images, labels) -> accuracy in percent
    one_cycle: Callable  # (peak, steps of the run, steps done) -> its schedule


def backend_of(
    model: Model,
    lr: float = LR,
    betas: tuple[float, float] = BETAS,
    group: Processes | None = None,
    tf32: bool = False,
    stop_at_nan: bool = False,
    captured: bool = True,
    label_smoothing: float = 0.0,
) -> Backend:
    """A float32 model, ready to be trained in place by Adam.

    lr, betas        of Adam
    group            the processes that share each batch, and PyTorch's device; None: this process, the CPU
    tf32             lets a GPU round the factors of a product to 11 bits
    stop_at_nan      a loss that is not finite ends the program, on a GPU at the end of an epoch
    captured         the step of a single GPU is recorded as a CUDA graph
    label_smoothing  of the loss
    """
    if not isinstance(model, torch.nn.Module):
        return numpy_backend(model, lr, betas, group, stop_at_nan, label_smoothing)
    return torch_backend(model, lr, betas, group, tf32, stop_at_nan, captured, label_smoothing)


def numpy_backend(
    model: Any,
    lr: float,
    betas: tuple[float, float],
    group: Processes | None,
    stop_at_nan: bool,
    label_smoothing: float,
) -> Backend:
    optimizer, trained = tn.Adam(model.parameters(), lr, betas), model
    loss_fn = tn.CrossEntropyLoss(label_smoothing)
    if group and processes.COUNT > 1:
        trained = tn.DataParallel(model, processes.RANK, processes.COUNT, group.all_reduce)
        loss_fn = tn.LossShare(loss_fn, processes.RANK, processes.COUNT)  # type: ignore[assignment]
    loss: Any = StopAtNaN(loss_fn, optimizer, lr) if stop_at_nan else loss_fn
    one_thread = threadpool_limits.wrap(limits=1, user_api="blas")  # products too small to be shared
    return Backend(
        model,
        optimizer,
        np.asarray,
        one_thread(partial(tn.train_epoch, trained, loss, optimizer)),
        one_thread(partial(tn.evaluate, model)),
        lambda peak, steps, done: tn.OneCycle(optimizer, peak, steps),  # the optimiser knows what is done
    )


def torch_backend(
    model: Any,
    lr: float,
    betas: tuple[float, float],
    group: Processes | None,
    tf32: bool,
    stop_at_nan: bool,
    captured: bool,
    label_smoothing: float,
) -> Backend:
    """On a CPU N, H, W, C in memory, its faster convolution; on one GPU the step is a CUDA graph."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.deterministic = True  # the same run twice
    device = torch.device(group.device if group else "cpu")
    model = model.to(device)
    if device.type == "cpu":
        model = model.to(memory_format=torch.channels_last)
    trained, loss_fn = model, torch.nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    train_epoch: Any = tt.train_epoch
    if group and processes.COUNT > 1:
        trained = tt.DataParallel(model, processes.RANK, processes.COUNT)
        loss_fn = tt.LossShare(processes.RANK, processes.COUNT, label_smoothing)  # type: ignore[assignment]
    elif device.type == "cuda" and captured:
        train_epoch = partial(tt.train_epoch, step=tt.CapturedStep())
    fused, captured = device.type in ("cpu", "cuda"), train_epoch is not tt.train_epoch
    rate = torch.tensor(lr, device=device) if captured else lr  # a graph holds the place of a number
    optimizer = torch.optim.Adam(model.parameters(), rate, betas, fused=fused, capturable=captured)
    loss: Any = StopAtNaN(loss_fn, optimizer, lr) if stop_at_nan and device.type == "cpu" else loss_fn
    return Backend(
        model,
        optimizer,
        lambda array: torch.from_numpy(array).to(device),
        partial(train_epoch, trained, loss, optimizer),
        partial(tt.evaluate, model),
        lambda peak, steps, done: torch_one_cycle(optimizer, peak, steps, done=done),
    )


def torch_one_cycle(optimizer: torch.optim.Optimizer, peak: float, steps: int, done: int) -> OneCycleLR:
    """The twin of tn.OneCycle, of a run that goes on after the steps done."""
    settings: Any = {"total_steps": steps, "anneal_strategy": "linear", "cycle_momentum": False}
    schedule = OneCycleLR(optimizer, peak, **settings)  # leaves in the optimiser what the next line reads
    return OneCycleLR(optimizer, peak, **settings, last_epoch=done - 1) if done else schedule


def train(
    model: Model,
    dataset: Dataset,
    seed: int,
    epochs: int = 5,
    each_epoch: Callable[[dict], Any] = lambda entry: None,
) -> list[dict]:
    """Train on the CPU, in place; return epoch, train_loss and test_accuracy of each epoch.

    The last one also has wrong, the test images that are labelled wrong: see mistakes.

    seed        of the order of the images; the weights are those that the model has
    each_epoch  is called with each entry of the log, to show it
    """
    log: list[dict] = []
    backend = backend_of(model, LR)
    place = backend.place
    images, labels = place(dataset.train_images), place(dataset.train_labels)
    tests = place(dataset.test_images), place(dataset.test_labels)
    for epoch in range(1, epochs + 1):
        loss = backend.train_epoch(images, labels, batches_of(place, len(images), seed, epoch))
        log.append({"epoch": epoch, "train_loss": loss, "test_accuracy": backend.evaluate(*tests)})
        each_epoch(log[-1])
    log[-1]["wrong"] = mistakes(model, *tests)
    return log


def steps_of(images: int, batch_size: int = BATCH_SIZE) -> int:
    """How many steps an epoch takes."""
    return -(-images // batch_size)


def batches_of(
    place: Callable, images: int, seed: int, epoch: int, batch_size: int = BATCH_SIZE
) -> list[Any]:
    """The index arrays of an epoch: every image once, in an order of its own."""
    order = place(np.random.default_rng([seed, epoch]).permutation(images))
    return [order[i : i + batch_size] for i in range(0, images, batch_size)]


@torch.no_grad()
@tn.no_grad()
def mistakes(model: Model, images: Any, labels: Any, batch_size: int = 250) -> list[int]:
    """Which images (M, C, H, W) the model labels wrong, in ascending order: those that evaluate misses."""
    in_evaluation: Any = tt_in_evaluation if isinstance(model, torch.nn.Module) else tn_in_evaluation
    found: list[int] = []
    with in_evaluation(model):
        for start in range(0, len(images), batch_size):
            answers = model(images[start : start + batch_size]).argmax(1)
            wrong = np.asarray(answers != labels[start : start + batch_size])
            found += (start + np.flatnonzero(wrong)).tolist()
    return found
