"""The exact run: a model in float64, with the bound of every tensor on the way. See parity/bounds.py."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from parity.bounds import ROOTS, TINY, Array, Exact, Known, Witness, exactly, unit
from parity.rules import backward, forward, states, turning_points

Key = tuple[str, str]  # (stage, tensor)


@dataclass
class ExactRun:
    """All tensors of a forward and backward pass by (stage, name), and where rounding decides."""

    tensors: dict[Key, Exact] = field(default_factory=dict)
    witnesses: list[Witness] = field(default_factory=list)


def exact_run(
    stages: Mapping[str, nn.Module],
    x: Array,
    *,
    dout: Array | None = None,
    labels: Array | None = None,
    label_smoothing: float = 0.0,
    margin: float = 1.0,
) -> ExactRun:
    """Run `stages` (PyTorch, any precision) on x (N, ...) in float64, forward and backward.

    Either the upstream gradient `dout` starts the backward pass or the cross-entropy of `labels` (N,) does;
    with neither there is none.
    The bounds are those of a run in the dtype of x. `margin` widens what counts as a witness. Raises
    ValueError for a stage that has no rule.
    """
    u2 = unit(x.dtype) ** 2
    found = ExactRun()
    value, passed = exactly(x), []
    for name, module in stages.items():
        stage = in_float64(module)
        unsure, places = turning_points(stage, value, margin * ROOTS * value.variance.sqrt())
        found.witnesses += [Witness(name, *place) for place in places]
        passed.append((name, stage, value, unsure))
        found.tensors |= {(name, state): known.numpy() for state, known in states(stage, value, u2).items()}
        value = forward(stage, value, u2)
        found.tensors[name, "out"] = value.numpy()
    if labels is not None:
        loss, upstream = cross_entropy(value, torch.from_numpy(labels.astype(np.int64)), u2, label_smoothing)
        found.tensors["loss", "loss"], found.tensors["loss", "dlogits"] = loss.numpy(), upstream.numpy()
    elif dout is not None:
        upstream = exactly(dout)
    else:
        return found
    for name, stage, value, unsure in reversed(passed):
        gradients = backward(stage, value, upstream, unsure, u2)
        found.tensors |= {(name, tensor): known.numpy() for tensor, known in gradients.items()}
        upstream = gradients["dx"]
    return found


def in_float64(module: nn.Module) -> nn.Module:
    """A copy on the CPU; the module itself where it is so already and has no buffers that forward changes."""
    right = all(p.dtype == torch.float64 and p.device.type == "cpu" for p in module.parameters())
    return module if right and not list(module.buffers()) else copy.deepcopy(module).cpu().double()


def exact_each(stages: Mapping[str, nn.Module], inputs: Mapping[str, Mapping[str, Array]]) -> ExactRun:
    """Every stage by itself, on exact inputs: its own rounding, and no error of the stages before it."""
    found = ExactRun()
    for name, stage in stages.items():
        alone = exact_run({name: stage}, inputs[name]["x"], dout=inputs[name]["dout"])
        found.tensors |= alone.tensors
    return found


def exact_inputs(
    stages: Mapping[str, nn.Module], exact: ExactRun, x: Array, dout: Array | None = None
) -> dict[str, dict[str, Array]]:
    """x and dout of every stage as the exact run has them, rounded to the dtype of x."""
    inputs: dict[str, dict[str, Array]] = {}
    value = x
    for name in stages:
        inputs[name] = {"x": value}
        value = exact.tensors[name, "out"].value.astype(x.dtype)
    upstream = exact.tensors["loss", "dlogits"].value.astype(x.dtype) if dout is None else dout
    for name in reversed(list(stages)):
        inputs[name]["dout"] = upstream
        upstream = exact.tensors[name, "dx"].value.astype(x.dtype)
    return inputs


def exact_loss(logits: Array, labels: Array, label_smoothing: float = 0.0) -> ExactRun:
    """loss and dlogits, with the bounds for exact logits."""
    return exact_run({}, logits, labels=labels, label_smoothing=label_smoothing)


def cross_entropy(
    logits: Known, labels: Tensor, u2: float, label_smoothing: float = 0.0
) -> tuple[Known, Known]:
    """The loss of `labels` (N,), and dlogits. The logits' size matters: one is subtracted from another."""
    z, (N, classes) = logits.value, logits.value.shape
    value = functional.cross_entropy(z, labels, label_smoothing=label_smoothing)
    probs = z.softmax(dim=1)
    target = (1 - label_smoothing) * functional.one_hot(labels, classes).to(z) + label_smoothing / classes
    dlogits = (probs - target) / max(N, 1)
    size = 1 + torch.nan_to_num(z, posinf=0, neginf=0).abs().amax(dim=1, keepdim=True)
    row = classes * u2 * size**2  # of the logarithm of a probability
    inherited = logits.variance + (probs**2 * logits.variance).sum(dim=1, keepdim=True)
    variance = (probs / max(N, 1)) ** 2 * (row + inherited) + classes * u2 * dlogits**2 + TINY**2
    loss_variance = (row / N**2).sum() + (dlogits**2 * logits.variance).sum() + N * u2 * value**2
    return (
        Known(value, loss_variance, torch.zeros(())),
        Known(dlogits, variance, torch.zeros_like(dlogits)),
    )
