"""Any layer against any PyTorch module or function: parity.check(MyTanh, reference=torch.tanh).

Nothing is known of such a layer but the reference itself. Autograd gives the right gradients in float64, and
central differences of the code's own forward say whether its backward belongs to it. No rule tells what
rounding may do, so the reference is asked: see `sensitivity`.
"""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from parity.bounds import Array, Exact, unit
from parity.comparison import Data, Subject, Trial, report_of, rows_of
from parity.exact import ExactRun
from parity.oracles import directional_derivative
from parity.record import Run, catching, run_stages, set_arrays
from parity.report import Report, Row, within

Reference = nn.Module | Callable[[Tensor], Tensor]
SHAPES = ((3, 4, 5, 6), (3, 4, 7), (3, 4), (3, 4, 2, 5, 3))  # tried in turn; 4 is what the reference says
SIZES = ("in_channels", "num_features", "num_channels", "in_features", "normalized_shape")
NUDGE = 2.0**-26  # relative: what it does to an entry is scaled down to one rounding
ROUNDINGS = 100.0  # how many of them a right answer may have suffered


class Function(nn.Module):
    """A function of one tensor as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def check_against(code: Any, reference: Any, x: Array | None = None, seed: int = 0) -> Report:
    """Compare out, dx and the gradients of all weights with what autograd makes of `reference`.

    code       a class or an object with forward and backward. A class is built with those of its parameters
               that are attributes of the module (num_features, eps, negative_slope ...).
    reference  an nn.Module, its class, or a function of one tensor. Weights and buffers are copied from it
               into the attributes of the same names.
    x          an input (N, ...); drawn in a shape that the reference takes unless given

    Raises ValueError if the reference is random, takes no such input, or cannot be built.
    """
    module = as_module(reference).double()
    rng = np.random.default_rng(seed)
    x = np.asarray(an_input(module, rng) if x is None else x, np.float64)
    layer = built(code, module)
    name, runs = type(layer).__name__, []
    for run_name, batch in (("", x), ("second", rng.permuted(x, axis=0) * 1.5), ("third", x[:-1] - 0.25)):
        if len(batch):
            runs.append(trial_of(name, layer, copy.deepcopy(module), batch, run_name, rng))
            _advance(module, batch)
    rows = rows_of(runs[0])
    for trial in runs[1:]:  # what is wrong there alone
        known = {row.tensor for row in rows if not row.ok}
        rows += [row for row in rows_of(trial) if not row.ok and row.tensor not in known]
    title = f"{name} against {_called(reference)}, {runs[0].dtype}, under random upstream gradients"
    report = report_of(title, rows, runs)
    report.rows += own_derivative(name, layer, x, rng)
    return report


def as_module(reference: Any) -> nn.Module:
    """Raises ValueError for what is no module, no class of one that takes no arguments, and no function."""
    if isinstance(reference, type) and issubclass(reference, nn.Module):
        try:
            return reference()
        except TypeError as error:
            raise ValueError(f"check: reference is {reference.__name__}: {error}; give an object") from None
    if isinstance(reference, nn.Module):
        return copy.deepcopy(reference).cpu()
    if callable(reference) and not isinstance(reference, type):
        return Function(reference)
    raise ValueError(f"check: reference is {reference!r}, expected an nn.Module or a function of one tensor")


def an_input(module: nn.Module, rng: np.random.Generator) -> Array:
    """Of the first shape that the module takes; the axis after the batch has as many entries as it says."""
    size = next((int(np.prod(getattr(module, name))) for name in SIZES if hasattr(module, name)), 4)
    reasons = []
    for shape in ((3, 4), *SHAPES) if hasattr(module, "in_features") else SHAPES:
        x = rng.standard_normal([size if i == 1 else n for i, n in enumerate(shape)])
        try:
            one, other = (copy.deepcopy(module)(torch.from_numpy(x)) for _ in range(2))
        except Exception as error:
            reasons.append(str(error).splitlines()[0] if str(error) else type(error).__name__)
            continue
        if not torch.equal(one, other):
            raise ValueError("check: reference is random, two calls differ; a mask cannot be compared")
        return x
    raise ValueError(f"check: reference takes none of the inputs that were tried ({reasons[0]}); give x=")


def built(code: Any, module: nn.Module) -> Any:
    """The object, with the weights of the module. Raises ValueError for a parameter that nobody knows."""
    if isinstance(code, type):
        known = {"rng": np.random.default_rng(0), "dtype": np.float64}
        settings = {}
        for parameter in inspect.signature(code).parameters.values():
            if parameter.name in known or hasattr(module, parameter.name):
                settings[parameter.name] = known.get(parameter.name, getattr(module, parameter.name, None))
            elif parameter.default is parameter.empty and parameter.kind not in (2, 4):  # *args, **kwargs
                what = f"{code.__name__} needs {parameter.name}, which {type(module).__name__} does not have"
                raise ValueError(f"check: {what}; give an object in place of the class")
        for name in ("bias", "weight"):
            if name in settings and isinstance(getattr(module, name), Tensor):
                settings[name] = True
        code = code(**settings)
    set_arrays(code, {name: t.detach().numpy() for name, t in module.state_dict().items() if t.ndim})
    return code


@dataclass
class ReferenceTrial(Trial):
    """module: the reference as it was before the run; data: x and dout."""

    stage: str = ""
    module: nn.Module = field(default_factory=nn.Identity)
    data: Data = field(default_factory=dict)

    @cached_property
    def exact(self) -> ExactRun:
        values = gradients(self.module, self.data)
        bounds = sensitivity(self.module, self.data, unit(self.dtype))
        return ExactRun(
            {
                (self.stage, tensor): Exact(value, bounds[tensor], np.zeros(value.shape))
                for tensor, value in values.items()
            }
        )

    @property
    def dtype(self) -> Any:
        out = self.run.arrays.get((self.stage, "out"))
        return out.dtype if out is not None and out.dtype == np.float32 else np.dtype(np.float64)

    def subjects(self) -> dict[str, Subject]:
        weights = {name: t.detach().numpy() for name, t in self.module.named_parameters()}
        return {self.stage: Subject("another layer", {**self.data, **weights}, self.module)}


def trial_of(
    stage: str, layer: Any, module: nn.Module, x: Array, run_name: str, rng: np.random.Generator
) -> ReferenceTrial:
    with torch.no_grad():
        shape = copy.deepcopy(module)(torch.from_numpy(x)).shape
    data = {"x": x, "dout": rng.standard_normal(shape)}
    run = run_stages(layer, {stage: layer}, **data)
    return ReferenceTrial(run, run_name, stage, module, data)


def _advance(module: nn.Module, x: Array) -> None:
    """What a forward changes, such as running statistics, it changes in the reference as well."""
    with torch.no_grad():
        module(torch.from_numpy(x))


def gradients(module: nn.Module, data: Data) -> dict[str, Array]:
    """out, dx, and the gradient of each parameter, by autograd."""
    buffers = {name: b.clone() for name, b in module.named_buffers()}
    leaves = {name: p.detach().clone().requires_grad_() for name, p in module.named_parameters()}
    x = torch.tensor(data["x"], requires_grad=True)
    out = functional_call(module, leaves | buffers, (x,))
    found = torch.autograd.grad(out, [x, *leaves.values()], torch.from_numpy(data["dout"]))
    names = ["dx", *(f"d{name}" for name in leaves)]
    states = {name: b.numpy() for name, b in buffers.items() if b.ndim}
    return {
        "out": out.detach().numpy(),
        **{name: gradient.numpy() for name, gradient in zip(names, found, strict=True)},
        **states,
    }


def sensitivity(module: nn.Module, data: Data, u: float) -> dict[str, Array]:
    """How far rounding may move each entry: ROUNDINGS times what one rounding of every input does to it.

    Every input and weight is changed by a random NUDGE of its size, eight times; the largest change of an
    entry, scaled down to u, and u times the largest entry are one rounding. (Of a smooth function; beside a
    kink a nudge may cross it, and then the bound is wide there.)
    """
    rng, exact = np.random.default_rng(0), gradients(module, data)
    largest = {name: np.zeros(value.shape) for name, value in exact.items()}
    for _ in range(8):
        moved = copy.deepcopy(module)
        with torch.no_grad():
            for parameter in moved.parameters():
                parameter.mul_(1 + NUDGE * torch.from_numpy(rng.uniform(-1, 1, parameter.shape)))
        others = {name: array * (1 + NUDGE * rng.uniform(-1, 1, array.shape)) for name, array in data.items()}
        for name, value in gradients(moved, others).items():
            largest[name] = np.maximum(largest[name], np.abs(value - exact[name]))
    return {
        name: ROUNDINGS * u * (change / NUDGE + np.abs(exact[name]).max(initial=0.0))
        for name, change in largest.items()
    }


def own_derivative(stage: str, layer: Any, x: Array, rng: np.random.Generator) -> list[Row]:
    """A row: dx beside central differences of the code's own forward, along one random direction.

    Two steps, h and 2h, differ by what the third derivative does; rounding adds eps * |L| / h.
    """
    run, place = Run(), x.copy()
    with catching(run):
        out = np.array(layer.forward(place.copy()))
        if out.dtype != np.float64:  # a difference would drown in rounding
            return []
        dout, v = (np.asarray(rng.standard_normal(shape)) for shape in (out.shape, x.shape))
        analytic = float((np.asarray(layer.backward(dout.copy())) * v).sum())

        def loss() -> float:
            return float((np.asarray(layer.forward(place.copy())) * dout).sum())

        h = 1e-5
        near, far = (directional_derivative(loss, place, v, step) for step in (h, 2 * h))
        rounding = float(np.finfo(float).eps) * float(np.abs(out * dout).sum()) / h
        gap, bound = abs(near - analytic), 4 * abs(near - far) + 16 * rounding
        return [within(stage, "dx of its own forward", x.shape, gap, bound)]
    return []


def _called(reference: Any) -> str:
    if isinstance(reference, nn.Module):
        return str(reference).splitlines()[0]
    return str(getattr(reference, "__name__", reference))
