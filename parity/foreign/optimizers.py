"""An optimiser in somebody else's interface, behind the library's: built with parameters, then step().

Every parameter of a constructor, a method or a function has a role, by its name: the parameters that are
updated, their gradients, a setting, what is kept from step to step, the count of the steps.
"""

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from parity.foreign.calls import (
    UPDATE,
    NoMannerError,
    UnknownArgumentError,
    called,
    method_of,
    parameters_of,
    strings_in,
)
from parity.foreign.given import FORMS, LAYERS, NAMES, Given, Items, Named, Settings, is_count
from parity.foreign.names import argument_named, bare
from parity.foreign.subject import Offer, Subject
from parity.kinds import KINDS
from parity.record import NotOfferedError

Array = np.ndarray[Any, Any]
DEFAULTS: dict[str, Any] = {"lr": 1e-3, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "eps": 1e-8}
SETTINGS = (*DEFAULTS, "betas", "beta1", "beta2")
BATCH = 2  # samples, where their gradients are summed and the update divides by their number
INITIALISE = ("initialise", "initialize")
_OF_SGD = dict.fromkeys(("beta", "gamma", "momcoeff", "momentumcoeff", "friction"), "momentum") | {
    "step": "lr"
}
_PARAMS = "params?|parameters?|weights?|w|vars?|variables?"
_ROLES = {
    "other": ".*(func|function|fn|check|clip|norm)",
    "pairs": f"({_PARAMS})(and|n)?(grads?|gradients?)|(grads?|gradients?)(and|n)?({_PARAMS})",
    "grads": ".*(grad|gradient|slope|deriv).*|d(w|x|b|p|theta|values?|params?|parameters|weights?|vars?)|g",
    "batch": "batchsize|bs|nsamples|numsamples|nexamples",
    "config": ".*(config|hyper|option).*",
    "params": f"{_PARAMS}|x|p|theta|values?|arrays?|data|tensors?|learnables"
    "|(.*(layers?|model|network|modules?))|net|nn|mlp",
    "key": "(layer|param)?(name|key|id)",
    "memory": "(optim(izer)?)?(states?|cache|memory|slots?)",
    "state": "[mvsr](t|w|dw|prev|old)?|vel(ocity|ocities|s)?|v(el)?s|mom(ent)?s"
    "|(first|second)?(moments?|momentums)|(momentum)?buf(fer)?s?|moment(um)?[12]|(prev|last|old)(v|update|delta|step|change)s?",
}  # fmt: skip


def setting_named(kind: str, name: str) -> str | None:
    """The setting of an optimiser that a parameter or a key stands for."""
    found = _OF_SGD.get(bare(name)) if kind == "SGD" else None
    found = found or argument_named(kind, name)
    return found if found in SETTINGS else None


def role_of(kind: str, name: str) -> str:
    if setting_named(kind, name):
        return "setting"
    if is_count(name):
        return "count"
    return next((role for role, words in _ROLES.items() if re.fullmatch(words, bare(name))), "other")


def roles_of(kind: str, function: Any, updates: bool = True) -> dict[str, str]:
    """{name of a parameter: role}. What is updated may have any name, if it comes first."""
    if not function:
        return {}
    found = {p.name: role_of(kind, p.name) for p in parameters_of(function)}
    first = next(iter(found), "")
    alone = len(found) == 1 or "grads" in found.values()
    if updates and alone and found.get(first) == "other" and "params" not in found.values():
        found[first] = "params"
    return found


@dataclass(frozen=True)
class OptimizerManner:
    """How an optimiser is to be used.

    form      "arrays", one at a time, or what it is given, see Given
    first     the number of the first step, where the code is told it
    last      its function returns what it keeps before the parameters
    nesterov  its momentum is always Nesterov's
    damped    its momentum averages, (1 - momentum) * gradient: steps of the usual size take a larger rate
    """

    form: str
    offer: Offer
    first: int = 1
    last: bool = False
    nesterov: bool = False
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
        if self.manner.nesterov and self.settings["momentum"] and not self.settings["nesterov"]:
            raise NotOfferedError("takes no momentum but Nesterov's")
        if self.manner.damped:
            self.settings["lr"] /= 1 - self.settings["momentum"]
        data = [p.data.copy() for p in self.parameters]
        groups = [[array] for array in data] if self.manner.form == "arrays" else [data]
        self.uses = [Use(self.subject, self.manner, self.settings, group) for group in groups]

    def step(self) -> None:
        grads = [p.grad.copy() for p in self.parameters]
        groups = [[grad] for grad in grads] if self.manner.form == "arrays" else [grads]
        new = [array for use, group in zip(self.uses, groups, strict=True) for array in use.step(group)]
        for parameter, array in zip(self.parameters, new, strict=True):
            if np.shape(array) != parameter.data.shape:
                raise ValueError(f"an update gave shape {np.shape(array)}, expected {parameter.data.shape}")
            parameter.data[...] = array


class Use:
    """One optimiser at work on all parameters, or on one array."""

    def __init__(
        self, subject: Subject, manner: OptimizerManner, settings: dict[str, Any], data: list[Array]
    ):
        self.subject, self.manner, self.settings = subject, manner, settings
        self.given = Given(manner.form, data)
        self.count, self.kept = manner.first, dict[str, Any]()
        self.theirs = None
        self.update: Any = subject.forward
        if subject.cls is not None:
            self.theirs = self._call(subject.cls)
            if initialise := initialise_of(self.theirs):
                self._call(initialise)
            self.update = method_of(self.theirs, UPDATE)
        elif globals_of(subject):
            self.update = self._with_globals(subject.forward)

    def step(self, grads: list[Array]) -> list[Array]:
        roles = roles_of(self.subject.kind, self.update).values()
        before = [array.copy() for array in self.given.now]
        if "batch" in roles:
            grads = [BATCH * grad for grad in grads]
        self.given.show(grads, self._pairs_begin_with())
        getattr(self.theirs, "pre_update_params", int)()
        self._adopt(self._call(self.update))
        getattr(self.theirs, "post_update_params", int)()
        new = self.given.collect()
        has = "pairs" in roles or self.manner.form in ("arrays", *FORMS[:3])
        asked = has or any(slot.read for slot in self.given.slots)
        if not asked and all(map(np.array_equal, before, new)):
            raise UnknownArgumentError(
                "it asks for no gradient under a name that means something to the check"
            )
        return new

    def _pairs_begin_with(self) -> str:
        names = [bare(n) for n, role in roles_of(self.subject.kind, self.update).items() if role == "pairs"]
        return "grads" if names and names[0].startswith("g") else "params"

    def _call(self, function: Any) -> Any:
        found: dict[str, Any] = {}
        roles = roles_of(self.subject.kind, function, function is not self.subject.cls)
        for parameter in parameters_of(function):
            optional = parameter.default is not parameter.empty
            value = self._value(function, parameter.name, roles[parameter.name], optional)
            if value is not None:
                found[parameter.name] = value
            elif not optional:
                raise UnknownArgumentError(
                    f"{parameter.name} of {self.subject.name} means nothing to the check"
                )
        return called(function, found)

    def _value(self, function: Any, name: str, role: str, optional: bool) -> Any:
        """What a parameter is given; None if nothing, or if its default is as good."""
        if role == "setting":
            return self.settings.get(str(setting_named(self.subject.kind, name)))
        if role in ("params", "pairs"):
            return self.given.now[0] if self.manner.form == "arrays" else self.given.shown
        if role == "grads":
            return self.given.slots[0].grad if self.manner.form == "arrays" else self.given.grads
        if function is self.subject.cls:
            return None
        if role in ("count", "key"):
            return self.count if role == "count" else NAMES[0]
        if role == "batch":
            return BATCH
        if (
            name not in self.kept
            and role in ("config", "memory", "state")
            and (role == "config" or not optional)
        ):
            self.kept[name] = self._settings(function) if role == "config" else self._zeros(role)
        return self.kept.get(name)

    def _settings(self, function: Any) -> Settings:
        found = {
            key: self.settings[name]
            for key in strings_in(function)
            if (name := setting_named(self.subject.kind, key)) in self.settings
        }
        return Settings(found, self.manner.first, partial(self._zeros, "state"))

    def _zeros(self, role: str) -> Any:
        """What is kept before the first step, in the form of the parameters."""
        zeros, adam = [np.zeros_like(array) for array in self.given.now], self.subject.kind == "Adam"
        if role == "memory" and (self.manner.form == "arrays" or (adam and self.manner.form != "lists")):
            return self._settings(self.update)
        if self.manner.form == "arrays":
            return zeros[0]
        if isinstance(self.given.params, Named):
            return Named(self.given.params.names, zeros, slopes=True)
        return Items([(z, z.copy()) for z in zeros] if role == "memory" and adam else zeros)

    def _with_globals(self, function: Any) -> Any:
        """The function with dictionaries or lists of ours in the place of its module's."""
        own = {"params": lambda: self.given.params, "grads": lambda: self.given.grads}
        held = {
            name: own.get(role, partial(self._zeros, "state"))()
            for name, role in globals_of(self.subject).items()
        }
        made = FunctionType(
            function.__code__, {**function.__globals__, **held}, function.__name__, function.__defaults__
        )
        made.__kwdefaults__ = function.__kwdefaults__
        return made

    def _adopt(self, returned: Any) -> None:
        """What it returns: the parameters, and what it wants to be given at the next step."""
        before = self.count
        form, many = self.manner.form, isinstance(returned, tuple)
        if many and not (form == "lists" and all(isinstance(one, np.ndarray) for one in returned)):
            *others, new = returned if self.manner.last else returned[::-1]
            others = others if self.manner.last else others[::-1]
            counts = [one for one in others if isinstance(one, int | np.integer)]
            self.count = max([self.count, *map(int, counts)])
            keeps = ("config", "memory", "state")
            names = [n for n, r in roles_of(self.subject.kind, self.update).items() if r in keeps]
            self.kept.update(
                zip(names, [one for one in others if type(one) not in (int, np.int64)], strict=False)
            )
            returned = new
        self.count += self.count == before
        if isinstance(returned, dict) and isinstance(self.given.params, Named):
            self.given.params.update(returned)
        elif isinstance(returned, list | tuple) and form == "lists":
            self.given.params[:] = returned
        elif isinstance(returned, np.ndarray | np.generic) and form == "arrays":
            self.given.slots[0].data = np.asarray(returned)


def initialise_of(cls: Any) -> Any:
    """A method that is given the parameters before the first step."""
    method = method_of(cls, INITIALISE)
    return method if method and "params" in roles_of("", method).values() else None


def globals_of(subject: Subject) -> dict[str, str]:
    """{name: role} of the module's dictionaries or lists that a function updates without being given them."""
    function: Any = subject.forward
    if not inspect.isfunction(function) or "grads" in roles_of(subject.kind, function).values():
        return {}
    held = {
        n: v for n in function.__code__.co_names if isinstance(v := function.__globals__.get(n), dict | list)
    }
    roles = {name: role_of(subject.kind, name) for name in held}
    return roles if {"params", "grads"} <= set(roles.values()) else {}


def updates(kind: str, function: Any) -> bool:
    """Whether a function may take a step: it is given gradients or what has them, or finds them elsewhere."""
    roles = [*roles_of(kind, function).values()]
    alone = roles.count("params") == 1 and "setting" in roles and "other" not in roles
    return "grads" in roles or alone or bool(globals_of(Subject("", kind, None, function)))


def manners(subject: Subject) -> Iterator[list[OptimizerManner]]:
    kind, cls = subject.kind, subject.cls
    update: Any = method_of(cls, UPDATE) if cls else subject.forward
    kept = roles_of(kind, update)
    roles = roles_of(kind, cls, updates=False) | roles_of(kind, initialise_of(cls)) if cls else {}
    given = {*roles.values(), *kept.values(), *globals_of(subject).values()}
    keys = strings_in(update) if {"config", "memory"} & given else set()
    if {"params", "grads"} <= given:
        forms: tuple[str, ...] = FORMS[:3]
        forms += ("arrays",) if {"params", "grads"} <= set(kept.values()) else ()
    elif "pairs" in given:
        forms = ("pairs",)
    elif "params" in given:
        forms = ("objects", "pairs", *(LAYERS + form for form in FORMS))
    else:
        raise UnknownArgumentError("it is given no parameters under a name that means something to the check")
    options = {a for name in (*roles, *kept, *keys) if (a := setting_named(kind, name))}
    options |= {"betas"} if {"beta1", "beta2"} & options else set()
    name = bare(subject.name) if kind == "SGD" else ""
    if re.search("nesterov|moment", name) and "momentum" not in options:
        raise UnknownArgumentError("its momentum is a number of its own, which the check cannot choose")
    nesterov = "nesterov" in name and "nesterov" not in options
    options |= {"nesterov"} if nesterov else set()
    taken = tuple(sorted(options & {*KINDS[kind].arguments}))
    own_eps = kind == "Adam" and "eps" not in taken  # beside large gradients it is nothing
    offer = Offer(options=taken, float64=not own_eps, wide=not own_eps)
    last = not cls and _returns_them_last(kind, update)
    found = [OptimizerManner(form, offer, last=last, nesterov=nesterov) for form in forms]
    counts = [name for name in (*kept, *keys) if is_count(name)]
    starts = (
        (0, 1)
        if any(re.search(rf"\b{re.escape(name)}\s*\+=?\s*1", _source(update)) for name in counts)
        else (1, 0)
    )
    yield [replace(manner, first=first) for first in starts[: 2 if counts else 1] for manner in found]


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def _returns_them_last(kind: str, function: Any) -> bool:
    """Whether it returns what it keeps before the parameters, by the names in `return m, v, new_w`."""
    returned = re.findall(r"^\s*return\s+(.*),\s*(\w+)\W*$", _source(function), re.MULTILINE)
    roles = [[role_of(kind, re.sub("new|next|updated", "", n)) for n in names] for names in returned]
    return any(last == "params" and first != "params" for first, last in roles)


OWN_MISTAKES = ("NameError", "UnboundLocalError", "ZeroDivisionError", "RecursionError", "not written yet")


def misfit(subject: Subject, reasons: Sequence[str]) -> Exception:
    """Why no manner fits: an exception of the code itself, or one due to what it was given."""
    own = [reason for reason in reasons if reason.startswith(OWN_MISTAKES)]
    known = [reason for reason in reasons if "the check" in reason]
    if not own and not known and is_like_ours(subject) and "'list' object" not in reasons[0]:
        own = list(reasons)
    if own:
        return NoMannerError(own[0])
    reason = known[0] if known else f"no manner of calling it that the check knows fits: {reasons[0]}"
    return UnknownArgumentError(reason.removeprefix("UnknownArgumentError: "))


def is_like_ours(subject: Subject) -> bool:
    """Whether it is built with a list of parameters and has step()."""
    step, names = (
        getattr(subject.cls, "step", None),
        [bare(p.name) for p in parameters_of(subject.cls or dict)],
    )
    return callable(step) and names[:1] in (["parameters"], ["params"]) and not parameters_of(step)


WORDS = {
    "arrays": "updates array by array",
    "objects": "has a list of parameters",
    "pairs": "updates pairs of an array and its gradient",
}


def told(optimizer: AdaptedOptimizer) -> list[str]:
    manner = optimizer.manner
    form = manner.form.removeprefix(LAYERS)
    words = [WORDS.get(form, f"updates {form}") if form == manner.form else "updates layers"]
    if manner.offer.options:
        words.append(f"takes {', '.join(manner.offer.options)}")
    if manner.first == 0:
        words.append("counts its steps from 0")
    if manner.nesterov:
        words.append("its momentum is always Nesterov's")
    if manner.damped:
        words.append("its momentum averages")
    if not manner.offer.wide:
        words.append("an eps of its own")
    return words
