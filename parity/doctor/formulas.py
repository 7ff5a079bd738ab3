"""The right lines of a computation, and every computation of which one line differs in one place.

A line is "name = expression". Its expression is changed as a slip of the pen would change it: a part is
missing, a name, a number, an operator or a function is another one, parentheses stand elsewhere. The lines
then compute what this mistake gives, and their text is the sentence that explains it.
"""

import ast
import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from parity.bounds import Array
from parity.doctor.evidence import Page

Lines = tuple[str, ...]
OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
}
CONSTANTS = (1, 2, 3)
CLOSE = 1e-4  # how near two tensors come that are the same, relative to the largest entry
SPARE = 2  # entries for each term of a combination


@dataclass(frozen=True)
class Vocabulary:
    """What may stand in place of something else.

    names      groups of names that may be taken for one another
    functions  groups of functions, likewise
    factors    expressions that a term may be multiplied by
    """

    names: tuple[tuple[str, ...], ...]
    functions: tuple[tuple[str, ...], ...] = ()
    factors: tuple[str, ...] = ("2", "1 / 2", "-1")


@dataclass(frozen=True)
class Slip:
    """One change: the code of the mistake, what it is in words, and all lines with it."""

    code: str
    sentence: str
    lines: Lines


def norm(array: Any) -> Any:
    return np.sqrt((array**2).sum())


FUNCTIONS: dict[str, Any] = {
    name: getattr(np, name)
    for name in (
        "sqrt", "exp", "exp2", "log", "log2", "log10", "log1p", "abs", "sign", "maximum", "minimum",
        "where", "tanh",
    )
} | {"norm": norm, "average": np.mean, "clip": np.clip}  # fmt: skip


def combined(given: Array, terms: Sequence[Array]) -> Array | None:
    """The combination of the terms that comes nearest; None where so many would come near anything."""
    if any(term.shape != given.shape for term in terms) or given.size < SPARE * len(terms):
        return None
    matrix = np.stack([term.ravel() for term in terms], axis=1)
    if not (np.isfinite(matrix).all() and np.isfinite(given).all()):
        return None
    factors = np.linalg.lstsq(matrix, given.ravel().astype(np.float64), rcond=None)[0]
    found: Array = (matrix @ factors).reshape(given.shape)
    return found


@cache
def compiled(lines: Lines) -> CodeType:
    return compile("\n".join(lines), "formula", "exec")


def computed(lines: Lines, values: Mapping[str, Any]) -> dict[str, Any]:
    """All names after the lines, run once from these values. ValueError: a line reads what is not there."""
    names: dict[str, Any] = {"__builtins__": {}, **FUNCTIONS, **values}
    try:
        with np.errstate(all="ignore"):
            exec(compiled(lines), names)
    except NameError as error:
        raise ValueError(str(error)) from error
    return names


def is_contradicted(given: Mapping[str, Array], right: Mapping[str, Any], wrong: Mapping[str, Any]) -> bool:
    """Whether a mistake would show in another tensor, and the code gave another one.

    right, wrong  what is computed without and with the mistake, by the names of `given`
    """
    for name, array in given.items():
        if name in right and name in wrong:
            old, new, own = (np.asarray(a, np.float64).ravel() for a in (right[name], wrong[name], array))
            if old.shape == new.shape == own.shape and not is_close(old, new) and not is_close(new, own):
                return True
    return False


def unless_contradicted(
    found: Array,
    tensor: str,
    given: Mapping[str, Array],
    right: Lines,
    wrong: Lines,
    values: Callable[[], Mapping[str, Any]],
) -> Array | None:
    """What wrong lines make of a tensor; None if the code gave that, and not what they make of another."""
    if found.shape != given[tensor].shape or not is_close(found, given[tensor]):
        return found
    others = {name: array for name, array in given.items() if name != tensor}
    return None if is_contradicted(others, computed(right, values()), computed(wrong, values())) else found


def is_close(one: Array, other: Array) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.abs(one - other).max(initial=0.0) <= CLOSE * np.abs(other).max(initial=0.0))


def with_lines(lines: Lines, **expressions: str) -> Lines:
    """The lines, some of which have another expression."""
    return tuple(
        f"{name} = {expressions.get(name, right)}" for name, right in (line.split(" = ", 1) for line in lines)
    )


def needed_for(name: str, lines: Lines) -> Lines:
    """The lines from which `name` is computed, in a computation that runs once."""
    wanted, found = {name}, []
    for line in reversed(lines):
        left, right = line.split(" = ", 1)
        if left in wanted:
            found.append(line)
            wanted |= {node.id for node in ast.walk(parsed(right)) if isinstance(node, ast.Name)}
    return tuple(reversed(found))


@cache
def slips(lines: Lines, vocabulary: Vocabulary) -> tuple[Slip, ...]:
    """Every change in one place, those of one line after those of the line above."""
    found: dict[Lines, Slip] = {}
    for i, line in enumerate(lines):
        name, right = line.split(" = ", 1)
        expression = ast.parse(right, mode="eval").body
        changes = [*changed(expression, vocabulary)]
        changes += [] if isinstance(expression, ast.Name) else multiplied(expression, vocabulary)
        for code, what, wrong in changes:
            new = f"{name} = {ast.unparse(ast.fix_missing_locations(wrong))}"
            if new != line:
                all_lines = (*lines[:i], new, *lines[i + 1 :])
                found.setdefault(all_lines, Slip(code, f"{what}, as by {new} in place of {line}.", all_lines))
    return tuple(found.values())


def too_late(lines: Lines) -> Iterator[Slip]:
    """Every line moved down. Where the lines run again and again, others then read what it was before."""
    for i, j in itertools.combinations(range(len(lines)), 2):
        moved = (*lines[:i], *lines[i + 1 : j + 1], lines[i], *lines[j + 1 :])
        names = [line.split(" = ")[0] for line in (lines[i], lines[j])]
        what = f"{names[0]} is computed after {names[1]}: its line comes first, {lines[i]}."
        yield Slip("line-order", what, moved)


Change = tuple[str, str, ast.expr]  # code, what it is in words, the expression


def changed(node: ast.expr, vocabulary: Vocabulary) -> Iterator[Change]:
    """Every expression that differs from this one in one place."""
    yield from changed_here(node, vocabulary)
    for name, value in ast.iter_fields(node):
        children: Sequence[Any] = value if isinstance(value, list) else [value]
        for i, child in enumerate(children):
            if isinstance(child, ast.expr) and name != "func":
                for code, what, new in changed(child, vocabulary):
                    parent = copy.copy(node)
                    setattr(parent, name, [*value[:i], new, *value[i + 1 :]] if value is children else new)
                    yield code, what, parent


def changed_here(node: ast.expr, vocabulary: Vocabulary) -> Iterator[Change]:
    text = ast.unparse(node)
    match node:
        case ast.Name(name):
            for group in vocabulary.names:
                for other in group if name in group else ():
                    if other != name:
                        yield "other-name", f"{other} for {name}", parsed(other)
        case ast.Constant(int(value)):
            for number in CONSTANTS:
                if number != value:
                    yield "other-number", f"{number} for {value}", ast.Constant(number)
        case ast.Call(ast.Name(name), [argument, *_]):
            yield "part-missing", f"{name} is missing", argument
            for group in vocabulary.functions:
                for other in group if name in group else ():
                    if other != name:
                        yield (
                            "other-function",
                            f"{other} for {name}",
                            ast.Call(ast.Name(other), node.args, []),
                        )
        case ast.IfExp(test, body, orelse):
            yield "part-missing", f"the case of not {ast.unparse(test)} is missing", body
            yield "part-missing", f"the case of {ast.unparse(test)} is missing", orelse
            for code, what, new in multiplied(body, vocabulary):
                yield code, what, ast.IfExp(test, new, orelse)
            for code, what, new in multiplied(orelse, vocabulary):
                yield code, what, ast.IfExp(test, body, new)
        case ast.UnaryOp(ast.USub(), operand):
            yield "other-operator", "the minus is missing", operand
        case ast.BinOp(left, op, right):
            yield from without(left, op, right)
            for operator in OPERATORS.get(type(op), ()):
                exchanged = ast.BinOp(left, operator(), right)
                yield "other-operator", f"{ast.unparse(exchanged)} for {text}", exchanged
            if isinstance(op, (ast.Sub, ast.Div, ast.Pow)):
                exchanged = ast.BinOp(right, op, left)
                yield "other-operator", f"{ast.unparse(exchanged)} for {text}", exchanged
            if isinstance(op, (ast.Add, ast.Sub)):
                for code, what, new in multiplied(left, vocabulary):
                    yield code, what, ast.BinOp(new, op, right)
                for code, what, new in multiplied(right, vocabulary):
                    yield code, what, ast.BinOp(left, op, new)
            for new in regrouped(left, op, right):
                yield "parentheses", f"{ast.unparse(new)} for {text}", new
    if not isinstance(node, (ast.Constant, ast.IfExp)):
        for wrapped in (f"sqrt({text})", f"({text}) ** 2"):
            yield "other-function", f"{ast.unparse(parsed(wrapped))} for {text}", parsed(wrapped)


def without(left: ast.expr, op: ast.operator, right: ast.expr) -> Iterator[Change]:
    """One operand alone."""
    one, other = ast.unparse(left), ast.unparse(right)
    alone = {ast.Sub: f"-({other})", ast.Div: f"1 / ({other})"}.get(type(op), other)
    sign = {ast.Add: "+ ", ast.Sub: "- ", ast.Mult: "the factor ", ast.Div: "/ ", ast.Pow: "** "}
    what = sign.get(type(op), "")
    yield "part-missing", f"{what}{ast.unparse(right)} is missing", left
    if not isinstance(op, ast.Pow):
        yield "part-missing", f"{one} is missing", parsed(alone)


def regrouped(left: ast.expr, op: ast.operator, right: ast.expr) -> Iterator[ast.expr]:
    """(a + b) * c for a + b * c, and the other way round."""
    if isinstance(right, ast.BinOp):
        yield ast.BinOp(ast.BinOp(left, op, right.left), right.op, right.right)
    if isinstance(left, ast.BinOp):
        yield ast.BinOp(left.left, left.op, ast.BinOp(left.right, op, right))


def multiplied(node: ast.expr, vocabulary: Vocabulary) -> Iterator[Change]:
    text = ast.unparse(node)
    for factor in vocabulary.factors if not isinstance(node, ast.Constant) else ():
        new = parsed(f"({factor}) * ({text})")
        yield "extra-factor", f"{text} is multiplied by {factor}", new


def parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


PAGES = [
    Page(
        "other-name",
        kind="SGD",
        what="One name stands where another is meant.",
        right="change = g + self.momentum * b if self.nesterov else b",
        wrong="change = parameter.grad + self.momentum * b if self.nesterov else b",
        why="A line that was copied, and not changed everywhere. Read it aloud beside the formula.",
    ),
    Page(
        "other-number",
        kind="Adam",
        what="One number stands where another is meant.",
        right="v_hat = v / (1 - beta2**t)",
        wrong="v_hat = v / (2 - beta2**t)",
        why="An exponent, a factor 2, a 1: derive the formula once more, and compare number by number.",
    ),
    Page(
        "other-operator",
        kind="SGD",
        what="Another operator, or its two sides exchanged.",
        right="b[...] = self.momentum * b + g",
        wrong="b[...] = self.momentum * b - g",
        why="A sign that is wrong in the middle of a formula changes only a part of the result.",
    ),
    Page(
        "other-function",
        kind="Adam",
        what="Another function, one too many or in another place.",
        right="v_hat = v / (1 - beta2**t)",
        wrong="v_hat = v / np.sqrt(1 - beta2**t)",
        why="A root, a power, a maximum for a sum. Everything has the right shape.",
    ),
    Page(
        "part-missing",
        kind="BatchNorm2D",
        what="A term or a factor of a formula is missing.",
        right="through_var = x_hat * self.dweight[:, None, None] / M",
        wrong="through_var = self.dweight[:, None, None] / M",
        why="Broadcasting fills the gap, so that no shape tells.",
    ),
    Page(
        "extra-factor",
        kind="SGD",
        what="A term has a factor too many.",
        right="b[...] = self.momentum * b + g",
        wrong="b[...] = self.momentum * (b + g)",
        why="With momentum = 0.9 the steps are a tenth shorter, and nobody notices.",
    ),
    Page(
        "parentheses",
        kind="Adam",
        what="Parentheses stand in another place.",
        right="m_hat = m / (1 - beta1**t)",
        wrong="m_hat = m / (1 - beta1) ** t",
        why="A power binds before a product, a product before a sum. The first step may be right even so.",
    ),
    Page(
        "line-order",
        kind="SGD",
        what="A line runs too late: others have read the value of the step before.",
        right="b[...] = self.momentum * b + g",
        wrong="""
        old = b.copy()
        b[...] = self.momentum * b + g
        b = old
        """,
        why="The first step then moves nothing. Later all steps are those of one step before.",
    ),
]
