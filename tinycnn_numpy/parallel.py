"""Data parallelism: every process computes on its share of a batch, and their gradients are added up.

The loss is a mean over the batch, so its gradient is a sum over the images, and a sum may be split anywhere.
All processes run the same training loop on the same batches, start from the same weights and take the same
steps. Read beside tinycnn_torch/parallel.py.
"""

from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from tinycnn_numpy.checks import Array
from tinycnn_numpy.layer import Layer, Parameter
from tinycnn_numpy.loss import CrossEntropyLoss


class DataParallel(Layer):
    """The model of process `rank` of `processes`: it sees every processes-th image of a batch.

    all_reduce(array) must replace a flat array by its sum over all processes, in each of them: an all-reduce.
    x (N, ...) of the whole batch -> out (n, ...) of this share, whose loss is a LossShare; backward takes
    dout (n, ...). Afterwards dweight and dbias are those of the whole batch. n may be 0.
    """

    def __init__(self, model: Layer, rank: int, processes: int, all_reduce: Callable[[Array], None]):
        self.model, self.share, self.all_reduce = model, slice(rank, None, processes), all_reduce

    def forward(self, x: Array) -> Array:
        return self.model.forward(x[self.share])

    def backward(self, dout: Array) -> Array:
        dx = self.model.backward(dout)
        self.all_reduce_gradients()
        return dx

    def backward_weights(self, dout: Array) -> None:
        self.model.backward_weights(dout)
        self.all_reduce_gradients()

    def all_reduce_gradients(self) -> None:
        gradients = [parameter.grad for parameter in self.parameters()]
        flat = np.concatenate([gradient.ravel() for gradient in gradients])  # one message, not one each
        self.all_reduce(flat)
        ends = np.cumsum([gradient.size for gradient in gradients])
        for gradient, total in zip(gradients, np.split(flat, ends[:-1]), strict=True):
            gradient[...] = total.reshape(gradient.shape)

    def modules(self) -> Iterator[Layer]:
        yield self
        yield from self.model.modules()

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        return self.model.named_parameters()

    def named_arrays(self) -> Iterator[tuple[str, Array]]:
        return self.model.named_arrays()

    def train(self, mode: bool = True) -> Self:
        self.model.train(mode)
        return super().train(mode)


class LossShare:
    """What the share of process `rank` adds to the mean loss of a batch.

    Its gradients add up to that of the whole batch. Its value is `processes` times what it adds, so that the
    mean over the processes is the loss of the batch. logits (n, classes) of the share, labels (N,).
    """

    def __init__(self, loss_fn: CrossEntropyLoss, rank: int, processes: int):
        self.loss_fn, self.share, self.processes = loss_fn, slice(rank, None, processes), processes

    def __call__(self, logits: Array, labels: Array) -> np.floating[Any]:
        return self.forward(logits, labels)

    def forward(self, logits: Array, labels: Array) -> np.floating[Any]:
        ours = labels[self.share]
        self.part = len(ours) / len(labels)
        loss = self.loss_fn(logits, ours)
        return loss * (self.processes * self.part) if len(ours) else logits.dtype.type(0)

    def backward(self) -> Array:
        return self.loss_fn.backward() * self.part
