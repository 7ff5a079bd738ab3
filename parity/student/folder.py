"""Examine a folder of submissions, each in a process of its own, and count the mistakes that they share."""

import csv
import io
import multiprocessing
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from parity.student.checkup import Checkup, Examined, Hints, Mistake
from parity.student.process import printable
from parity.student.render import MOST, clipped
from parity.student.submission import EXAMINER, examine_file

LATE = 120.0  # seconds for judging a submission, above those that its own code may take
FORMULA = "=+-@"  # a spreadsheet would compute what begins so


@dataclass(frozen=True)
class Row:
    """One submission.

    right, wrong, not_written   its classes; a wrong one with its tensors: "MaxPool2D dx"
    mistakes  by the names of the library's classes: "MaxPool2D dx [ties-shared]"
    error     exceptions, and why something was not examined
    """

    name: str
    points: float = 0.0
    maximum: float = 0.0
    ok: bool = False
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    not_written: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()
    error: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{word}: {', '.join(names)}" for word, names in self._said() if names]
        points = f"{self.points:g} of {self.maximum:g}"
        return f"{clipped(self.name, 40):40}  {points:12}  {'; '.join(parts) or 'ALL RIGHT'}"

    def _said(self) -> list[tuple[str, tuple[str, ...]]]:
        errors = tuple(clipped(error, 70) for error in self.error[:1])
        return [("WRONG", self.wrong), ("not written", self.not_written), ("ERROR", errors)]


def submissions_in(folder: Path) -> tuple[list[Path], list[str]]:
    """The submissions of a folder in the order of their names, and the names of what is none.

    Each Python file, notebook or folder is one. A folder that holds a single notebook or Python file is that.
    """
    found, others = [], []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.startswith((".", "__")):
            continue
        if path.is_dir():
            found.append(_alone_in(path))
        elif path.is_file() and path.suffix in (".py", ".ipynb"):
            found.append(path)
        else:
            others.append(printable(path.name))
    return found, others


def _alone_in(folder: Path) -> Path:
    inside = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__MACOSX" not in path.parts]
    for suffix in (".ipynb", ".py"):
        alone = [path for path in inside if path.suffix == suffix]
        if len(alone) == 1:
            return alone[0]
    return folder


def examine_all(folder: Path, paths: Sequence[Path], hints: Hints, at_once: int, **how: Any) -> Iterator[Row]:
    """The row of every submission, in the order of `paths`. how: the arguments of examine_file.

    Where the system can fork, the modules are imported once. If one process ends, the others go on.
    """
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if isinstance(context, multiprocessing.context.ForkServerContext):
        context.set_forkserver_preload([EXAMINER])
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(partial(_in_a_process, context, folder, hints, how), paths)


def _in_a_process(context: Any, folder: Path, hints: Hints, how: Mapping[str, Any], path: Path) -> Row:
    name = printable(path.relative_to(folder).parts[0])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_examine, args=(sender, name, path, hints, how))
    process.start()
    sender.close()
    try:
        if receiver.poll(how.get("total", 600.0) + LATE):
            row: Row = receiver.recv()
            return row
        return Row(name, error=(f"not judged within {how.get('total', 600.0) + LATE:g} s",))
    except EOFError:
        process.join()
        return Row(name, error=(f"the examination ended with exit code {process.exitcode}",))
    finally:
        receiver.close()
        process.kill()
        process.join()


def _examine(sender: Connection, name: str, path: Path, hints: Hints, how: Mapping[str, Any]) -> None:
    sender.send(row_of(name, examine_file(path, **how, lines=False).with_hints(hints)))
    sender.close()


def row_of(name: str, checkup: Checkup) -> Row:
    classes = checkup.classes
    by_state = {state: [one for one in classes if one.state == state] for state in ("right", "not written")}
    wrong = [one for one in classes if one.state in ("wrong", "error")]
    refused = [f"{one.owner}: {one.checks[0].sentence}" for one in classes if one.state == "not examined"]
    raised = [
        f"{one.owner}: {mistake.sentence} {mistake.where}".rstrip()
        for one in classes
        for mistake in one.mistakes
        if not mistake.tensors and one.kind
    ]
    return Row(
        name,
        checkup.score,
        checkup.max_score,
        checkup.ok,
        tuple(one.owner for one in by_state["right"]),
        tuple(" ".join([one.owner, *dict.fromkeys(_tensors(one))]) for one in wrong),
        tuple(one.owner for one in by_state["not written"]),
        tuple(dict.fromkeys(_named(one, mistake) for one in wrong for mistake in one.mistakes)),
        (*refused, *raised),
        tuple(checkup.remarks),
    )


def _tensors(one: Examined) -> list[str]:
    return [tensor for mistake in one.mistakes for tensor in mistake.tensors]


def _named(one: Examined, mistake: Mistake) -> str:
    """Without the names that the student gave, so that it can be counted."""
    code = f" [{mistake.code}]" if mistake.code else ""
    return f"{one.kind} {', '.join(mistake.tensors) or mistake.ended}{code}"


def as_csv(rows: Sequence[Row]) -> str:
    """One line a submission. No cell begins as a formula does, and none holds what cannot be printed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(field.name for field in fields(Row))
    for row in rows:
        writer.writerow(_cell(getattr(row, field.name)) for field in fields(Row))
    return out.getvalue()


def _cell(value: Any) -> str | float:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return value
    text = printable(value if isinstance(value, str) else "; ".join(value))
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])  # a wide = is one too
    return f"'{text}" if first and first in FORMULA else text


def to_dict(rows: Sequence[Row]) -> dict[str, Any]:
    return {"submissions": [asdict(row) for row in rows], "mistakes": dict(counted(rows))}


def counted(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """How many submissions share a mistake, or lack a class; the most frequent first."""
    counts = Counter(mistake for row in rows for mistake in row.mistakes)
    counts.update(name for row in rows for name in {f"{name} is not written" for name in row.not_written})
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def common(rows: Sequence[Row]) -> list[str]:
    found = counted(rows)
    lines = [f"{count} of {len(rows)}: {name}" for name, count in found[:MOST]]
    return lines + [f"and {len(found) - MOST} more"] * (len(found) > MOST)


def summary(rows: Sequence[Row]) -> str:
    right, broken = sum(row.ok for row in rows), sum(bool(row.error) for row in rows)
    errors = f", {broken} with an error" if broken else ""
    return f"{right} of {len(rows)} submissions are right{errors}"
