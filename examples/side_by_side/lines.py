"""What a source file says: its lines of code, the stages of a model, the equations of a docstring."""

import ast
import inspect
import io
import re
import textwrap
import tokenize
from pathlib import Path
from typing import Any

NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
EQUATION = re.compile(r"^\s*(\w+)((?:\[[^\]]*\])?)\s+([-+]?=) (.*)$", re.MULTILINE)


class NoCounterpartError(ValueError):
    """One side has nothing to set beside the other; the message names file, class and what is missing."""


def where(thing: Any) -> str:
    """tinycnn_numpy/relu.py: ReLU"""
    path = Path(inspect.getfile(thing))
    return f"{path.parent.name}/{path.name}: {thing.__qualname__}"


def code_lines(thing: Any) -> list[str]:
    """The lines of a function, class or module that hold code: no docstrings, comments or blank lines.

    A comment behind code stays with it; a statement over three lines is three lines.
    """
    source = textwrap.dedent(inspect.getsource(thing))
    documentation = [
        ((node.body[0].lineno, node.body[0].col_offset), node.body[0].end_lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    ]
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        documents = token.type == tokenize.STRING and any(
            start <= token.start and token.end[0] <= end for start, end in documentation if end
        )
        if token.type not in NOT_CODE and not documents:
            code |= set(range(token.start[0], token.end[0] + 1))
    lines = source.splitlines()
    return [lines[number - 1].rstrip() for number in sorted(code)]


def stage_lines(model: type) -> dict[str, str]:
    """The stages that a model class of either side passes to super().__init__: {"relu": "relu=nn.ReLU()"}.

    Raises NoCounterpartError if it passes none.
    """
    source = textwrap.dedent(inspect.getsource(model))
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
            inner = call.args[0] if call.args and isinstance(call.args[0], ast.Call) else call
            lines = {k.arg: f"{k.arg}={ast.get_source_segment(source, k.value)}" for k in inner.keywords}
            return {name: line for name, line in lines.items() if name}
    raise NoCounterpartError(f"{where(model)} passes no stages to super().__init__")


def equations(documented: type, expected: tuple[str, ...]) -> dict[str, str]:
    """The lines of a docstring that define a name: {"dx": "dx = dout * [x > 0]"}, in their order.

    Raises NoCounterpartError unless every expected name is defined.
    """
    text = inspect.cleandoc(documented.__doc__ or "")
    found = {
        name: f"{name}{index} {sign} {value.rstrip()}" for name, index, sign, value in EQUATION.findall(text)
    }
    for name in expected:
        if name not in found:
            raise NoCounterpartError(f"{where(documented)}: the docstring has no equation for {name}")
    return found
