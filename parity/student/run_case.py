"""Run a student's class on a case. NumPy alone: for a student's file this happens in a process of its own."""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

import tinycnn_numpy
from parity.kinds import KINDS
from parity.record import (
    NotOfferedError,
    Run,
    catching,
    check_parameters,
    check_unwatched,
    run_beside,
    run_each,
    run_loss,
    run_losses_beside,
    run_optimizer,
    run_stages,
    set_arrays,
    stages_by_name,
)
from parity.student.cases import Case
from tinycnn_numpy.layer import Layer, Parameter


def run_case(cls: type, case: Case) -> dict[str, Run]:
    """Build the class as the case says; run it on the case's first data, then the same object on the others.

    A model also gives "isolated": each stage by itself, on the inputs that the case brings for it.
    """
    run_as = {"layer": run_layer, "loss": run_losses, "optimizer": run_steps, "model": run_model}
    failed, runs = Run(), {}
    with catching(failed):
        runs = run_as[KINDS[case.kind].role](cls, case)
    return runs or {"first": failed}


def build(
    cls: type, positional: tuple[Any, ...], settings: Mapping[str, Any], dtype: Any, seed: int = 0
) -> Any:
    """cls(*positional, **settings), with rng and dtype where it takes them.

    Raises NotOfferedError, which names a setting that it does not take.
    """
    parameters = parameters_of(cls)
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in settings:
        if name not in parameters and not anything:
            raise NotOfferedError(f"takes no {name}")
    extra = {"rng": np.random.default_rng(seed), "dtype": dtype}
    extra = {name: value for name, value in extra.items() if name in parameters}
    return cls(*positional, **settings, **extra)


@cache
def parameters_of(cls: type) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cls).parameters


def run_layer(cls: type, case: Case) -> dict[str, Run]:
    if case.built:
        return {"first": run_built(cls, case)}
    layer, runs = build(cls, case.positional, case.settings, case.dtype), {}
    for name in case.weights:
        if not hasattr(layer, name):
            raise AttributeError(f"{cls.__name__} has no attribute {name!r} after __init__")
    if not case.training:
        if not hasattr(layer, "eval"):
            raise NotOfferedError("has no eval()")
        layer.eval()
    for name, data in case.runs.items():
        set_arrays(layer, case.weights_in(name))
        if name == "beside":
            other = build(cls, case.positional, case.settings, case.dtype)
            if not case.training:
                other.eval()
            set_arrays(other, case.weights_in("second"))
            runs[name] = run_beside(case.kind, layer, other, data, case.runs["second"])
        else:
            runs[name] = run_stages(layer, {case.kind: layer}, **data)
    return runs


def run_built(cls: type, case: Case) -> Run:
    """What a new object holds; where it takes an rng, also with the same seed again and with another."""
    run, takes = Run(), parameters_of(cls)
    if not {"rng", "dtype"} & set(takes):
        raise NotOfferedError("takes neither rng nor dtype")
    seeds = {"": 0, " again": 0, " of another rng": 1} if "rng" in takes else {"": 0}
    for which, seed in seeds.items():
        layer = build(cls, case.positional, case.settings, case.dtype, seed)
        for name in case.weights:
            array = layer.forward(case.first["x"].copy()) if name == "out" else getattr(layer, name, None)
            if "dtype" not in takes and isinstance(array, np.ndarray):
                array = array.astype(case.dtype)
            run.keep((case.kind, name + which), array)
    try:
        layer.backward(np.zeros_like(layer.forward(case.first["x"])))
    except NotImplementedError:  # the constructor of an empty template is right, and earns nothing
        raise
    except Exception:  # the other cases tell
        pass
    return run


def run_losses(cls: type, case: Case) -> dict[str, Run]:
    loss_fn, runs = cls(), {}
    for name, data in case.runs.items():
        if name == "beside":
            runs[name] = run_losses_beside(loss_fn, cls(), data, case.runs["second"])
        else:
            runs[name] = run_loss(loss_fn, **data)
    return runs


def run_steps(cls: type, case: Case) -> dict[str, Run]:
    """The weights after every step, (steps, ...): "0" and "1" are the first and the second parameter."""
    parameters = []
    for weight in case.weights.values():
        holder = Layer()
        holder.weight = weight.copy()
        parameters.append(Parameter(holder, "weight"))
    optimizer = build(cls, (parameters,), case.settings, None)
    return {"first": run_optimizer(optimizer, parameters, case.first)}


def run_model(cls: type, case: Case) -> dict[str, Run]:
    loss_fn = tinycnn_numpy.CrossEntropyLoss()
    if case.kind == "Sequential":
        parts = dict(tinycnn_numpy.TinyCNN(rng=np.random.default_rng(0), dtype=case.dtype).named_layers())
        model = cls(**parts)
    else:
        model = build(cls, (), {}, case.dtype)
        parts = stages_by_name(model, list(case.isolated))
    for name, part in parts.items():
        own = {
            key.rpartition(".")[2]: array for key, array in case.weights.items() if key.startswith(name + ".")
        }
        set_arrays(part, own)
    runs = {name: run_stages(model, parts, loss_fn=loss_fn, **data) for name, data in case.runs.items()}
    last, data = [*case.runs.items()][-1]
    check_unwatched(model, parts, runs[last], **data, loss_fn=loss_fn)
    check_parameters(model, parts, runs[last])
    runs["isolated"] = run_each(parts, case.isolated)
    return runs
