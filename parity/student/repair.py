"""Find the one change of a student's own code that makes a wrong case right. NumPy alone.

Every edit of edits.py is made in the functions that ran, in lines that ran, by giving the function other
code; then the cases run once more. Nothing is said of it until all cases have run with it: see mend.py.
"""

import ast
import contextlib
import difflib
import gc
import io
import linecache
import math
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np

from parity.record import Failure, Key, Outcome, Run, is_of_ours
from parity.student.cases import Case
from parity.student.edits import COSTS, LIKELY, Editor, Pool, Spot, alternatives
from parity.student.run_case import run_case

Array = np.ndarray[Any, Any]
LONGER = 20  # times as long as the cases of a wish any other case may take
# By run and tensor, the right numbers and how far they may be off.
Right = dict[str, dict[Key, tuple[Array, Array]]]


@dataclass(frozen=True)
class Wish:
    """What is asked for: a change after which more of these cases is right, and nothing less.

    right  what is right in each case; None where it depends on what the code draws: then any change will do
    seconds  of the processor, to look for it and for others
    """

    cases: list[Case]
    right: list[Right] | None
    seconds: float


@dataclass(frozen=True)
class Change:
    """A change that was found.

    file           its name, if what ran stands in several; line: of the first statement that it concerns
    before, after  these lines, without and with the change
    place          where a line belongs that is only moved: "behind `x = 0`"
    cost           of the edit: the likely ones have small ones
    """

    number: int
    file: str
    line: int
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    place: str = ""
    cost: int = 0

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}" if self.file else f"line {self.line}"
        old, new = "; ".join(self.before), "; ".join(self.after)
        if self.place:
            return f"{where}: `{old}` belongs {self.place}"
        if not old:
            return f"{where}: `{new}` is missing"
        return f"{where}: `{old}` should not be there" if not new else f"{where}: `{old}` should be `{new}`"


class Mender:
    """Runs a class with changes made to the functions behind it. left: seconds to look for more of them."""

    def __init__(self, cls: type):
        self.cls = cls
        self.changes: list[tuple[Any, ...]] = []  # what `changed` takes
        self._found: Iterator[Change] = iter(())
        self._until = self.left = self._limit = 0.0

    def first(self, wish: Wish) -> Change | None:
        """The first change that fulfils a wish."""
        self._found = self._search(wish)
        self.left = wish.seconds
        return self.next()

    def next(self, most: float = math.inf) -> Change | None:
        """Another one, in the time that is left, and at most in that time."""
        self.left, started = min(self.left, most), time.process_time()
        self._until = started + self.left
        with alarms(), quiet():
            found = next(self._found, None)
        self.left -= time.process_time() - started
        return found

    def run(self, number: int, case: Case) -> dict[str, Run]:
        """The case with a change that was found. It may have no end where the cases of the wish had one."""
        try:
            with alarms(), changed(*self.changes[number]), quiet(), within(LONGER * self._limit):
                return run_case(self.cls, case)
        except TooLongError:
            return {"first": Run(failure=Failure(Outcome.NO_ANSWER, "no answer with a change"))}

    def _search(self, wish: Wish) -> Iterator[Change]:
        started = time.process_time()
        reached: dict[CodeType, Reached] = {}
        with traced(reached):
            before = [self._wrong(wish, number) for number in range(len(wish.cases))]
        self._limit = 0.2 + 5 * (time.process_time() - started)
        found = places(reached)
        several = len({place.file for place in found}) > 1
        if not any(tensor in ("out", "loss") for wrong in before for _, (_, tensor, *_) in wrong):
            found.reverse()  # backward first
        for cost in COSTS:
            if cost == LIKELY:
                yield from self._other_constants(reached, several, wish, before)
            for place in found:
                text = place.text()
                for edit in place.editor.edits(cost):
                    if time.process_time() > self._until:
                        return
                    with edit.made():
                        code = place.compiled()
                        if code is None or not self._tried((place.functions, code), wish, before):
                            continue
                        difference = difference_of(text, place.text())
                    line = min(statement.lineno for statement in edit.statements)
                    yield self._kept((place.functions, code), place.file, several, line, *difference, cost)

    def _other_constants(
        self, reached: "Mapping[CodeType, Reached]", several: bool, wish: Wish, before: Sequence[set[Any]]
    ) -> Iterator[Change]:
        """Classes with another number in a line such as `fill = 0` of their own."""
        for constant in constants(reached):
            for value, text in constant.others():
                if time.process_time() > self._until:
                    return
                new = ([constant.owner], value, constant.name)
                if self._tried(new, wish, before):
                    old, at = [ast.unparse(constant.statement)], constant.statement.lineno
                    yield self._kept(
                        new, constant.file, several, at, old, [f"{constant.name} = {text}"], "", LIKELY
                    )

    def _kept(self, new: tuple[Any, ...], file: str, several: bool, *told: Any) -> Change:
        self.changes.append(new)
        return Change(len(self.changes) - 1, os.path.basename(file) if several else "", *told)

    def _tried(self, new: tuple[Any, ...], wish: Wish, before: Sequence[set[Any]]) -> bool:
        """Whether the other code makes the cases better, in some multiple of the time that they took."""
        try:
            with changed(*new), within(self._limit):
                return self._is_better(wish, before)
        except TooLongError:
            return False

    def _is_better(self, wish: Wish, before: Sequence[set[Any]]) -> bool:
        """Whether the first case has less that is wrong, no other case that, and nothing else is wrong."""
        mended: set[Any] = set()
        for number, old in enumerate(before):
            now = self._wrong(wish, number)
            if wish.right is None:
                return now != old
            if not now <= old or now & mended or (not number and now == old):
                return False
            mended = mended or old - now
        return True

    def _wrong(self, wish: Wish, number: int) -> set[Any]:
        """What is wrong in a case; without the right numbers, what it gives."""
        case, found = wish.cases[number], set[Any]()
        runs = run_case(self.cls, case)
        for name in case.runs:
            run = runs.get(name, Run())
            if wish.right is None:
                found |= {(name, (*key, array.tobytes())) for key, array in run.arrays.items()}
                continue
            right = wish.right[number][name]
            found |= {(name, key) for key in run.remarks}
            found |= {(name, key) for key in right if not _is_right(run, key, *right[key])}
        return found


def _is_right(run: Run, key: Key, value: Array, off: Array) -> bool:
    given = run.arrays.get(key)
    if given is None or given.shape != value.shape or (run.failure and key[1].startswith("d")):
        return False
    with np.errstate(all="ignore"):
        return bool(np.all((np.abs(given - value) <= off) | (given == value)))


@dataclass
class Reached:
    """What ran of a function: its lines, its classes, of which sort its names and attributes of self were."""

    lines: set[int] = field(default_factory=set)
    sorts: dict[str, str] = field(default_factory=dict)
    classes: set[type] = field(default_factory=set)

    def see(self, names: Mapping[str, Any]) -> None:
        self.classes |= {type(names["self"])} if "self" in names else set()
        own = of_classes(names["self"]) | getattr(names["self"], "__dict__", {}) if "self" in names else {}
        for name, value in [*names.items(), *((f"self.{name}", value) for name, value in own.items())]:
            is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            self.sorts[name] = "number" if is_number else type(value).__name__


def of_classes(one: object) -> dict[str, Any]:
    """The numbers and texts that stand in the body of its class, or of one above."""
    found: dict[str, Any] = {}
    for base in reversed(type(one).__mro__):
        found |= {name: value for name, value in vars(base).items() if isinstance(value, int | float | str)}
    return found


@dataclass
class Place:
    """A function of the student's, its tree, and what was reached of it."""

    functions: list[FunctionType]
    file: str
    tree: ast.FunctionDef
    owner: ast.AST
    reached: "Reached"

    @cached_property
    def editor(self) -> Editor:
        return Editor(self.tree, self.owner, self.reached.lines, self.reached.sorts)

    def text(self) -> str:
        return ast.unparse(self.tree)

    def compiled(self) -> CodeType | None:
        """Its code as the tree stands now; None if that is no Python, or not of the same scope."""
        body: ast.stmt = self.tree
        if isinstance(self.owner, ast.ClassDef):
            body = ast.copy_location(ast.ClassDef(self.owner.name, [], [], [self.tree], []), self.tree)
        module = ast.Module([body], [])
        try:
            code = compile(module, self.file, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, TypeError, SystemError, RecursionError):
            return None
        for name in [body.name, self.tree.name] if body is not self.tree else [self.tree.name]:  # type: ignore[attr-defined]
            inside = [c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name]
            if not inside:
                return None
            code = inside[0]
        return code if code.co_freevars == self.functions[0].__code__.co_freevars else None


def places(reached: Mapping[CodeType, Reached]) -> list[Place]:
    """The functions that ran, in their order. Nested ones belong to theirs."""
    found: list[Place] = []
    for code, what in reached.items():
        functions = [f for f in gc.get_referrers(code) if isinstance(f, FunctionType) and f.__code__ is code]
        text = "".join(linecache.getlines(code.co_filename))
        try:
            tree, owner = _definition(ast.parse(text), code)
        except (SyntaxError, LookupError):
            continue
        if functions:
            tree.decorator_list, tree.returns = [], None
            found.append(Place(functions, code.co_filename, tree, owner, what))
    return found


def _definition(tree: ast.Module, code: CodeType) -> tuple[ast.FunctionDef, ast.AST]:
    """The definition that a code is of, and the class or module around it."""
    for owner in ast.walk(tree):
        for node in getattr(owner, "body", []) if isinstance(owner, ast.Module | ast.ClassDef) else []:
            if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                if first == code.co_firstlineno:
                    return node, owner
    raise LookupError(code.co_name)


@dataclass
class Constant:
    """A number in the body of a class."""

    owner: type
    name: str
    file: str
    statement: ast.Assign

    def others(self) -> Iterator[tuple[Any, str]]:
        """Other values, and how they are written."""
        spot = Spot(self.statement, "value")
        likely = [new for cost, new in alternatives(spot, Pool({}, {})) if cost <= LIKELY]
        infinite = ast.parse("np.inf", mode="eval").body
        texts = [
            ast.unparse(new)
            for new in (*likely, ast.Constant(0), infinite, ast.UnaryOp(ast.USub(), infinite))
        ]
        for text in dict.fromkeys(texts):
            with contextlib.suppress(Exception):
                value = eval(text, {"np": np, "numpy": np, "math": math})
                if isinstance(value, int | float | np.number):
                    yield value, text


def constants(reached: Mapping[CodeType, Reached]) -> list[Constant]:
    """The numbers in the bodies of the classes whose methods ran."""
    bases = {base for what in reached.values() for cls in what.classes for base in cls.__mro__}
    found = []
    for file in dict.fromkeys(code.co_filename for code in reached):
        with contextlib.suppress(SyntaxError):
            for node in ast.walk(ast.parse("".join(linecache.getlines(file)))):
                for owner in bases:
                    if isinstance(node, ast.ClassDef) and owner.__name__ == node.name:
                        found += [Constant(owner, name, file, line) for name, line in numbers_in(node, owner)]
    return found


def numbers_in(node: ast.ClassDef, owner: type) -> Iterator[tuple[str, ast.Assign]]:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]):
                value = vars(owner).get(name)
                if isinstance(value, int | float | np.number) and not isinstance(value, bool):
                    yield name, statement


SHOWN = 90  # letters of a line that is shown whole
AROUND = 24  # letters on either side of what differs in a longer one


def shortened(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """Of long lines only what differs, and a little around it."""
    if len(old) != len(new) or max(map(len, old + new), default=0) <= SHOWN:
        return old, new
    pairs = [_parts(a, b) for a, b in zip(old, new, strict=True)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _parts(a: str, b: str) -> tuple[str, str]:
    alike = next((i for i, (p, q) in enumerate(zip(a, b, strict=False)) if p != q), min(len(a), len(b)))
    ends = zip(a[alike:][::-1], b[alike:][::-1], strict=False)
    rest = next((i for i, (p, q) in enumerate(ends) if p != q), min(len(a), len(b)) - alike)
    start = max(0, alike - AROUND)
    while start > 0 and (a[start - 1].isalnum() or a[start - 1] in "_."):
        start -= 1
    cut = []
    for text in (a, b):
        end = min(len(text), len(text) - rest + AROUND)
        while end < len(text) and (text[end].isalnum() or text[end] == "_"):
            end += 1
        cut.append(f"{'... ' if start else ''}{text[start:end]}{' ...' if end < len(text) else ''}")
    return cut[0], cut[1]


def difference_of(before: str, after: str) -> tuple[list[str], list[str], str]:
    """The lines that differ; of a line that is moved its new place."""
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    old, new = ([line[2:].strip() for line in lines if line.startswith(mark)] for mark in "-+")
    new = [line for line in new if line != "pass"]
    if old != new or not old:
        return *shortened(old, new), ""
    was, now = (_around(text.splitlines(), lines, mark) for mark, text in (("-", before), ("+", after)))
    if was[0] != now[0]:
        deeper = len(now[0]) > len(was[0])
        return old, new, f"inside `{now[0][-1]}`" if deeper else f"outside of `{was[0][len(now[0])]}`"
    return old, new, f"behind `{now[1]}`" if now[1] else "at the beginning"


def _around(text: list[str], difference: list[str], mark: str) -> tuple[list[str], str]:
    """Of the first line with that mark: the heads of the blocks around it, and the line before it there."""
    lines = [line for line in difference if line[0] in (mark, " ")]
    at = next(i for i, line in enumerate(lines) if line[0] == mark)
    heads: list[str] = []
    before, depth = "", _depth(text[at])
    for line in reversed(text[:at]):
        if _depth(line) < depth:
            depth = _depth(line)
            heads.insert(0, line.strip())
        elif not heads and not before and _depth(line) == depth:
            before = line.strip()
    return [head for head in heads if not head.startswith(("def ", "class "))], before


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


@contextlib.contextmanager
def traced(reached: dict[CodeType, Reached]) -> Iterator[None]:
    """Write down what runs of functions that are neither ours nor of a library."""

    def on_call(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if is_of_ours(code.co_filename) or "site-packages" in code.co_filename:
            return None
        here = reached.setdefault(code, Reached())
        here.lines.add(frame.f_lineno)

        def on_line(frame: FrameType, event: str, _: Any) -> Any:
            here.lines.add(frame.f_lineno)
            if event == "return":
                here.see(frame.f_locals)
            return on_line

        return on_line

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        yield
    finally:
        sys.settrace(before)


@contextlib.contextmanager
def changed(owners: Sequence[Any], new: Any, name: str = "__code__") -> Iterator[None]:
    """Functions with other code, or a class with another value of an attribute."""
    before = [vars(owner)[name] if isinstance(owner, type) else getattr(owner, name) for owner in owners]
    try:
        for owner in owners:
            setattr(owner, name, new)
        yield
    finally:
        for owner, old in zip(owners, before, strict=True):
            setattr(owner, name, old)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What changed code prints, or Python says of it, nobody wrote."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(Nowhere()), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


class Nowhere(io.TextIOBase):
    """/dev/null, which a sandbox may lack."""

    def write(self, text: str) -> int:
        return len(text)


class TooLongError(BaseException):
    """A changed loop may have no end."""


def has_alarms() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def alarms() -> Iterator[None]:
    """An alarm raises TooLongError when it rings, where the system has alarms and this is the main thread."""

    def ring(*_: Any) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGPROF, ring) if has_alarms() else None
    try:
        yield
    finally:
        if has_alarms():
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Rings after that time of the processor, and again each time: every run may have a loop without end."""
    if has_alarms():
        signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
    try:
        yield
    finally:
        if has_alarms():
            signal.setitimer(signal.ITIMER_PROF, 0)
