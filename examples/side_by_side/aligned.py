"""Sets each equation beside the lines of code that compute it, and two functions beside each other.

Nothing in the sources marks the places. The house's law of names does: what a docstring defines, `out` or
`dweight`, is what the code assigns, fills or returns.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from typing import NamedTuple

from examples.side_by_side.lines import code_lines

OTHER_NAMES = {  # what the code calls otherwise than the mathematics, and why
    "dx_windows": ("dwindows", "dx"),  # the windows of dx: adding dwindows to them makes dx
    "dmatrix": ("dweight",),  # dweight with its entries in the order of a window
    "log_probs": ("probs",),
}


class AlignedRow(NamedTuple):
    """Equations (none where code checks, remembers or arranges memory), and the lines of code beside them."""

    equations: list[str]
    code: list[str]


def beside_equations(method: Callable, equations: Mapping[str, str], returns: str) -> list[AlignedRow]:
    """All lines of a method in their order, cut into rows; an equation stands beside the lines that make it.

    equations  {name: text}, see lines.equations
    returns    the name of what the method returns, "out" or "dx"
    """
    source = textwrap.dedent(inspect.getsource(method))
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    spans: list[tuple[int, int, set[str]]] = []
    for name in equations:
        makers = [s for s in ast.walk(function) if isinstance(s, ast.stmt) and name in makes(s, returns)]
        if makers:
            first, last = min(s.lineno for s in makers), max(s.end_lineno or s.lineno for s in makers)
            spans = _merged([*spans, (first, last, {name})])
    lines, rows, at = source.splitlines(), [], 1
    for first, last, names in spans:
        rows.append(AlignedRow([], lines[at - 1 : first - 1]))
        rows.append(
            AlignedRow([text for name, text in equations.items() if name in names], lines[first - 1 : last])
        )
        at = last + 1
    rows.append(AlignedRow([], lines[at - 1 :]))
    return [row for row in rows if row.code]


def _merged(spans: list[tuple[int, int, set[str]]]) -> list[tuple[int, int, set[str]]]:
    """Spans of lines in order; those that overlap become one."""
    merged: list[tuple[int, int, set[str]]] = []
    for first, last, names in sorted(spans, key=lambda span: span[:2]):
        if merged and first <= merged[-1][1]:
            start, end, others = merged.pop()
            first, last, names = start, max(end, last), others | names
        merged.append((first, last, names))
    return merged


def makes(statement: ast.stmt, returns: str) -> set[str]:
    """The names that a statement assigns, fills or returns. What is taken from self.cache was made before."""
    if isinstance(
        statement, ast.If | ast.For
    ):  # its first line belongs to what it makes, if that is one thing
        inside = [
            made
            for s in statement.body
            for child in ast.walk(s)
            if isinstance(child, ast.stmt)
            if (made := makes(child, returns))
        ]
        return inside[0] if inside and all(made == inside[0] for made in inside) else set()
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign) and ast.unparse(statement.value) != "self.cache":
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign):
        targets = [statement.target]
    elif isinstance(statement, ast.Return):
        return {returns} if statement.value else set()
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets = [keyword.value for keyword in statement.value.keywords if keyword.arg == "out"]
    names = {name for target in targets for name in _names_in(target)}
    return {other for name in names for other in OTHER_NAMES.get(name, (name,))}


def _names_in(target: ast.expr) -> list[str]:
    if isinstance(target, ast.Tuple):
        return [name for element in target.elts for name in _names_in(element)]
    if isinstance(target, ast.Subscript | ast.Starred):
        return _names_in(target.value)
    return [target.id if isinstance(target, ast.Name) else ast.unparse(target).rpartition(".")[2]]


def beside_each_other(left: Callable, right: Callable) -> list[tuple[str, str]]:
    """The code of two functions, equal lines in one row, without their first lines.

    Between equal lines the rest is set row by row from below: of one line against two, the last two pair up.
    """
    a, b = ([line.strip() for line in code_lines(side)[1:]] for side in (left, right))
    rows: list[tuple[str, str]] = []
    for _, a0, a1, b0, b1 in SequenceMatcher(a=a, b=b, autojunk=False).get_opcodes():
        height = max(a1 - a0, b1 - b0)
        column = ["" for _ in range(height)]
        rows += zip((column + a[a0:a1])[-height:], (column + b[b0:b1])[-height:], strict=True)
    return rows


def line_that_makes(method: Callable, name: str) -> str:
    """The last line of a method that assigns `name`, or a part of it."""
    source = textwrap.dedent(inspect.getsource(method))
    simple = (s for s in ast.walk(ast.parse(source)) if isinstance(s, ast.Assign | ast.AugAssign))
    statement = [s for s in simple if name in makes(s, "")][-1]
    return ast.get_source_segment(source, statement) or ""
