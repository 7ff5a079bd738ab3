"""Examine what a student wrote: python -m parity check student.py

A file, a notebook or a folder. Every layer, loss, optimiser and model in it that the library has too is
held against PyTorch; a partial file is fine. It may be a class or a pair of functions, in its own interface:
a line says what was taken for what, and --as NAME=CLASS overrules it (in the file: # parity: NAME = CLASS).
Exit code 0 only if everything that is defined is right, 1 if not, 2 for a wrong command line, 3 if the
results cannot be written.

Each class is worth 10 points, written or not. A class that extends one of the library's under another name is
left alone; --only examines it.

The code runs in a process of its own, with limits of time and memory. That protects the check from mistakes,
not from malice: it is no sandbox. Run files of strangers in a container.
"""

import argparse
import io
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import torch

from parity.kinds import KINDS
from parity.record import Failure, Outcome
from parity.student.checkup import Check, Checkup, give_points
from parity.student.examine import examine, questions
from parity.student.process import Contained, LoadError


class Parser(argparse.ArgumentParser):
    """argparse without the usage text before an error."""

    def error(self, message: str) -> NoReturn:
        raise SystemExit(fail(f"{message} (see --help)"))


def main(argv: list[str]) -> int:
    parser = Parser(
        prog="python -m parity check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="the Python file, notebook or folder of a student")
    parser.add_argument("--only", nargs="+", metavar="CLASS", help="examine these classes alone")
    parser.add_argument(
        "--as", nargs="+", metavar="NAME=CLASS", dest="said", type=saying, default=[],
        help="what a class or function is: Affine=Dense; Affine=nothing leaves it alone",
    )  # fmt: skip
    parser.add_argument("--require", nargs="+", metavar="CLASS", help="score 0 for these if they are missing")
    parser.add_argument("--points", type=Path, metavar="FILE", help='points by class, JSON: {"Conv2D": 20}')
    parser.add_argument("--seed", type=int, default=0, help="draws the cases (0): keep yours to hide them")
    parser.add_argument("--seconds", type=float, default=20.0, help="time for the cases of one class (20)")
    parser.add_argument("--total", type=float, default=600.0, help="seconds for the whole file (600)")
    parser.add_argument(
        "--own", action="store_true",
        help="no points for what stands in another file, or if it imports a library that knows the answers",
    )  # fmt: skip
    parser.add_argument(
        "--memory", type=int, default=2048, metavar="MB", help="memory for the file's process (2048)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results")
    parser.add_argument(
        "--gradescope", type=Path, metavar="FILE", help="write the results.json that Gradescope reads"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw where in each tensor the mistakes sit (.png, .svg)"
    )
    args = parser.parse_args(argv)
    if not args.file.is_file() and not args.file.is_dir():
        return fail(f"there is no file {args.file}")
    if args.seed < 0:
        return fail(f"--seed is {args.seed}, expected a whole number >= 0")
    if not 0 < args.seconds < math.inf or not 0 < args.total < math.inf or args.memory < 1:
        given = f"--seconds is {args.seconds:g}, --total {args.total:g} and --memory {args.memory}"
        return fail(f"{given}, expected numbers > 0")
    try:
        points = points_in(args.points) if args.points else {}
    except (OSError, ValueError) as error:
        return fail(f"--points {args.points}: {error}")
    required = [*(args.require or ()), *points]
    if unknown := [name for name in required if name not in KINDS]:
        return fail(f"--require is {unknown[0]}, expected one of {', '.join(KINDS)}")
    for option in ("json", "gradescope", "picture"):
        path = getattr(args, option)
        if path and not path.parent.is_dir():
            return fail(f"--{option} {path} cannot be written: there is no folder {path.parent}")
        if path and path.exists() and (not path.is_file() or path.samefile(args.file)):
            what = "the file to be checked" if path.is_file() else "no ordinary file"
            return fail(f"--{option} {path} is {what}, expected a file to write results to")
    if args.picture and find_spec("matplotlib") is None:
        return fail("--picture needs matplotlib: pip install matplotlib")
    if args.picture and args.picture.suffix not in (".png", ".svg"):
        return fail(f"--picture is {args.picture}, expected a name that ends in .png or .svg")

    torch.set_num_threads(1)  # the cases are small
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files in any encoding
    try:
        for path in filter(None, (args.json, args.gradescope, args.picture)):
            path.unlink(missing_ok=True)  # nobody is given the result of the file before
        checkup = examine_file(
            args.file,
            args.seed,
            args.seconds,
            args.memory,
            args.only,
            required=required,
            points=points,
            said=dict(args.said),
            own=args.own,
            total=args.total,
        )
        for path, result in ((args.json, checkup.to_dict), (args.gradescope, checkup.to_gradescope)):
            if path:
                write_whole(path, json.dumps(result(), indent=2) + "\n")
        print(checkup)
        if args.picture:
            from parity.heatmap import heat_map

            drawn = heat_map(checkup, args.picture)
            print(f"picture: {args.picture}" if drawn else "no picture: nothing to draw")
    except BrokenPipeError:  # nobody reads the table: see parity/__main__.py
        raise
    except OSError as error:
        print(f"error: the results cannot be written: {error}", file=sys.stderr)
        return 3
    return 0 if checkup.ok else 1


def saying(text: str) -> tuple[str, str]:
    """Affine=Dense"""
    name, equals, kind = text.partition("=")
    if not name or not equals or kind not in (*KINDS, "nothing"):
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected NAME=CLASS with one of nothing, {', '.join(KINDS)}"
        )
    return name, kind


def points_in(path: Path) -> dict[str, float]:
    """{"Conv2D": 20, ...} of a JSON file. Raises ValueError."""
    points = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(points, dict) or not all(
        isinstance(n, int | float) and 0 < n < math.inf for n in points.values()
    ):
        raise ValueError(f'is {points}, expected numbers > 0 by class, such as {{"Conv2D": 20}}')
    return points


def write_whole(path: Path, text: str) -> None:
    """All of it or nothing."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as beside:
        beside.write(text)
    try:
        os.chmod(beside.name, 0o644)
        os.replace(beside.name, path)
    except OSError:
        os.unlink(beside.name)
        raise


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
) -> Checkup:
    """Examine all that a file defines and the library has too, or those named in `only`.

    required  kinds that score 0 of their points if the file does not define them; points: by kind
    said      what classes or functions are: {"Affine": "Dense"}
    own       no points for what another file computes, or a library that knows the answers
    """
    checkup = Checkup(f"{path.name} against PyTorch", seed)
    scored: list[tuple[str, list[Check]]] = []
    said = dict.fromkeys(only or (), "") | dict(said or {})
    try:
        with Contained(path, seconds, memory_mb, said, total) as child:
            checkup.remarks += [*child.remarks, *(f"it {name}" for name in child.imports)]
            checkup.remarks += [
                f"not examined: {name}: {why}" for name, why in child.left.items() if not only
            ]
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
                        checkup.checks.append(_missing(name, "can be called", taken.why))
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
                    scored.append((taken.kind, examine(name, answers, taken.offer)))
                checkup.checks += scored[-1][1]
            if checkup.checks and (deceit := child.tampered()):
                reason = Failure(Outcome.NO_ANSWER, f"not judged: the file alters what examines it: {deceit}")
                for check in checkup.checks:
                    check.failure, check.rows, check.diagnoses = reason, [], []
            if child.printed:
                checkup.remarks += ["it printed:", *(f"  {line}" for line in child.printed.splitlines())]
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
    return checkup


def _missing(owner: str, what: str, why: str) -> Check:
    return Check(owner, what, failure=Failure(Outcome.RAISED, why))


def print_template(argv: list[str]) -> int:
    from parity.student.template import template

    parser = Parser(
        prog="python -m parity template", description="Print a file to start from: docstrings, no bodies."
    )
    parser.add_argument("classes", nargs="*", metavar="CLASS", help="these classes alone")
    parser.add_argument(
        "--no-formulas", action="store_true", help="leave out the formulas of backward, to be derived"
    )
    args = parser.parse_args(argv)
    try:
        print(template(args.classes or None, not args.no_formulas), end="")
    except ValueError as error:
        return fail(str(error))
    return 0


def fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2
