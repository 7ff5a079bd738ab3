"""The result of an examination: a Check for each case of a class, all of them a Checkup. Data alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from parity.record import Failure, Fault, Outcome
from parity.render import picture_of
from parity.report import MATCH, MISMATCH, NO_KNOWN_CAUSE, Diagnosis, Row
from parity.student import gradescope, render

Hints = Literal["none", "where", "why"]
State = Literal["right", "wrong", "error", "not written", "not examined", "skipped"]


@dataclass
class Check:
    """One case of one class: a row for every tensor of every run.

    kind      what the class is in the library, "Dense" say; "" if it was not examined: it is missing, or the
              file cannot be loaded or is not judged
    earned    the score, where rows that it comes from are withheld: see Checkup.with_hints
    withheld  what is wrong is withheld as well
    """

    owner: str
    case: str
    rows: list[Row] = field(default_factory=list)
    failure: Failure | None = None
    diagnoses: list[Diagnosis] = field(default_factory=list)
    max_score: float = 1.0  # points: fixed before the code runs
    kind: str = ""
    earned: float | None = None
    withheld: bool = False

    @property
    def skipped(self) -> bool:
        """The class does not take a setting of the case."""
        return self.failure is not None and self.failure.outcome is Outcome.NOT_OFFERED

    @property
    def error(self) -> str:
        return str(self.failure) if self.failure and not self.skipped else ""

    @property
    def ok(self) -> bool:
        return not self.error and all(row.ok for row in self.rows)

    @property
    def verdict(self) -> str:
        if self.failure is None or self.withheld:
            return MATCH if self.ok else MISMATCH
        return {Outcome.NOT_OFFERED: "skipped", Outcome.NOT_WRITTEN: "not written yet"}.get(
            self.failure.outcome, "error"
        )

    @property
    def score(self) -> float:
        """The share of right tensors, in points; nothing for a run that ended early or was skipped."""
        if self.earned is not None:
            return self.earned
        right = sum(row.ok for row in self.rows) / len(self.rows) if self.rows and not self.failure else 0.0
        return self.max_score if right == 1 else round(self.max_score * right, 4)

    @property
    def sentence(self) -> str:
        """The hint: an exception and what the doctor said."""
        said = [f"{d.tensor}: {d.sentence}" for d in self.diagnoses]
        return " ".join([str(self.failure), *said] if self.failure else said)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": f"{self.owner}: {self.case}",
            "verdict": self.verdict,
            "score": self.score,
            "max_score": self.max_score,
            "diagnosis": self.diagnoses[0].code if self.diagnoses else None,
            "sentence": self.sentence,
            "tensors": [row.to_dict() for row in self.rows],
        }


@dataclass
class Mistake:
    """What is wrong with a class, said once: which tensors, in which cases.

    code, sentence  the doctor's; "" where it says nothing, or the exception and its text
    ended   how a run ended that has no answer, in a word: the exception's class
    where   of an exception, the last line of the student's own file
    ratio   the largest error / bound; at: its entry, such as "dx[0,1,2]"
    runs    those that are wrong, "" for the first
    """

    code: str = ""
    sentence: str = ""
    ended: str = ""
    where: str = ""
    tensors: list[str] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    ratio: float = 0.0
    at: str = ""
    shape: str = ""  # what is said of a wrong shape

    @property
    def rank(self) -> int:
        """A wrong shape is said first, for nothing else can be judged then; an exception last."""
        return 2 if not self.tensors else 0 if self.shape else 1

    def see(self, tensor: str, case: str, row: Row) -> None:
        """Add a wrong tensor of a case."""
        for seen, new in ((self.tensors, tensor), (self.cases, case), (self.runs, row.run)):
            if new not in seen:
                seen.append(new)
        if row.ratio > self.ratio:
            self.ratio, self.at = row.ratio, f"{tensor}{[*row.at]}".replace(" ", "") if row.at else ""
        if row.fault is Fault.WRONG_SHAPE and not self.shape:
            self.shape = row.note


@dataclass
class Examined:
    """All checks of one class, and what they come to."""

    owner: str
    checks: list[Check]

    @property
    def asked(self) -> list[Check]:
        return [check for check in self.checks if not check.skipped]

    @property
    def kind(self) -> str:
        return self.checks[0].kind

    @property
    def right(self) -> int:
        return sum(check.ok for check in self.asked)

    @property
    def score(self) -> float:
        return round(sum(check.score for check in self.checks), 2)

    @property
    def max_score(self) -> float:
        return round(sum(check.max_score for check in self.checks), 2)

    @property
    def withheld(self) -> bool:
        return any(check.withheld for check in self.checks)

    @property
    def state(self) -> State:
        if not self.asked:
            return "skipped"
        if self.right == len(self.asked):
            return "right"
        if not self.kind:
            return "not examined"
        mistakes = self.mistakes
        if not mistakes and any(check.verdict == "not written yet" for check in self.checks):
            return "not written"
        return "error" if mistakes and mistakes[0].rank == 2 else "wrong"

    @property
    def mistakes(self) -> list[Mistake]:
        """Each once: wrong shapes, then wrong numbers, then exceptions. None if they are withheld."""
        found: dict[Any, Mistake] = {}
        for check in [] if self.withheld else self.asked:
            for row in wrong_rows(check):
                tensor = render.place_of(check, row.stage, row.tensor)
                for d in said_of(check, row) or [Diagnosis(row.stage, row.tensor, "", row.note)]:
                    key = (d.code, d.sentence) if d.code else (tensor, row.fault)
                    known = found.setdefault(key, Mistake(d.code, d.sentence))
                    known.see(tensor, check.case, row)
            if (failure := check.failure) and failure.outcome in (Outcome.RAISED, Outcome.NO_ANSWER):
                what = str(replace(failure, where=""))
                ended = failure.exception or "no answer"
                known = found.setdefault(("", what), Mistake("", what, ended, failure.where))
                known.cases.append(check.case)
        return sorted(found.values(), key=lambda mistake: mistake.rank)


def wrong_rows(check: Check) -> list[Row]:
    """Those that are wrong by themselves, not by what came in or because an exception came before."""
    rows = [row for row in check.rows if not row.ok and row.fault not in (Fault.NOT_REACHED, Fault.ENDED)]
    return [row for row in rows if row.verdict == MISMATCH] or rows


def said_of(check: Check, row: Row) -> list[Diagnosis]:
    """What the doctor says of a row; of arrays that are too wide it says it once a stage.

    Where it knows no cause, the remark on the row says more.
    """
    here = [d for d in check.diagnoses if d.stage == row.stage]
    own = [d for d in here if d.tensor == row.tensor and not (row.remark and d.code == NO_KNOWN_CAUSE)]
    return own or [d for d in here if d.code == "widened" and row.fault is Fault.WRONG_DTYPE]


@dataclass
class Checkup:
    """All checks of a file or a class. str(checkup) is the page for people; Jupyter shows it as HTML.

    remarks  on how the file was loaded and what is taken for what; printed: what its code printed
    seconds  that the examination took
    """

    title: str
    seed: int
    checks: list[Check] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    printed: str = ""
    seconds: float = 0.0

    @property
    def asked(self) -> list[Check]:
        return [check for check in self.checks if not check.skipped]

    @property
    def ok(self) -> bool:
        """Whether everything that is defined is right, and something is."""
        return bool(self.asked) and all(check.ok for check in self.asked)

    @property
    def score(self) -> float:
        return round(sum(check.score for check in self.checks), 2)

    @property
    def max_score(self) -> float:
        return round(sum(check.max_score for check in self.checks), 2)

    def by_owner(self) -> dict[str, list[Check]]:
        owners: dict[str, list[Check]] = {}
        for check in self.checks:
            owners.setdefault(check.owner, []).append(check)
        return owners

    @property
    def classes(self) -> list[Examined]:
        return [Examined(owner, checks) for owner, checks in self.by_owner().items()]

    def with_hints(self, hints: Hints) -> "Checkup":
        """The same without what is withheld from whoever reads it. The verdicts and the points stay.

        "why"    all of it
        "where"  which tensors are wrong, in which cases, at which entry, and exceptions; no cause, no numbers
        "none"   which classes are right
        """
        if hints == "why":
            return self
        checks = self.checks if hints == "where" else list(_classes_alone(self.classes))
        return replace(self, checks=[_without_cause(check) for check in checks], printed="")

    def summary(self) -> str:
        return render.summary(self)

    def table(self) -> str:
        """Every case of every class, tensor by tensor."""
        return render.text(self)

    def __str__(self) -> str:
        return render.page(self)

    def _repr_html_(self) -> str:
        return render.as_html(self)

    def _repr_png_(self) -> bytes | None:
        return picture_of(self)

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "seed": self.seed,
            "ok": self.ok,
            "remarks": [*self.remarks, *render.printed_lines(self.printed)],
            "score": self.score,
            "max_score": self.max_score,
            "checks": [check.to_dict() for check in self.checks],
        }

    def to_gradescope(self, visibility: str = "visible", stdout_visibility: str = "hidden") -> dict[str, Any]:
        return gradescope.results(self, visibility, stdout_visibility)


def _without_cause(check: Check) -> Check:
    rows = [
        replace(
            row,
            remark=row.remark if row.fault is Fault.WRONG_SHAPE else None,
            witness="",
            given=None,
            expected=None,
        )
        for row in check.rows
        if row.fault not in (Fault.NOT_REACHED, Fault.ENDED)  # the exception is said already
    ]
    return replace(check, rows=rows, diagnoses=[], earned=check.score)


def _classes_alone(classes: Sequence[Examined]) -> Iterator[Check]:
    """One check for each class, without its rows; what the file itself lacks stays as it is."""
    for one in classes:
        state = one.state
        if state == "not examined":
            yield from one.checks
            continue
        failure = None if state == "right" else Failure(Outcome.RAISED, "wrong")
        if state in ("not written", "skipped"):
            failure = next(check.failure for check in one.checks if check.failure)
        yield Check(
            one.owner,
            "all its cases",
            failure=failure,
            max_score=one.max_score,
            kind=one.kind,
            earned=one.score,
            withheld=state in ("right", "wrong", "error"),
        )


POINTS = 10.0  # of a class, if nobody says otherwise


def give_points(classes: Sequence[tuple[str, list[Check]]], points: Mapping[str, float]) -> None:
    """Share out the points of each kind over the cases of its class, the best one if there are more.

    classes  (kind, its checks); points: by kind, POINTS where it says nothing
    """
    best: dict[str, list[Check]] = {}
    for kind, checks in classes:
        for check in checks:
            check.max_score = points.get(kind, POINTS) / len(checks)
        if kind not in best or sum(c.score for c in checks) > sum(c.score for c in best[kind]):
            best[kind] = checks
    for kind, checks in classes:
        if checks is not best[kind]:
            for check in checks:
                check.max_score = 0.0
