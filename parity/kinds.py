"""THE table of kinds: every class of tinycnn_numpy that PyTorch has too. A new layer is one row here.

NumPy alone: the process that runs a student's file reads this table, and imports no PyTorch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Role = Literal["layer", "loss", "optimizer", "model"]


@dataclass(frozen=True)
class Kind:
    """One class and its twin.

    name       the class in tinycnn_numpy; a student's class has this name or extends one that has
    twin       the class in torch.nn, torch.optim or tinycnn_torch
    arguments  of both constructors, under equal names, and attributes of a NumPy layer or optimiser
    states     arrays that forward or step changes: of a layer, or one a parameter of an optimiser
    shape, classes  one image and the number of logits of a model
    """

    name: str
    role: Role
    twin: str
    arguments: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    classes: int = 0


_CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "bias")
_POOL = ("kernel_size", "stride", "padding")
_TABLE = (
    Kind("Conv2D", "layer", "Conv2d", _CONVOLUTION),
    Kind("ReLU", "layer", "ReLU"),
    Kind("MaxPool2D", "layer", "MaxPool2d", _POOL),
    Kind("AvgPool2D", "layer", "AvgPool2d", _POOL),
    Kind(
        "BatchNorm2D", "layer", "BatchNorm2d", ("num_features", "eps", "momentum"),
        states=("running_mean", "running_var"),
    ),
    Kind("Dropout", "layer", "Dropout", ("p",)),
    Kind("Flatten", "layer", "Flatten"),
    Kind("Dense", "layer", "Linear", ("in_features", "out_features", "bias")),
    Kind("CrossEntropyLoss", "loss", "CrossEntropyLoss"),
    Kind("SGD", "optimizer", "SGD", ("lr", "momentum", "nesterov", "weight_decay"), ("momentum_buffer",)),
    Kind("Adam", "optimizer", "Adam", ("lr", "betas", "eps", "weight_decay"), ("exp_avg", "exp_avg_sq")),
    Kind("Sequential", "model", "TinyCNN", shape=(1, 8, 8), classes=2),  # is given TinyCNN's stages
    Kind("TinyCNN", "model", "TinyCNN", shape=(1, 8, 8), classes=2),
    Kind("MNISTCNN", "model", "MNISTCNN", shape=(1, 28, 28), classes=10),
    Kind("MLP", "model", "MLP", shape=(1, 28, 28), classes=10),
)  # fmt: skip
KINDS = {kind.name: kind for kind in _TABLE}
NAMES = {name: name for name in KINDS}  # of a class, by its name here or in PyTorch
NAMES |= {kind.twin: name for name, kind in KINDS.items() if kind.role == "layer"}
WEIGHTS = ("weight", "bias")
STATES = tuple(state for kind in _TABLE if kind.role == "layer" for state in kind.states)


def names_of(role: Role) -> tuple[str, ...]:
    return tuple(kind.name for kind in _TABLE if kind.role == role)


def kind_of(cls: type, among: Iterable[str] = KINDS) -> Kind:
    """The kind of a class, by its own or its nearest ancestor's name. Raises ValueError if it has none."""
    names = list(among)
    for ancestor in cls.__mro__:
        if ancestor.__name__ in names:
            return KINDS[ancestor.__name__]
    raise ValueError(f"{cls.__name__} has no PyTorch twin, expected one of {names}")
