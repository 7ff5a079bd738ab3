"""Say what the mistake is: try every known cause on the arrays, and name the one that explains them.

A cause predicts, from the inputs of a case, the wrong numbers that it would give. It is named only if its
prediction is what the code gave in every case that was run, the right ones included, and is not the right
answer itself. Random numbers are explained by nothing, and then nothing is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from parity.causes.cause import Cause

CLOSE = {4: 1e-5, 8: 1e-10}  # by bytes a number: how near a prediction comes, relative to its largest entry


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
    """

    kind: str
    inputs: dict[str, Any]
    given: dict[str, np.ndarray]
    exact: dict[str, np.ndarray]
    wrong: set[str]
    bound: dict[str, float] = field(default_factory=dict)
    precision: int = 4  # bytes of a number in the run
    stage: Any = None
    settings: dict[str, Any] = field(default_factory=dict)
    before: "Evidence | None" = None

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["inputs"][name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True)
class Diagnosis:
    """A cause by its code, and the sentence that tells a student what is wrong and what would be right."""

    stage: str
    tensor: str
    code: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.stage} {self.tensor} [{self.code}]: {self.sentence}"


NO_KNOWN_CAUSE = "no-known-cause"


def diagnose(stage: str, tensor: str, evidence: Sequence[Evidence]) -> Diagnosis:
    """Name what explains a wrong tensor in all runs of one stage or class."""
    from parity.causes import causes_of  # which imports Evidence from here

    seen = [e for e in evidence if tensor in e.given]
    wrong = [e for e in seen if tensor in e.wrong]
    for cause in causes_of(wrong[0].kind, tensor) if wrong else ():
        # first where it is wrong, which rules out nearly everything at once
        if all(explains(cause, e, tensor) for e in (*wrong, *seen)) and any(
            not near(predicted(cause, e, tensor), e.exact[tensor], tolerance(e, tensor)) for e in wrong
        ):
            return Diagnosis(stage, tensor, cause.code, cause.sentence)
    sentence = "wrong, no known cause: none of the known mistakes explains these numbers."
    return Diagnosis(stage, tensor, NO_KNOWN_CAUSE, sentence)


def explains(cause: "Cause", e: Evidence, tensor: str) -> bool:
    """Whether the code gave what the cause predicts."""
    return near(predicted(cause, e, tensor), e.given[tensor], tolerance(e, tensor))


def predicted(cause: "Cause", e: Evidence, tensor: str) -> np.ndarray:
    try:
        prediction = cause.predict(e)
    except (IndexError, RuntimeError, ValueError):  # not with these shapes
        prediction = None
    if prediction is None:
        return e.exact[tensor]
    return prediction.detach().numpy() if isinstance(prediction, Tensor) else np.asarray(prediction)


def tolerance(e: Evidence, tensor: str) -> float:
    """How near a prediction must come. Mistakes are far larger; what is right has its own, tighter bounds."""
    given = e.given[tensor]
    size = np.abs(given[np.isfinite(given)]).max(initial=0.0)
    return max(CLOSE[e.precision] * size, 4 * e.bound.get(tensor, 0.0), 1e-30)


def near(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True))
