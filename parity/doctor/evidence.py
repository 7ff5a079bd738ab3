"""What the doctor sees of a run, what a known mistake is, and where the known ones register."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from parity.bounds import Array

Predict = Any  # a function of Evidence that gives a tensor, or None


@dataclass(frozen=True)
class Cause:
    """A mistake: its code, the sentence that explains it, and the tensor that it makes of a run.

    fit     of a mistake with a number in it, such as a slope: e -> the number in one run, or None. Then
            predict takes the number too, `{}` in the sentence stands for it, and it is one for all runs.
    outer   computed from e.exact alone, a factor say, and so also from what another mistake has left there
    whole   of a shape alone, which is soon met by chance: named only if it explains every wrong shape
    parts   the two mistakes of which this is made
    alone   never one of two: there are many of its sort
    everywhere  soon met by chance: named only if it explains every wrong run, and those of two cases
    """

    code: str
    sentence: str
    predict: Predict
    fit: Any = None
    outer: bool = False
    whole: bool = False
    parts: tuple["Cause", ...] = ()
    alone: bool = False
    everywhere: bool = False

    def in_run(self, e: "Evidence") -> "Cause | None":
        """The cause with the number that this run shows."""
        if not self.fit:
            return self
        number = self.fit(e)
        if number is None or not math.isfinite(number):
            return None
        sentence = self.sentence.replace("{}", f"{number:.4g}")
        return replace(self, sentence=sentence, predict=lambda e: self.predict(e, number), fit=None)


@dataclass
class Evidence:
    """One run of one stage: what went in, what came out, and what should have. Tensors are float64.

    kind     "Conv2D" and so on
    inputs   x, dout, weight, bias; logits and labels of a loss; of an optimiser the weights, "0", "1" and so
             on, and the gradients of all steps, "grad 0", "grad 1"
    given    what the code under examination returned; exact: what is right
    wrong    the tensors of `given` that were found wrong
    bound    the largest rounding error that each tensor may have
    stage    the PyTorch module, for its stride and padding; settings: those of an optimiser
    before   the run of the same object before this one
    run      its name in the case: "beside" if another object has computed `before` meanwhile
    case     the name of the case, if there are several
    """

    kind: str
    inputs: dict[str, Tensor]
    given: dict[str, Array]
    exact: dict[str, Array]
    wrong: set[str]
    bound: dict[str, float] = field(default_factory=dict)
    precision: int = 4  # bytes of a number in the run
    stage: Any = None
    settings: dict[str, Any] = field(default_factory=dict)
    before: "Evidence | None" = None
    case: str = ""
    run: str = ""

    def __getattr__(self, name: str) -> Tensor:
        try:
            inputs: dict[str, Tensor] = self.__dict__["inputs"]
            return inputs[name]
        except KeyError:
            raise AttributeError(name) from None


Causes = Callable[..., Iterator[Cause]]
KNOWN: dict[tuple[str, str], list[Causes]] = {}
SLIPS: dict[str, list[Causes]] = {}
ANY = ""  # in place of a kind or a tensor
AXES = {
    "out": ("image", "channel", "row", "column"),
    "dx": ("image", "channel", "row", "column"),
    "dweight": ("filter", "channel", "row", "column"),
    "dlogits": ("image", "class"),
    "dbias": ("output",),
}


def causes(kind: str, *tensors: str) -> Callable[[Causes], Causes]:
    """The function below yields known mistakes in these tensors of a kind; for ANY it is told which."""

    def register(function: Causes) -> Causes:
        for tensor in tensors:
            KNOWN.setdefault((kind, tensor), []).append(function)
        return function

    return register


def slips_of(kind: str) -> Callable[[Causes], Causes]:
    """The function below yields, for a tensor, what is asked after all other causes of the kind."""

    def register(function: Causes) -> Causes:
        SLIPS.setdefault(kind, []).append(function)
        return function

    return register


@dataclass(frozen=True)
class Page:
    """What `python -m parity explain CODE` shows. `right` is a line of parity/doctor/plain.py.

    kind    whose line it is
    wrong   what stands in its place, which may be several lines
    """

    code: str
    kind: str
    what: str
    right: str
    wrong: str
    why: str
