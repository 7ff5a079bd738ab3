"""Run by torchrun: the gradients that each process ends up with, for both packages, written to files.

python -m torch.distributed.run --standalone --nproc-per-node=2 tests/gradients_of_processes.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.processes import COUNT, RANK, Processes
from parity import copy_weights

BATCHES = [6, 5, 1]  # equal shares, unequal shares, nothing for the second process
DTYPES = [np.float32, np.float64]


class MeanOfMeans(tt.LossShare):
    """The usual mistake: every share counts the same, whatever its size."""

    def forward(self, logits, labels):
        return nn.functional.cross_entropy(logits, labels[self.share])


def case(batch: int, dtype):
    rng = np.random.default_rng(batch)
    model = tn.TinyCNN(rng=rng, dtype=dtype)
    x, y = rng.standard_normal((batch, 1, 8, 8)).astype(dtype), rng.integers(2, size=batch)
    return model, x, y


def numpy_gradients(model, x, y, group):
    parallel = tn.DataParallel(model, RANK, COUNT, group.all_reduce)
    loss_fn = tn.LossShare(tn.CrossEntropyLoss(), RANK, COUNT)
    loss = loss_fn(parallel(x), y)
    parallel.backward_weights(loss_fn.backward())
    return loss, {name: parameter.grad for name, parameter in model.named_parameters()}


def torch_gradients(model, x, y, loss_fn):
    module = tt.TinyCNN().to(torch.float64 if x.dtype == np.float64 else torch.float32)
    copy_weights(model, module)
    parallel = tt.DataParallel(module, RANK, COUNT)
    loss = loss_fn(parallel(torch.from_numpy(x)), torch.from_numpy(y))
    loss.backward()
    return loss.item(), {name: parameter.grad.numpy() for name, parameter in module.named_parameters()}


def main():
    group = Processes("cpu")
    for batch in BATCHES:
        for dtype in DTYPES:
            model, x, y = case(batch, dtype)
            results = {"numpy": numpy_gradients(model, x, y, group)}
            results["torch"] = torch_gradients(model, x, y, tt.LossShare(RANK, COUNT))
            if batch == 5:
                results["wrong"] = torch_gradients(model, x, y, MeanOfMeans(RANK, COUNT))
            for side, (loss, gradients) in results.items():
                gradients = gradients | {"loss": np.array(group.mean(float(loss)))}
                np.savez(Path(sys.argv[1]) / f"{side}-{batch}-{np.dtype(dtype)}-{RANK}.npz", **gradients)
    group.end()


if __name__ == "__main__":
    main()
