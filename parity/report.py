"""What a comparison found: one row a tensor, and all rows as one table."""

import dataclasses
import json
import math
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Row:
    """One tensor of the NumPy side held against its reference; `note` says what is wrong beyond its numbers.

    max_abs is the largest difference, max_rel the same in units of the reference's largest entry. In
    float32 both sides are also held against a float64 run: numpy_vs_float64 and torch_vs_float64 are
    those largest differences.
    """

    stage: str
    tensor: str
    shape: tuple[int, ...]
    max_abs: float
    max_rel: float
    bound: float
    numpy_vs_float64: float | None = None
    torch_vs_float64: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        differences = (self.max_abs, self.numpy_vs_float64, self.torch_vs_float64)
        return not self.note and all(d is None or d <= self.bound for d in differences)

    @property
    def verdict(self) -> str:
        return "ok" if self.ok else "MISMATCH" + (f": {self.note}" if self.note else "")


@dataclass
class Report:
    """The rows of one comparison in the order of computation: the first bad row is the place to look.

    str(report) is the table for people, report.to_dict() what goes into JSON.
    """

    title: str
    rows: list[Row] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.rows) and all(row.ok for row in self.rows)

    @property
    def mismatches(self) -> list[Row]:
        return [row for row in self.rows if not row.ok]

    def __str__(self) -> str:
        header = ("stage", "tensor", "shape", "max abs", "max rel", "bound")
        float64 = any(row.numpy_vs_float64 is not None for row in self.rows)
        lines = [(*header, *(("numpy-f64", "torch-f64") if float64 else ()), "verdict")]
        for row in self.rows:
            numbers: list[float | None] = [row.max_abs, row.max_rel, row.bound]
            numbers += [row.numpy_vs_float64, row.torch_vs_float64] if float64 else []
            cells = ["-" if number is None else f"{number:.1e}" for number in numbers]
            lines.append((row.stage, row.tensor, str(row.shape), *cells, row.verdict))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join([self.title, *table, self.summary()])

    def summary(self) -> str:
        if self.ok:
            return f"all {len(self.rows)} equal within their bounds"
        if not self.rows:
            return "nothing was compared"
        first = self.mismatches[0]
        return f"{len(self.mismatches)} of {len(self.rows)} differ, first {first.stage} {first.tensor}"

    def to_dict(self) -> dict:
        """The report for JSON: a number that is not finite becomes null."""
        rows = [{**dataclasses.asdict(row), "ok": row.ok, "verdict": row.verdict} for row in self.rows]
        for row in rows:
            row |= {k: None for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)}
        return {"title": self.title, "ok": self.ok, "rows": rows}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)


def difference(value: np.ndarray, reference: np.ndarray) -> float:
    """The largest |value - reference|.

    Equal infinities and two NaNs differ by 0, a NaN or an infinity alone by inf.
    """
    a, b = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(np.where(same, 0.0, a - b))
    return float(np.where(np.isnan(gap), np.inf, gap).max(initial=0.0))
