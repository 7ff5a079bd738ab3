"""Run somebody's NumPy code on given inputs and write down what it gave.

NumPy alone, and nothing is judged here: for a student's file this runs in a process of its own. A layer is
whatever has `forward` and `backward`, `weight` and `bias` where it learns, and `dweight` and `dbias` after
backward.
"""

import inspect
import linecache
import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, reduce
from itertools import pairwise
from typing import Any

import numpy as np

import tinycnn_numpy
from parity.kinds import STATES, WEIGHTS

Array = np.ndarray[Any, Any]
Key = tuple[str, str]  # (stage, tensor)


class Fault(Enum):
    """What can be wrong with a tensor besides its numbers."""

    MISSING = "missing"  # None, or never assigned
    NOT_AN_ARRAY = "not an array"
    WRONG_SHAPE = "wrong shape"
    WRONG_DTYPE = "wrong dtype"
    NOT_FINITE = "not finite"
    MODIFIED = "modified"  # an input of the stage was written to
    CHANGED_BETWEEN = "changed between stages"
    STAGE_SKIPPED = "stage skipped"
    ENDED = "ended"  # an exception ended the run here
    NOT_REACHED = "not reached"
    ALIAS = "alias"  # the gradient of a parameter is the array of the parameter
    OVERWRITTEN = "overwritten"  # what one forward returned is changed by the next
    DTYPE_IGNORED = "dtype ignored"  # by the constructor, as the two that follow
    RNG_IGNORED = "rng ignored"
    ALIKE = "alike"  # all first weights are one number
    START = "start"  # the first weights are too large, too small, or not the constant that they should be
    UNLISTED = "unlisted"  # an array that parameters() leaves out
    UNWATCHED = "unwatched"  # the run gives something else when nobody watches its stages
    RIGHT_ALONE = "right alone"  # the stage is right by itself and wrong in this run
    PYTORCH_IS_OFF = "PyTorch is off"


@dataclass(frozen=True)
class Remark:
    """A fault, and a few words about it for people."""

    fault: Fault
    text: str

    def __str__(self) -> str:
        return self.text


class Outcome(Enum):
    """Why a run has no end."""

    RAISED = "raised"
    NOT_WRITTEN = "not written"  # NotImplementedError
    NOT_OFFERED = "not offered"  # the class does not take a setting of the case
    NO_ANSWER = "no answer"  # the process that ran it ended or hung


@dataclass(frozen=True)
class Failure:
    """What ended a run, as one line; of an exception also its class and where it was raised."""

    outcome: Outcome
    text: str
    exception: str = ""
    where: str = ""

    def __str__(self) -> str:
        text = f"{self.exception}{': ' if self.exception and self.text else ''}{self.text}"
        return f"{text} {self.where}".strip()[:400]


@dataclass
class Run:
    """What a forward and a backward pass left: arrays, remarks on them, and what ended it early."""

    arrays: dict[Key, Array] = field(default_factory=dict)
    remarks: dict[Key, Remark] = field(default_factory=dict)
    failure: Failure | None = None

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
        fault = Fault.MISSING if value is None else Fault.NOT_AN_ARRAY
        self.remarks[key] = Remark(fault, f"is {what}, expected a NumPy array")


def run_stages(
    model: Any,
    stages: Mapping[str, Any],
    x: Array,
    *,
    dout: Array | None = None,
    labels: Array | None = None,
    loss_fn: Any = None,
) -> Run:
    """Run model.forward(x) and model.backward, and write down every tensor of every stage on the way.

    stages  the layers inside `model` by name; {name: model} for a single layer
    dout    starts the backward pass, or else the loss of `labels` by `loss_fn` does
    """
    run = Run()
    watch, names = Watch(run), list(stages)
    with catching(run), watch.watching(stages):
        out = model.forward(x.copy(order="K"))
        watch.check_order(names, "forward", x, out)
        for name, stage in stages.items():
            for state in STATES:
                if isinstance(value := getattr(stage, state, None), np.ndarray):
                    run.keep((name, state), value)
        if labels is not None:
            run.keep(("loss", "loss"), loss_fn.forward(out, labels), number=x.dtype)
            dout = loss_fn.backward()
            run.keep(("loss", "dlogits"), dout)
        assert dout is not None
        dx = model.backward(dout.copy(order="K"))
        watch.check_order(names, "backward", dout, dx)
    for name, stage in stages.items():
        for parameter in WEIGHTS:
            gradient = getattr(stage, f"d{parameter}", None)
            if getattr(stage, parameter, None) is not None and not (run.failure and gradient is None):
                run.keep((name, f"d{parameter}"), gradient)
                check_alias(run, name, parameter, getattr(stage, parameter), gradient)
    return run


def check_alias(run: Run, stage: str, parameter: str, array: Any, gradient: Any) -> None:
    """Whether backward has written the gradient over the parameter, of which it is a view."""
    known = run.remarks.get((stage, parameter))
    if known and known.fault is Fault.MODIFIED and np.may_share_memory(array, gradient):
        run.remarks[stage, f"d{parameter}"] = Remark(Fault.ALIAS, f"is the array of {parameter} itself")


class Watch:
    """Writes down every forward and backward of a stage: what came out, and what it did to its inputs."""

    def __init__(self, run: Run):
        self.run = run
        self.given: dict[Key, Array] = {}

    @contextmanager
    def watching(self, stages: Mapping[str, Any]) -> Iterator[None]:
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

    def _watched(
        self, name: str, stage: Any, method: str, given_name: str, returned_name: str
    ) -> Callable[..., Any]:
        function = getattr(stage, method)

        def call(given: Any, *more: Any, **options: Any) -> Any:
            before = {given_name: np.copy(given), **{p: np.copy(a) for p, a in weights_of(stage).items()}}
            self.given[name, given_name] = before[given_name]
            returned = function(given, *more, **options)
            self.run.keep((name, returned_name), returned)
            after = {given_name: given, **weights_of(stage)}
            for tensor, array in before.items():
                if not _equal(array, after[tensor]):
                    remark = Remark(Fault.MODIFIED, f"was modified by {method}")
                    self.run.remarks.setdefault((name, tensor), remark)
            return returned

        return call

    def check_order(self, names: list[str], method: str, start: Array, last: Any) -> None:
        """Whether every stage was called, and was given what the one before it returned.

        start, last  what the model was given, and what it returned
        """
        given, returned = ("x", "out") if method == "forward" else ("dout", "dx")
        names = names if method == "forward" else names[::-1]
        for name in names:
            if (name, returned) not in self.run.arrays and (name, returned) not in self.run.remarks:
                skipped = Remark(Fault.STAGE_SKIPPED, f"was never computed: {method} skips this stage")
                for tensor in (returned, "dweight", "dbias") if method == "backward" else (returned,):
                    self.run.remarks[name, tensor] = skipped
        first = self.given.get((names[0], given))
        if first is not None and not _equal(start, first):
            changed = Remark(Fault.CHANGED_BETWEEN, "was changed by the model before the first stage")
            self.run.remarks.setdefault((names[0], given), changed)
        for before, name in pairwise(names):
            array, expected = self.given.get((name, given)), self.run.arrays.get((before, returned))
            if array is not None and expected is not None and not _equal(expected, array):
                changed = Remark(Fault.CHANGED_BETWEEN, f"was changed on the way from {before}, by the model")
                self.run.remarks.setdefault((name, given), changed)
        expected = self.run.arrays.get((names[-1], returned))
        if expected is not None and last is None:
            self.run.remarks[names[-1], "result"] = Remark(
                Fault.CHANGED_BETWEEN, f"is not returned by {method} of the model"
            )
        elif expected is not None and not _equal(expected, np.asarray(last)):
            changed = Remark(Fault.CHANGED_BETWEEN, "was changed by the model after the last stage")
            self.run.remarks[names[-1], "result"] = changed


def run_beside(
    stage: str, layer: Any, other: Any, data: Mapping[str, Array], others: Mapping[str, Array]
) -> Run:
    """Two objects of a class in turn, as in a model, and nobody watches: what `layer` gave, read at the end.

    data, others  x and dout of each
    """
    run = Run()
    with catching(run):
        out = layer.forward(data["x"].copy(order="K"))
        other.forward(others["x"].copy(order="K"))
        dx = layer.backward(data["dout"].copy(order="K"))
        other.backward(others["dout"].copy(order="K"))
        run.keep((stage, "out"), out)
        run.keep((stage, "dx"), dx)
        for name in STATES:
            if isinstance(value := getattr(layer, name, None), np.ndarray):
                run.keep((stage, name), value)
        for name in WEIGHTS:
            if getattr(layer, name, None) is not None:
                run.keep((stage, f"d{name}"), getattr(layer, f"d{name}", None))
        again = layer.forward(data["x"].copy(order="K"))
        if isinstance(out, np.ndarray) and out.size and np.may_share_memory(out, np.asarray(again)):
            run.remarks[stage, "out"] = Remark(Fault.OVERWRITTEN, "is overwritten by the next forward")
    return run


def run_losses_beside(
    loss_fn: Any, other: Any, data: Mapping[str, Array], others: Mapping[str, Array]
) -> Run:
    """Two objects of a loss in turn. data, others: logits and labels of each."""
    run = Run()
    with catching(run):
        loss = getattr(loss_fn, "forward", loss_fn)(data["logits"].copy(), data["labels"].copy())
        getattr(other, "forward", other)(others["logits"].copy(), others["labels"].copy())
        dlogits = loss_fn.backward()
        other.backward()
        run.keep(("loss", "loss"), loss, number=data["logits"].dtype)
        run.keep(("loss", "dlogits"), dlogits)
    return run


def _always(value: Any) -> property:
    return property(lambda _: value)


def _equal(a: Array, b: Any) -> bool:
    return np.array_equal(a, b) or (a.dtype.kind == "f" and np.array_equal(a, b, equal_nan=True))


def run_loss(loss_fn: Any, logits: Array, labels: Array) -> Run:
    run = Run()
    given = {"logits": logits.copy(), "labels": labels.copy()}
    with catching(run):
        forward = getattr(loss_fn, "forward", loss_fn)
        run.keep(("loss", "loss"), forward(*given.values()), number=logits.dtype)
        run.keep(("loss", "dlogits"), loss_fn.backward())
    for name, before in (("logits", logits), ("labels", labels)):
        if not _equal(before, given[name]):
            run.remarks["loss", name] = Remark(Fault.MODIFIED, "was modified")
    return run


def run_optimizer(optimizer: Any, parameters: Sequence[Any], grads: Mapping[str, Array]) -> Run:
    """Take a step for each gradient; write down the weights after every step, (steps, ...).

    grads  (steps, ...) of each parameter: "0" is the first one's, and the name of its weights here
    """
    run = Run()
    history: dict[str, list[Array]] = {name: [] for name in grads}
    with catching(run):
        for step in range(len(next(iter(grads.values())))):
            given = {name: grad[step].copy() for name, grad in grads.items()}
            for name, parameter in zip(grads, parameters, strict=True):
                setattr(parameter.layer, f"d{parameter.name}", given[name])
            optimizer.step()
            for name, parameter in zip(grads, parameters, strict=True):
                history[name].append(np.array(parameter.data))
                if not _equal(grads[name][step], given[name]):
                    remark = Remark(Fault.MODIFIED, "was modified by step")
                    run.remarks["steps", f"gradient {name}"] = remark
        for name in grads:
            run.keep(("steps", name), np.stack(history[name]))
    return run


def check_unwatched(
    model: Any, stages: Mapping[str, Any], run: Run, x: Array, labels: Array, loss_fn: Any
) -> None:
    """Whether a model gives the gradients of `run` when nobody watches: that changes the class of a stage."""
    plain = Run()
    with catching(plain):
        loss_fn.forward(model.forward(x.copy()), labels)
        model.backward(loss_fn.backward())
    for name, stage in stages.items():
        for parameter in WEIGHTS:
            key, now = (name, f"d{parameter}"), getattr(stage, f"d{parameter}", None)
            if key in run.arrays and not plain.failure and not _near(run.arrays[key], now):
                run.remarks[key] = Remark(Fault.UNWATCHED, "is another one when nobody watches the stages")
    run.failure = run.failure or plain.failure


def _near(a: Array, b: Any) -> bool:
    return (
        isinstance(b, np.ndarray)
        and a.shape == b.shape
        and np.allclose(a, b, 0, 1e-3 * np.abs(a).max(initial=0))
    )


def check_parameters(model: Any, stages: Mapping[str, Any], run: Run) -> None:
    """Whether parameters(), if the model has it, lists every weight and bias: others never learn."""
    if not callable(getattr(model, "parameters", None)):
        return
    with catching(run):
        listed = [p if isinstance(p, np.ndarray) else p.data for p in model.parameters()]
        for name, stage in stages.items():
            for parameter, array in weights_of(stage).items():
                if not any(np.may_share_memory(array, other) for other in listed):
                    run.remarks[name, parameter] = Remark(
                        Fault.UNLISTED, "is not in parameters() of the model"
                    )


def run_each(stages: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Array]]) -> Run:
    """Every stage by itself: its mistakes cannot reach the next, nor can those of others reach it."""
    together = Run()
    for name, stage in stages.items():
        run = run_stages(stage, {name: stage}, **inputs[name])
        together.arrays |= run.arrays
        together.remarks |= run.remarks
        if run.failure:
            tensor = "dx" if (name, "out") in run.arrays else "out"
            together.remarks[name, tensor] = Remark(Fault.ENDED, str(run.failure))
    return together


@contextmanager
def catching(run: Run) -> Iterator[None]:
    """A mistake of the code that is run, whatever it raises, is written down and ends the run."""
    try:
        with np.errstate(all="ignore"):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit as well: a student's file may call sys.exit
        run.failure = describe(error)


class NotOfferedError(Exception):
    """The class does not take a setting: what needs it is not asked."""


def describe(error: BaseException) -> Failure:
    """What was raised, and the last line of the student's own code on the way there."""
    if isinstance(error, NotImplementedError):
        return Failure(Outcome.NOT_WRITTEN, "not written yet")
    passed = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)][-50:]
    from_here = bool(passed) and _of_this_house(passed[-1][0].co_filename)  # and not from somebody's file
    if isinstance(error, NotOfferedError) and from_here:
        return Failure(Outcome.NOT_OFFERED, str(error))
    passed = [(code, line) for code, line in passed if not is_of_ours(code.co_filename)]
    own = [(code, line) for code, line in passed if not _is_installed(code.co_filename)]
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"at line {error.lineno}"
    elif passed:
        code, line = (own or passed)[-1]  # or a library that the code calls
        where = f"in {code.co_name}, line {line}: {linecache.getline(code.co_filename, line).strip()}"
    said = re.sub(r" at 0x[0-9A-Fa-f]+", "", " ".join(str(error).split()))  # so that it is the same each time
    return Failure(Outcome.RAISED, said, type(error).__name__, where)


def _of_this_house(filename: str) -> bool:
    folders = [os.path.dirname(file) for file in (__file__, str(tinycnn_numpy.__file__))]
    return any(filename.startswith(folder + os.sep) for folder in folders)


@cache
def is_of_ours(filename: str) -> bool:
    """Whether it is of this house, NumPy or the standard library, where nobody would look for the mistake."""
    standard = filename.startswith(os.path.dirname(os.__file__) + os.sep) and not _is_installed(filename)
    numpy = f"{os.sep}numpy{os.sep}" in filename or filename.startswith(("<__array", "<frozen"))
    return standard or numpy or _of_this_house(filename)


def _is_installed(filename: str) -> bool:
    return f"{os.sep}site-packages{os.sep}" in filename


def weights_of(stage: Any) -> dict[str, Array]:
    return _arrays(stage, WEIGHTS)


def states_of(stage: Any) -> dict[str, Array]:
    """A copy of what a forward changes, such as running_mean."""
    names = [*STATES, *getattr(stage, "buffers", ())]
    return {name: array.copy() for name, array in _arrays(stage, names).items()}


def _arrays(stage: Any, names: Sequence[str]) -> dict[str, Array]:
    found = {name: getattr(stage, name, None) for name in names}
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}


def set_arrays(stage: Any, arrays: Mapping[str, Array]) -> None:
    """Write weights and states into the arrays of the stage; another shape or dtype replaces its array."""
    for name, array in arrays.items():
        own = getattr(stage, name, None)
        if isinstance(own, np.ndarray) and own.shape == array.shape and own.dtype == array.dtype:
            own[...] = array
        else:
            setattr(stage, name, array.copy())


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
