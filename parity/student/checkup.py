"""The result of an examination: a Check for each case of a class, all of them a Checkup. Data alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity.record import Failure, Outcome
from parity.report import MATCH, MISMATCH, Diagnosis, Row
from parity.student import render


@dataclass
class Check:
    """One case of one class: a row for every tensor of every run."""

    owner: str
    case: str
    rows: list[Row] = field(default_factory=list)
    failure: Failure | None = None
    diagnoses: list[Diagnosis] = field(default_factory=list)
    max_score: float = 1.0  # points: fixed before the code runs

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
        if self.failure is None:
            return MATCH if self.ok else MISMATCH
        return {Outcome.NOT_OFFERED: "skipped", Outcome.NOT_WRITTEN: "not written yet"}.get(
            self.failure.outcome, "error"
        )

    @property
    def score(self) -> float:
        """The share of right tensors, in points; nothing for a run that ended early or was skipped."""
        right = sum(row.ok for row in self.rows) / len(self.rows) if self.rows and not self.failure else 0.0
        return round(self.max_score * right, 4)

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
class Checkup:
    """All checks of a file or a class. str(checkup) is the table for people; Jupyter shows it as HTML."""

    title: str
    seed: int
    checks: list[Check] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

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

    def summary(self) -> str:
        if not self.asked:
            return "nothing was checked"
        right = sum(check.ok for check in self.asked)
        verdict = "ALL RIGHT" if self.ok else "NOT RIGHT YET"
        points = f"{self.score:g} of {self.max_score:g} points"
        return f"{verdict}: {right} of {len(self.asked)} checks hold, {points}"

    def __str__(self) -> str:
        return render.text(self)

    def _repr_html_(self) -> str:
        return render.as_html(self)

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "seed": self.seed,
            "ok": self.ok,
            "remarks": self.remarks,
            "score": self.score,
            "max_score": self.max_score,
            "checks": [check.to_dict() for check in self.checks],
        }

    def to_gradescope(self) -> dict[str, Any]:
        return render.gradescope(self)


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
