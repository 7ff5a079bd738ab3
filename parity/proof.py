"""What python -m parity shows of one model, report by report."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

import tinycnn_numpy
import tinycnn_torch
from parity.comparison import compare, compare_optimizers
from parity.kinds import KINDS
from parity.report import Report
from parity.training import lockstep, smooth_batches, smooth_input
from parity.weights import copy_weights
from tinycnn_numpy.optim import Optimizer

OPTIMIZERS: list[Callable[..., Optimizer]] = [
    partial(tinycnn_numpy.SGD, lr=0.002, momentum=0.9, nesterov=True, weight_decay=1e-3),
    # With eps = 1e-8, Adam's first step is lr * sign(gradient), which noise decides where a gradient cancels.
    partial(tinycnn_numpy.Adam, lr=1e-3, eps=1e-5),
]


def prove(name: str, dtype: np.dtype[Any], device: str, seed: int, steps: int) -> Iterator[Report]:
    """Yield the reports of one model in one precision."""
    rng = np.random.default_rng(seed)
    model = getattr(tinycnn_numpy, name)(rng=rng, dtype=dtype)
    module = getattr(tinycnn_torch, name)().to(device, getattr(torch, str(dtype)))
    copy_weights(model, module)

    x = smooth_input(model, (4, *KINDS[name].shape), dtype, rng)
    labels = rng.integers(KINDS[name].classes, size=4)
    yield compare(model, x, module, seed=seed)
    yield compare(model, x, module, labels=labels)
    prototypes = rng.standard_normal((KINDS[name].classes, *KINDS[name].shape))
    labels = rng.integers(KINDS[name].classes, size=256)
    images = (0.3 * prototypes[labels] + rng.standard_normal((256, *KINDS[name].shape))).astype(dtype)
    for optimizer in OPTIMIZERS:
        yield compare_optimizers(
            optimizer(getattr(tinycnn_numpy, name)(rng=rng, dtype=dtype).parameters()), seed=seed
        )
        copy_weights(model, module)
        student = getattr(tinycnn_numpy, name)(rng=rng, dtype=dtype)
        copy_weights(model, student)
        batches: Any = (
            rng.integers(256, size=2) for _ in range(steps)
        )  # in float64 rounding decides nothing
        if dtype == np.float32:
            batches = smooth_batches(student, images, steps, 2, rng)
        yield lockstep(student, module, optimizer(student.parameters()), images, labels, batches)
