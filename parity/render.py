"""Numbers, tables and reports as text and HTML. Nothing is judged here."""

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parity.report import Report


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


def report_text(report: "Report") -> str:
    """The title, a line a tensor, what the doctor says, and the summary."""
    rows = report.rows
    isolated, torch = (any(getattr(row, name) is not None for row in rows) for name in ("isolated", "torch"))
    header = ["stage", "tensor", "shape", "error", "error/bound"]
    lines = [[*header, *["isolated"] * isolated, *["torch"] * torch, "verdict"]]
    for row in rows:
        numbers = [row.error, row.ratio, *[row.isolated] * isolated, *[row.torch] * torch]
        verdict = f"{row.verdict}: {row.note}" if row.note else row.verdict
        lines.append([row.stage, row.tensor, str(row.shape), *map(number, numbers), verdict])
    ends = [*map(str, report.diagnoses), *([str(report.divergence)] if report.divergence else [])]
    return "\n".join([report.title, *table(lines), *ends, report.summary()])


def preformatted(text: str) -> str:
    """Text as HTML, in columns as it stands."""
    return f"<pre>{html.escape(text)}</pre>"
