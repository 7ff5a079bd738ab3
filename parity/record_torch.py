"""Run the PyTorch side, forward and backward, and keep every tensor under (stage, name)."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from parity.bounds import Array
from parity.kinds import STATES

Trace = dict[tuple[str, str], Array]


def use_plain_float32() -> None:
    """Keep TensorFloat-32 (10 bits of mantissa) out of comparisons on GPUs that have it."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def trace_torch(
    stages: Mapping[str, nn.Module],
    x: Array,
    *,
    dout: Array | None = None,
    labels: Array | None = None,
    label_smoothing: float = 0.0,
) -> Trace:
    """The same tensors from autograd: a stage's dx is the gradient of what the stage before it gave."""
    use_plain_float32()
    parameters = [p for stage in stages.values() for p in stage.parameters()]
    device = parameters[0].device if parameters else torch.device("cpu")

    def tensor(array: Array | None) -> Tensor:
        return torch.from_numpy(np.array(array, order="C")).to(device)

    def array(tensor: Tensor | None) -> Array:
        assert tensor is not None
        return tensor.detach().cpu().numpy().copy()  # a stage may go on changing its own

    trace: Trace = {}
    value = tensor(x).requires_grad_()
    inputs = {}
    for name, stage in stages.items():
        inputs[name] = value
        value = stage(value)
        value.retain_grad()
        trace[name, "out"] = array(value)
        trace |= {(name, state): array(b) for state, b in stage.named_buffers() if state in STATES}
    for parameter in parameters:
        parameter.grad = None
    if labels is not None:
        loss = nn.functional.cross_entropy(value, tensor(labels), label_smoothing=label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        trace["loss", "loss"], trace["loss", "dlogits"] = array(loss), array(value.grad)
    else:
        value.backward(tensor(dout))  # type: ignore[no-untyped-call]
    for name, stage in reversed(list(stages.items())):
        for parameter_name, parameter in stage.named_parameters():
            trace[name, "d" + parameter_name] = array(parameter.grad)
        trace[name, "dx"] = array(inputs[name].grad)
    return trace
