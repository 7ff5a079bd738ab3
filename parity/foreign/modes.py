"""Batch normalisation and dropout, which do something else in evaluation, in somebody else's interface."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import tinycnn_numpy
from parity.foreign.calls import (
    FORWARD,
    Path,
    arrays_in,
    at,
    constants_in,
    keys_of,
    method_of,
    parameters_of,
    put,
    strings_in,
)
from parity.foreign.layers import AdaptedLayer, Manner, choices_of, own_parameters
from parity.foreign.layers import told as told_of_layer
from parity.foreign.layouts import BIASES, Layout, Weights, fitting
from parity.foreign.names import argument_named, bare, state_named
from parity.foreign.subject import Offer, Subject
from parity.kinds import STATES
from parity.record import Run, catching
from parity.student.cases import Case
from parity.student.run_case import run_case

Array = np.ndarray[Any, Any]
TRAIN = ("train", "training")
TEST = ("test", "eval", "inference", "testing", "evaluation", "evaluate", "predict", "infer", "val", "valid")
TO_TRAIN, TO_EVALUATE = ("train", "set_train", "train_mode"), ("eval", "evaluate", "eval_mode", "test")
MODES = ("training", "testing", "mode")
IMAGES = tuple(map(Weights, ("NCHW", "NHWC", "(NHW)C", "C(NHW)")))


@dataclass(frozen=True)
class NormManner(Manner):
    """images: the order of the axes of x, all but one merged where it takes rows.

    old_share   its momentum is the share of the old statistics; swapped: it takes the other share
    biased      its running variance divides by M, PyTorch's by M - 1
    """

    images: Weights = IMAGES[0]
    old_share: bool = False
    swapped: bool = False
    biased: bool = False


@dataclass(frozen=True)
class DropManner(Manner):
    """keeps: p is the probability to keep; late: evaluation multiplies by it, in place of training."""

    keeps: bool = False
    late: bool = False


class TwoModes(AdaptedLayer):
    """A layer that is told, by an argument, an attribute or a method, whether it trains."""

    def train(self) -> None:
        self.training = True

    def eval(self) -> None:
        self.training = False

    def option(self, name: str, default: Any = None) -> Any:
        argument = argument_named(self.subject.kind, name)
        if argument in MODES:
            if isinstance(default, bool) or argument == "testing" or not (words := self._words(default)):
                return self.training == (argument != "testing")
            return words[not self.training]
        return super().option(name, default)

    def _words(self, default: Any = None) -> tuple[str, str] | None:
        """What the code calls training and evaluation."""
        subject = self.subject
        functions = [subject.forward, subject.backward] if subject.cls is None else vars(subject.cls).values()
        known = set().union(*map(strings_in, functions), {default})
        words = [next((word for word in words if word in known), None) for words in (TRAIN, TEST)]
        return (words[0] or TRAIN[0], words[1] or TEST[0]) if any(words) else None

    def has_modes(self) -> bool:
        """Whether it can be told; its own object or dictionary is there after a forward."""
        if self.theirs is not None and self._tell():
            return True
        forward = self.subject.forward or method_of(self.theirs, FORWARD)
        names = [*(parameter.name for parameter in parameters_of(forward)), *self.dictionary()]
        return any(argument_named(self.subject.kind, name) in MODES for name in names)

    def _tell(self) -> bool:
        """Tell their object by its own method, or by an attribute; False if it has neither."""
        for name in TO_TRAIN if self.training else TO_EVALUATE:
            method = getattr(self.theirs, name, None)
            if callable(method) and all(p.default is not p.empty for p in parameters_of(method)):
                method()
                return True
        told = False
        for name, value in list(getattr(self.theirs, "__dict__", {}).items()):
            if argument_named(self.subject.kind, name) in MODES and isinstance(value, bool | str):
                setattr(self.theirs, name, self.option(name, value))
                told = True
        return told

    def _call_forward(self, piece: Array) -> Any:
        if self.theirs is not None:
            self._tell()
        return super()._call_forward(piece)

    def _backward(self, piece: Array, upstream: Array) -> dict[str, Any]:
        if not self.training and self.manner.offer.evaluates != "both":
            return {"dx": np.zeros_like(piece)}  # which nobody asks for
        return super()._backward(piece, upstream)


class AdaptedNorm(TwoModes):
    manner: NormManner
    running_mean: Any = None
    running_var: Any = None

    def __init__(self, *positional: Any, **settings: Any):
        super().__init__(*positional, **{"eps": 1e-5, "momentum": 0.1, **settings})
        self.config: dict[str, Any] = {}

    def option(self, name: str, default: Any = None) -> Any:
        argument = self.names.get(name) or argument_named("BatchNorm2D", name)
        if argument == "input_shape":
            C = self.settings["num_features"]
            return (C,) if "(" in self.manner.images.order else super().option(name, default)
        if argument in ("momentum", "old_share"):
            new = self.settings["momentum"]
            return 1 - new if self.manner.old_share else new
        return super().option(name, default)

    def dictionary(self) -> dict[str, Any]:
        """The settings, and the running statistics, which are kept there."""
        subject = self.subject
        self.config = super().dictionary()
        for key in strings_in(subject.forward):
            if (state := state_named(key)) and getattr(self, state) is not None:
                self.config[key] = getattr(self, state).copy()
        return self.config

    def _split(self, array: Array, ours: str, theirs: str) -> list[Array]:
        return [self.manner.images.theirs(array, "NCHW").copy()]

    def _joined(self, pieces: Any, theirs: str, ours: str) -> Array:
        try:
            return self._cast(self.manner.images.ours(pieces[0], "NCHW", self.x.shape))
        except ValueError:  # of a shape that its judge will name
            return self._cast(np.asarray(pieces[0]))

    def forward(self, x: Array) -> Any:
        before = [getattr(self, state) for state in STATES]
        out = super().forward(x)
        for state, array in self.statistics().items():
            setattr(self, state, self._cast(array))
        if self.training and self.manner.biased and before[1] is not None and self.running_var is not None:
            share = self.settings["momentum"]
            share = 1 - share if self.manner.swapped else share
            M = x.size // x.shape[1]
            more = share * x.var(axis=(0, 2, 3), dtype=np.float64) / (M - 1)  # PyTorch divides by M - 1
            self.running_var = (self.running_var + more).astype(x.dtype)
        return out

    def places(self) -> dict[str, Path]:
        """Where their object, or the dictionary, has the running statistics."""
        holder = _Holder(self.config) if self.theirs is None else self.theirs
        paths = sorted(arrays_in(holder), key=len, reverse=True)
        return {state: path for path in paths if (state := state_named(path[-1][1]))}

    def statistics(self) -> dict[str, Array]:
        """Their running statistics in our order; without those that they do not have."""
        found = {}
        holder = _Holder(self.config) if self.theirs is None else self.theirs
        for state, path in self.places().items():
            array = np.asarray(at(holder, path))
            C = self.settings["num_features"]
            found[state] = array.reshape(C) if array.size == C else array
        return found

    def _push(self, piece: Array) -> None:
        super()._push(piece)
        if self.theirs is None or self.running_mean is None:
            return
        if len(self.places()) < len(STATES) and any(map(state_named, vars(self.theirs))):
            self._call_forward(piece.copy())  # which makes them
        for state, path in self.places().items():
            own, array = np.asarray(at(self.theirs, path)), getattr(self, state)
            for order in fitting(BIASES, array, "M", own.shape):
                put(self.theirs, path, order.theirs(array, "M").copy())
                break


class _Holder:
    """A dictionary as an object has it."""

    def __init__(self, config: dict[str, Any]):
        self.config = config


class AdaptedDropout(TwoModes):
    manner: DropManner

    def option(self, name: str, default: Any = None) -> Any:
        if (self.names.get(name) or argument_named("Dropout", name)) in ("drop", "keep"):
            return 1 - self.settings["p"] if self.manner.keeps else self.settings["p"]
        return super().option(name, default)

    def forward(self, x: Array) -> Any:
        return self._as_in_pytorch(super().forward(x), x)

    def backward(self, dout: Array) -> Any:
        return self._as_in_pytorch(super().backward(dout), dout)

    def _as_in_pytorch(self, array: Any, given: Array) -> Any:
        """PyTorch divides by 1 - p in training; they multiply by it in evaluation, which rounds."""
        if not self.manner.late or not isinstance(array, np.ndarray) or array.shape != given.shape:
            return array
        found = (array / (1 - self.settings["p"])).astype(array.dtype)
        rounded = np.abs(found - given) <= 4 * np.finfo(given.dtype).eps * np.abs(given)
        return found if self.training else np.where(rounded, given, found)


def manners(subject: Subject) -> Iterator[list[Any]]:
    has = choices_of(subject)
    options = tuple(
        {"old_share": "momentum"}.get(name, name) for name in ("eps", "momentum", "old_share") if name in has
    )
    offer = Offer(options=options)
    layout = Layout("NCHW", "NCHW")
    if subject.kind == "Dropout":
        yield [DropManner(layout, offer, keeps="keep" in has)]
    else:
        yield [NormManner(layout, offer, images=images) for images in IMAGES]


def finished(subject: Subject, manner: Any, base: type, case: Case) -> Any:
    """The manner with the conventions of the code, as far as its names and its numbers show them.

    case  in training, the first of its runs alone
    """

    def made(manner: Any, **weights: Array) -> Any:
        layer: Any = type(subject.name, (base,), {"subject": subject, "manner": manner})(
            *case.positional, **case.settings
        )
        for name, array in (case.weights | weights).items():
            setattr(layer, name, array.copy())
        return layer

    with catching(Run()):
        find = norm_as_it_is if subject.kind == "BatchNorm2D" else dropout_as_it_is
        manner = find(manner, made, case.first["x"])
    with catching(Run()):
        layer = made(manner)
        layer.forward(case.first["x"].copy())
        modes = manner.offer.tracks and layer.has_modes()
        manner = replace(manner, offer=replace(manner.offer, evaluates="both" if modes else ""))
    if not manner.offer.evaluates:
        return manner
    asked = replace(case, training=False)
    run = run_case(type(subject.name, (base,), {"subject": subject, "manner": manner}), asked)["first"]
    wanted = run_case(getattr(tinycnn_numpy, subject.kind), asked)["first"].arrays[subject.kind, "dx"]
    dx = run.arrays.get((subject.kind, "dx"))
    right = dx is not None and dx.shape == wanted.shape and np.allclose(dx, wanted, rtol=1e-4)
    return replace(manner, offer=replace(manner.offer, evaluates="both" if right else "forward"))


def norm_as_it_is(manner: NormManner, made: Any, x: Array) -> NormManner:
    """Its epsilon, its momentum and how it takes it, and whether its running variance is the biased one."""
    offer, C = manner.offer, x.shape[1]
    options = set(offer.options or ())
    if "eps" not in options:
        small = x * 1e-3
        out = made(manner, weight=np.ones(C), bias=np.zeros(C)).forward(small.copy())
        var = small.var(axis=(0, 2, 3))
        eps = float(
            np.median(var / out.var(axis=(0, 2, 3)) - var)
        )  # the variance of out is var / (var + eps)
        offer = replace(offer, eps=_rounded(eps))
    layer = made(manner)
    old_mean, old_var = layer.running_mean, layer.running_var
    layer.forward(x.copy())
    found = layer.statistics()
    if len(found) < len(STATES):
        return replace(manner, offer=replace(offer, tracks=False))
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    shares = (found["running_mean"] - old_mean) / (mean - old_mean)
    share = float(np.median(shares))  # of the new mean, when the momentum is PyTorch's 0.1
    clean = bool(np.ptp(shares) < 1e-6 and 0 < share < 1)
    biased = any(
        np.allclose(found["running_var"], (1 - s) * old_var + s * var, rtol=1e-6) for s in (share, 0.1, 0.9)
    )
    if "momentum" in options:
        usual = usual_share(layer.subject)
        old_share = usual > 0.5 if usual is not None else clean and share > 0.5
        swapped = clean and abs(share - (0.1 if old_share else 0.9)) < 1e-6
    else:
        old_share, swapped = False, clean and share > 0.5
        offer = replace(offer, momentum=round(min(share, 1 - share), 9) if clean else None)
    return replace(manner, offer=offer, old_share=old_share, swapped=swapped, biased=biased)


def _rounded(number: float) -> float | None:
    """A number of one digit, such as 1e-8; None for another one."""
    if not 1e-13 < number < 0.1:
        return None
    power = 10.0 ** math.floor(math.log10(number * 1.001))
    digit = round(number / power)
    return float(f"{digit * power:.0e}") if abs(number / power - digit) < 0.01 else None


def usual_share(subject: Subject) -> float | None:
    """Its momentum if none is given: 0.9 is the share of the old statistics, 0.1 that of the new ones."""
    if subject.cls is None:
        floats = (one for one in constants_in(subject.forward) if isinstance(one, float) and 0.01 <= one < 1)
        return next(floats, None)
    for parameter in own_parameters(subject):
        argument = argument_named("BatchNorm2D", parameter.name)
        if argument in ("momentum", "old_share") and isinstance(parameter.default, float):
            return parameter.default
        if argument == "old_share":
            return 0.9
    return None


def dropout_as_it_is(manner: DropManner, made: Any, x: Array) -> DropManner:
    """What its p is a probability of, by its name where that is clear; and when it multiplies."""
    layer = made(manner)
    p = layer.settings["p"]
    kept = float(np.mean(layer.forward(x.copy()) != 0))
    subject = layer.subject
    names = {argument_named("Dropout", name): name for name in names_in(subject)}
    if bare(names.get("drop", "p")) in ("p", "prob", "probability") and "keep" not in names:
        manner = replace(manner, keeps=abs(kept - p) < abs(kept - (1 - p)))
    layer = made(manner)
    out = layer.forward(x.copy())
    if np.allclose(out[out != 0], x[out != 0]) and layer.has_modes():
        layer.eval()
        manner = replace(manner, late=np.allclose(layer.forward(x.copy()), (1 - p) * x))
    return manner


def names_in(subject: Subject) -> list[str]:
    """Its parameters, and the keys of its dictionary."""
    functions = (subject.forward, subject.backward) if subject.cls is None else (subject.cls.__init__,)  # type: ignore[misc]
    return [*(parameter.name for parameter in own_parameters(subject)), *keys_of(subject.kind, *functions)]


def told(layer: Any) -> list[str]:
    """What was taken for what, a few words each."""
    manner, offer, words = layer.manner, layer.manner.offer, told_of_layer(layer)
    if isinstance(manner, NormManner):
        order = manner.images.order
        axes = "(C, N)" if order[0] == "C" else "(N, C)" if "(" in order else f"({', '.join(order)})"
        words = [word.replace("M", "C") for word in words if not word.startswith("images")] + [f"x {axes}"]
        words += ["momentum is the share of the old statistics"] * manner.old_share
        words += ["its running variance is the biased one, PyTorch's divides by M - 1"] * manner.biased
        words += ["no running statistics"] * (not offer.tracks)
        words += [
            f"{name} {value:g}" for name in ("eps", "momentum") if (value := getattr(offer, name)) is not None
        ]
    else:
        words += ["p is the probability to keep"] * manner.keeps
        words += ["evaluation multiplies by 1 - p"] * manner.late
    words += {"both": [], "forward": ["in evaluation forward alone"], "": ["training alone"]}[offer.evaluates]
    return words
