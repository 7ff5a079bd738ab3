"""Run one side, forward and backward, and keep every tensor under (stage, name).

The two functions share nothing, so that a mistake in one cannot hide the same mistake in the other.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

import tinycnn_numpy as tn

Trace = dict[tuple[str, str], np.ndarray]


def stages_of(layer: tn.Layer) -> dict[str, tn.Layer]:
    """The named stages of a model; a single layer is one stage, named after its class."""
    return layer.stages if isinstance(layer, tn.Sequential) else {type(layer).__name__: layer}


def trace_numpy(
    stages: Mapping[str, tn.Layer], x: np.ndarray, *, dout=None, labels=None, loss_fn=None
) -> Trace:
    """out of every stage; loss and dlogits if labels are given; then, last stage first, all gradients.

    Either `dout` starts the backward pass, or the loss of `labels` does, by `loss_fn` (CrossEntropyLoss
    unless given).
    """
    trace: Trace = {}
    for name, stage in stages.items():
        x = trace[name, "out"] = stage.forward(x)
    if labels is not None:
        loss_fn = loss_fn or tn.CrossEntropyLoss()
        trace["loss", "loss"] = np.asarray(loss_fn(x, labels))
        dout = trace["loss", "dlogits"] = loss_fn.backward()
    for name, stage in reversed(list(stages.items())):
        dout = stage.backward(dout)
        for parameter_name, parameter in stage.named_parameters():
            trace[name, "d" + parameter_name] = parameter.grad
        trace[name, "dx"] = dout
    return trace


def torch_stages_of(module: nn.Module, layer: tn.Layer) -> dict[str, nn.Module]:
    """The stages of `module` under the names of `layer`; ValueError if a model names them differently."""
    names = list(stages_of(layer))
    if not isinstance(layer, tn.Sequential):
        return {names[0]: module}
    stages = dict(module.named_children())
    if list(stages) != names:
        raise ValueError(f"{type(module).__name__} has stages {list(stages)}, expected {names}")
    return stages


def trace_torch(stages: Mapping[str, nn.Module], x: np.ndarray, *, dout=None, labels=None) -> Trace:
    """The same tensors from autograd: a stage's dx is the gradient of what the stage before it gave."""
    parameters = [p for stage in stages.values() for p in stage.parameters()]
    device = parameters[0].device if parameters else torch.device("cpu")

    def tensor(array):
        return torch.from_numpy(np.array(array)).to(device)

    def array(tensor):
        return tensor.detach().cpu().numpy()

    trace: Trace = {}
    value = tensor(x).requires_grad_()
    inputs = {}
    for name, stage in stages.items():
        inputs[name] = value
        value = stage(value)
        value.retain_grad()
        trace[name, "out"] = array(value)
    for parameter in parameters:
        parameter.grad = None
    if labels is not None:
        loss = nn.functional.cross_entropy(value, tensor(labels))
        loss.backward()
        trace["loss", "loss"], trace["loss", "dlogits"] = array(loss), array(value.grad)
    else:
        value.backward(tensor(dout))
    for name, stage in reversed(list(stages.items())):
        for parameter_name, parameter in stage.named_parameters():
            trace[name, "d" + parameter_name] = array(parameter.grad)
        trace[name, "dx"] = array(inputs[name].grad)
    return trace
