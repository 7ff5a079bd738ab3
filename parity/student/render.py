"""A checkup as a page for a terminal, as the whole table, and as HTML for a notebook."""

import html
import os
import re
from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import IO, TYPE_CHECKING

import numpy as np

from parity.record import Fault
from parity.render import html_cell, html_table, number, table
from parity.report import MISMATCH, NO_KNOWN_CAUSE, Row

if TYPE_CHECKING:
    from parity.student.checkup import Check, Checkup, Examined, Mistake

AGAIN = {"second": "2nd run", "beside": "2 objects", "third": "other N", "fourth": "other size"}
WIDTH, NAME = 98, 30  # letters of a line, and of a name in it
MOST, CASES = 12, 3  # lines of remarks or of common mistakes, cases by name
WORDS = {"wrong": "WRONG", "error": "ERROR", "not examined": "NOT EXAMINED", "skipped": "not asked"}
LOOKS = {"right": "ok", "not written": "open", "skipped": "open"}  # of a state; of all others "wrong"

# Each sign that may occur, as a pattern, with what it means.
LEGEND = {
    r"\[[a-z0-9-]+\]": "[code]  the page about a mistake: python -m parity explain CODE",
    r"\d x\b": "x  the error in units of what rounding may do to that entry: at most 1 is right",
    r"\b2nd run\b": "2nd run  right at first, wrong when the same object is called again",
    r"\b2 objects\b": "2 objects  right alone, wrong when another object of the class is used in between",
    r"\bother N\b": "other N  wrong after a batch of another size",
    r"\bother size\b": "other size  wrong after images of another size",
    r"  dtype\b": "dtype  the numbers are right, their dtype is not",
    r"  shape\b": "shape  the tensor has another shape",
    r"  WRONG(  +ok|  +\d|$)": "WRONG  it differs by more than rounding explains, or is missing",
    r"\bno-known-cause\b": "no-known-cause  none of the known mistakes gives these numbers",
    r"  ERROR\b": "ERROR  it ends in an exception",
    r"  not asked\b|\bnot asked \(": "not asked  the class does not take what these cases need",
    r"  inherited\b": "inherited  right by itself; what came in was wrong",
    r"  undecidable\b": "undecidable  so near to a turning point that rounding decides",
}
ANSI = {"right": "32", "ok": "32", "not written": "33", "ALL RIGHT": "1;32"}  # colours of a terminal, by word
ANSI |= dict.fromkeys(("WRONG", "ERROR", "NOT EXAMINED", "NOT RIGHT YET", *AGAIN.values()), "1;31")


def is_coloured(out: IO[str] | None) -> bool:
    """Whether to colour what goes to `out`: NO_COLOR decides, then FORCE_COLOR, then if it is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return out is not None and out.isatty() and os.environ.get("TERM") != "dumb"


def painted(text: str) -> str:
    """The words of ANSI in their colours, where they stand in a column or before a colon."""
    words = "|".join(sorted(ANSI, key=len, reverse=True))
    pattern = rf"(?m)(?:(?<=  )|^)({words})(?=  |:|$)"
    return re.sub(pattern, lambda m: f"\x1b[{ANSI[m[1]]}m{m[1]}\x1b[0m", text)


def page(checkup: "Checkup") -> str:
    """A line a class, then every mistake once, what the signs mean, and the summary."""
    classes = checkup.classes
    parts = [f"{checkup.title}, seed {checkup.seed}", *_folded(remarks_of(checkup))]
    if any(one.kind for one in classes):
        parts += ["", *table(map(class_line, classes))]
    for first, *rest in paragraphs(classes):
        parts += ["", _filled(first), *(_filled(line, indent="  ") for line in rest)]
    return "\n".join([*parts, *legend_of("\n".join(parts)), "", summary(checkup)])


def _folded(remarks: Sequence[str]) -> Iterator[str]:
    """The first MOST of them; what was printed is cut, not folded."""
    for remark in remarks[:MOST]:
        yield clipped(remark, WIDTH) if remark.startswith(" ") else _filled(remark)
    if (more := len(remarks) - MOST) > 0:
        yield f"and {more} lines more: --verbose shows them"


def _filled(text: str, indent: str = "") -> str:
    return fill(text, WIDTH, initial_indent=indent, subsequent_indent="  ", break_on_hyphens=False)


def remarks_of(checkup: "Checkup") -> list[str]:
    return [*checkup.remarks, *printed_lines(checkup.printed)]


def printed_lines(printed: str) -> list[str]:
    return ["it printed:", *(f"  {line}" for line in printed.splitlines())] if printed else []


def clipped(name: str, letters: int = NAME) -> str:
    return name if len(name) <= letters else f"{name[: letters - 3]}..."


def class_line(one: "Examined") -> list[str]:
    """Its name, a word, how many cases are right, the points, and which tensors are wrong."""
    state, asked = one.state, one.asked
    cases = f"{one.right} of {len(asked)} cases"
    if one.withheld or state in ("not written", "not examined", "skipped"):
        cases = ""
    notes = [", ".join(tensors_of(one))]
    if (skipped := len(one.checks) - len(asked)) and not one.withheld:
        why = next(check.sentence for check in one.checks if check.skipped)
        notes.append(f"{skipped} not asked ({why})")
    points = f"{one.score:g} of {one.max_score:g}" if one.max_score else ""
    return [clipped(one.owner), WORDS.get(state, state), cases, points, ", ".join(filter(None, notes))]


def tensors_of(one: "Examined") -> list[str]:
    return list(dict.fromkeys(name for mistake in one.mistakes for name in mistake.tensors))


def paragraphs(classes: "Sequence[Examined]") -> list[list[str]]:
    """Every mistake of every class once: wrong shapes, then wrong numbers, then exceptions."""
    said = [(mistake.rank, paragraph(one, mistake)) for one in classes for mistake in one.mistakes]
    return [lines for _, lines in sorted(said, key=lambda pair: pair[0])]


def paragraph(one: "Examined", mistake: "Mistake") -> list[str]:
    """The sentence, the place of an exception, the cases and how far off: a line each."""
    code = f" [{mistake.code}]" if mistake.code else ""
    tensors = " ".join(filter(None, [clipped(one.owner), ", ".join(mistake.tensors)]))
    lines = [f"{tensors}{code}: {mistake.sentence or mistake.shape or 'wrong'}", mistake.where]
    return list(filter(None, [*lines, f"in {how_often(one, mistake)}" if one.kind else ""]))


def how_often(one: "Examined", mistake: "Mistake") -> str:
    """The cases by name, unless the sentence names them; the runs, if the first is right; how far off."""
    count, asked = len(mistake.cases), len(one.asked)
    words = f"all {asked} cases" if count == asked else f"{count} of {asked} cases"
    if count < asked and " (in: " not in mistake.sentence:
        more = f" and {count - CASES} more" if count > CASES else ""
        words += f": {'; '.join(mistake.cases[:CASES])}{more}"
    runs = ", ".join(AGAIN[run] for run in mistake.runs if run)
    parts = [
        words,
        runs if "" not in mistake.runs else "",
        mistake.shape if mistake.shape != mistake.sentence else "",
    ]
    if mistake.ratio > 1:
        parts.append(f"up to {number(mistake.ratio)} x" if np.isfinite(mistake.ratio) else "")
        if mistake.at:
            parts.append(f"worst at {mistake.at}")
    return ", ".join(filter(None, parts))


def legend_of(text: str) -> list[str]:
    """A line for each sign that occurs in a text, below an empty one."""
    lines = [f"  {meaning}" for sign, meaning in LEGEND.items() if re.search(sign, text, re.MULTILINE)]
    return ["", "legend", *lines] if lines else []


def summary(checkup: "Checkup") -> str:
    """How many classes are written, right and wrong, by name what is wrong, and the points."""
    classes = checkup.classes
    points = f"{checkup.score:g} of {checkup.max_score:g} points"
    if not checkup.asked:
        return "nothing was checked"
    if not any(one.kind for one in classes):
        return f"NOT RIGHT YET: nothing was examined. {points}"
    by_state = {one.state: [o for o in classes if o.state == one.state] for one in classes}
    right = by_state.get("right", [])
    if checkup.ok:
        cases = "" if any(one.withheld for one in right) else f"{len(checkup.asked)} cases hold. "
        return f"ALL RIGHT: {len(right)} of {len(right)} classes. {cases}{points}"
    count = {state: len(some) for state, some in by_state.items()}
    written = len(classes) - count.get("not written", 0) - count.get("not examined", 0)
    names = {state: ", ".join(map(_in_short, some[:4])) for state, some in by_state.items()}
    names |= {state: f"{names[state]}, ..." for state, some in by_state.items() if len(some) > 4}
    done = [f"{count.get('right', 0)} right"]
    done += [f"{count[s]} {word} ({names[s]})" for s, word in VERBS.items() if s in count]
    parts = [f"{written} of {len(classes)} classes written; {', '.join(done)}"]
    if "not written" in count:
        parts.append(f"{count['not written']} not written")
    if "not examined" in count:
        parts.append(f"{count['not examined']} not examined ({names['not examined']})")
    return fill(f"NOT RIGHT YET: {'; '.join(parts)}. {points}", WIDTH)


VERBS = {"wrong": "wrong", "error": "with an exception", "skipped": "not asked"}


def _in_short(one: "Examined") -> str:
    tensors = [] if one.withheld else tensors_of(one)
    return " ".join([clipped(one.owner), *tensors[:1], *["..."] * (len(tensors) > 1)])


def text(checkup: "Checkup") -> str:
    """Every case of every class, tensor by tensor: a table a class, its hints below, and the summary."""
    parts = [f"{checkup.title}, seed {checkup.seed}", *remarks_of(checkup)]
    for one in checkup.classes:
        hints = [
            fill(hint, 110, initial_indent="  -> ", subsequent_indent="     ", break_on_hyphens=False)
            for hint in hints_of(one.checks)
        ]
        parts += ["", *table(grid(one.owner, one.checks)), *hints]
    return "\n".join([*parts, *legend_of("\n".join(parts)), "", summary(checkup)])


def as_html(checkup: "Checkup") -> str:
    """The page as a table and a list; the whole table of every class unfolds below."""
    head = ["class", "verdict", "cases", "points", "tensors that are wrong"]
    lines = []
    for one in checkup.classes:
        name, word, *rest = class_line(one)
        cells = [html_cell(name, heads_row=True), html_cell(word, LOOKS.get(one.state, "wrong"))]
        lines.append("".join([*cells, *map(html_cell, rest)]))
    said = ["<br>".join(map(html.escape, lines)) for lines in paragraphs(checkup.classes)]
    items = "".join(f"<li>{lines}</li>" for lines in said)
    remarks = "".join(f"<div>{html.escape(remark)}</div>" for remark in remarks_of(checkup))
    parts = [
        html_table(f"{checkup.title}, seed {checkup.seed}", head, lines),
        remarks,
        f"<ul>{items}</ul>" if items else "",
        f"<p><b>{html.escape(summary(checkup))}</b></p>",
        whole_html(checkup),
    ]
    return "\n".join(filter(None, parts))


def whole_html(checkup: "Checkup") -> str:
    tables = []
    for one in checkup.classes:
        if any(check.rows for check in one.checks):
            head, *lines = grid(one.owner, one.checks)
            body = [
                "".join([html_cell(line[0].strip(), heads_row=True), *map(_cell, line[1:])]) for line in lines
            ]
            tables.append(html_table(one.owner, ["case", *head[1:]], body))
    legend = "".join(f"<div>{html.escape(line)}</div>" for line in legend_of(text(checkup))[2:])
    if not tables:
        return ""
    return f"<details><summary>every case</summary>\n{chr(10).join(tables)}\n{legend}</details>"


def _cell(word: str) -> str:
    return html_cell(word, "ok" if word == "ok" else "open" if word == "skipped" else "wrong" if word else "")


def grid(owner: str, checks: "Sequence[Check]") -> list[list[str]]:
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
        column = row.stage if is_of_a_model(check) else place_of(check, row.stage, row.tensor)
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


def place_of(check: "Check", stage: str, tensor: str) -> str:
    """A tensor by its name; of a model with its stage."""
    if is_of_a_model(check):
        return f"{stage} {tensor}"
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
            place = place_of(check, d.stage, d.tensor)
            marked = told.pop((d.stage, d.tensor), None)
            if marked and d.code == NO_KNOWN_CAUSE:
                hints.setdefault(f"{place} {marked.fault}", f"{place}: {marked.note} ({check.case})")
            else:
                hints.setdefault(f"{place} {d.code} {d.sentence}", f"{place} [{d.code}]: {d.sentence}")
    return list(hints.values())
