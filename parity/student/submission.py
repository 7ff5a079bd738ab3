"""Examine one submission: load it in a process of its own, put the questions, share out the points."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from parity.kinds import KINDS
from parity.record import Failure, Outcome
from parity.student import sandbox
from parity.student.checkup import Check, Checkup, give_points
from parity.student.process import Contained, LoadError

REFERENCE = "in Python parity.check(CLASS, reference=...) holds it against any PyTorch module or function"

EXAMINER = "parity.student.examine"  # it imports PyTorch, which takes two seconds


def examine_file(
    path: Path,
    seed: int = 0,
    seconds: float = 20.0,
    memory_mb: int = 2048,
    only: list[str] | None = None,
    required: Sequence[str] = (),
    points: Mapping[str, float] | None = None,
    said: Mapping[str, str] | None = None,
    own: bool = False,
    total: float = 600.0,
    lines: bool = True,
    in_sandbox: bool = False,
) -> Checkup:
    """Examine all that a file, a notebook or a folder defines and the library has too, or those in `only`.

    required  kinds that score 0 of their points if the file does not define them; points: by kind
    said      what classes or functions are: {"Affine": "Dense"}
    own       no points for what another file computes, or a library that knows the answers
    lines     look for the line that is wrong, which takes seconds; a folder of submissions can do without
    in_sandbox  the file runs in WebAssembly: see parity.student.sandbox
    """
    started = time.monotonic()
    Thread(target=import_module, args=(EXAMINER,)).start()  # while the file is loaded
    checkup = Checkup(f"{path.name} against PyTorch", seed)
    scored: list[tuple[str, list[Check]]] = []
    said = dict.fromkeys(only or (), "") | dict(said or {})
    try:
        with contained(
            path, in_sandbox, seconds=seconds, memory_mb=memory_mb, said=said, total=total
        ) as child:
            import torch

            from parity.student.examine import examine, questions

            torch.set_num_threads(1)  # the cases are small
            checkup.remarks += [*child.remarks, *(f"it {name}" for name in child.imports)]
            checkup.remarks += [
                f"not examined: {name}: {why}" for name, why in child.left.items() if not only
            ]
            if not only and any("name" in why for why in child.left.values()):
                checkup.remarks.append(REFERENCE)
            for name in only or ():
                if name not in child.subjects:
                    checkup.checks.append(
                        _missing(name, "is defined", f"{path.name} defines no class {name}")
                    )
            for name in list(child.subjects):
                if only and name not in only:
                    continue
                taken = child.taken(name)
                if taken.why:
                    by_name = f"{name} is called as {' or '.join(child.subjects[name])} is, but"
                    if taken.fails:
                        scored.append((child.subjects[name][0], [_missing(name, "can be called", taken.why)]))
                        checkup.checks += scored[-1][1]
                    else:
                        checkup.remarks.append(f"not examined: {by_name} {taken.why}")
                    continue
                if taken.how:
                    checkup.remarks.append(f"{name} is taken for {taken.kind}: {taken.how}")
                checkup.remarks += taken.elsewhere
                if own and (child.imports or taken.elsewhere):
                    refused = f"not judged: {[*taken.elsewhere, *child.imports][0]}"
                    scored.append((taken.kind, [_missing(name, "is code of its own", refused)]))
                else:
                    answers = child.ask(name, questions(taken.kind, seed, taken.offer))
                    one = partial(child.ask_one, name)
                    mender = child.mender(name) if lines else None
                    scored.append((taken.kind, examine(name, answers, taken.offer, one, mender)))
                checkup.checks += scored[-1][1]
            if checkup.checks and (deceit := child.tampered()):
                reason = Failure(Outcome.NO_ANSWER, f"not judged: the file alters what examines it: {deceit}")
                for check in checkup.checks:
                    check.failure, check.rows, check.diagnoses, check.kind = reason, [], [], ""
            checkup.printed = child.printed
    except LoadError as error:
        checkup.checks.append(_missing(path.name, "can be loaded", str(error)))
    for kind in dict.fromkeys(required):
        if kind not in dict(scored):
            scored.append((kind, [_missing(kind, "is defined", f"{path.name} defines no class {kind}")]))
            checkup.checks += scored[-1][1]
    give_points(scored, points or {})
    if not checkup.checks:
        expected = f"defines no class to check, expected one of {', '.join(KINDS)}"
        checkup.checks.append(_missing(path.name, "defines a class to check", expected))
    checkup.seconds = time.monotonic() - started
    return checkup


@contextmanager
def contained(path: Path, in_sandbox: bool, **how: Any) -> Iterator[Contained]:
    if in_sandbox:
        sandbox.prepare()
        with sandbox.copied(path) as copy, Contained(copy, command=sandbox.COMMAND, **how) as child:
            yield child
    else:
        with Contained(path, **how) as child:
            yield child


def _missing(owner: str, what: str, why: str) -> Check:
    return Check(owner, what, failure=Failure(Outcome.RAISED, why))
