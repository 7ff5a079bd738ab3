"""Either package, ready to train MNISTCNN: what train_mnist and the benchmark run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from examples.common import processes
from examples.common.checkpoint import StopAtNaN
from examples.common.processes import Processes


@dataclass(frozen=True)
class Side:
    """place(array) puts data where the model computes; the other functions take what it returns."""

    model: Any
    optimizer: Any
    place: Callable
    train_epoch: Callable  # (images, labels, batches) -> mean loss of this process's share
    evaluate: Callable  # (images, labels) -> accuracy in percent


def numpy_side(lr: float, seed: int, group: Processes) -> Side:
    import tinycnn_numpy as tn

    model = tn.MNISTCNN(rng=np.random.default_rng(seed))
    optimizer = tn.Adam(model.parameters(), lr)
    trained: Any = model
    loss_fn: Any = tn.CrossEntropyLoss()
    if processes.COUNT > 1:
        trained = tn.DataParallel(model, processes.RANK, processes.COUNT, group.all_reduce)
        loss_fn = tn.LossShare(loss_fn, processes.RANK, processes.COUNT)
    train_epoch = partial(tn.train_epoch, trained, StopAtNaN(loss_fn, optimizer, lr), optimizer)
    return Side(model, optimizer, lambda array: array, train_epoch, partial(tn.evaluate, model))


def torch_side(lr: float, seed: int, group: Processes, tf32: bool = False) -> Side:
    """From the NumPy side's first weights. On a GPU the step is a CUDA graph and data stay on the device."""
    import torch

    import tinycnn_numpy as tn
    import tinycnn_torch as tt
    from parity import copy_weights

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.deterministic = True  # the same run twice
    device = torch.device(group.device)
    model = tt.MNISTCNN().to(device)
    copy_weights(tn.MNISTCNN(rng=np.random.default_rng(seed)), model)
    if device.type == "cpu":
        model = model.to(memory_format=torch.channels_last)  # N, H, W, C in memory: the faster convolution
    trained: Any = model
    loss_fn: Any = torch.nn.CrossEntropyLoss()
    train_epoch: Any = tt.train_epoch
    if processes.COUNT > 1:
        trained = tt.DataParallel(model, processes.RANK, processes.COUNT)
        loss_fn = tt.LossShare(processes.RANK, processes.COUNT)
    elif device.type == "cuda":
        train_epoch = partial(tt.train_epoch, step=tt.CapturedStep())
    fused, captured = device.type in ("cpu", "cuda"), train_epoch is not tt.train_epoch
    optimizer = torch.optim.Adam(model.parameters(), lr, fused=fused, capturable=captured)
    if device.type == "cpu":
        loss_fn = StopAtNaN(loss_fn, optimizer, lr)
    return Side(
        model,
        optimizer,
        lambda array: torch.from_numpy(array).to(device),
        partial(train_epoch, trained, loss_fn, optimizer),
        partial(tt.evaluate, model),
    )
