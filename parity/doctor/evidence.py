"""What the doctor sees of a run, and what a known mistake is."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Predict = Any  # a function of Evidence that gives a tensor, or None


@dataclass(frozen=True)
class Cause:
    """A mistake: its code, the sentence that explains it, and the tensor that it makes of a run."""

    code: str
    sentence: str
    predict: Predict


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
