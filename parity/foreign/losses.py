"""A cross-entropy in somebody else's interface, behind the library's: forward(logits, labels), backward()."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.foreign.calls import BACKWARD, FORWARD, arguments, at, called, method_of, parameters_of, roles_in
from parity.foreign.layouts import ROWS, Layout, back
from parity.foreign.names import given_named
from parity.foreign.subject import Offer, Subject

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LossManner:
    """How a loss is to be used.

    labels   "index", "column" (N, 1), or "one-hot" in the layout of the logits
    takes    "logits"; "probabilities", which the check's own softmax gives; or those, where backward gives
             the gradient of the logits: "probabilities, then dlogits"
    total    the sum over the batch in place of the mean, in the loss and in its gradient
    upstream what backward is given first, if it asks: 1, or what was put in
    epsilon  it takes log(p + epsilon): its loss is held against that
    """

    layout: Layout
    labels: str = "index"
    takes: str = "logits"
    total: bool = False
    upstream: str = "1"
    epsilon: float = 0.0

    @property
    def forward_part(self) -> tuple[Any, ...]:
        return self.layout, self.labels, self.total, self.takes == "logits"

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
        p = np.exp(log_softmax(logits))[np.arange(len(labels)), labels]
        return float(np.mean(np.log(p) - np.log(p + self.manner.epsilon)))

    def backward(self) -> Array:
        found: Array = np.concatenate(self.gradients) / len(self.gradients)
        return found.astype(self.logits.dtype)

    def _one(self, logits: Array, labels: Array) -> tuple[Any, Array]:
        """Loss and dlogits of a batch, or of one image: some backwards need what forward has just left."""
        N, classes = logits.shape
        probs = np.exp(log_softmax(logits)).astype(logits.dtype)
        layout = self.manner.layout
        (given,) = layout.split(logits if self.manner.takes == "logits" else probs, "NK", layout.given)
        softmax = (
            self.subject.softmax() if self.subject.softmax and self.manner.takes == "probabilities" else None
        )
        if softmax is not None:
            (before,) = layout.split(logits, "NK", layout.given)
            given = method_of(softmax, FORWARD)(before)
            given = given if given is not None else at(softmax, roles_in(softmax)["out"])
        known: Any = labels.reshape(-1, 1) if self.manner.labels == "column" else labels
        if self.manner.labels == "one-hot":
            (known,) = layout.split(np.eye(classes, dtype=logits.dtype)[labels], "NK", layout.given)
        elif layout.single and self.manner.labels == "index":
            known = int(labels[0])
        forward = self.subject.forward or method_of(self.theirs, FORWARD)
        returned = called(forward, self._arguments(forward, given.copy(), known, cache=None))
        loss, gradient, cache = self._read(returned, given)
        backward = self.subject.backward or (
            method_of(self.theirs, BACKWARD) if self.theirs is not None else None
        )
        if backward is not None:
            upstream = np.ones((), logits.dtype) if self.manner.upstream == "1" else given.copy()
            if self.manner.upstream == "probabilities":
                (upstream,) = layout.split(probs, "NK", layout.given)
            found = self._arguments(backward, given.copy(), known, cache=cache, dout=upstream)
            gradient = called(backward, found)
            if isinstance(gradient, tuple):
                gradient = gradient[0]
            if gradient is None and self.theirs is not None:
                places = roles_in(self.theirs)
                gradient = at(self.theirs, places["dx"]) if "dx" in places else None
        share = N if self.manner.total else 1
        if gradient is None:
            raise AttributeError(f"{self.subject.name} gives no gradient that the check can find")
        ours = back(gradient, layout.given, "NK") / share
        if softmax is not None:
            given = method_of(softmax, BACKWARD)(np.asarray(gradient))
            given = given if given is not None else at(softmax, roles_in(softmax)["dx"])
            ours = back(given, layout.given, "NK") / share
        elif self.manner.takes == "probabilities":
            ours = probs * (ours - (ours * probs).sum(axis=1, keepdims=True))
        return loss / share, ours

    def _read(self, returned: Any, given: Array) -> tuple[Any, Any, Any]:
        """loss, gradient and cache of what forward returned."""
        parts = returned if isinstance(returned, tuple) else (returned,)
        loss: Any = next((part for part in parts if np.size(part) == 1 and part is not None), None)
        if loss is None:  # one of each image
            loss = next(
                (np.sum(p) if self.manner.total else np.mean(p) for p in parts if np.ndim(p) in (1, 2)), None
            )
        others = [part for part in parts if part is not None and np.shape(part) == given.shape]
        cache = parts[-1] if len(parts) > 1 else None
        return np.float64(np.asarray(loss).reshape(())), others[0] if others else None, cache

    def _arguments(self, function: Any, given: Array, labels: Any, cache: Any, **more: Any) -> dict[str, Any]:
        among = ("logits", "labels", "cache", "dout")
        values = {"logits": given, "labels": labels, "cache": cache, **more}
        parameters = parameters_of(function)
        names = [p.name for p in parameters]
        roles = [given_named(name, ("dout", "logits", "labels")) for name in names]
        if len(names) == 2 and not more and roles.count("labels") == 2:  # (y, t): the first is what came out
            return dict(zip(names, (given, labels), strict=True))
        if more and (not roles or roles[0] in ("dout", None)):
            among = ("dout", "labels", "logits", "cache")
        return arguments(function, values, among)


def log_softmax(logits: Array) -> Array:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    found: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def with_epsilon(manner: LossManner, logits: Array, labels: Array, loss: float) -> LossManner:
    """The manner with the epsilon in the logarithm that explains a loss in float64."""
    p = np.exp(log_softmax(logits))[np.arange(len(labels)), labels]
    for power in range(5, 17):
        if abs(loss + np.mean(np.log(p + 10.0**-power))) < 1e-14 < abs(loss + np.mean(np.log(p))):
            return replace(manner, epsilon=10.0**-power)
    return manner


def manners(subject: Subject) -> Iterator[list[LossManner]]:
    function = subject.backward or (method_of(subject.cls, BACKWARD) if subject.cls else None)
    asks = any(given_named(p.name, ("dout",)) for p in parameters_of(function)) if function else False
    upstreams = ("1", "probabilities") if asks else ("1",)
    takes = ("logits", "probabilities", "probabilities, then dlogits")
    for single, total in ((False, False), (False, True), (True, False)):
        yield [
            LossManner(layout, labels, form, total, upstream)
            for form, layout, labels, upstream in itertools.product(
                takes, ROWS, ("index", "one-hot", "column"), upstreams
            )
            if layout.single is single and (layout.given != "1K" or labels == "one-hot")
        ]  # a row of logits with the number of its label is a batch of one, whose code fails for two


def told(loss: AdaptedLoss) -> list[str]:
    manner = loss.manner
    words = [f"{manner.takes.split(',')[0]} ({', '.join(manner.layout.given)})", f"labels {manner.labels}"]
    words += [f"log(p + {manner.epsilon:g})"] * bool(manner.epsilon)
    return words + ["the sum over the batch, not its mean"] * manner.total + list(loss.notes)
