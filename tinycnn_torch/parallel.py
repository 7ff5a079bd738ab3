"""Data parallelism: every process computes on its share of a batch, and their gradients are added up.

torch.distributed moves the gradients, while backward is still running. Read beside tinycnn_numpy/parallel.py.
"""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel


class DataParallel(DistributedDataParallel):
    """The model of process `rank` of `processes`: it sees every processes-th image of a batch.

    x (N, ...) of the whole batch -> out (n, ...) of this share, whose loss is a LossShare. n may be 0.
    Needs torch.distributed.init_process_group.
    """

    def __init__(self, model: nn.Module, rank: int, processes: int):
        super().__init__(model)
        self.share = slice(rank, None, processes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x[self.share])  # type: ignore[no-untyped-call]


class LossShare(nn.Module):
    """What the share of process `rank` adds to the mean cross-entropy of a batch, times `processes`.

    DistributedDataParallel takes the mean of the gradients, not their sum: hence the factor. The mean of the
    values over the processes is the loss of the batch. logits (n, classes) of the share, labels (N,).
    """

    def __init__(self, rank: int, processes: int, label_smoothing: float = 0.0):
        super().__init__()
        self.share, self.processes = slice(rank, None, processes), processes
        self.label_smoothing = label_smoothing

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        total = nn.functional.cross_entropy(
            logits, labels[self.share], reduction="sum", label_smoothing=self.label_smoothing
        )
        return total * (self.processes / len(labels))
