"""Examine classes that a student wrote: every case is judged against PyTorch, and wrong ones diagnosed.

parity.check(MyReLU)                                   a class, by its own name or that of an ancestor
parity.check(MyLayer, reference="Conv2D")              a class of any name
parity.check(my_layer, reference=nn.Conv2d(2, 3, 3))   an object, against a module; its weights are copied
"""

import dataclasses
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from textwrap import fill
from typing import Any

import numpy as np
import torch
from torch import nn

import tinycnn_torch
from parity.comparison import (
    NOT_REACHED,
    compare,
    diagnose_row,
    evidence_of,
    exact_each,
    exact_inputs,
    exact_loss,
    is_to_diagnose,
    loss_evidence,
    optimizer_evidence,
    rows_of,
)
from parity.doctor.evidence import Evidence
from parity.exact import ExactRun, exact_run
from parity.exact_optimizer import exact_steps, stacked
from parity.record import Run, set_weights
from parity.report import MATCH, MISMATCH, NO_KNOWN_CAUSE, Diagnosis, Report, Row, number, table
from parity.student.cases import KINDS, LAYERS, LOSSES, MODELS, Case, cases_of
from parity.student.run_case import run_case
from parity.twins import MODULE_OF_KIND, kind_of, stages_of
from parity.weights import load_numpy_state


@dataclass
class Check:
    """One case of one class: a row for every tensor of every run ("dx, second run")."""

    owner: str
    case: str
    rows: list[Row] = field(default_factory=list)
    error: str = ""
    skipped: str = ""
    diagnoses: list[Diagnosis] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.error and all(row.ok for row in self.rows)

    @property
    def verdict(self) -> str:
        if self.skipped:
            return "skipped"
        if self.error:
            return "not written yet" if self.error == "not written yet" else "error"
        return MATCH if self.ok else MISMATCH

    @property
    def max_score(self) -> int:
        return max(1, len(self.rows))

    @property
    def score(self) -> int:
        return sum(row.ok for row in self.rows) if not self.error else 0

    @property
    def sentence(self) -> str:
        """The hint: an exception, what the doctor said, or which tensors differ."""
        if self.error or self.skipped:
            return self.error or self.skipped
        return " ".join(f"{d.tensor}: {d.sentence}" for d in self.diagnoses)

    def to_dict(self) -> dict:
        return {
            "name": f"{self.owner}: {self.case}",
            "verdict": self.verdict,
            "score": 0 if self.skipped else self.score,
            "max_score": 0 if self.skipped else self.max_score,
            "diagnosis": self.diagnoses[0].code if self.diagnoses else None,
            "sentence": self.sentence,
            "tensors": Report("", self.rows).to_dict()["rows"],
        }


@dataclass
class Checkup:
    """All checks of a file or a class. str(checkup) is the table for people; Jupyter shows it as HTML."""

    title: str
    seed: int
    checks: list[Check] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything that is defined is right, and something is."""
        asked = [check for check in self.checks if not check.skipped]
        return bool(asked) and all(check.ok for check in asked)

    def by_owner(self) -> dict[str, list[Check]]:
        owners: dict[str, list[Check]] = {}
        for check in self.checks:
            owners.setdefault(check.owner, []).append(check)
        return owners

    def __str__(self) -> str:
        parts = [f"{self.title}, seed {self.seed}", *self.remarks]
        for owner, checks in self.by_owner().items():
            hints = [
                fill(hint, 110, initial_indent="  -> ", subsequent_indent="     ", break_on_hyphens=False)
                for hint in _hints(checks)
            ]
            parts += ["", *table(_grid(owner, checks)), *hints]
        return "\n".join([*parts, "", self.summary()])

    def summary(self) -> str:
        asked = [check for check in self.checks if not check.skipped]
        if not asked:
            return "nothing was checked"
        right = sum(check.ok for check in asked)
        score, total = sum(c.score for c in asked), sum(c.max_score for c in asked)
        verdict = "ALL RIGHT" if self.ok else "NOT RIGHT YET"
        return f"{verdict}: {right} of {len(asked)} checks hold, {score} of {total} points"

    def to_dict(self) -> dict:
        return {
            "title": self.title,
            "seed": self.seed,
            "ok": self.ok,
            "remarks": self.remarks,
            "score": sum(c.score for c in self.checks if not c.skipped),
            "max_score": sum(c.max_score for c in self.checks if not c.skipped),
            "checks": [check.to_dict() for check in self.checks],
        }

    def to_gradescope(self) -> dict:
        """What Gradescope reads from results.json: one test a check, its hint as the output; not the seed."""
        tests = []
        for check in self.checks:
            if not check.skipped:
                tests.append(
                    {
                        "name": f"{check.owner}: {check.case}",
                        "score": check.score,
                        "max_score": check.max_score,
                        "status": "passed" if check.ok else "failed",
                        "output": check.sentence or check.verdict,
                    }
                )
        return {"output": "\n".join([self.title, *self.remarks, self.summary()]), "tests": tests}

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{html.escape(self.title)}, seed {self.seed}</b></p>"]
        for owner, checks in self.by_owner().items():
            head, *lines = _grid(owner, checks)
            rows = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
            rows += ["".join(map(_html_cell, line)) for line in lines]
            hints = "".join(f"<li>{html.escape(hint)}</li>" for hint in _hints(checks))
            parts.append(f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table><ul>{hints}</ul>")
        return "\n".join([*parts, f"<p>{html.escape(self.summary())}</p>"])


def _html_cell(text: str) -> str:
    if text.startswith("  "):  # the name of a case
        return f"<td style='text-align:left'>{html.escape(text.strip())}</td>"
    style = "" if text in ("", "ok") else " style='background:#fde2e2'"
    return f"<td{style}>{html.escape(text)}</td>"


def _grid(owner: str, checks: list[Check]) -> list[list[str]]:
    """The table of a class: a head, then a line for each case with a cell for each tensor."""
    cells = [_cells(check) for check in checks]
    columns = list(dict.fromkeys(name for line in cells for name in line)) or ["verdict"]
    lines = []
    for check, line in zip(checks, cells, strict=True):
        values = (
            [line.get(name, "") for name in columns] if line else [check.verdict] + [""] * (len(columns) - 1)
        )
        lines.append([f"  {check.case}", *values])
    return [[owner, *columns], *lines]


def _cells(check: Check) -> dict[str, str]:
    """For each tensor "ok", or how far off it is in units of its bound; nothing if the check was not run."""
    cells: dict[str, str] = {}
    if check.skipped or check.error:
        return cells
    for row in check.rows:
        tensor, _, again = row.tensor.partition(", ")
        column = row.stage if is_of_a_model(check) else name_of(row.stage, tensor)
        off = "WRONG" if not np.isfinite(row.ratio) else f"{number(row.ratio)} x"
        off = row.note.split()[0] if row.note.startswith(("dtype", "shape")) else off
        off = row.verdict if row.verdict != MISMATCH else AGAIN.get(again, off)
        if cells.get(column, "ok") == "ok":
            cells[column] = "ok" if row.ok else off
    return cells


def name_of(stage: str, tensor: str) -> str:
    return f"parameter {tensor}" if stage == "steps" else tensor


def is_of_a_model(check: Check) -> bool:
    return len({row.stage for row in check.rows}) > 1


def _hints(checks: list[Check]) -> list[str]:
    """Every diagnosis and every error once, with the first case that shows it."""
    hints: dict[str, str] = {}
    for check in checks:
        if check.error:
            hints.setdefault(check.error, f"{check.case}: {check.error}")
        if check.skipped:
            hints.setdefault(check.skipped, f"{check.case}: skipped, the class {check.skipped}")
        told = {}  # what is wrong beyond the numbers says more than that no cause is known
        for row in check.rows:
            tensor, _, second = row.tensor.partition(", ")
            by_others = row.note in ("", NOT_REACHED, check.error) or row.note.startswith(
                ("was modified", "was changed", "was never")
            )
            if row.verdict == MISMATCH and not by_others and not second:
                told[row.stage, tensor] = row.note
        for d in check.diagnoses:
            place = f"{d.stage} {d.tensor}" if is_of_a_model(check) else name_of(d.stage, d.tensor)
            note = told.pop((d.stage, d.tensor), "")
            if note and d.code == NO_KNOWN_CAUSE:
                hints.setdefault(f"{place} {note[:8]}", f"{place}: {note} ({check.case})")
            else:
                hints.setdefault(f"{place} {d.code}", f"{place} [{d.code}]: {d.sentence}")
    return list(hints.values())


def examine(owner: str, kind: str, answers: Iterable[tuple[Case, Mapping[str, Run]]]) -> list[Check]:
    """Judge the runs of all cases of one class, then put what is wrong before the doctor, all at once."""
    checks: list[Check] = []
    by_stage: dict[str, list[Evidence]] = {}
    for case, runs in answers:
        check = Check(owner, case.name)
        checks.append(check)
        first = next(iter(runs.values()))
        check.skipped = first.skipped
        check.error = next((run.error for run in runs.values() if run.error), "")
        if check.skipped or (check.error and not first.arrays):
            continue
        judged = _judge_model if kind in MODELS else _judge
        check.rows, found = judged(case, runs)
        for stage, seen in found.items():
            by_stage.setdefault(stage, []).extend(seen)
    # the doctor sees all cases at once, and is asked once a tensor
    known: dict[tuple[str, str, str], Diagnosis] = {}
    for check in checks:
        for row in (dataclasses.replace(r, tensor=r.tensor.partition(", ")[0]) for r in check.rows):
            if not is_to_diagnose(row):
                continue
            key = row.stage, row.tensor, row.note
            if key not in known:
                known[key] = diagnose_row(row, by_stage.get(row.stage, []))
            if known[key] not in check.diagnoses:
                check.diagnoses.append(known[key])
    return checks


AGAIN = {"second run": "2nd run", "third run": "other N"}
Judged = tuple[list[Row], dict[str, list[Evidence]]]


def _judge(case: Case, runs: Mapping[str, Run]) -> Judged:
    rows: list[Row] = []
    seen: list[Evidence] = []
    stage_name = {"CrossEntropyLoss": "loss", "SGD": "steps", "Adam": "steps"}.get(case.kind, case.kind)
    for name, run in runs.items():
        data, before = case.runs[name], seen[-1] if seen else None
        if case.kind in LAYERS:
            module = module_of(case, name)
            exact = exact_run({case.kind: module}, **data)
            new = rows_of(run, exact, case.dtype)
            seen.append(evidence_of(module, case.kind, data, run, exact.tensors, new, before))
        elif case.kind in LOSSES:
            exact = exact_loss(data["logits"], data["labels"])
            new = rows_of(run, exact, case.dtype)
            seen.append(loss_evidence(data, run, exact.tensors, new, before))
        else:
            exact = exact_optimizer(case)
            new = rows_of(run, exact, case.dtype)
            seen.append(
                optimizer_evidence(case.kind, case.settings, case.weights, data, run, exact.tensors, new)
            )
        suffix = "" if name == "first" else f", {name} run"
        rows += [dataclasses.replace(row, tensor=row.tensor + suffix) for row in new]
    return rows, {stage_name: seen}


def _judge_model(case: Case, runs: Mapping[str, Run]) -> Judged:
    module = model_of(case)
    stages = stages_of(module, None)
    alone, exact_alone = runs.get("fed"), exact_each(stages, case.fed)
    rows: list[Row] = []
    for name in case.runs:
        if name in runs:
            exact = exact_run(stages, **case.runs[name])
            suffix = "" if name == "first" else f", {name} run"
            new = rows_of(runs[name], exact, case.dtype, (alone, exact_alone) if alone else None)
            rows += [dataclasses.replace(row, tensor=row.tensor + suffix) for row in new]
    evidence = {}
    if alone:
        plain = [dataclasses.replace(row, tensor=row.tensor.partition(", ")[0]) for row in rows]
        evidence = {
            name: [evidence_of(stage, name, case.fed[name], alone, exact_alone, plain)]
            for name, stage in stages.items()
        }
    return rows, evidence


def exact_optimizer(case: Case) -> ExactRun:
    """The weights after every step, of each parameter."""
    known = {
        name: exact_steps(case.kind, case.settings, w, case.first[name]) for name, w in case.weights.items()
    }
    return ExactRun({("steps", name): stacked(steps) for name, steps in known.items()})


def module_of(case: Case, run: str) -> nn.Module:
    """The PyTorch layer of a case, with the weights of that run."""
    module = MODULE_OF_KIND[case.kind](*case.positional, **case.settings)
    module = module.to(getattr(torch, np.dtype(case.dtype).name))
    load_numpy_state(module, case.weights_in(run))
    return module


def model_of(case: Case) -> nn.Module:
    name = "TinyCNN" if case.kind == "Sequential" else case.kind
    module = getattr(tinycnn_torch, name)().to(getattr(torch, np.dtype(case.dtype).name))
    load_numpy_state(module, case.weights)
    return module


def questions(kind: str, seed: int) -> list[Case]:
    """The cases of a class; those of a model with the exact inputs of its stages."""
    cases = cases_of(kind, np.random.default_rng([seed, KINDS.index(kind)]))
    return [with_inputs(case) for case in cases] if kind in MODELS else cases


def with_inputs(case: Case) -> Case:
    stages, data = stages_of(model_of(case), None), case.first
    return dataclasses.replace(case, fed=exact_inputs(stages, exact_run(stages, **data), data))


def check(code: Any, reference: Any = None, *, seed: int = 0) -> Checkup | Report:
    """Examine a class or an object, in this process: a loop without end is yours to stop.

    code       a class, or an object with forward and backward
    reference  for a class the name of what it should equal, or that class ("Conv2D", tinycnn_numpy.Conv2D,
               nn.Conv2d); found by the name of the class or of an ancestor unless given. For an object a
               PyTorch module, whose weights are copied into it.
    seed       draws other shapes and numbers

    Raises ValueError if it is not clear what the code should equal.
    """
    if not isinstance(code, type) and isinstance(reference, nn.Module):
        return _check_object(code, reference, seed)
    cls = code if isinstance(code, type) else type(code)
    name = reference if isinstance(reference, str) else None
    if isinstance(reference, type):
        name = {module: kind for kind, module in MODULE_OF_KIND.items()}.get(reference, reference.__name__)
    if name is not None and name not in KINDS:
        raise ValueError(f"check: reference is {reference!r}, expected one of {list(KINDS)}")
    return check_class(cls, name or kind_of(cls, KINDS), seed)


def check_class(cls: type, kind: str, seed: int = 0) -> Checkup:
    """Put the questions of `kind` to a class, in this process."""
    answers = ((case, run_case(cls, case)) for case in questions(kind, seed))
    return Checkup(f"{cls.__name__} against PyTorch", seed, examine(cls.__name__, kind, answers))


def _check_object(layer: Any, module: nn.Module, seed: int) -> Report:
    rng = np.random.default_rng(seed)
    if isinstance(module, nn.Conv2d):
        KH, KW = module.kernel_size
        shape: tuple[int, ...] = (3, module.in_channels, KH + 4, KW + 5)
    elif isinstance(module, nn.Linear):
        shape = (3, module.in_features)
    else:
        shape = (3, 2, 7, 8)
    dtype = next((str(p.dtype).removeprefix("torch.") for p in module.parameters()), "float32")
    set_weights(layer, {name: p.detach().numpy().copy() for name, p in module.named_parameters()})
    return compare(layer, rng.standard_normal(shape).astype(dtype), module, seed=seed)
