"""Say what the mistake is: try every known cause on the arrays, and name the one that explains them.

A cause predicts, from the inputs of a case, the wrong numbers that it would give. It is named only if its
prediction is what the code gave in every case that was run, the right ones included, and is not the right
answer itself. Random numbers are explained by nothing, and then nothing is named.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from parity.bounds import Array
from parity.doctor.evidence import Cause, Evidence
from parity.doctor.known import causes_of
from parity.record import Fault
from parity.report import NO_KNOWN_CAUSE, Diagnosis, Row

CLOSE = {4: 1e-5, 8: 1e-10}  # by bytes a number: how near a prediction comes, relative to its largest entry


def diagnose(row: Row, evidence: Sequence[Evidence]) -> Diagnosis:
    """What a row's remark says already nobody needs to guess from the numbers; else the causes are tried."""
    tensor, note = row.tensor, row.note
    match row.fault:
        case Fault.MODIFIED if tensor in ("weight", "bias"):
            code = "updated-too-early"
            sentence = f"{tensor} {note}: weights change in step, when all gradients are known."
        case Fault.MODIFIED:
            code = "input-modified"
            sentence = f"{tensor} {note}: it belongs to the caller, work on a copy."
        case Fault.WRONG_DTYPE if row.ratio <= 1:
            code = "widened"
            sentence = f"{note}: a float64 array or np.sqrt of a Python number got in; float32 stays float32."
        case Fault.STAGE_SKIPPED:
            code, sentence = "stage-skipped", f"{tensor} {note}."
        case Fault.CHANGED_BETWEEN:
            code = "changed-in-between"
            sentence = f"{tensor} {note}: each stage takes what the one before it returned, unchanged."
        case Fault.RIGHT_ALONE:
            code = "shared-arrays"
            sentence = "right alone, wrong in this run: an earlier call or another stage changed its arrays."
        case Fault.MISSING:
            code, sentence = "gradient-missing", "never assigned, or a return is missing."
        case _:
            return explain(row.stage, tensor, evidence)
    return Diagnosis(row.stage, tensor, code, sentence)


def explain(stage: str, tensor: str, evidence: Sequence[Evidence]) -> Diagnosis:
    """Name what explains a wrong tensor in all runs of one stage or class."""
    seen = [e for e in evidence if tensor in e.given]
    wrong = [e for e in seen if tensor in e.wrong]
    for cause in causes_of(wrong[0].kind, tensor) if wrong else ():
        # first where it is wrong, which rules out nearly everything at once
        if all(explains(cause, e, tensor) for e in (*wrong, *seen)) and any(
            not near(predicted(cause, e, tensor), e.exact[tensor], tolerance(e, tensor, 1)) for e in wrong
        ):
            return Diagnosis(stage, tensor, cause.code, cause.sentence)
    sentence = "wrong, no known cause: none of the known mistakes explains these numbers."
    return Diagnosis(stage, tensor, NO_KNOWN_CAUSE, sentence)


def explains(cause: Cause, e: Evidence, tensor: str) -> bool:
    """Whether the code gave what the cause predicts."""
    return near(predicted(cause, e, tensor), e.given[tensor], tolerance(e, tensor))


def predicted(cause: Cause, e: Evidence, tensor: str) -> Array:
    try:
        prediction = cause.predict(e)
    except (IndexError, RuntimeError, ValueError):  # not with these shapes
        prediction = None
    if prediction is None:
        return e.exact[tensor]
    return prediction.detach().numpy() if isinstance(prediction, Tensor) else np.asarray(prediction)


def tolerance(e: Evidence, tensor: str, bounds: float = 4) -> float:
    """How near a prediction must come. Mistakes are far larger; a right answer keeps within one bound."""
    given = e.given[tensor]
    size = float(np.abs(given[np.isfinite(given)]).max(initial=0.0))
    return max(CLOSE[e.precision] * size, bounds * e.bound.get(tensor, 0.0), 1e-30)


def near(a: Array, b: Array, tolerance: float) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True))
