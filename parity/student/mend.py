"""Name the line that is wrong: the one change of it with which every case of the class is right.

Of nothing less is it said. A change is found where it makes a few small cases right (repair.py, in the
student's process), and then every case is judged with it, as it was judged without.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from parity.comparison import ENDED
from parity.record import Key, Run
from parity.report import Row
from parity.student.cases import Case
from parity.student.edits import LIKELY, RARE
from parity.student.repair import Change, Right, Wish

SECONDS = 6.0  # of the processor, to look for changes in one class
TRIES = 12  # changes on which all cases are judged
MORE = 1.0  # seconds to look for others, when one is found
FEW = 3  # cases that a change is tried on; changes that are told
ONE_LINE = "one-line"  # the code of what is said


class Mends(Protocol):
    """repair.Mender, or one in another process."""

    def first(self, wish: Wish) -> Change | None: ...
    def next(self, most: float = ...) -> Change | None: ...
    def run(self, number: int, case: Case) -> dict[str, Run]: ...


Judged = Callable[[Case, Mapping[str, Run]], list[Row]]
Shrink = Callable[[Case, Mapping[str, Run]], tuple[Case, Mapping[str, Run]] | None]
RightFor = Callable[[Case, Mapping[str, Run]], Right]


def wrong_in(rows: Sequence[Row]) -> set[tuple[str, Key]]:
    """By run, the tensors that are wrong."""
    return {(row.run, (row.stage, row.tensor)) for row in rows if not row.ok}


def mended(
    answers: Sequence[tuple[Case, Mapping[str, Run]]],
    rows: Mapping[str, Sequence[Row]],
    mender: Mends,
    judge: Judged,
    right: RightFor,
    shrink: Shrink | None = None,
) -> Iterator[tuple[list[Change], set[Key]]]:
    """Changes, any of which makes these tensors right in every case: all that are wrong, if one does.

    answers  all cases that were run and what came of them; rows: the verdicts, by case
    shrink   makes of a case that fails a small one, on which most changes are tried
    """
    wrong = {case.name: wrong_in(rows.get(case.name, ())) for case, _ in answers}
    failing = sorted((one for one in answers if wrong[one[0].name]), key=lambda one: size_of(one[0]))
    left = {key for found in wrong.values() for _, key in found}
    if not left or not SECONDS:
        return
    chosen: list[tuple[Case, Mapping[str, Run]]] = []
    for case, runs in failing:  # the smallest ones, such that each wrong tensor is wrong in one
        seen = {key for one, _ in chosen for _, key in wrong[one.name]}
        if {key for _, key in wrong[case.name]} - seen and not case.built:
            chosen.append((case, runs))
    chosen += [
        one for one in failing[:: max(1, len(failing) // FEW)] if one not in chosen and not one[0].built
    ]
    if not chosen:
        return
    smallest = shrink(*chosen[0]) if shrink else None
    if smallest:
        wrong[smallest[0].name] = wrong_in(judge(*smallest))
        chosen.insert(0, smallest)
    cases = [shortened(case, wrong[case.name]) for case, _ in chosen]
    drawn = cases[0].kind == "Dropout"
    wish = Wish(
        cases,
        None if drawn else [right(case, runs) for case, (_, runs) in zip(cases, chosen, strict=True)],
        SECONDS,
    )
    before = {case.name: runs for case, runs in answers}
    order = [case for case, _ in failing] + [case for case, _ in answers if not wrong[case.name]]
    found: list[tuple[list[Change], set[Key]]] = []
    whole: list[Change] = []  # each makes all of it right; they stand in other lines
    ended = any(tensor == ENDED for _, tensor in left)  # what comes behind an exception hides
    change, tries = mender.first(wish), 0
    while change and len(whole) < FEW and tries < (TRIES if wish.right else 20 * TRIES):
        tries += 1
        still: set[Key] = set()
        moved: set[Key] = set()  # is wrong with the change as well, in another way
        for case in order:
            after = mender.run(change.number, case)
            now = wrong_in(judge(case, after))
            still |= {key for _, key in now}
            moved |= {key for run, key in now if not is_same(before[case.name], after, run, key)}
            if now - wrong[case.name] or left <= still:
                break
        else:
            if not still:
                if is_another(change, whole):
                    whole.append(change)
            elif not ended and is_worth_saying(change, left - still, moved):
                for changes, tensors in found:
                    if left - still <= tensors:
                        if left - still == tensors and is_another(change, changes) and len(changes) < FEW:
                            changes.append(change)
                        break
                else:
                    found.append(([change], left - still))
        change = mender.next(*([MORE] if whole else []))
    yield from [(whole, left)] if whole else found


def is_another(change: Change, told: Sequence[Change]) -> bool:
    """Whether it stands in a line of its own, and is likely, or no less so than the others."""
    return all(change.line != other.line and change.cost <= max(other.cost, LIKELY) for other in told)


def is_worth_saying(change: Change, mended: set[Key], moved: set[Key]) -> bool:
    """Of a change that leaves something wrong. It may have come near by chance, or undo a mistake elsewhere.

    So a rare one is not told, nor one of the shares of dropout alone. And what mends gradients alone leaves
    the forward pass as it was.
    """
    names = {tensor for _, tensor in mended}
    forward = {key for key in moved if not key[1].startswith("d")}
    return (
        change.cost < RARE
        and not all(name.startswith("kept") for name in names)
        and not (forward and all(name.startswith("d") for name in names))
    )


def is_same(before: Mapping[str, Run], after: Mapping[str, Run], run: str, key: Key) -> bool:
    one, other = (runs.get(run or "first", Run()).arrays.get(key) for runs in (before, after))
    return one is None or other is None or np.array_equal(one, other, equal_nan=True)


def shortened(case: Case, wrong: set[tuple[str, Key]]) -> Case:
    """Without the runs behind the first wrong one."""
    names = list(case.runs)
    first = min((names.index(run or "first") for run, _ in wrong if (run or "first") in names), default=0)
    return replace(case, runs={name: case.runs[name] for name in names[: first + 1]})


def size_of(case: Case) -> int:
    arrays: list[Any] = [*case.first.values(), *case.weights.values()]
    return sum(np.size(array) for array in arrays) + 1000 * case.built


def sentence_of(changes: Sequence[Change], tensors: Sequence[str], everything: bool) -> str:
    """Numbers cannot tell in which line of a product a factor is due, or where an exchange began."""
    are = "are" if len(tensors) > 1 else "is"
    what = "every case is" if everything else f"{' and '.join(tensors)} {are}"
    others = "".join(f"; or with another, {change}" for change in changes[1:])
    doubts = ((FACTOR, is_of_a_factor), (EXCHANGE, is_exchange), (ORDER, is_of_an_order))
    elsewhere = "" if others else next((words for words, fits in doubts if fits(changes[0])), "")
    return f"{changes[0]}. With that change alone {what} right{others}{elsewhere}."


FACTOR = "; the factor or sign may also be due in another line of the same product"
EXCHANGE = "; or the two are exchanged where they are used"
ORDER = "; the axes may also be out of order where the array is made or used"


def is_of_a_factor(change: Change) -> bool:
    """Whether one line is changed, and in it but a number, a count, a sign, or a mean for a sum."""
    if not is_of_one_line(change):
        return False
    try:
        old, new = (WithoutFactors().visit(ast.parse(line)) for (line,) in (change.before, change.after))
    except SyntaxError:  # the head of a loop
        return False
    return ast.dump(old) == ast.dump(new)


def is_exchange(change: Change) -> bool:
    """Whether one assignment to several names has the same words in another order."""
    if not is_of_one_line(change):
        return False
    old, new = (re.findall(r"\w+", line) for (line,) in (change.before, change.after))
    several = "," in change.before[0].partition(" = ")[0]
    return several and old != new and sorted(old) == sorted(new)


def is_of_an_order(change: Change) -> bool:
    """Whether one line is changed, and in it but a transposition."""
    if not is_of_one_line(change):
        return False
    old, new = (
        re.sub(r"\.T\b|\.transpose\([\d, ]*\)", "", line) for (line,) in (change.before, change.after)
    )
    return old == new


def is_of_one_line(change: Change) -> bool:
    return len(change.before) == len(change.after) == 1 and not change.place


class WithoutFactors(ast.NodeTransformer):
    """A product without its numbers and counts, a sum for a mean, a sum of terms without their signs."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Mult | ast.Div) and COUNT.fullmatch(ast.unparse(node.right)):
            return node.left
        if isinstance(node.op, ast.Mult) and COUNT.fullmatch(ast.unparse(node.left)):
            return node.right
        if isinstance(node.op, ast.Add | ast.Sub):
            node.op = ast.Add()
            node.left, node.right = sorted((node.left, node.right), key=ast.dump)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return node.operand if isinstance(node.op, ast.USub) else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        node.attr = "sum" if node.attr == "mean" else node.attr
        return node


COUNT = re.compile(r"[0-9.]+|[NMBCFmn]|[KO][HW]|len\(.*\)|.*\.size|.*\.shape\[\d\]|\w*(count|size)")
