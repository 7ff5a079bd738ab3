"""What becomes of an image in a model, stage by stage, and how often each weight is used for it."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from parity.weights import Model


@dataclass(frozen=True)
class Stage:
    """One stage of a model, for one image.

    shape          of what it gives, without the batch: (C, H, W) or (features,)
    parameters     weights and biases
    weights        weights alone
    uses           multiplications by each weight: a convolution needs it at every place of its output
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    weights: int
    uses: int

    @property
    def multiply_adds(self) -> int:
        return self.weights * self.uses


def stages(model: Model, image_shape: tuple[int, ...] = (1, 28, 28)) -> list[Stage]:
    """Run an image of zeros through a model of named stages, of either package, and look at each stage."""
    sizes = {name: math.prod(array.shape) for name, array in model.state_dict().items()}
    found = []
    x = np.zeros((1, *image_shape), np.float32)
    for name, out in outputs(model, torch.from_numpy(x) if isinstance(model, nn.Module) else x).items():
        weights, bias = sizes.get(f"{name}.weight", 0), sizes.get(f"{name}.bias", 0)
        uses = math.prod(out.shape[2:]) if weights else 0  # of a dense layer: 1, the product of no factors
        found.append(Stage(name, tuple(out.shape[1:]), weights + bias, weights, uses))
    return found


@torch.no_grad()
def outputs(model: Model, x) -> dict:
    """What each stage makes of the images x (N, C, H, W): arrays from arrays, tensors from tensors."""
    stages = dict(model.named_children()) if isinstance(model, nn.Module) else model.stages
    found = {}
    for name, stage in stages.items():
        found[name] = x = stage(x)
    return found


def table(of: list[Stage], image_shape: tuple[int, ...] = (1, 28, 28)) -> str:
    """The trace of shapes with the parameters of each stage."""
    rows = [f"{'stage':10}{'output of one image':22}parameters", f"{'x':10}{image_shape!s:22}"]
    rows += [f"{stage.name:10}{stage.shape!s:22}{stage.parameters:10,}" for stage in of]
    return "\n".join([*rows, f"{'total':32}{sum(stage.parameters for stage in of):10,}"])
