"""A training step recorded once as a CUDA graph and then replayed: the GPU no longer waits for Python."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tinycnn_torch.train import train_step


class CapturedStep:
    """train_step for CUDA, to be passed to train_epoch as `step`.

    MNISTCNN is so small that launching its kernels takes longer than they do. So after WARM_UP ordinary steps
    (in which libraries choose their algorithms) one step is recorded, and from then on replayed on other
    images: they are copied to where the recorded kernels read. A batch of another size than the first takes
    an ordinary step. The optimiser must be capturable: torch.optim.Adam(..., fused=True, capturable=True).
    """

    WARM_UP = 3

    def __init__(self) -> None:
        self.steps = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(
        self, model: nn.Module, loss_fn: nn.Module, optimizer: Optimizer, x: Tensor, y: Tensor
    ) -> Tensor:
        if self.steps == 0:
            self.x, self.y = x.clone(), y.clone()
        if x.shape != self.x.shape:
            return train_step(model, loss_fn, optimizer, x, y)
        self.steps += 1
        if self.steps <= self.WARM_UP:
            return self.step_beside(model, loss_fn, optimizer, x, y)
        self.x.copy_(x)
        self.y.copy_(y)
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):  # records, and computes nothing
                self.loss = train_step(model, loss_fn, optimizer, self.x, self.y)
        self.graph.replay()
        return self.loss.clone()

    def step_beside(self, *arguments: Any) -> Tensor:
        """train_step on a stream of its own, as PyTorch asks of the steps before a recording."""
        here, beside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            loss = train_step(*arguments)
        here.wait_stream(beside)
        return loss
