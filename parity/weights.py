"""Weights that go across: from either side to the other, in memory or through a safetensors file."""

import os
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save
from torch import nn

from tinycnn_numpy import Layer
from tinycnn_numpy.checks import check_state

Model = Layer | nn.Module


def numpy_state(model: Model) -> dict[str, np.ndarray]:
    """A copy of every weight of a model of either side, as NumPy arrays."""
    if isinstance(model, nn.Module):
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in model.state_dict().items()}
    return model.state_dict()


def load_numpy_state(model: Model, state: dict[str, np.ndarray]) -> None:
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


def save_weights(model: Model, path: str | os.PathLike, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file: the same weights give the same bytes from both sides.

    (Two or more entries of metadata would come in a random order.)
    """
    Path(path).write_bytes(save(numpy_state(model), metadata))


def load_weights(model: Model, path: str | os.PathLike) -> None:
    """Read a safetensors file that either side wrote. Strict, as load_numpy_state."""
    load_numpy_state(model, load_file(path))
