"""From the source of a lesson, Python in jupytext's percent format, to a notebook, blank or solved.

A source is the solved lesson. The blank one is made from it by two rules:

    # solution ... # end            become: raise NotImplementedError  # your code here
    predict("a question", 42)       becomes: predict("a question", ...)
"""

import ast
import hashlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import ipykernel  # noqa: F401  nbclient starts it later on; if it is missing, that is to be said now
import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

SOURCES = sorted(Path(__file__).parent.glob("lesson_*.py"))
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
PATIENCE = 1800  # seconds that one cell may take
START, END = "# solution", "# end"
BLANK = "raise NotImplementedError  # your code here"


class LessonError(Exception):
    """A lesson that cannot be run to its end; str() says in which cell, and why, in one line."""


@dataclass(frozen=True)
class Lesson:
    """One source file; its number, its title and its notebook, blank or solved, are read from there."""

    source: Path
    solved: bool = False

    @property
    def number(self) -> int:
        return int(self.source.stem.split("_")[1])

    @property
    def file(self) -> str:
        return f"{self.source.stem}{'_solved' * self.solved}.ipynb"

    def notebook(self) -> NotebookNode:
        """The notebook, not run yet: the same source gives the same bytes."""
        notebook = jupytext.reads(self.source.read_text(encoding="utf-8"), fmt="py:percent")
        notebook.metadata = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
        for index, cell in enumerate(notebook.cells):
            cell.id = f"cell-{index}"
            if cell.cell_type == "code":
                if START in cell.source or calls_of_predict(cell.source):
                    cell.metadata["tags"] = ["exercise"]
                cell.source = solved(cell.source) if self.solved else blank(cell.source)
        notebook.metadata["lesson"] = {"source": digest(notebook)}
        return notebook

    @property
    def title(self) -> str:
        """The heading of the first cell, without its number."""
        heading = re.match(r"# \d+\. (.+)", self.notebook().cells[0].source)
        if heading is None:
            raise ValueError(f"{self.source.name}: the first cell has no heading like '# 3. Title'")
        return heading[1]


def blank(code: str) -> str:
    """A cell as it is handed out: without solutions and predictions. Raises ValueError for a stray marker."""
    lines: list[str] = []
    inside = False
    for line in code.splitlines():
        if (marker := line.strip()) in (START, END):
            if inside == (marker == START):
                raise ValueError(f"a lesson's cell has a stray {marker!r}: {code.splitlines()[0]}")
            inside = marker == START
            if inside:
                lines.append(line.replace(START, BLANK))
        elif not inside:
            lines.append(line)
    if inside:
        raise ValueError(f"a lesson's cell has no {END!r}: {code.splitlines()[0]}")
    for answer in reversed(calls_of_predict("\n".join(lines))):
        first, last = answer.lineno - 1, (answer.end_lineno or answer.lineno) - 1
        lines[first : last + 1] = [
            lines[first][: answer.col_offset] + "..." + lines[last][answer.end_col_offset :]
        ]
    return "\n".join(lines)


def solved(code: str) -> str:
    """A cell with its solutions between their markers, as the source has it."""
    return "\n".join(line.partition("  # type: ignore")[0] for line in code.splitlines())


def calls_of_predict(code: str) -> list[ast.expr]:
    """The second argument of every predict("...", value) of a cell, in their order."""
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    named = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "predict"]
    return sorted((c.args[1] for c in named), key=lambda answer: (answer.lineno, answer.col_offset))


def digest(notebook: NotebookNode) -> str:
    """Of what is written in the cells, whatever they have printed."""
    text = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    return hashlib.sha256(text.encode()).hexdigest()


def was_edited(path: Path) -> bool:
    """Whether the file is anything but a notebook as this package wrote it: perhaps a student's work."""
    try:
        notebook = nbformat.read(path, as_version=4)
        return digest(notebook) != notebook.metadata["lesson"]["source"]
    except (ValueError, KeyError, AttributeError, TypeError):
        return True


def execute(notebook: NotebookNode, environment: dict[str, str]) -> None:
    """Run all cells in a kernel of their own, in the current folder; the outputs stay in `notebook`.

    environment  variables for the kernel: all that it gets. Raises LessonError.
    """
    begun: list[str] = []
    client = NotebookClient(
        notebook,
        timeout=PATIENCE,
        kernel_name=KERNEL["name"],
        record_timing=False,
        on_cell_execute=lambda cell, cell_index: begun.append(cell.source),
        extra_arguments=["--IPKernelApp.log_level=50"],  # what matters it says through its messages
    )
    try:
        # to its stderr a kernel writes only what goes wrong while it closes, after its last message
        client.execute(env=environment, stderr=subprocess.DEVNULL)
    except AssertionError as error:  # nbclient took Ctrl-C or SIGTERM, ended the kernel, and stumbles over it
        raise KeyboardInterrupt from error
    except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
        reason = "the kernel died"
        if isinstance(error, CellExecutionError):
            reason = _one_line(f"{error.ename}: {error.evalue}")
        elif isinstance(error, CellTimeoutError):
            reason = f"not done after {PATIENCE} s"
        if not begun:
            raise LessonError(f"the kernel did not start: {_one_line(str(error))}") from error
        raise LessonError(f"cell [{len(begun)}] `{begun[-1].splitlines()[0]}`: {reason}") from error


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if len(lines) < 2 else f"{lines[0]} ..."
