"""An optimiser in somebody else's interface, behind the library's: built with parameters, then step()."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from parity.foreign.calls import (
    UPDATE,
    UnknownArgumentError,
    called,
    keys_of,
    method_of,
    parameters_of,
)
from parity.foreign.names import argument_named
from parity.foreign.subject import Offer, Subject
from parity.kinds import KINDS

Array = np.ndarray[Any, Any]
DEFAULTS: dict[str, Any] = {"lr": 1e-3, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "eps": 1e-8}
ALIASES = (
    ("weights", "dweights", "biases", "dbiases"),
    ("weight", "dweight", "bias", "dbias"),
    ("W", "dW", "b", "db"),
    ("w", "dw", "b", "db"),
)
STYLES = ("dictionaries", "dictionaries with dW", "lists", "arrays", "layer", "parameters")


@dataclass(frozen=True)
class OptimizerManner:
    """How an optimiser is to be used.

    style   what an update is given, one of STYLES, or "function" of an array, its gradient and a dictionary
    damped  its momentum averages, (1 - momentum) * gradient: steps of the usual size take a larger rate
    """

    style: str
    offer: Offer
    damped: bool = False


class AdaptedOptimizer:
    subject: Subject
    manner: OptimizerManner

    def __init__(self, parameters: Sequence[Any], **settings: Any):
        self.parameters = list(parameters)
        self.settings = {**DEFAULTS, **settings}
        if self.subject.kind == "Adam":
            self.settings["beta1"], self.settings["beta2"] = self.settings.get("betas", (0.9, 0.999))
            self.settings["betas"] = (self.settings["beta1"], self.settings["beta2"])
        if self.manner.damped:
            self.settings["lr"] /= 1 - self.settings["momentum"]
        count = len(self.parameters) if self.manner.style in ("arrays", "function") else 1
        self.theirs = [self._build() if self.subject.cls is not None else None for _ in range(count)]
        self.configs: list[dict[str, Any]] = [self._dictionary() for _ in self.parameters]
        self.notes: dict[str, None] = {}

    def _build(self) -> Any:
        found = {}
        for parameter in parameters_of(self.subject.cls):  # type: ignore[arg-type]
            argument = argument_named(self.subject.kind, parameter.name)
            if argument == "parameters":
                found[parameter.name] = self.parameters
            elif argument in self.settings:
                found[parameter.name] = self.settings[str(argument)]
            elif parameter.default is parameter.empty:
                raise UnknownArgumentError(
                    f"{parameter.name} of {self.subject.name} means nothing to the check"
                )
        return called(self.subject.cls, found)  # type: ignore[arg-type]

    def _dictionary(self) -> dict[str, Any]:
        keys = keys_of(self.subject.kind, self.subject.forward)
        return {key: self.settings[name] for key, name in keys.items() if name in self.settings}

    def step(self) -> None:
        style = self.manner.style
        data = [p.data.copy() for p in self.parameters]
        grads = [p.grad.copy() for p in self.parameters]
        for theirs in self.theirs:
            if (before := getattr(theirs, "pre_update_params", None)) is not None:
                before()
        if style == "function":
            new = [self._function(*both) for both in zip(data, grads, self.configs, strict=True)]
        elif style == "arrays":
            updates = [method_of(theirs, UPDATE) for theirs in self.theirs]
            new = [
                one if (one := update(d, g)) is not None else d
                for update, d, g in zip(updates, data, grads, strict=True)
            ]
        elif style == "parameters":
            method_of(self.theirs[0], UPDATE)()
            return
        elif style == "layer":
            new = self._layer(data, grads)
        else:
            new = self._together(data, grads, style)
        for theirs in self.theirs:
            if (after := getattr(theirs, "post_update_params", None)) is not None:
                after()
        for parameter, array in zip(self.parameters, new, strict=True):
            if np.shape(array) != parameter.data.shape:
                raise ValueError(f"an update gave shape {np.shape(array)}, expected {parameter.data.shape}")
            parameter.data[...] = array

    def _function(self, data: Array, grad: Array, config: dict[str, Any]) -> Array:
        names = [p.name for p in parameters_of(self.subject.forward)]  # type: ignore[arg-type]
        options = {
            n: self.settings[a]
            for n in names[2:]
            if (a := argument_named(self.subject.kind, n)) in self.settings
        }
        rest = [config] if len(names) > 2 and len(options) < len(names) - 2 else []
        returned = self.subject.forward(data, grad, *rest, **options)  # type: ignore[misc]
        if isinstance(returned, tuple):
            if isinstance(returned[1], dict):
                config.update(returned[1])
            returned = returned[0]
        return data if returned is None else returned

    def _together(self, data: list[Array], grads: list[Array], style: str) -> list[Array]:
        names, d = ["W1", "b1"][: len(data)], "d" if style.endswith("dW") else ""
        params: Any = data if style == "lists" else dict(zip(names, data, strict=True))
        slopes: Any = (
            grads if style == "lists" else {d + name: grad for name, grad in zip(names, grads, strict=True)}
        )
        if self.subject.cls is None:
            options = {
                p.name: self.settings[a]
                for p in parameters_of(self.subject.forward)[2:]  # type: ignore[arg-type]
                if (a := argument_named(self.subject.kind, p.name)) in self.settings
            }
            returned = self.subject.forward(params, slopes, **options)  # type: ignore[misc]
        else:
            returned = method_of(self.theirs[0], UPDATE)(params, slopes)
        if isinstance(returned, tuple):
            returned = returned[0]
        new = params if returned is None else returned
        return list(new) if style == "lists" else [new[name] for name in names]

    def _layer(self, data: list[Array], grads: list[Array]) -> list[Array]:
        """A layer under all names that people use; the name that has changed is the one that they use."""
        if not hasattr(self, "stand_in"):
            self.stand_in = SimpleNamespace()
        for weight, dweight, bias, dbias in ALIASES:
            values = {
                weight: data[0].copy(),
                dweight: grads[0].copy(),
                bias: data[1].copy(),
                dbias: grads[1].copy(),
            }
            vars(self.stand_in).update(values)
        method_of(self.theirs[0], UPDATE)(self.stand_in)
        for weight, _, bias, _ in ALIASES:
            found = [getattr(self.stand_in, weight), getattr(self.stand_in, bias)]
            if not np.array_equal(found[0], data[0]):
                return found
        return data


def manners(subject: Subject) -> Iterator[list[OptimizerManner]]:
    function: Any = subject.cls or subject.forward
    names = [p.name for p in parameters_of(function)]
    if subject.cls is None:
        names += keys_of(subject.kind, subject.forward)
        styles: tuple[str, ...] = ("function", *STYLES[:3])
    else:
        update = method_of(subject.cls, UPDATE)
        wanted = [p for p in parameters_of(update) if p.default is p.empty]
        styles = {0: ("parameters",), 1: ("layer",)}.get(len(wanted), STYLES[:4])
    options = {a for name in names if (a := argument_named(subject.kind, name))}
    if {"beta1", "beta2"} & options:
        options.add("betas")
    taken = tuple(sorted(options & {*KINDS[subject.kind].arguments}))
    own_eps = subject.kind == "Adam" and "eps" not in taken  # beside large gradients it is nothing
    offer = Offer(options=taken, float64=not own_eps, wide=not own_eps)
    yield [OptimizerManner(style, offer) for style in styles]


WORDS = {
    "arrays": "updates array by array",
    "layer": "updates a layer",
    "function": "a function of an array, its gradient and a dictionary",
    "parameters": "has step() and a list of parameters",
}


def told(optimizer: AdaptedOptimizer) -> list[str]:
    manner = optimizer.manner
    words = [WORDS.get(manner.style, f"updates {manner.style}")]
    if manner.offer.options:
        words.append(f"takes {', '.join(manner.offer.options)}")
    if manner.damped:
        words.append("its momentum averages")
    if not manner.offer.wide:
        words.append("an eps of its own")
    return words
