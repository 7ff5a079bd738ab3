"""A statement of the chapter, and the function that computes what is true of it.

    @claim("31.2", "MNISTCNN has 12,810 parameters", by="examples.shapes --model MNISTCNN")
    def parameters(lab):
        return exactly(12_810, size_of(tt.MNISTCNN()))

No verdict is typed in: each is the outcome of a comparison in such a function.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).parents[2]
CONFIRMED, CONDITIONS, WRONG = "confirmed", "confirmed with conditions", "wrong as printed"
ANSWERED, NOT_SHOWN, NOT_CHECKED = "a question, answered", "not shown", "not checked here"


@dataclass(frozen=True)
class Finding:
    """What came out: one of the six verdicts, and the numbers that it rests on."""

    verdict: str
    computed: str


@dataclass(frozen=True)
class Claim:
    """check(lab) -> Finding, for what the chapter says in `section`; `by` is the program that shows more."""

    section: str
    says: str
    by: str
    name: str
    comparisons: int  # of two networks, each by an interval, on which the verdict rests
    check: Callable[[Any], Finding]

    @property
    def command(self) -> str:
        return f"python -m examples.audit --only {self.name}"

    @property
    def source(self) -> str:
        """Where the check stands: file and line."""
        path = Path(inspect.getsourcefile(self.check) or "").relative_to(HOUSE).as_posix()
        return f"{path}:{inspect.getsourcelines(self.check)[1]}"


CLAIMS: list[Claim] = []


def claim(section: str, says: str, by: str = "", name: str = "", comparisons: int = 0):
    """Put a check on the list; it is called by the function's name, or by `name` where one serves several."""

    def enter(check: Callable[[Any], Finding]):
        CLAIMS.append(Claim(section, says, by, name or check.__name__, comparisons, check))
        return check

    return enter


class NotHereError(Exception):
    """What a check needs cannot be had on this machine; the message says what."""


def confirmed(computed: str) -> Finding:
    return Finding(CONFIRMED, computed)


def only_if(computed: str) -> Finding:
    """It holds, under a condition that the chapter does not name and `computed` does."""
    return Finding(CONDITIONS, computed)


def wrong(computed: str) -> Finding:
    return Finding(WRONG, computed)


def answered(computed: str) -> Finding:
    """The chapter asks and states nothing: here is the answer."""
    return Finding(ANSWERED, computed)


def open_(computed: str) -> Finding:
    """These numbers leave it open."""
    return Finding(NOT_SHOWN, computed)


def holds(true: bool, computed: str) -> Finding:
    return confirmed(computed) if true else wrong(computed)


def exactly(printed: Any, found: Any, unit: str = "") -> Finding:
    """Confirmed if the two are equal."""
    text = f"{found:,}" if isinstance(found, int) else str(found)
    return holds(printed == found, f"{text} {unit}".rstrip())


def rounded(printed: float, found: float, digits: int, unit: str = "") -> Finding:
    """Confirmed if `found` rounds to `printed`, a condition if it does once its last digits are cut."""
    text = f"{found:,.{digits + 2}f} {unit}".rstrip()
    if round(found, digits) == printed:
        return confirmed(text)
    cut = int(found * 10**digits) / 10**digits
    return only_if(f"{text}, cut instead of rounded") if cut == printed else wrong(text)


def judge(check: Claim, lab: Any) -> Finding:
    """The check's finding, or why it could not be made here."""
    try:
        return check.check(lab)
    except NotHereError as reason:
        return Finding(NOT_CHECKED, str(reason))
