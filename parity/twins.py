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

KIND_OF_MODULE = {
    nn.Conv2d: "Conv2D",
    nn.ReLU: "ReLU",
    nn.MaxPool2d: "MaxPool2D",
    nn.AvgPool2d: "AvgPool2D",
    nn.Flatten: "Flatten",
    nn.Linear: "Dense",
}
MODULE_OF_KIND = {kind: module for module, kind in KIND_OF_MODULE.items()}
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}
SETTINGS = {
    "SGD": ("lr", "momentum", "nesterov", "weight_decay"),
    "Adam": ("lr", "betas", "eps", "weight_decay"),
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
    kind = kind_of(type(optimizer), OPTIMIZERS)
    return OPTIMIZERS[kind](module.parameters(), **settings_of(optimizer))


def settings_of(optimizer: Optimizer) -> dict:
    """lr and the rest, as the PyTorch optimiser of the same kind takes them."""
    return {name: getattr(optimizer, name) for name in SETTINGS[kind_of(type(optimizer), OPTIMIZERS)]}


def kind_of(cls: type, kinds) -> str:
    """Which of `kinds` a class is, by its own or its nearest ancestor's name. Raises ValueError if none."""
    for ancestor in cls.__mro__:
        if ancestor.__name__ in kinds:
            return ancestor.__name__
    raise ValueError(f"{cls.__name__} has no PyTorch twin, expected one of {list(kinds)}")


def stages_of(module: nn.Module, layer) -> dict[str, nn.Module]:
    """The stages of `module` by name; a single layer is one stage, named after the class of `layer`.

    Raises ValueError if `layer` is a Sequential that names its stages differently.
    """
    leaves = {name: m for name, m in module.named_modules() if not list(m.children())}
    if "" in leaves:
        return {type(layer).__name__: module}
    if isinstance(layer, tn.Sequential) and list(leaves) != (
        names := [name for name, _ in layer.named_layers()]
    ):
        raise ValueError(f"{type(module).__name__} has stages {list(leaves)}, expected {names}")
    return leaves


def _row(table, instance):
    for ancestor in type(instance).__mro__:
        if ancestor in table:
            return table[ancestor]
    raise ValueError(
        f"{type(instance).__name__} has no PyTorch twin, expected one of {[c.__name__ for c in table]}"
    )
