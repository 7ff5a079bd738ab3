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
from itertools import pairwise
from typing import Any

import numpy as np

import tinycnn_numpy

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
    watch, names = Watch(run), list(stages)
    with catching(run), watch.watching(stages):
        out = model.forward(x.copy(order="K"))
        watch.check_order(names, "forward", out)
        if labels is not None:
            run.keep(("loss", "loss"), loss_fn.forward(out, labels), number=x.dtype)
            dout = loss_fn.backward()
            run.keep(("loss", "dlogits"), dout)
        model.backward(dout.copy(order="K"))
        watch.check_order(names, "backward", None)
    for name, stage in stages.items():
        for parameter in ("weight", "bias"):
            gradient = getattr(stage, f"d{parameter}", None)
            if getattr(stage, parameter, None) is not None and not (run.error and gradient is None):
                run.keep((name, f"d{parameter}"), gradient)
    return run


class Watch:
    """Writes down every forward and backward of a stage: what came out, and what it did to its inputs."""

    def __init__(self, run: Run):
        self.run = run
        self.given: dict[Key, np.ndarray] = {}

    @contextmanager
    def watching(self, stages: Mapping[str, Any]):
        """While this lasts, every stage is of a class derived from its own, whose methods are watched."""
        classes = {name: type(stage) for name, stage in stages.items()}
        try:
            for name, stage in stages.items():
                object.__setattr__(stage, "__class__", self._watched_class(name, stage))
            yield
        finally:
            for name, stage in stages.items():
                object.__setattr__(stage, "__class__", classes[name])

    def _watched_class(self, name: str, stage: Any) -> type:
        """Its methods are properties, which go before what the object itself has under their names."""
        cls = type(stage)
        calls = {
            method: self._watched(name, stage, method, given, returned)
            for method, given, returned in (("forward", "x", "out"), ("backward", "dout", "dx"))
            if hasattr(stage, method)
        }
        own_call = inspect.getattr_static(cls, "__call__", None)
        if "forward" in calls and own_call is inspect.getattr_static(cls, "forward", None):
            calls["__call__"] = calls["forward"]  # __call__ = forward; any other __call__ calls it
        methods = {method: _always(call) for method, call in calls.items()}
        return type(cls.__name__, (cls,), {"__slots__": (), **methods})  # the slots of its own class will do

    def _watched(self, name: str, stage: Any, method: str, given_name: str, returned_name: str) -> Callable:
        function = getattr(stage, method)

        def call(given, *more, **options):
            before = {given_name: np.copy(given), **{p: np.copy(a) for p, a in weights_of(stage).items()}}
            self.given[name, given_name] = before[given_name]
            returned = function(given, *more, **options)
            self.run.keep((name, returned_name), returned)
            after = {given_name: given, **weights_of(stage)}
            for tensor, array in before.items():
                if not _equal(array, after[tensor]):
                    self.run.notes.setdefault((name, tensor), f"was modified by {method}")
            return returned

        return call

    def check_order(self, names: list[str], method: str, last: Any) -> None:
        """Whether every stage was called, and was given what the one before it returned."""
        given, returned = ("x", "out") if method == "forward" else ("dout", "dx")
        names = names if method == "forward" else names[::-1]
        for name in names:
            if (name, returned) not in self.run.arrays and (name, returned) not in self.run.notes:
                for tensor in (returned, "dweight", "dbias") if method == "backward" else (returned,):
                    self.run.notes[name, tensor] = f"was never computed: {method} skips this stage"
        for before, name in pairwise(names):
            array, expected = self.given.get((name, given)), self.run.arrays.get((before, returned))
            if array is not None and expected is not None and not _equal(expected, array):
                self.run.notes.setdefault(
                    (name, given), f"was changed on the way from {before}, by the model"
                )
        expected = self.run.arrays.get((names[-1], returned))
        if last is not None and expected is not None and not _equal(expected, np.asarray(last)):
            self.run.notes[names[-1], "result"] = "was changed by the model after the last stage"


def _always(value: Any) -> property:
    return property(lambda _: value)


def _equal(a: np.ndarray, b: Any) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


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


class NotOfferedError(Exception):
    """The class does not take a setting: what needs it is not asked."""


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
    """Whether it is of this house, NumPy or the standard library, where nobody would look for the mistake."""
    folders = [os.path.dirname(file) for file in (os.__file__, __file__, tinycnn_numpy.__file__)]
    inside = (
        any(filename.startswith(folder + os.sep) for folder in folders) and "site-packages" not in filename
    )
    numpy = f"{os.sep}numpy{os.sep}" in filename or filename.startswith("<__array")
    return inside or numpy or filename.startswith("<frozen")


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
    """model.conv1 and so on, dotted for a model in a model. ValueError if one is missing or there twice."""
    owner = type(model).__name__
    found: dict[str, Any] = {}
    for name in names:
        try:
            part = reduce(getattr, name.split("."), model)
        except AttributeError:
            expected = ", ".join(names)
            raise ValueError(
                f"{owner} has no attribute {name!r}, expected its layers as {expected}"
            ) from None
        twice = [other for other in found if found[other] is part]
        if twice:
            what = f"{twice[0]} and {name} are one object"
            raise ValueError(f"{owner}: {what}, expected two: a layer remembers its own input until backward")
        found[name] = part
    return found
