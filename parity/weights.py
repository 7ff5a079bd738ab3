"""Weights that go across: from either side to the other, in memory or through a safetensors file."""

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from safetensors.torch import load_file
from torch import nn

from tinycnn_numpy import Layer
from tinycnn_numpy.checks import cast_state, check_state
from tinycnn_numpy.optim import Optimizer

Array = np.ndarray[Any, Any]
Model = Layer | nn.Module


def numpy_state(model: Model | Optimizer | torch.optim.Optimizer) -> dict[str, Array]:
    """A copy of every weight of a model of either side, or of what an optimiser remembers, as NumPy arrays.

    "exp_avg.0" is the exp_avg of an optimiser's first parameter. (The steps are counted once here, "steps",
    and for each parameter in PyTorch, "step.0".)
    """
    if isinstance(model, nn.Module):
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in model.state_dict().items()}
    if isinstance(model, torch.optim.Optimizer):
        memory = model.state_dict()["state"]
        tensors = {f"{name}.{i}": tensor for i in memory for name, tensor in memory[i].items()}
        return {name: tensor.cpu().numpy().copy() for name, tensor in tensors.items() if tensor is not None}
    return model.state_dict()


def load_optimizer_state(optimizer: Optimizer | torch.optim.Optimizer, state: dict[str, Array]) -> None:
    """Go on from what numpy_state gave for an optimiser of the same side and the same parameters.

    Raises ValueError that lists every missing, unexpected and mis-shaped name; then nothing was copied. Of
    PyTorch's, which remembers nothing before its first step, an empty state is taken as well.
    """
    if isinstance(optimizer, Optimizer):
        optimizer.load_state_dict(state)
        return
    state = cast_state(type(optimizer).__name__, remembered(optimizer) if state else {}, state)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    memory: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in state.items():
        kind, i = name.rsplit(".", 1)
        tensor, parameter = torch.from_numpy(array.copy()), parameters[int(i)]
        if array.shape == parameter.shape:  # in the same order of memory, which fused optimisers ask for
            tensor = torch.empty_like(parameter, requires_grad=False).copy_(tensor)
        memory.setdefault(int(i), {})[kind] = tensor
    optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})


def remembered(optimizer: torch.optim.Optimizer) -> dict[str, Array]:
    """What numpy_state gives of this optimiser once it has taken a step: of a copy, which takes one."""
    stepped = copy.deepcopy(optimizer)
    for group in stepped.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    stepped.step()
    return numpy_state(stepped)


def load_numpy_state(model: Model, state: dict[str, Array]) -> None:
    """Copy `state` into a model of either side, cast to its dtype and moved to its device.

    Raises ValueError that lists every missing, unexpected and mis-shaped name; then nothing was copied.
    """
    if isinstance(model, nn.Module):
        check_state(type(model).__name__, model.state_dict(), state)
        native = {
            name: np.array(array, array.dtype.newbyteorder("=")) for name, array in state.items()
        }  # and a copy
        model.load_state_dict({name: torch.from_numpy(array) for name, array in native.items()})
    else:
        model.load_state_dict(state)


def copy_weights(source: Model, target: Model) -> None:
    """Copy every weight of `source` into `target`; either may be of either side. Strict, as
    load_numpy_state."""
    load_numpy_state(target, numpy_state(source))


def save_weights(model: Model, path: str | os.PathLike[str], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file: the same weights give the same bytes from both sides.

    (Two or more entries of metadata would come in a random order.)
    """
    Path(path).write_bytes(save(numpy_state(model), metadata))


def load_weights(model: Model, path: str | os.PathLike[str]) -> None:
    """Read a safetensors file that either side wrote. Strict, as load_numpy_state.

    A number format that NumPy lacks, such as bfloat16, is read as float32, which holds each of its numbers.
    """
    tensors = load_file(path)
    short = {
        name: tensor.float() if tensor.element_size() < 4 else tensor for name, tensor in tensors.items()
    }
    load_numpy_state(model, {name: tensor.numpy() for name, tensor in short.items()})
