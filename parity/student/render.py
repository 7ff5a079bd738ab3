"""A checkup as text, as HTML and as what Gradescope reads."""

import html
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from parity.record import Fault
from parity.render import number, table
from parity.report import MISMATCH, NO_KNOWN_CAUSE, Row

if TYPE_CHECKING:
    from parity.student.checkup import Check, Checkup

AGAIN = {"second": "2nd run", "beside": "2 objects", "third": "other N", "fourth": "other size"}


def text(checkup: "Checkup") -> str:
    """A table for each class, its hints below, and the summary."""
    parts = [f"{checkup.title}, seed {checkup.seed}", *checkup.remarks]
    for owner, checks in checkup.by_owner().items():
        hints = [
            fill(hint, 110, initial_indent="  -> ", subsequent_indent="     ", break_on_hyphens=False)
            for hint in hints_of(checks)
        ]
        parts += ["", *table(grid(owner, checks)), *hints]
    return "\n".join([*parts, "", checkup.summary()])


def as_html(checkup: "Checkup") -> str:
    parts = [f"<p><b>{html.escape(checkup.title)}, seed {checkup.seed}</b></p>"]
    for owner, checks in checkup.by_owner().items():
        head, *lines = grid(owner, checks)
        rows = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
        rows += ["".join(map(_html_cell, line)) for line in lines]
        hints = "".join(f"<li>{html.escape(hint)}</li>" for hint in hints_of(checks))
        parts.append(f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table><ul>{hints}</ul>")
    return "\n".join([*parts, f"<p>{html.escape(checkup.summary())}</p>"])


def _html_cell(text: str) -> str:
    if text.startswith("  "):  # the name of a case
        return f"<td style='text-align:left'>{html.escape(text.strip())}</td>"
    style = "" if text in ("", "ok") else " style='background:#fde2e2'"
    return f"<td{style}>{html.escape(text)}</td>"


def gradescope(checkup: "Checkup") -> dict[str, Any]:
    """What Gradescope reads from results.json: one test a check, its hint as the output; not the seed."""
    tests = [
        {
            "name": f"{check.owner}: {check.case}",
            "score": check.score,
            "max_score": check.max_score,
            "status": "passed" if check.ok and not check.skipped else "failed",
            "output": check.sentence or check.verdict,
        }
        for check in checkup.checks
    ]
    return {"output": "\n".join([checkup.title, *checkup.remarks, checkup.summary()]), "tests": tests}


def grid(owner: str, checks: "list[Check]") -> list[list[str]]:
    """The table of a class: a head, then a line for each case with a cell for each tensor."""
    cells = [_cells(check) for check in checks]
    columns = list(dict.fromkeys(name for line in cells for name in line)) or ["verdict"]
    lines = []
    for check, line in zip(checks, cells, strict=True):
        values = (
            [line.get(name, "") for name in columns] if line else [check.verdict] + [""] * (len(columns) - 1)
        )
        lines.append([f"  {check.case}", *values])
    return [[owner, *columns], *lines]


def _cells(check: "Check") -> dict[str, str]:
    """For each tensor "ok", or how far off it is in units of its bound; nothing if the check was not run."""
    cells: dict[str, str] = {}
    if check.failure:
        return cells
    for row in check.rows:
        column = row.stage if is_of_a_model(check) else name_of(row.stage, row.tensor)
        if cells.get(column, "ok") == "ok":
            cells[column] = "ok" if row.ok else _how_far_off(row)
    return cells


def _how_far_off(row: Row) -> str:
    if row.verdict != MISMATCH:
        return row.verdict
    if row.run:
        return AGAIN[row.run]
    if row.fault in (Fault.WRONG_DTYPE, Fault.WRONG_SHAPE):
        return "dtype" if row.fault is Fault.WRONG_DTYPE else "shape"
    return f"{number(row.ratio)} x" if np.isfinite(row.ratio) else "WRONG"


def name_of(stage: str, tensor: str) -> str:
    return f"parameter {tensor}" if stage == "steps" else tensor


def is_of_a_model(check: "Check") -> bool:
    return len({row.stage for row in check.rows}) > 1


def hints_of(checks: "list[Check]") -> list[str]:
    """Every diagnosis and every error once, with the first case that shows it."""
    hints: dict[str, str] = {}
    for check in checks:
        if check.failure:
            what = f"skipped, the class {check.failure}" if check.skipped else check.error
            hints.setdefault(str(check.failure), f"{check.case}: {what}")
        told = {}  # a remark says more than that no cause is known
        by_the_doctor = (Fault.NOT_REACHED, Fault.MODIFIED, Fault.CHANGED_BETWEEN, Fault.STAGE_SKIPPED)
        for row in check.rows:
            is_told = row.remark and row.fault not in by_the_doctor and row.note != check.error
            if row.verdict == MISMATCH and is_told and not row.run:
                told[row.stage, row.tensor] = row
        for d in check.diagnoses:
            place = f"{d.stage} {d.tensor}" if is_of_a_model(check) else name_of(d.stage, d.tensor)
            marked = told.pop((d.stage, d.tensor), None)
            if marked and d.code == NO_KNOWN_CAUSE:
                hints.setdefault(f"{place} {marked.fault}", f"{place}: {marked.note} ({check.case})")
            else:
                hints.setdefault(f"{place} {d.code} {d.sentence}", f"{place} [{d.code}]: {d.sentence}")
    return list(hints.values())
