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
    """The layers of a model by name; a single layer is one stage, named after its class."""
    return dict(layer.named_layers()) if isinstance(layer, tn.Sequential) else {type(layer).__name__: layer}


def torch_stages_of(module: nn.Module, layer: tn.Layer) -> dict[str, nn.Module]:
    """The stages of `module` under the names of `layer`; ValueError if a model names them differently."""
    names = list(stages_of(layer))
    if not isinstance(layer, tn.Sequential):
        return {names[0]: module}
    stages = {name: m for name, m in module.named_modules() if not list(m.children())}
    if list(stages) != names:
        raise ValueError(f"{type(module).__name__} has stages {list(stages)}, expected {names}")
    return stages


def trace_numpy(
    stages: Mapping[str, tn.Layer], x, *, dout=None, labels=None, loss_fn=None, modified=None
) -> Trace:
    """out of every stage; loss and dlogits if labels are given; then, last stage first, all gradients.

    Either `dout` starts the backward pass, or the loss of `labels` does, by `loss_fn` (CrossEntropyLoss
    unless given). Into the list `modified` go the (stage, name) of every input that a stage wrote to.
    """
    trace: Trace = {}

    def guarded(function, key, array):
        given = array.copy(order="K")
        result = function(given)
        if modified is not None and not np.array_equal(given, array, equal_nan=True):
            modified.append(key)
        return result

    for name, stage in stages.items():
        x = guarded(stage.forward, (name, "x"), x)
        trace[name, "out"] = x.copy(order="K")
    if labels is not None:
        loss_fn = loss_fn or tn.CrossEntropyLoss()
        trace["loss", "loss"] = np.asarray(loss_fn(x, labels))
        dout = trace["loss", "dlogits"] = loss_fn.backward()
    for name, stage in reversed(list(stages.items())):
        dout = guarded(stage.backward, (name, "dout"), dout)
        for parameter_name, parameter in stage.named_parameters():
            trace[name, "d" + parameter_name] = parameter.grad.copy()
        trace[name, "dx"] = dout.copy(order="K")
    return trace


def use_plain_float32() -> None:
    """Keep TensorFloat-32 (10 bits of mantissa) out of comparisons on GPUs that have it."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def trace_torch(stages: Mapping[str, nn.Module], x: np.ndarray, *, dout=None, labels=None) -> Trace:
    """The same tensors from autograd: a stage's dx is the gradient of what the stage before it gave."""
    use_plain_float32()
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
