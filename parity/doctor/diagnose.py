"""Say what the mistake is: try every known cause on the arrays, and name the one that explains them.

A cause predicts, from the inputs of a case, the wrong numbers that it would give. It is named only if its
prediction is what the code gave in every case that was run, the right ones included, and is not the right
answer itself. Random numbers are explained by nothing, and then nothing is named.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from parity.doctor.evidence import Cause, Evidence
from parity.doctor.known import causes_of
from parity.report import NO_KNOWN_CAUSE, Diagnosis

CLOSE = {4: 1e-5, 8: 1e-10}  # by bytes a number: how near a prediction comes, relative to its largest entry


def diagnose(stage: str, tensor: str, evidence: Sequence[Evidence]) -> Diagnosis:
    """Name what explains a wrong tensor in all runs of one stage or class."""
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


def explains(cause: Cause, e: Evidence, tensor: str) -> bool:
    """Whether the code gave what the cause predicts."""
    return near(predicted(cause, e, tensor), e.given[tensor], tolerance(e, tensor))


def predicted(cause: Cause, e: Evidence, tensor: str) -> np.ndarray:
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
