"""What a student uses in a lesson: predictions, checks, hints and a score.

    places = predict("In how many places does the filter fit?", ...)     replace ... by your answer
    places.reveal(out.size)                                              the answer, once you have predicted
    check(ReLU)                                                          is it right? the cause stays sealed
    hint()                                                               first where it is wrong, then why
    score()                                                              at the end of a lesson

A class is examined by `parity.check`, a function on whole numbers, where sums are exact: equal, not close.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import parity
import tinycnn_numpy as tn
from examples.lessons import answers
from examples.lessons.answers import EXERCISES, PATIENTS, SENTENCES, Exercise
from examples.museum.exercise import exercise
from examples.museum.matrix import exhibit_of
from parity.kinds import kind_of
from parity.render import table
from parity.student.checkup import Checkup
from parity.student.render import grid, hints_of

NOT_WRITTEN = "not written yet"
PREDICTIONS: "dict[str, Prediction]" = {}  # by question
CHECKS: "dict[str, Checked]" = {}  # by the name of what was checked; the last one is the last entry


@dataclass
class Prediction:
    """A question and a student's answer to it; `right` is None until it is revealed."""

    question: str
    answer: Any
    right: bool | None = None

    def reveal(self, truth: Any, factor: float = 1.0, measured: bool = False) -> None:
        """Show the truth beside the prediction, once there is one.

        factor    numbers count as right up to this factor, 1 for equal. Raises ValueError below 1
        measured  the truth depends on the machine or the data, which is said beside another answer
        """
        if not factor >= 1:
            raise ValueError(f"reveal: factor is {factor!r}, expected a number >= 1")
        if self.answer is ...:
            print(f"{self.question}\n  predict first: replace ... above by your answer, then run both cells")
            return
        self.right = _same(self.answer, truth, factor)
        within = f" (within a factor of {factor:g})" if factor > 1 else ""
        print(f"{self.question}\n  you: {_shown(self.answer)}, it is: {_shown(truth)}", end=" ")
        verdict = "right" if self.right else f"another answer{' (measured)' if measured else ''}"
        print(f"-> {verdict}{within}")


def predict(question: str, answer: Any) -> Prediction:
    """Record an answer; the first one before the reveal counts. `...` stands for none."""
    known = PREDICTIONS.get(question)
    if known and known.right is not None:
        print(f"{question}\n  revealed already: {_shown(known.answer)} counts")
        return known
    PREDICTIONS[question] = Prediction(question, answer)
    print(f"{question}\n  {'not predicted yet' if answer is ... else f'recorded: {_shown(answer)}'}")
    return PREDICTIONS[question]


def _same(answer: Any, truth: Any, factor: float) -> bool:
    """Numbers up to a factor; texts whatever their case; sets, where one text is a set of one."""
    if isinstance(truth, set):
        given = answer if isinstance(answer, set | list | tuple) else {answer}
        return {str(item).casefold() for item in given} == {str(item).casefold() for item in truth}
    if isinstance(truth, str):
        return isinstance(answer, str) and answer.strip().casefold() == truth.casefold()
    try:
        if factor == 1 or 0 in (answer, truth):
            return bool(np.array_equal(answer, truth))
        return bool(abs(math.log(answer / truth)) <= math.log(factor) * (1 + 1e-12))
    except (TypeError, ValueError):  # a text for a number, a negative one
        return False


def _shown(value: Any) -> str:
    if isinstance(value, set):
        return ", ".join(sorted(map(str, value))) or "none"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


@dataclass
class Checked:
    """The result of one check. where, why: what `hint` tells, one after the other."""

    name: str
    verdict: str
    ok: bool
    where: str = ""
    why: str = ""
    hints: int = 0
    codes: list[str] = field(default_factory=list)  # of causes
    mine: bool = True

    def __str__(self) -> str:
        return f"{self.name}: {self.verdict}"


def check(code: Any, mine: bool = True) -> None:
    """Examine what you wrote and say whether it is right; what is wrong stays sealed: see hint().

    code  a class that extends one of the library's, or a function that a lesson asks for. Raises ValueError
          for another function.
    mine  whether it counts in the score
    """
    name = getattr(code, "__name__", type(code).__name__)
    if isinstance(code, type):
        checked = _examined(parity.check(code), name)
    elif name in EXERCISES:
        checked = _tried(code, name, EXERCISES[name])
    elif name in SENTENCES:
        checked = _judged(code, name)
    else:
        names = ", ".join([*EXERCISES, *SENTENCES])
        raise ValueError(f"check: code is {name}, expected a class or one of {names}")
    checked.mine = mine
    CHECKS.pop(name, None)
    CHECKS[name] = checked
    print(checked)


def _examined(checkup: Checkup, name: str) -> Checked:
    """A class, by parity."""
    asked = checkup.asked
    if checkup.ok:
        return Checked(name, f"right, in all {len(asked)} cases", True)
    if all(c.verdict == NOT_WRITTEN for c in asked):
        return Checked(name, NOT_WRITTEN, False)
    if broken := next((c for c in asked if c.error and c.verdict != NOT_WRITTEN), None):
        return Checked(
            name, f"not right yet: it ends with {broken.error}", False, f"in the case {broken.case!r}"
        )
    right = sum(c.ok for c in asked)
    where = "\n".join(parity_table(checkup))
    codes = [d.code for c in asked for d in c.diagnoses]
    verdict = f"not right yet: {right} of {len(asked)} cases hold; hint() says where"
    return Checked(name, verdict, False, where, "\n".join(hints_of(asked)), codes=list(dict.fromkeys(codes)))


def parity_table(checkup: Checkup) -> list[str]:
    """A line for each case, a column for each tensor: ok, WRONG, or how far beyond its bound."""
    lines = [line for owner, checks in checkup.by_owner().items() for line in table(grid(owner, checks))]
    return [
        *lines,
        "x: times what rounding may do; 2nd run, other N: wrong when called again, with other images",
    ]


def _tried(function: Callable[..., Any], name: str, exercise: Exercise) -> Checked:
    """A function, on whole numbers against the right one; a known mistake is named if it explains all."""
    cases = exercise.cases()
    try:
        given = [function(*map(_copy, case)) for case in cases]
    except NotImplementedError:
        return Checked(name, NOT_WRITTEN, False)
    except Exception as error:  # whatever a student's code raises
        return Checked(name, f"not right yet: it ends with {type(error).__name__}: {error}", False)
    right = [exercise.right(*case) for case in cases]
    wrong = [i for i, pair in enumerate(zip(given, right, strict=True)) if not _equal(*pair)]
    if not wrong:
        return Checked(name, f"right, in all {len(cases)} cases", True)
    first = wrong[0]
    where = (
        f"first in case {first + 1}, {_described(cases[first])}: {_difference(given[first], right[first])}"
    )
    causes = [text for text, mistake in exercise.mistakes.items() if _explains(mistake, cases, given)]
    why = causes[0] if causes else "none of the known mistakes gives these numbers"
    verdict = f"not right yet: {len(cases) - len(wrong)} of {len(cases)} cases hold; hint() says where"
    return Checked(name, verdict, False, where, why, codes=causes[:1])


def _judged(code: Callable[..., Any], name: str) -> Checked:
    """An answer that may be written in many ways: a sentence says what is wrong with it."""
    try:
        sentence = SENTENCES[name](code)
    except NotImplementedError:
        return Checked(name, NOT_WRITTEN, False)
    except Exception as error:  # whatever a student's code raises
        return Checked(name, f"not right yet: it ends with {type(error).__name__}: {error}", False)
    if not sentence:
        return Checked(name, "right", True)
    return Checked(name, "not right yet; hint() says more", False, "in what it returns", sentence)


def _explains(mistake: Callable[..., Any], cases: Iterable[tuple], given: Iterable[Any]) -> bool:
    try:
        return all(_equal(g, mistake(*map(_copy, case))) for case, g in zip(cases, given, strict=True))
    except Exception:  # a mistake that cannot be made in every case
        return False


def _copy(argument: Any) -> Any:
    return argument.copy() if isinstance(argument, np.ndarray) else argument


def _equal(given: Any, right: Any) -> bool:
    return np.shape(given) == np.shape(right) and bool(np.array_equal(given, right))


def _described(case: tuple) -> str:
    shapes = [str(a.shape) if isinstance(a, np.ndarray) else repr(a) for a in case]
    return f"arguments {', '.join(shapes)}"


def _difference(given: Any, right: Any) -> str:
    if given is None:
        return "it returns nothing"
    if np.shape(given) != np.shape(right):
        return f"shape {np.shape(given)}, expected {np.shape(right)}"
    wrong = np.argwhere(np.asarray(given) != np.asarray(right))
    at = tuple(int(i) for i in wrong[0])
    values = (np.asarray(array)[at].item() for array in (given, right))
    place = f"entry {list(at)}" if at else "it"
    return f"{len(wrong)} of {np.size(right)} wrong, {place} is {next(values)}, expected {next(values)}"


def hint() -> None:
    """Of the last check that failed: the first time where it is wrong, then why, then where to read on."""
    failed = [c for c in CHECKS.values() if not c.ok and c.verdict != NOT_WRITTEN]
    if not failed:
        print("nothing to hint at: no check has failed")
        return
    last = failed[-1]
    last.hints += 1
    if last.hints == 1:
        print(f"{last.name}, where:\n{last.where or 'see the message above'}\nhint() once more says why.")
    else:
        print(f"{last.name}, why:\n{last.why or 'see the message above'}")
        known = [code for code in last.codes if " " not in code and code != "no-known-cause"]
        if last.hints > 2 and known:
            print(f"A page about it, with the right line: python -m parity explain {known[0]}")


def patient(letter: str) -> type:
    """A class of the museum with one bug: printed and returned, to be checked with mine=False."""
    bug = exhibit_of(PATIENTS[letter])
    text = exercise(bug)
    print(text[text.index("\nclass ") + 1 :])
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, f"<patient {letter}>", "exec"), namespace)
    found: type = namespace[bug.replaces]
    found.__name__ = f"Patient{letter}"
    return found


def usable(code: Any) -> Any:
    """What you wrote if its check was right; otherwise the right one, and a line that says so."""
    name = code.__name__
    if name in CHECKS and CHECKS[name].ok:
        return code
    print(f"{name} is not right yet: from here on the lesson uses its own")
    if isinstance(code, type):
        return getattr(tn, kind_of(code).name)
    return EXERCISES[name].right if name in EXERCISES else getattr(answers, name)


def score() -> None:
    """What was predicted and what was written, so far."""
    revealed = [p for p in PREDICTIONS.values() if p.right is not None]
    print(f"predictions: {sum(bool(p.right) for p in revealed)} of {len(PREDICTIONS)} right", end="")
    print(f", {len(PREDICTIONS) - len(revealed)} open")
    mine = [checked for checked in CHECKS.values() if checked.mine]
    print(f"your code:   {sum(c.ok for c in mine)} of {len(mine)} right")
    for checked in mine:
        if not checked.ok:
            print(f"  still open: {checked.name}")
