"""What a comparison found: one row a tensor, and all rows as one table."""

import dataclasses
import html
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MATCH, MISMATCH, INHERITED, UNDECIDABLE = "match", "MISMATCH", "inherited", "undecidable"


NO_KNOWN_CAUSE = "no-known-cause"


@dataclass(frozen=True)
class Diagnosis:
    """A cause by its code, and the sentence that tells a student what is wrong and what would be right."""

    stage: str
    tensor: str
    code: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.stage} {self.tensor} [{self.code}]: {self.sentence}"


@dataclass(frozen=True)
class Row:
    """One tensor held against the exact one.

    error     the largest difference
    ratio     the largest difference / bound, entry by entry: a right answer stays at or below 1
    at        where that entry stands
    verdict   "match"; "MISMATCH"; "inherited": wrong in the run, right when the stage is fed exact inputs;
              "undecidable": only off where rounding decides, `note` names such a place
    note      what is wrong beyond the numbers, or a witness
    fed       the ratio when the stage is fed with exact inputs and an exact upstream gradient
    torch     PyTorch's own ratio in this precision
    ratios    of a row that is wrong, error / bound of every entry
    """

    stage: str
    tensor: str
    shape: tuple[int, ...]
    error: float
    ratio: float
    verdict: str = MATCH
    at: tuple[int, ...] = ()
    note: str = ""
    fed: float | None = None
    torch: float | None = None
    ratios: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        return self.verdict in (MATCH, UNDECIDABLE)


@dataclass
class Report:
    """The rows of one comparison in the order of computation, and what the doctor said of the wrong ones.

    str(report) is the table for people, report.to_dict() what goes into JSON.
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    parting: Any = None  # of two training runs: see parity.training

    @property
    def ok(self) -> bool:
        return bool(self.rows) and all(row.ok for row in self.rows)

    @property
    def mismatches(self) -> list[Row]:
        return [row for row in self.rows if row.verdict == MISMATCH]

    def __str__(self) -> str:
        header = ["stage", "tensor", "shape", "error", "error/bound"]
        fed, torch = (any(getattr(row, name) is not None for row in self.rows) for name in ("fed", "torch"))
        lines = [[*header, *["fed alone"] * fed, *["torch"] * torch, "verdict"]]
        for row in self.rows:
            cells = [
                number(row.error),
                number(row.ratio),
                *[number(row.fed)] * fed,
                *[number(row.torch)] * torch,
            ]
            verdict = f"{row.verdict}: {row.note}" if row.note else row.verdict
            lines.append([row.stage, row.tensor, str(row.shape), *cells, verdict])
        return "\n".join(
            [
                self.title,
                *table(lines),
                *map(str, self.diagnoses),
                *([str(self.parting)] if self.parting else []),
                self.summary(),
            ]
        )

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

    def _repr_html_(self) -> str:
        """For Jupyter."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def to_dict(self) -> dict:
        """The report for JSON: a number that is not finite becomes null."""
        rows = [{**vars(row), "ok": row.ok} for row in self.rows]
        for row in rows:
            del row["ratios"]
            row |= {k: None for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)}
        return {
            "title": self.title,
            "ok": self.ok,
            "rows": rows,
            "diagnoses": [dataclasses.asdict(d) for d in self.diagnoses],
            "parting": self.parting and str(self.parting),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)


def judge(stage: str, tensor: str, value, exact, dtype, note: str = "", witness: str = "") -> Row:
    """Hold `value` against an Exact tensor (value, bound, slack); `note` tells what is wrong already."""
    shape = exact.value.shape
    if value is None or value.shape != shape:
        note = note or ("missing" if value is None else f"shape is {value.shape}, expected {shape}")
        return Row(stage, tensor, shape, math.inf, math.inf, MISMATCH, note=note)
    gap = differences(value, exact.value)
    bound = np.where(np.isfinite(exact.bound), exact.bound, 0.0)
    ratios = np.divide(gap, bound, out=np.where(gap == 0, 0.0, np.inf), where=bound > 0)
    at = np.unravel_index(ratios.argmax(), shape) if ratios.size else ()
    if not note and value.dtype != dtype:
        note = f"dtype is {value.dtype}, expected {np.dtype(dtype)}"
    if note:
        verdict = MISMATCH
    elif not (ratios > 1).any():
        verdict = MATCH
    elif (gap <= bound + exact.slack).all():
        verdict, note = UNDECIDABLE, witness
    else:
        verdict = MISMATCH
    error, ratio = float(gap.max(initial=0.0)), float(ratios.max(initial=0.0))
    place = tuple(int(i) for i in at)
    kept = ratios if verdict == MISMATCH else None
    return Row(stage, tensor, shape, error, ratio, verdict, place, note, ratios=kept)


def within(stage: str, tensor: str, shape: tuple[int, ...], gap: float, bound: float, note: str = "") -> Row:
    """A row for one number that may be at most `bound`."""
    ratio = 0.0 if gap == 0 else gap / bound if bound else math.inf
    return Row(stage, tensor, shape, gap, ratio, MATCH if ratio <= 1 and not note else MISMATCH, note=note)


def differences(value: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """|value - reference|: equal infinities and two NaNs differ by 0, a NaN or an infinity alone by inf."""
    a, b = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(np.where(same, 0.0, a - b))
    return np.where(np.isnan(gap), np.inf, gap)


def number(value: float | None) -> str:
    """Three letters and an exponent for what is small or large, two digits for what is not."""
    if value is None:
        return "-"
    return f"{value:.2f}" if 0.01 <= value < 100 else f"{value:.1e}" if value else "0"


def table(lines: Iterable[Sequence[str]]) -> list[str]:
    """Lines of cells as lines of text, in columns."""
    rows = list(lines)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
