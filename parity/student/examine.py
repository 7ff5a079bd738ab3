"""Examine classes that a student wrote: every case is judged against PyTorch, and each mismatch diagnosed.

parity.check(MyReLU)                                   a class, by its own name or that of an ancestor
parity.check(MyLayer, reference="Conv2D")              a class of any name
parity.check(my_layer, reference=nn.Conv2d(2, 3, 3))   an object, against a module; its weights are copied
parity.check(MyTanh, reference=torch.tanh)             against any module or function: see parity/reference.py
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

import tinycnn_torch
from parity.bounds import Array, pair
from parity.comparison import (
    IsolatedTrial,
    LossTrial,
    OptimizerTrial,
    StagesTrial,
    Trial,
    compare,
    evidence_of,
    is_to_diagnose,
    is_widened,
    rows_of,
)
from parity.doctor import anything, families, formulas, remarks
from parity.doctor.diagnose import diagnosis_of_remark, explain
from parity.doctor.evidence import Evidence
from parity.doctor.failures import Attempt, diagnoses_of
from parity.exact import exact_inputs, exact_run
from parity.foreign.calls import NoMannerError, UnknownArgumentError
from parity.foreign.names import kinds_named
from parity.foreign.recognise import Recognised, behind
from parity.foreign.subject import WHATEVER, Offer, Subject
from parity.kinds import KINDS, NAMES, kind_of, names_of
from parity.record import Fault, Key, Outcome, Run, set_arrays
from parity.report import NO_KNOWN_CAUSE, Diagnosis, Report, Row
from parity.student.again import another
from parity.student.built import rows_of_built
from parity.student.cases import Case, cases_of
from parity.student.checkup import Check, Checkup
from parity.student.mend import ONE_LINE, Mends, mended, sentence_of, wrong_in
from parity.student.repair import Mender, Right, has_alarms
from parity.student.run_case import run_case
from parity.student.smallest import Ask, shrunk, smallest
from parity.twins import kind_of_stage, stages_of, twin_class
from parity.weights import load_numpy_state

FACTS = {page.code for page in remarks.PAGES} - {NO_KNOWN_CAUSE, ONE_LINE}  # not concluded from numbers
# What the numbers look like, or a slip in our own letters: of less use than the line itself.
OF_NUMBERS = {page.code for part in (anything, families, formulas) for page in part.PAGES} | {
    "reading-order",
    NO_KNOWN_CAUSE,
}


def examine(
    owner: str,
    answers: Iterable[tuple[Case, Mapping[str, Run]]],
    offer: Offer = WHATEVER,
    ask: Ask | None = None,
    mender: Mends | None = None,
) -> list[Check]:
    """Judge the runs of all cases of one class, then diagnose all of them at once.

    offer   what it takes; ask: runs a further case, to find a small one where no cause is known
    mender  runs cases with changes made to the code, to find the one that makes all of them right
    """
    checks: list[Check] = []
    asked: dict[str, Case] = {}
    attempts: list[Attempt] = []
    judged: list[tuple[Check, Sequence[Trial]]] = []
    answered: list[tuple[Case, Mapping[str, Run]]] = []
    for case, runs in answers:
        answered.append((case, runs))
        first = next(iter(runs.values()))
        failure = next((run.failure for run in runs.values() if run.failure), None)
        check = Check(owner, case.name, failure=failure, kind=case.kind)
        asked[case.name] = case
        checks.append(check)
        attempts += [] if check.skipped else attempts_of(case, runs)
        if check.skipped or (failure and not first.arrays):
            continue
        if case.built:
            check.rows += rows_of_built(case, first)
            judged.append((check, []))
            continue
        trials, isolated = trials_of(case, runs)
        check.rows += rows_of_all(case, trials, isolated, offer)
        judged.append((check, [isolated] if isolated else trials))
    wrong = [check for check, _ in judged if any(map(is_to_diagnose, check.rows))]
    by_stage: dict[str, list[Evidence]] = {}
    for check, seen in judged if wrong else ():
        for stage, evidence in evidence_of(seen, check.rows).items():
            by_stage.setdefault(stage, []).extend(replace(e, case=check.case) for e in evidence)

    def small(_: str, tensor: str, e: Evidence) -> str:
        return smallest(asked[e.case], tensor, e, ask, partial(judge, offer), offer) if ask else ""

    asked_again: dict[tuple[str, str, str], list[Evidence]] = {}

    def again(stage: str, e: Evidence) -> list[Evidence]:
        """The case of a run once more, with other numbers in other sizes."""
        key = stage, e.case, e.run
        if key not in asked_again:
            asked_again[key] = []
            more = another(asked[e.case], offer) if ask else None
            runs = ask(more) if ask and more else {}
            if more and runs and not any(run.failure for run in runs.values()):
                trials, isolated = trials_of(more, runs)
                found = evidence_of(trials, rows_of_all(more, trials, isolated, offer))
                asked_again[key] = [replace(x, case=e.case) for x in found.get(stage, ()) if x.run == e.run]
        return asked_again[key]

    # The doctor is asked once a tensor, and once for what a remark says.
    known: dict[Any, list[Diagnosis]] = {}
    rows = [row for check in wrong for row in check.rows]
    aliases = {(row.stage, row.tensor): row for row in rows if row.fault is Fault.ALIAS}
    for check in wrong:
        rows = sorted(filter(is_to_diagnose, check.rows), key=is_widened)  # a wrong value goes first
        for row in rows:
            told = diagnosis_of_remark(aliases.get((row.stage, row.tensor), row))
            if aliases and not told:  # whatever is computed after it may be wrong because of it
                continue
            key = (row.stage, told.code) if told and is_widened(row) else (row.stage, row.tensor, told)
            if key not in known:
                evidence = by_stage.get(row.stage, [])
                known[key] = (
                    [told]
                    if told
                    else explain(row.stage, row.tensor, evidence, small, partial(again, row.stage))
                )
            here = (d for d in known[key] if not d.cases or check.case in d.cases)
            check.diagnoses += [d for d in here if d not in check.diagnoses]
    named = any(d.code != NO_KNOWN_CAUSE for check in checks for d in check.diagnoses)
    for diagnosis, raised in () if named else diagnoses_of(attempts):  # else the exception follows from it
        for check in checks:
            if check.case in {a.case for a in raised}:
                check.diagnoses.append(diagnosis)
    if mender and not aliases and any(not check.ok for check in checks):
        name_lines(checks, answered, mender, offer, ask)
    return checks


def name_lines(
    checks: Sequence[Check],
    answers: Sequence[tuple[Case, Mapping[str, Run]]],
    mender: Mends,
    offer: Offer,
    ask: Ask | None,
) -> None:
    """Say which line is wrong, where one change of the code makes all cases right."""
    rows_for = partial(judge, offer)

    def right(case: Case, runs: Mapping[str, Run]) -> Right:
        trials, _ = trials_of(case, runs)
        return {
            trial.name or "first": {
                key: (exact.value, exact.bound)
                for key, exact in trial.exact.tensors.items()
                if offer.asks(key[1], case.training)
            }
            for trial in trials
        }

    ended = {check.failure.outcome for check in checks if check.failure}
    if ended & {Outcome.NOT_WRITTEN, Outcome.NO_ANSWER} or KINDS[checks[0].kind].role == "model":
        return
    pairs = [(pair, check) for pair, check in zip(answers, checks, strict=True) if not check.skipped]
    asked = [pair for pair, _ in pairs]
    rows = {check.case: check.rows or rows_for(*pair) for pair, check in pairs}

    def shrink(case: Case, runs: Mapping[str, Run]) -> tuple[Case, Mapping[str, Run]] | None:
        """The smallest case in which the same tensors are wrong."""
        was = wrong_in(rows[case.name])
        first = {key for run, key in was if not run}

        def fails(one: Case, given: Mapping[str, Run]) -> Row | None:
            if any(run.failure for run in given.values()):
                return None
            now = rows_for(one, given)
            keys = {key for _, key in wrong_in(now)}
            return next((row for row in now if not row.ok), None) if first <= keys else None

        found = shrunk(case, ask, fails, all_runs=not first, offer=offer) if ask and first else None
        return (replace(found[0], name="the smallest"), found[2]) if found else None

    wrong = {(row.stage, row.tensor) for found in rows.values() for row in found if not row.ok}
    for changes, keys in mended(asked, rows, mender, rows_for, right, shrink):
        everything = keys == wrong
        sentence = sentence_of(changes, sorted(tensor for _, tensor in keys), everything)
        said = [d for check in checks for d in check.diagnoses if (d.stage, d.tensor) in keys]
        kept = FACTS | (what_agrees(said, keys) if len(changes) == 1 else set())
        for check in checks:
            here = {(row.stage, row.tensor) for row in rows.get(check.case, ()) if not row.ok} & keys
            check.diagnoses = [
                d for d in check.diagnoses if (d.stage, d.tensor) not in keys or d.code in kept
            ] + [Diagnosis(*key, ONE_LINE, sentence) for key in sorted(here)]


def what_agrees(said: Iterable[Diagnosis], keys: Iterable[Key]) -> set[str]:
    """The one code of all tensors that a line has made wrong: a cause that is worth saying beside the line.

    Another cause of one of them, or one of some cases alone, tells that they are concluded from too little.
    """
    codes: dict[Key, set[str]] = {key: set() for key in keys}
    for one in said:
        if one.code not in FACTS:
            codes[one.stage, one.tensor].add("" if one.cases else one.code)
    (first, *others) = codes.values()
    return first - OF_NUMBERS if len(first) == 1 and all(found == first for found in others) else set()


def judge(offer: Offer, case: Case, runs: Mapping[str, Run]) -> list[Row]:
    """The verdicts on a case."""
    if case.built:
        return rows_of_built(case, next(iter(runs.values())))
    return rows_of_all(case, *trials_of(case, runs), offer)


def rows_of_all(case: Case, trials: Sequence[Trial], isolated: Trial | None, offer: Offer) -> list[Row]:
    rows = (row for trial in trials for row in rows_of(trial, isolated))
    return [row for row in rows if offer.asks(row.tensor, case.training)]


def attempts_of(case: Case, runs: Mapping[str, Run]) -> list[Attempt]:
    """The calls of a layer, for an exception to be explained by those that raised it."""
    if KINDS[case.kind].role != "layer" or case.built:
        return []
    shapes = {name: array.shape for name, array in (case.first | case.weights).items()}
    module = module_of(case, "first")
    kernel, stride, padding = (
        pair(value) if (value := getattr(module, name, None)) is not None else None
        for name in ("kernel_size", "stride", "padding")
    )
    return [
        Attempt(
            case.kind,
            case.name,
            name,
            shapes | {tensor: array.shape for tensor, array in case.runs[name].items()},
            shapes,
            kernel,
            stride,
            padding,
            np.dtype(case.dtype).itemsize,
            reached=(case.kind, "out") in run.arrays,
            failure=run.failure,
        )
        for name, run in runs.items()
    ]


def trials_of(case: Case, runs: Mapping[str, Run]) -> tuple[list[Trial], IsolatedTrial | None]:
    """The runs of a case in their order, and of a model the one in which each stage ran by itself."""
    trials: list[Trial] = []
    role = KINDS[case.kind].role
    for run_name, data in case.runs.items():
        if run_name in runs:
            run, name = runs[run_name], "" if run_name == "first" else run_name
            if role == "layer":
                stages: dict[str, nn.Module] = {case.kind: module_of(case, run_name)}
                earlier = trials[-1].twins if trials and isinstance(trials[-1], StagesTrial) else {}
                trials.append(StagesTrial(run, name, stages, data, earlier))
            elif role == "model":
                trials.append(StagesTrial(run, name, stages_of(model_of(case), None), data))
            elif role == "loss":
                trials.append(LossTrial(run, name, data))
            else:
                trials.append(OptimizerTrial(run, name, case.kind, case.settings, case.weights, data))
    if "isolated" not in runs:
        return trials, None
    return trials, IsolatedTrial(
        runs["isolated"], stages=stages_of(model_of(case), None), inputs=case.isolated
    )


def module_of(case: Case, run: str) -> nn.Module:
    """The PyTorch layer of a case, with the weights of that run."""
    module: nn.Module = twin_class(KINDS[case.kind])(*case.positional, **case.settings)
    module = module.to(getattr(torch, np.dtype(case.dtype).name)).train(case.training)
    counts = {name: t.numpy() for name, t in module.state_dict().items() if name not in case.weights}
    load_numpy_state(module, case.weights_in(run) | counts)
    return module


def model_of(case: Case) -> nn.Module:
    module: nn.Module = getattr(tinycnn_torch, KINDS[case.kind].twin)()
    module = module.to(getattr(torch, np.dtype(case.dtype).name))
    load_numpy_state(module, case.weights)
    return module


def questions(kind: str, seed: int, offer: Offer = WHATEVER) -> list[Case]:
    """The cases of a class; those of a model with the exact inputs of its stages."""
    cases = cases_of(kind, np.random.default_rng([seed, *kind.encode()]), offer)
    return [with_inputs(case) for case in cases] if KINDS[kind].role == "model" else cases


def with_inputs(case: Case) -> Case:
    stages, data = stages_of(model_of(case), None), case.first
    return replace(case, isolated=exact_inputs(stages, exact_run(stages, **data), data["x"]))


def check(code: Any, reference: Any = None, *, x: Array | None = None, seed: int = 0) -> Checkup | Report:
    """Examine a class or an object, in this process: a loop without end is yours to stop.

    code       a class, or an object with forward and backward
    reference  for a class the name of what it should equal, or that class ("Conv2D", tinycnn_numpy.Conv2D,
               nn.Conv2d); found by the name of the class or of an ancestor unless given. Or any PyTorch
               module or function of one tensor, whose weights are copied into the object.
    x          an input (N, ...) for such a module, float64; drawn unless given
    seed       draws other shapes and numbers

    Raises ValueError if it is not clear what the code should equal.
    """
    if isinstance(reference, nn.Module) and not isinstance(code, type) and has_rule(reference):
        return _check_object(code, reference, seed)
    if reference is not None and not isinstance(reference, str) and not _is_of_ours(reference):
        from parity.reference import check_against  # which imports SciPy

        return check_against(code, reference, x, seed)
    cls = code if isinstance(code, type) else type(code)
    name = reference if isinstance(reference, str) else None
    if reference is None and not any(base.__name__ in NAMES for base in cls.__mro__):
        name = next(iter(kinds_named(cls.__name__)), None)
    if isinstance(reference, type):
        twins = {twin_class(KINDS[kind]): kind for kind in names_of("layer")}
        name = twins.get(reference, reference.__name__)
    if name is not None and name not in KINDS:
        raise ValueError(f"check: reference is {reference!r}, expected one of {list(KINDS)}")
    return check_class(cls, name or kind_of(cls).name, seed, exact=reference is not None, lines=True)


def _is_of_ours(reference: Any) -> bool:
    """Whether it is a class with cases of its own: tinycnn_numpy's, or its twin."""
    twins = [twin_class(KINDS[kind]) for kind in (*names_of("layer"), *names_of("optimizer"))]
    return isinstance(reference, type) and (reference in twins or reference.__name__ in KINDS)


def has_rule(module: nn.Module) -> bool:
    """Whether it is known, by parity/rules.py, what rounding may do to it."""
    try:
        return bool(kind_of_stage(module))
    except ValueError:
        return False


def check_class(cls: type, kind: str, seed: int = 0, exact: bool = False, lines: bool = False) -> Checkup:
    """Put the questions of `kind` to a class, in this process.

    exact  it has the library's interface; lines: look for the line that is wrong, which takes seconds
    """
    one = Recognised(Subject(cls.__name__, kind, cls), cls, WHATEVER)
    with suppress(UnknownArgumentError, NoMannerError):  # then its cases say what it lacks
        one = behind(one.subject, exact)
    answers = ((case, run_case(one.cls, case)) for case in questions(kind, seed, one.offer))
    mender = Mender(one.cls) if lines and has_alarms() else None  # a changed loop may have no end
    checks = examine(cls.__name__, answers, one.offer, partial(run_case, one.cls), mender)
    remarks = [f"{cls.__name__}: taken for {kind}: {one.taken}"] if one.taken else []
    return Checkup(f"{cls.__name__} against PyTorch", seed, checks, remarks)


def _check_object(layer: Any, module: nn.Module, seed: int) -> Report:
    rng = np.random.default_rng(seed)
    if isinstance(module, nn.Conv2d):
        KH, KW = module.kernel_size
        shape: tuple[int, ...] = (3, module.in_channels, KH + 4, KW + 5)
    elif isinstance(module, nn.Linear):
        shape = (3, module.in_features)
    else:
        shape = (3, getattr(module, "num_features", 2), 7, 8)
    dtype = next((str(p.dtype).removeprefix("torch.") for p in module.parameters()), "float32")
    set_arrays(layer, {name: t.numpy().copy() for name, t in module.state_dict().items()})
    return compare(layer, rng.standard_normal(shape).astype(dtype), module, seed=seed)
