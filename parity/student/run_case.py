"""Run a student's class on a case. NumPy alone: for a student's file this happens in a process of its own."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

import tinycnn_numpy
from parity.record import (
    NotOfferedError,
    Run,
    catching,
    run_each,
    run_loss,
    run_stages,
    set_weights,
    stages_by_name,
)
from parity.student.cases import LAYERS, LOSSES, OPTIMIZERS, STEPS, Case
from tinycnn_numpy.layer import Layer, Parameter


def build(cls: type, positional: tuple, settings: Mapping[str, Any], dtype) -> Any:
    """cls(*positional, **settings), with rng and dtype where it takes them.

    Raises NotOfferedError, which names a setting that it does not take.
    """
    parameters = inspect.signature(cls).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in settings:
        if name not in parameters and not anything:
            raise NotOfferedError(f"takes no {name}")
    extra = {"rng": np.random.default_rng(0), "dtype": dtype}
    extra = {name: value for name, value in extra.items() if name in parameters}
    return cls(*positional, **settings, **extra)


def run_case(cls: type, case: Case) -> dict[str, Run]:
    """Build the class as the case says; run it on the case's first data, then the same object on the others.

    A model also gives "fed": each stage by itself, on the inputs that the case brings for it.
    """
    failed = Run()
    try:
        with catching(failed):
            if case.kind in OPTIMIZERS:
                return {"first": run_optimizer(cls, case)}
            if case.kind in LOSSES:
                loss_fn = cls()
                return {name: run_loss(loss_fn, data) for name, data in case.runs.items()}
            if case.kind in LAYERS:
                layer, runs = build(cls, case.positional, case.settings, case.dtype), {}
                for name in case.weights:
                    if not hasattr(layer, name):
                        raise AttributeError(f"{cls.__name__} has no attribute {name!r} after __init__")
                for name, data in case.runs.items():
                    set_weights(layer, case.weights_in(name))
                    runs[name] = run_stages(layer, {case.kind: layer}, **data)
                return runs
            return run_model(cls, case)
    except NotOfferedError as reason:
        failed.skipped = str(reason)
    return {"first": failed}


def run_optimizer(cls: type, case: Case) -> Run:
    """The weights after every step, (steps, ...): "0" and "1" are the first and the second parameter."""
    run = Run()
    holders = {name: Layer() for name in case.weights}
    for name, holder in holders.items():
        holder.weight = case.weights[name].copy()
    history: dict[str, list[np.ndarray]] = {name: [] for name in holders}
    with catching(run):
        parameters = [Parameter(holder, "weight") for holder in holders.values()]
        optimizer = build(cls, (parameters,), case.settings, None)
        for step in range(STEPS):
            for name, holder in holders.items():
                holder.dweight = case.first[name][step].copy()
            optimizer.step()
            for name, holder in holders.items():
                history[name].append(np.array(holder.weight))
                if not np.array_equal(holder.dweight, case.first[name][step]):
                    run.notes["steps", f"gradient {name}"] = "was modified by step"
        for name in holders:
            run.keep(("steps", name), np.stack(history[name]))
    return run


def run_model(cls: type, case: Case) -> dict[str, Run]:
    loss_fn = tinycnn_numpy.CrossEntropyLoss()
    if case.kind == "Sequential":
        parts = dict(tinycnn_numpy.TinyCNN(rng=np.random.default_rng(0), dtype=case.dtype).named_layers())
        model = cls(**parts)
    else:
        model = build(cls, (), {}, case.dtype)
        parts = stages_by_name(model, list(case.fed))
    for name, part in parts.items():
        own = {
            key.rpartition(".")[2]: array for key, array in case.weights.items() if key.startswith(name + ".")
        }
        set_weights(part, own)
    runs = {name: run_stages(model, parts, loss_fn=loss_fn, **data) for name, data in case.runs.items()}
    runs["fed"] = run_each(parts, case.fed)
    return runs
