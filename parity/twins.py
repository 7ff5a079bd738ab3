"""The PyTorch twin of a NumPy layer, model, optimiser or schedule, with the same settings and weights."""

import inspect
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

import tinycnn_numpy as tn
from parity.bounds import Array
from parity.kinds import KINDS, Kind, kind_of, names_of
from parity.weights import copy_weights
from tinycnn_numpy.optim import Optimizer

_KIND_OF_TWIN = {KINDS[name].twin: KINDS[name] for name in names_of("layer")}


def twin(layer: tn.Layer) -> nn.Module:
    """The PyTorch module that should compute the same as `layer`, with a copy of its weights.

    A subclass has the twin of its nearest ancestor in the table of kinds. Raises ValueError if there is none.
    """
    if not isinstance(layer, tn.Layer):
        what = "already a PyTorch module" if isinstance(layer, nn.Module) else "no layer of tinycnn_numpy"
        raise ValueError(f"twin: layer is {type(layer).__name__}, {what}; expected a layer of tinycnn_numpy")
    if isinstance(layer, tn.Sequential):
        named = OrderedDict((name, twin(stage)) for name, stage in layer.stages.items())
        return nn.Sequential(named).train(layer.training)
    kind = kind_of(type(layer), names_of("layer"))
    module: nn.Module = twin_class(kind)(**settings_of(layer, kind)).train(layer.training)
    state = layer.state_dict()
    if state:
        module = module.to(getattr(torch, str(next(iter(state.values())).dtype)))
        copy_weights(layer, module)
    return module


_OTHER_SETTINGS = (
    "dilation", "groups", "padding_mode", "ceil_mode", "return_indices", "count_include_pad",
    "divisor_override", "affine", "track_running_stats", "start_dim", "end_dim",
)  # fmt: skip


def from_torch(module: nn.Module) -> Any:
    """The NumPy layer or tn.Sequential that should compute the same as `module`, with a copy of its weights.

    module  a layer of the library's table, or an nn.Sequential of such. Stages keep their names, "0" and so
            on where they have none; both sides have the same keys in state_dict.

    Raises ValueError for a layer, or a setting such as dilation=2, that the NumPy side does not have.
    """
    if isinstance(module, nn.Sequential):
        model = tn.Sequential(**{name: from_torch(stage) for name, stage in module.named_children()})
        model.training = module.training
        return model
    kind = kind_of_stage(module)
    settings = settings_of(module, kind)
    plain = twin_class(kind)(**settings)
    for name in _OTHER_SETTINGS:
        if (value := getattr(module, name, None)) != getattr(plain, name, None):
            what = f"{type(module).__name__} has {name}={value!r}"
            raise ValueError(f"from_torch: {what}, which tinycnn_numpy.{kind.name} does not offer")
    state = {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}
    extra: dict[str, Any] = {"rng": np.random.default_rng(0)}
    if state:
        extra["dtype"] = next(iter(state.values())).dtype
    cls = getattr(tn, kind.name)
    taken = inspect.signature(cls).parameters
    layer = cls(**settings, **{name: value for name, value in extra.items() if name in taken})
    layer.load_state_dict(state)
    return layer.train(module.training)


def twin_class(kind: Kind) -> Any:
    """The class of torch.nn or torch.optim."""
    return getattr(torch.optim if kind.role == "optimizer" else nn, kind.twin)


def settings_of(owner: Any, kind: Kind) -> dict[str, Any]:
    """The constructor's arguments of the twin, read from the attributes of a NumPy layer or optimiser."""
    settings = {name: getattr(owner, name) for name in kind.arguments}
    if "bias" in settings:
        settings["bias"] = settings["bias"] is not None
    return settings


def twin_optimizer(optimizer: Optimizer, module: nn.Module) -> torch.optim.Optimizer:
    """The PyTorch optimiser with the same settings, for the parameters of `module`."""
    kind = kind_of(type(optimizer), names_of("optimizer"))
    return twin_class(kind)(module.parameters(), **settings_of(optimizer, kind))  # type: ignore[no-any-return]


def twin_schedule(schedule: tn.OneCycle, optimizer: torch.optim.Optimizer) -> OneCycleLR:
    """PyTorch's schedule with the same settings, for the twin of its optimiser, before the first step."""
    settings = {name: getattr(schedule, name) for name in ("max_lr", "total_steps", "pct_start")}
    return OneCycleLR(optimizer, **settings, anneal_strategy="linear", cycle_momentum=False)


def kind_of_stage(stage: nn.Module) -> Kind:
    """The kind of a PyTorch stage. Raises ValueError if the library has no such layer."""
    for ancestor in type(stage).__mro__:
        if ancestor.__name__ in _KIND_OF_TWIN:
            return _KIND_OF_TWIN[ancestor.__name__]
    raise ValueError(f"{type(stage).__name__} has no NumPy twin, expected one of {list(_KIND_OF_TWIN)}")


def stages_of(module: nn.Module, layer: Any) -> dict[str, nn.Module]:
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


class MaskedDropout(nn.Dropout):
    """Dropout under a given mask of 0 and 1, so that two backends can be compared."""

    def __init__(self, p: float, mask: Tensor):
        super().__init__(p)
        self.mask = mask
        self.earlier: Tensor | None = None  # the mask of the run before

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * self.mask.to(x) / (1 - self.p if self.p < 1 else 1)


def under_one_mask(
    stages: Mapping[str, nn.Module], x: Array, arrays: Mapping[tuple[str, str], Array]
) -> dict[str, nn.Module]:
    """The stages, with every dropout in training under the mask that a run of the NumPy side has used.

    x       the input of the first stage
    arrays  what the run gave. An entry was kept where out is not 0; where x is 0 so is out, and dx tells.
    """
    found = dict(stages)
    for name, stage in stages.items():
        out = arrays.get((name, "out"), x)
        if isinstance(stage, nn.Dropout) and stage.training:
            dx = arrays.get((name, "dx"), out)
            kept = (out != 0) | ((x == 0) & (dx != 0)) if x.shape == out.shape == dx.shape else x == x
            found[name] = MaskedDropout(stage.p, torch.from_numpy(np.asarray(kept, np.float64)))
        x = out
    return found
