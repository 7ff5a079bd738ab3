"""A cross-entropy in somebody else's interface, behind the library's: forward(logits, labels), backward()."""

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.foreign.calls import (
    BACKWARD,
    FORWARD,
    UnknownArgumentError,
    arguments,
    at,
    called,
    method_of,
    parameters_of,
    roles_in,
    strings_in,
)
from parity.foreign.layouts import ROWS, Layout, back
from parity.foreign.names import bare, given_named, kinds_named
from parity.foreign.subject import Offer, Subject
from parity.record import Run, catching

Array = np.ndarray[Any, Any]


# methods, by their letters alone, and the words that make a function the gradient of another
FORWARDS = (*FORWARD, "calloss", "calcloss", "calculateloss", "computeloss", "getloss", "lossfn", "fn",
            "crossentropy", "crossentropyloss", "calcular", "calculer", "calcola", "berechne")  # fmt: skip
BACKWARDS = (*BACKWARD, "lossprime", "lossgrad", "lossgradient", "lossderivative", "dloss", "gradloss",
             "prime", "calgradient", "calcgradient", "calculategradient", "computegradient", "getgradient",
             "delta", "deriv", "gradiente", "derivada", "derivee", "ableitung", "backwardloss")  # fmt: skip
DERIVED = """d dl grad grads gradient gradients delta deriv derivative prime der backward back bwd backprop
    gradiente derivada derivee ableitung"""
LOSS, GRADIENT = ("logits", "labels"), ("dout", "labels", "logits", "cache")  # what they may be given
PROBABILITIES = "p probs prob probabilities probas yhat softmax softmaxoutput yprob a"
SCORES = "z logits scores"


class OtherLossError(UnknownArgumentError):
    """It is another loss than the softmax cross-entropy."""


@dataclass(frozen=True)
class LossManner:
    """How a loss is to be used.

    labels   "index", "column" (N, 1), or "one-hot" in the layout of the logits
    takes    "logits"; "probabilities", which softmax gives; or those, where backward gives the gradient of
             the logits: "probabilities, then dlogits"; or "logits, then labels" in two calls
    total    the sum over the batch in place of the mean, in the loss and in its gradient
    each     losses of each image, with the gradients of these, not of their mean
    upstream what backward is given first, if it asks: 1, or the probabilities
    softmax  the probabilities are those of the softmax beside it, not the check's
    time     logits (N, T, K), whose T steps count as a "sum" or a "mean"; "" if they have no such axis
    epsilon  it takes log(p + epsilon): its loss is held against that
    """

    layout: Layout
    labels: str = "index"
    takes: str = "logits"
    total: bool = False
    each: bool = False
    upstream: str = "1"
    softmax: bool = False
    time: str = ""
    epsilon: float = 0.0

    @property
    def forward_part(self) -> tuple[Any, ...]:
        return self.layout, self.labels, self.total, self.time, self.takes.startswith("logits")

    @property
    def offer(self) -> Offer:
        return Offer(wide=False)


class AdaptedLoss:
    subject: Subject
    manner: LossManner

    def __init__(self) -> None:
        self.theirs: Any = None
        self.notes: dict[str, None] = {}

    def forward(self, logits: Array, labels: Array) -> float:
        self.logits = logits
        if self.subject.cls is not None and self.theirs is None:
            self.theirs = self.subject.cls()
        batches = [(logits[i : i + 1], labels[i : i + 1]) for i in range(len(logits))]
        batches = batches if self.manner.layout.single else [(logits, labels)]
        losses, self.gradients = [], []
        for some, of in batches:
            loss, gradient = self._one(some, of)
            losses.append(loss)
            self.gradients.append(gradient)
        return float(np.mean(losses)) - self._of_epsilon(logits, labels)

    def _of_epsilon(self, logits: Array, labels: Array) -> float:
        """What epsilon takes from the loss."""
        p = right_class(log_softmax(logits), labels, np.exp)
        return float(np.mean(np.log(p) - np.log(p + self.manner.epsilon)))

    def backward(self) -> Array:
        found: Array = np.concatenate(self.gradients) / len(self.gradients)
        return found.astype(self.logits.dtype)

    def _one(self, logits: Array, labels: Array) -> tuple[Any, Array]:
        """Loss and dlogits of a batch, or of one image: some backwards need what forward has just left."""
        manner, N = self.manner, len(logits)
        steps = steps_of(N) if manner.time else 1
        probs = np.exp(log_softmax(logits)).astype(logits.dtype)
        values = {
            "logits": self._theirs(logits),
            "probs": self._theirs(probs),
            "labels": self._labels(logits, labels),
        }
        values |= {"scores": values["logits"], "mask": np.ones((N // steps, steps), bool), "training": True}
        softmax: Any = self.subject.softmax() if self.subject.softmax and manner.softmax else None
        if softmax is not None:
            values["probs"] = softmax_forward(softmax, values["logits"])
        if manner.takes.startswith("probabilities"):
            values["logits"] = values["probs"]
        loss, gradient, values["cache"] = self._forward(values, labels)
        gradient = self._backward(values, gradient)
        if gradient is None:
            raise AttributeError(f"{self.subject.name} gives no gradient that the check can find")
        share = N if manner.total else steps if manner.time == "sum" else 1
        through = manner.takes == "probabilities"
        if through and softmax is not None:
            gradient = softmax_backward(softmax, np.asarray(gradient))
        ours = self._ours(gradient) / (N if manner.each else share)
        if through and softmax is None:
            if np.count_nonzero(ours) > N:  # of the probabilities it is -1/p at the right class alone
                raise UnknownArgumentError("what it gives is not the gradient of the probabilities")
            ours = probs * (ours - (ours * probs).sum(axis=1, keepdims=True))
        return loss / share, ours

    def _theirs(self, array: Array) -> Array:
        (found,) = self.manner.layout.split(array, "NK", self.manner.layout.given)
        steps = steps_of(len(array))
        return found.reshape(len(array) // steps, steps, -1) if self.manner.time else found

    def _ours(self, array: Any) -> Array:
        if self.manner.time:
            array = np.asarray(array).reshape(-1, np.shape(array)[-1])
        return back(array, self.manner.layout.given, "NK")

    def _labels(self, logits: Array, labels: Array) -> Any:
        if self.manner.labels == "one-hot":
            return self._theirs(np.eye(logits.shape[1], dtype=logits.dtype)[labels])
        if self.manner.time:
            return labels.reshape(-1, steps_of(len(labels)))
        if self.manner.labels == "column":
            return labels.reshape(-1, 1)
        return int(labels[0]) if self.manner.layout.single else labels

    def _forward(self, values: dict[str, Any], labels: Array) -> tuple[Any, Any, Any]:
        """Loss, gradient and cache; `values` gets the probabilities that it gives."""
        before, function, _ = self._functions()
        if self.manner.takes == "logits, then labels":
            probs = called(before, self._arguments(before, values, LOSS[:1]))
            values["probs"] = probs if isinstance(probs, np.ndarray) else values["probs"]
            if function is None:  # the loss of what it gives, for it has none of its own
                return -np.mean(np.log(right_class(self._ours(probs), labels))), None, None
            values = values | {"logits": values["probs"]}
        returned = called(function, self._arguments(function, values, LOSS))
        parts = list(returned) if isinstance(returned, tuple) else [returned]
        loss, rest = self._loss(parts, values, len(labels))
        names = names_returned(function, len(parts))
        gradient = None
        for i, part in rest:
            if names[i] in PROBABILITIES.split() and self._are_probabilities(part, values["logits"]):
                values["probs"] = part
            elif gradient is None:
                gradient = part
        return loss, gradient, parts[-1] if len(parts) > 1 else None

    def _are_probabilities(self, part: Array, given: Array) -> bool:
        """Whether it returns what it was given, or the softmax of that."""
        return bool(np.allclose(part, given)) or bool(
            np.allclose(self._ours(part), np.exp(log_softmax(self._ours(given))))
        )

    def _loss(self, parts: list[Any], values: dict[str, Any], N: int) -> tuple[Any, list[tuple[int, Any]]]:
        """The loss among the parts of what forward returned; and those that may be the gradient."""
        numbers = {
            i: part for i, part in enumerate(parts) if isinstance(part, np.ndarray | np.generic | float)
        }
        if not numbers:
            raise AttributeError(f"{self.subject.name} gives no loss that the check can find")
        at_loss = min(numbers, key=lambda i: np.size(numbers[i]))
        if self.manner.each and np.size(numbers[at_loss]) == 1 < N:
            raise UnknownArgumentError("it gives one loss of the batch")
        share = 1 if self.manner.total or np.size(numbers[at_loss]) == 1 else N
        found = np.float64(np.sum(numbers.pop(at_loss))) / share  # of each image, or of each class of it
        rest = [(i, part) for i, part in numbers.items() if np.shape(part) == values["logits"].shape]
        return found, rest

    def _backward(self, values: dict[str, Any], gradient: Any) -> Any:
        """The gradient, of backward if there is one; else the one that forward has given."""
        backward = self._functions()[2]
        if backward is None:
            return gradient
        probabilities = self.manner.upstream == "probabilities"
        values["dout"] = values["probs"] if probabilities else np.ones((), self.logits.dtype)
        values["back"] = values["probs" if probabilities else "logits"]
        gradient = called(backward, self._arguments(backward, values, GRADIENT))
        gradient = gradient[0] if isinstance(gradient, tuple) else gradient
        if gradient is None and self.theirs is not None:
            places = roles_in(self.theirs)
            gradient = at(self.theirs, places["dx"]) if "dx" in places else None
        return gradient

    def _functions(self) -> tuple[Any, Any, Any]:
        return functions_of(self.subject, self.theirs)

    def _arguments(self, function: Any, values: dict[str, Any], among: tuple[str, ...]) -> dict[str, Any]:
        """What a function is called with. Raises UnknownArgumentError."""
        roles = roles_of(function, self._functions(), among)
        unknown = [name for name, role in roles.items() if role is None]
        if unknown:
            raise UnknownArgumentError(f"{unknown[0]} of {self.subject.name} means nothing to the check")
        found = {name: values[role] for name, role in roles.items() if role}
        return {name: v.copy() if isinstance(v, np.ndarray) else v for name, v in found.items()}


def roles_of(function: Any, functions: tuple[Any, Any, Any], among: tuple[str, ...]) -> dict[str, str | None]:
    """What each parameter of a function is given: by its name, else by what the others leave.

    functions  all of its loss: backward means by a name what forward means by it. Elsewhere z are "scores"
               and p are "probs"; what is called output or y_pred goes "back", and may be either
    """
    before, loss, _ = functions
    parameters = parameters_of(function)
    ours = roles_of(loss or before, functions, LOSS) if among is GRADIENT else {}
    roles: dict[str, str | None] = {}
    for name in (p.name for p in parameters):
        role = ours.get(name) or given_named(name, (*among, "training"))
        role = "mask" if bare(name) == "mask" else role
        if role == "logits" and among is GRADIENT and name not in ours:
            role = "scores" if bare(name) in SCORES.split() else "back"
            role = "probs" if bare(name) in PROBABILITIES.split() else role
        roles[name] = role
    names = list(roles)
    if [roles[name] for name in names[:2]] == ["labels", "labels"]:  # (y, t): y is what came out
        roles[names[bare(names[1]) == "y" != bare(names[0])]] = "logits"
    unknown = [p for p in parameters if roles[p.name] is None]
    left = among if among is not GRADIENT else ("dout",) if len(names) == 1 else ("logits", "labels")
    left = tuple(role for role in left if role not in roles.values() and "dout" not in roles.values())
    open_ = [p.name for p in unknown if p.default is p.empty]
    roles |= dict(zip(open_, left, strict=False)) if len(open_) <= len(left) else {}
    return {name: role for name, role in roles.items() if role or name in open_}


def functions_of(subject: Subject, thing: Any = None) -> tuple[Any, Any, Any]:
    """What is called without labels, what gives the loss, what gives its gradient; None for nothing."""
    if subject.cls is None:
        return None, subject.forward, subject.backward
    thing = subject.cls if thing is None else thing
    found = forwards_of(thing)
    before, loss = (
        next((method for method in found if takes_labels(method) is it), None) for it in (False, True)
    )
    return before, loss, method_of(thing, BACKWARDS)


def forwards_of(thing: Any) -> list[Any]:
    found = [method for name in FORWARDS if (method := method_of(thing, (name,)))]
    return list({method.__name__: method for method in found}.values())


def takes_labels(function: Any) -> bool:
    needed = [p.name for p in parameters_of(function) if p.default is p.empty]
    needed = [name for name in needed if not given_named(name, ("training",))]
    return len(needed) > 1 or names_labels(needed)


def names_labels(names: Iterable[str]) -> bool:
    return any(given_named(name, ("dout", "logits", "labels")) == "labels" for name in names)


def is_softmax_loss(cls: type) -> bool:
    """Whether a class called Softmax is the loss, too: its forward or its backward takes labels."""
    _, loss, backward = functions_of(Subject(cls.__name__, "CrossEntropyLoss", cls))
    if backward is None:
        return False
    names = [p.name for p in parameters_of(backward)]
    if "back" not in bare(backward.__name__):
        names = [name for name in names if bare(name) != "y"]  # which may be what came out
    return names_labels(names) or (loss is not None and names_labels(p.name for p in parameters_of(loss)))


def gradient_of(name: str, space: Mapping[str, Any], loosely: bool) -> Any:
    """The function that gives the gradient of another: its name and a word such as grad; None without one.

    loosely  or the only one that names more or less of the loss: cross_entropy_softmax_grad
    """
    functions = {bare(other): other for other in space if inspect.isfunction(space[other])}
    stems = {other: rest for other in functions.values() if (rest := stem(other))}
    same = [other for other, rest in stems.items() if rest == bare(name)]
    free = [
        o for o, rest in stems.items() if rest not in functions and "CrossEntropyLoss" in kinds_named(rest)
    ]
    if not same and loosely and len(free) == 1:
        same = free
    return space[same[0]] if same else None


def stem(name: str) -> str:
    """What a function is the gradient of, by its name; "" if it is none."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")
    if re.match("d(cross|softmax|xent|categorical|loss)", words[0]):
        words = ["d", words[0][1:], *words[1:]]
    rest = [word for word in words if word not in DERIVED.split()]
    return "".join(rest) if len(rest) < len(words) else ""


def names_returned(function: Any, count: int) -> list[str]:
    """What a function calls the parts of the tuple that it returns; "" for what has no name."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return [""] * count
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Return)
            and isinstance(node.value, ast.Tuple)
            and len(node.value.elts) == count
        ):
            return [bare(getattr(part, "id", getattr(part, "attr", ""))) for part in node.value.elts]
    return [""] * count


def softmax_forward(softmax: Any, given: Array) -> Any:
    function = method_of(softmax, FORWARD)
    values = {"x": given.copy(), "training": True}
    found = called(function, arguments(function, values, ("x", "training")))
    return found if found is not None else at(softmax, roles_in(softmax)["out"])


def softmax_backward(softmax: Any, dout: Array) -> Any:
    found = method_of(softmax, BACKWARD)(dout)
    return found if found is not None else at(softmax, roles_in(softmax)["dx"])


def works(softmax: type | None, layout: Layout) -> bool:
    """Whether the softmax beside a loss can be called as the check calls it, right or wrong."""
    run, z = Run(), layout.split(np.eye(4, 3), "NK", layout.given)[0]
    with catching(run):
        one: Any = softmax and softmax()
        if np.shape(softmax_forward(one, z)) != z.shape or np.shape(softmax_backward(one, z)) != z.shape:
            return False
    return not run.failure


def steps_of(N: int) -> int:
    return 2 if N % 2 == 0 else N


def right_class(rows: Array, labels: Array, of: Any = np.array) -> Array:
    found: Array = of(rows[np.arange(len(labels)), labels])
    return found


def log_softmax(logits: Array) -> Array:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    found: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def with_epsilon(manner: LossManner, logits: Array, labels: Array, loss: float) -> LossManner:
    """The manner with the epsilon in the logarithm that explains a loss in float64."""
    p = right_class(log_softmax(logits), labels, np.exp)
    off = {power: abs(loss + np.mean(np.log(p + 10.0**-power))) for power in range(5, 17)}
    nearest = min(off, key=lambda power: off[power])
    if off[nearest] < 1e-14 and off[nearest] < abs(loss + np.mean(np.log(p))) / 4:
        return replace(manner, epsilon=10.0**-nearest)
    return manner


def manners(subject: Subject) -> Iterator[list[LossManner]]:
    before, loss, backward = functions_of(subject)
    takes = ["logits", "probabilities", "probabilities, then dlogits"] if loss else []
    if subject.softmax and "softmax" not in bare(subject.name):
        takes = takes[1:] + takes[:1]  # of those that fit equally badly the first is taken
    takes += ["logits, then labels"] if before else []
    given = roles_of(backward, (before, loss, backward), GRADIENT).values() if backward else ()
    upstreams = ("1", "probabilities") if {"dout", "back"} & set(given) else ("1",)
    usable = {layout for layout in ROWS if subject.softmax and works(subject.softmax, layout)}
    over_time = "temporal" in bare(subject.name) or (
        loss and "mask" in roles_of(loss, (before, loss, None), LOSS).values()
    )
    if over_time:
        groups: list[dict[str, Any]] = [{"time": "sum"}, {"time": "mean"}, {"time": "mean", "total": True}]
    else:
        softmax = method_of(subject.softmax, FORWARD) if subject.softmax else None
        axes = any("axis" in strings_in(function) for function in (loss, backward, softmax))
        groups = [
            {},
            {"total": True},
            {"layouts": ROWS[2:-1] if axes else ROWS[2:]},
        ]  # a row has no batch's axis
    for group in groups:
        each = [False] if group or not alone(subject) else [False, True]
        layouts = group.pop("layouts", ROWS[:1] if over_time else ROWS[:2])
        yield [
            LossManner(
                layout,
                labels,
                form,
                each=one,
                upstream=first,
                softmax="p" in form[:1] and layout in usable,
                **group,
            )
            for one, form, layout, labels, first in itertools.product(
                each, takes, layouts, ("index", "one-hot", "column"), upstreams
            )
            if layout.given != "1K" or labels == "one-hot"
        ]  # a row of logits with the number of its label is a batch of one, whose code fails for two


def alone(subject: Subject) -> bool:
    """Whether a loss of each image is all there is: no other method takes their mean."""
    return subject.cls is None or sum(map(takes_labels, forwards_of(subject.cls))) == 1


def check_kind(subject: Subject, logits: Array, labels: Array) -> None:
    """Raises OtherLossError for a binary cross-entropy of each class, of probabilities or after a sigmoid."""
    z, y = logits.astype(np.float64), np.eye(logits.shape[1])[labels]
    for manner in itertools.chain.from_iterable(manners(subject)):
        p = np.exp(log_softmax(z)) if manner.takes.startswith("probabilities") else 1 / (1 + np.exp(-z))
        binary = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(axis=1).mean()
        found = np.nan
        if manner.labels == "one-hot":
            with catching(Run()):
                adapted: Any = type(subject.name, (AdaptedLoss,), {"subject": subject, "manner": manner})
                found = adapted().forward(logits, labels)
        if min(abs(found - binary), abs(found - binary / logits.shape[1])) < 1e-6:
            raise OtherLossError("it is the binary cross-entropy of every class, without a softmax")


def told(loss: AdaptedLoss) -> list[str]:
    manner = loss.manner
    axes = "NTK" if manner.time else manner.layout.given
    words = [f"{manner.takes.split(',')[0]} ({', '.join(axes)})", f"labels {manner.labels}"]
    words += [f"after {getattr(loss.subject.softmax, '__name__', '')}"] * manner.softmax
    words += ["a loss of its own it has not: that of its probabilities"] * (
        functions_of(loss.subject)[1] is None
    )
    words += [f"log(p + {manner.epsilon:g})"] * bool(manner.epsilon)
    words += ["losses and gradients of each image, not of their mean"] * manner.each
    words += ["the sum over the steps, their mean over N"] * (manner.time == "sum")
    return words + ["the sum over the batch, not its mean"] * manner.total + list(loss.notes)
