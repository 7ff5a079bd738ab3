"""Which NumPy class corresponds to which PyTorch class: the one table. A new layer gets its row here."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

import tinycnn_numpy as tn
from parity.weights import copy_weights
from tinycnn_numpy.optim import Optimizer

LAYERS: dict[type[tn.Layer], Callable[..., nn.Module]] = {
    tn.Conv2D: lambda a: nn.Conv2d(
        a.in_channels, a.out_channels, a.kernel_size, a.stride, a.padding, bias=a.bias is not None
    ),
    tn.ReLU: lambda a: nn.ReLU(),
    tn.MaxPool2D: lambda a: nn.MaxPool2d(a.kernel_size, a.stride, a.padding),
    tn.AvgPool2D: lambda a: nn.AvgPool2d(a.kernel_size, a.stride, a.padding),
    tn.Flatten: lambda a: nn.Flatten(),
    tn.Dense: lambda a: nn.Linear(a.in_features, a.out_features, bias=a.bias is not None),
    tn.Sequential: lambda a: nn.Sequential(
        OrderedDict((name, twin(stage)) for name, stage in a.stages.items())
    ),
}

OPTIMIZERS: dict[type[Optimizer], Callable[..., torch.optim.Optimizer]] = {
    tn.SGD: lambda a, parameters: torch.optim.SGD(
        parameters, a.lr, momentum=a.momentum, nesterov=a.nesterov, weight_decay=a.weight_decay
    ),
    tn.Adam: lambda a, parameters: torch.optim.Adam(
        parameters, a.lr, betas=a.betas, eps=a.eps, weight_decay=a.weight_decay
    ),
}


def twin(layer: tn.Layer) -> nn.Module:
    """The PyTorch module that should compute the same as `layer`, with a copy of its weights.

    A subclass has the twin of its nearest ancestor in the table. Raises ValueError if there is none.
    """
    module = _row(LAYERS, layer)(layer)
    weights = layer.parameters()
    if weights:
        module = module.to(getattr(torch, str(weights[0].data.dtype)))
        copy_weights(layer, module)
    return module


def twin_optimizer(optimizer: Optimizer, module: nn.Module) -> torch.optim.Optimizer:
    """The PyTorch optimiser with the same settings, for the parameters of `module`."""
    return _row(OPTIMIZERS, optimizer)(optimizer, module.parameters())


def _row(table, instance):
    for ancestor in type(instance).__mro__:
        if ancestor in table:
            return table[ancestor]
    raise ValueError(
        f"{type(instance).__name__} has no PyTorch twin, expected one of {[c.__name__ for c in table]}"
    )
