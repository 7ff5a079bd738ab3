"""Run somebody's NumPy code on a case and write down what it gave.

NumPy alone, and nothing is judged here: for a student's file this runs in a process of its own. A layer is
whatever has `forward` and `backward`, `weight` and `bias` where it learns, and `dweight` and `dbias` after
backward.
"""

import inspect
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

import tinycnn_numpy
from parity.cases import LAYERS, LOSSES, OPTIMIZERS, STEPS, Case
from tinycnn_numpy.layer import Layer, Parameter

Key = tuple[str, str]  # (stage, tensor)


@dataclass
class Run:
    """What a forward and a backward pass left: arrays, remarks on them, and the exception that ended it."""

    arrays: dict[Key, np.ndarray] = field(default_factory=dict)
    notes: dict[Key, str] = field(default_factory=dict)
    error: str = ""
    skipped: str = ""

    def keep(self, key: Key, value: Any, number: Any = None) -> None:
        """Write down a copy of an array; where `number` is a dtype a Python number will do as well."""
        if number is not None and isinstance(value, int | float) and not isinstance(value, np.generic):
            value = np.array(value, number)
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fiub":
            self.arrays[key] = np.array(value, order="K")
            return
        what = "None" if value is None else f"a {type(value).__name__}"
        if isinstance(value, np.ndarray):
            what = f"an array of dtype {value.dtype}"
        self.notes[key] = f"is {what}, expected a NumPy array"


def run_stages(
    model: Any, stages: Mapping[str, Any], x: np.ndarray, *, dout=None, labels=None, loss_fn: Any = None
) -> Run:
    """Run model.forward(x) and model.backward, and write down every tensor of every stage on the way.

    stages  the layers inside `model` by name; {name: model} for a single layer
    dout    starts the backward pass, or else the loss of `labels` by `loss_fn` does
    """
    run = Run()
    with catching(run), recording(stages, run):
        out = model.forward(x.copy(order="K"))
        if labels is not None:
            run.keep(("loss", "loss"), loss_fn.forward(out, labels), number=x.dtype)
            dout = loss_fn.backward()
            run.keep(("loss", "dlogits"), dout)
        for name in stages:
            if (name, "out") not in run.arrays and (name, "out") not in run.notes:
                run.notes[name, "out"] = "was never computed: forward skips this stage"
        model.backward(dout.copy(order="K"))
    for name, stage in stages.items():
        for parameter in ("weight", "bias"):
            gradient = getattr(stage, f"d{parameter}", None)
            if getattr(stage, parameter, None) is not None and not (run.error and gradient is None):
                run.keep((name, f"d{parameter}"), gradient)
    return run


@contextmanager
def recording(stages: Mapping[str, Any], run: Run):
    """Meanwhile every forward and backward of a stage is written down, and what it did to its inputs."""

    def watched(name: str, stage: Any, given_name: str, returned_name: str, function: Callable) -> Callable:
        def call(given):
            before = {given_name: np.copy(given), **{p: np.copy(a) for p, a in weights_of(stage).items()}}
            returned = function(given)
            run.keep((name, returned_name), returned)
            after = {given_name: given, **weights_of(stage)}
            for tensor, array in before.items():
                if not np.array_equal(array, after[tensor], equal_nan=array.dtype.kind == "f"):
                    method = "forward" if returned_name == "out" else "backward"
                    run.notes.setdefault((name, tensor), f"was modified by {method}")
            return returned

        return call

    ways = [("forward", "x", "out"), ("backward", "dout", "dx")]
    found = [(name, stage, *way) for name, stage in stages.items() for way in ways if hasattr(stage, way[0])]
    for name, stage, method, given_name, returned_name in found:
        setattr(stage, method, watched(name, stage, given_name, returned_name, getattr(stage, method)))
    try:
        yield
    finally:
        for _, stage, method, *_ in found:
            delattr(stage, method)


@contextmanager
def catching(run: Run):
    """A mistake of the code that is run, whatever it raises, is written down and ends the run."""
    try:
        with np.errstate(all="ignore"):
            yield
    except (KeyboardInterrupt, NotOfferedError):
        raise
    except BaseException as error:  # SystemExit as well: a student's file may call sys.exit
        run.error = describe(error)


def describe(error: BaseException) -> str:
    """One line: what was raised, and the last line of code outside NumPy where it was raised."""
    if isinstance(error, NotImplementedError):
        return "not written yet"
    frames = [f for f in traceback.extract_tb(error.__traceback__, limit=-50) if not _of_ours(f.filename)]
    if isinstance(error, SyntaxError) and error.filename:
        where = f" at line {error.lineno}"
    else:
        where = f" in {frames[-1].name}, line {frames[-1].lineno}: {frames[-1].line}" if frames else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{f': {text}' if text else ''}{where}"[:400]


def _of_ours(filename: str) -> bool:
    """Whether it is this file, NumPy or the standard library, in which nobody would look for the mistake."""
    inside = filename.startswith(os.path.dirname(os.__file__)) and "site-packages" not in filename
    numpy = f"{os.sep}numpy{os.sep}" in filename or filename.startswith("<__array")
    return filename == __file__ or inside or numpy or filename.startswith("<frozen")


def weights_of(stage: Any) -> dict[str, np.ndarray]:
    found = {name: getattr(stage, name, None) for name in ("weight", "bias")}
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}


def set_weights(stage: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Write into the arrays of the stage, or give it new ones where shape or dtype are others."""
    for name, array in weights.items():
        own = getattr(stage, name, None)
        if isinstance(own, np.ndarray) and own.shape == array.shape and own.dtype == array.dtype:
            own[...] = array
        else:
            setattr(stage, name, array.copy())


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
    """Build the class as the case says; run it on the case's "first" data, then the same object on "second".

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
                for name, data in case.runs.items():
                    set_weights(layer, case.weights_in(name))
                    runs[name] = run_stages(layer, {case.kind: layer}, **data)
                return runs
            return run_model(cls, case)
    except NotOfferedError as reason:
        failed.skipped = str(reason)
    return {"first": failed}


def run_loss(loss_fn: Any, data: Mapping[str, np.ndarray]) -> Run:
    run = Run()
    logits, labels = data["logits"].copy(), data["labels"].copy()
    with catching(run):
        forward = getattr(loss_fn, "forward", loss_fn)
        run.keep(("loss", "loss"), forward(logits, labels), number=logits.dtype)
        run.keep(("loss", "dlogits"), loss_fn.backward())
    for name, array in (("logits", logits), ("labels", labels)):
        if not np.array_equal(array, data[name]):
            run.notes["loss", name] = "was modified"
    return run


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


def run_each(stages: Mapping[str, Any], fed: Mapping[str, Mapping[str, np.ndarray]]) -> Run:
    """Every stage by itself: its mistakes cannot reach the next, nor can those of others reach it."""
    together = Run()
    for name, stage in stages.items():
        run = run_stages(stage, {name: stage}, **fed[name])
        together.arrays |= run.arrays
        together.notes |= run.notes
        if run.error:
            together.notes[name, "dx" if (name, "out") in run.arrays else "out"] = run.error
    return together


def stages_by_name(model: Any, names: Sequence[str]) -> dict[str, Any]:
    """model.conv1 and so on, dotted for a model in a model. Raises ValueError that names a missing one."""
    try:
        return {name: reduce(getattr, name.split("."), model) for name in names}
    except AttributeError:
        missing = [name for name in names if not hasattr(model, name.split(".")[0])]
        raise ValueError(
            f"{type(model).__name__} has no attribute {missing[0]!r}, expected its layers as "
            f"{', '.join(names)}"
        ) from None


class NotOfferedError(Exception):
    """The class does not take a setting: what needs it is not asked."""
