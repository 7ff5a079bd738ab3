"""What a comparison found: one row a tensor, and what the doctor says of the wrong ones."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from parity.record import Array, Fault, Remark
from parity.render import picture_of, report_html, report_text

if TYPE_CHECKING:  # it imports PyTorch, which a report does not need
    from parity.bounds import Exact

MATCH, MISMATCH, INHERITED, UNDECIDABLE = "match", "MISMATCH", "inherited", "undecidable"
NO_KNOWN_CAUSE = "no-known-cause"
TOO_LARGE = "numbers as large as these have no bound: it overflows"


@dataclass(frozen=True)
class Diagnosis:
    """A cause by its code, and the sentence that tells a student what is wrong and what would be right.

    cases  those that it explains, which the sentence names too; empty if it explains all that are wrong
    """

    stage: str
    tensor: str
    code: str
    sentence: str
    cases: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.stage} {self.tensor} [{self.code}]: {self.sentence}"


@dataclass(frozen=True)
class Row:
    """One tensor held against the exact one.

    error     the largest difference
    ratio     the largest difference / bound, entry by entry: a right answer stays at or below 1
    at        where that entry stands
    verdict   "match"; "MISMATCH"; "inherited": wrong in the run, right when the stage gets exact inputs;
              "undecidable": only off where rounding decides, `witness` names such a place, or where numbers
              are so large that their bound overflows
    run       which run of the same object, "second run" say; empty for the first or only one
    remark    what is wrong besides the numbers
    isolated  the ratio when the stage gets exact inputs and an exact upstream gradient
    torch     PyTorch's own ratio in this precision
    ratios    of a row that is wrong, error / bound of every entry
    given, expected  of a row that is wrong, what the code gave and what is right; None if the shapes differ
    """

    stage: str
    tensor: str
    shape: tuple[int, ...]
    error: float
    ratio: float
    verdict: str = MATCH
    at: tuple[int, ...] = ()
    run: str = ""
    remark: Remark | None = None
    witness: str = ""
    isolated: float | None = None
    torch: float | None = None
    ratios: Array | None = field(default=None, repr=False, compare=False)
    given: Array | None = field(default=None, repr=False, compare=False)
    expected: Array | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        return self.verdict in (MATCH, UNDECIDABLE)

    @property
    def note(self) -> str:
        """The remark or the witness, for people."""
        return str(self.remark) if self.remark else self.witness

    @property
    def fault(self) -> Fault | None:
        return self.remark.fault if self.remark else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: a number that is not finite becomes null, and the arrays are left out."""
        left_out = ("ratios", "given", "expected", "witness")
        facts = {name: value for name, value in vars(self).items() if name not in left_out}
        facts |= {"ok": self.ok, "remark": self.fault.value if self.fault else None, "note": self.note}
        finite = {k: None for k, v in facts.items() if isinstance(v, float) and not math.isfinite(v)}
        return facts | finite


@dataclass
class Report:
    """The rows of one comparison in the order of computation, and what the doctor said of the wrong ones.

    str(report) is the table for people, report.to_dict() what goes into JSON.
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    divergence: Any = None  # of two training runs: see parity.training

    @property
    def ok(self) -> bool:
        return bool(self.rows) and all(row.ok for row in self.rows)

    @property
    def mismatches(self) -> list[Row]:
        return [row for row in self.rows if row.verdict == MISMATCH]

    def summary(self) -> str:
        if not self.rows:
            return "nothing was compared"
        unsure = sum(row.verdict == UNDECIDABLE for row in self.rows)
        if self.ok:
            rest = f", {unsure} undecidable" if unsure else ""
            return f"{len(self.rows) - unsure} of {len(self.rows)} equal within their bounds{rest}"
        wrong = [row for row in self.rows if not row.ok]
        first = (self.mismatches or wrong)[0]
        return f"{len(wrong)} of {len(self.rows)} differ, first {first.stage} {first.tensor}"

    def __str__(self) -> str:
        return report_text(self)

    def _repr_html_(self) -> str:
        """For Jupyter."""
        return report_html(self)

    def _repr_png_(self) -> bytes | None:
        return picture_of(self)

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "ok": self.ok,
            "rows": [row.to_dict() for row in self.rows],
            "diagnoses": [dataclasses.asdict(d) for d in self.diagnoses],
            "divergence": self.divergence and str(self.divergence),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)


def judge(
    stage: str,
    tensor: str,
    value: Array | None,
    exact: "Exact",
    dtype: Any,
    *,
    remark: Remark | None = None,
    witness: str = "",
    run: str = "",
) -> Row:
    """Hold `value` against an Exact tensor; `remark` tells what is wrong with it already."""
    shape = exact.value.shape
    if value is None or value.shape != shape:
        if value is None:
            found = Remark(Fault.MISSING, "missing")
        else:
            found = Remark(Fault.WRONG_SHAPE, f"shape is {value.shape}, expected {shape}")
        return wrong(stage, tensor, remark or found, shape, run)
    gap = differences(value, exact.value)
    bound = np.where(np.isfinite(exact.bound), exact.bound, 0.0)
    unknown = np.isposinf(exact.bound) & np.isfinite(exact.value)
    ratios = np.divide(gap, bound, out=np.where(gap == 0, 0.0, np.inf), where=bound > 0)
    at = np.unravel_index(ratios.argmax(), shape) if ratios.size else ()
    if not remark and value.dtype != dtype:
        remark = Remark(Fault.WRONG_DTYPE, f"dtype is {value.dtype}, expected {np.dtype(dtype)}")
    if remark:
        verdict = MISMATCH
    elif not (ratios > 1).any():
        verdict = MATCH
    else:
        verdict = UNDECIDABLE if (unknown | (gap <= bound + exact.slack)).all() else MISMATCH
        witness = witness or (TOO_LARGE if unknown.any() else "")
    return Row(
        stage,
        tensor,
        shape,
        error=float(gap.max(initial=0.0)),
        ratio=float(ratios.max(initial=0.0)),
        verdict=verdict,
        at=tuple(int(i) for i in at),
        run=run,
        remark=remark,
        witness=witness if verdict == UNDECIDABLE else "",
        ratios=ratios if verdict == MISMATCH else None,
        given=value if verdict == MISMATCH else None,
        expected=exact.value if verdict == MISMATCH else None,
    )


def wrong(stage: str, tensor: str, remark: Remark, shape: tuple[int, ...] = (), run: str = "") -> Row:
    """A row that is wrong whatever its numbers are."""
    return Row(stage, tensor, shape, math.inf, math.inf, MISMATCH, run=run, remark=remark)


def within(
    stage: str, tensor: str, shape: tuple[int, ...], gap: float, bound: float, remark: Remark | None = None
) -> Row:
    """A row for one number that may be at most `bound`."""
    ratio = 0.0 if gap == 0 else gap / bound if bound else math.inf
    verdict = MATCH if ratio <= 1 and not remark else MISMATCH
    return Row(stage, tensor, shape, gap, ratio, verdict, remark=remark)


def differences(value: Array, reference: Array) -> Array:
    """|value - reference|: equal infinities and two NaNs differ by 0, a NaN or an infinity alone by inf."""
    a, b = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(np.where(same, 0.0, a - b))
    return np.where(np.isnan(gap), np.inf, gap)
