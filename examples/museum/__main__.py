"""Every bug of the museum, what finds it, and how well a network still learns: python -m examples.museum

--exercise KernelFlipped   prints a file with that bug in it, to find and mend (a number does as well)
--solution KernelFlipped   prints what is wrong with it
"""

import json
from pathlib import Path

import torch

from examples.bugs import BUGS, Bug
from examples.data import add_flags, from_flags
from examples.museum.exercise import exercise, solution
from examples.museum.measure import Finding, accuracy, examine
from examples.program import Parser, fail, in_words, machine, run, whole_number

CHOSEN = "name or number of an exhibit"


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.museum", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=whole_number(1), default=3, help="how many seeds: each draws other shapes"
    )
    parser.add_argument("--first-seed", type=whole_number(0), default=0, help="the first of them")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these bugs, or all that replace one class")
    parser.add_argument("--train", action="store_true", help="also train TinyCNN and MNISTCNN with every bug")
    parser.add_argument("--images", type=whole_number(50), default=6000, help="training images of MNISTCNN")
    add_flags(parser)
    parser.add_argument("--json", type=Path, help="also write the matrix to this file")
    parser.add_argument("--exercise", metavar="BUG", help=f"print a find-the-bug exercise: {CHOSEN}")
    parser.add_argument("--solution", metavar="BUG", help=f"print what is wrong: {CHOSEN}")
    args = parser.parse_args(argv)
    if args.exercise:
        print(exercise(exhibit_of(args.exercise)), end="")
        return 0
    if args.solution:
        print(solution(exhibit_of(args.solution)))
        return 0
    chosen = [e for e in BUGS if not args.only or {e.cls.__name__, e.replaces} & set(args.only)]
    if not chosen:
        fail(f"--only {' '.join(args.only)} names no exhibit, expected classes like KernelFlipped or Conv2D")
    if args.json and not args.json.parent.is_dir():
        fail(f"--json {args.json} cannot be written: there is no folder {args.json.parent}")

    torch.set_num_threads(1)
    data, baseline = None, {}
    last_seed = args.first_seed + args.seeds - 1
    print(f"{len(chosen)} bugs, seeds {args.first_seed} to {last_seed}; {in_words(machine())}")
    if args.train:
        data = from_flags(args)
        print(f"trained on {args.images:,} images of {data}")
        baseline = {kind: accuracy(None, data, args.images, kind) for kind in ("Adam", "SGD", "AvgPool2D")}
        print("accuracy of the right TinyCNN and MNISTCNN, trained by Adam, by SGD, with average pooling:")
        print("  " + ";  ".join(", ".join(f"{a:.1f} %" for a in b.values()) for b in baseline.values()))
    print(line(HEADER))
    findings = []
    for number, exhibit in enumerate(BUGS, start=1):
        if exhibit in chosen:
            found = examine(exhibit, list(range(args.first_seed, args.first_seed + args.seeds)))
            if data and exhibit.trains:
                found.accuracy = accuracy(exhibit, data, args.images)
            findings.append(found)
            print(line(cells_of(number, found)), flush=True)
    print(*summary(findings), sep="\n")
    if args.json:
        result = {"machine": machine(), "baseline": baseline, "bugs": [to_dict(found) for found in findings]}
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def exhibit_of(text: str) -> Bug:
    names = [exhibit.cls.__name__ for exhibit in BUGS]
    if text not in names and text not in map(str, range(1, len(BUGS) + 1)):
        fail(f"there is no exhibit {text!r}, expected a name or a number from 1 to {len(BUGS)}")
    return BUGS[int(text) - 1 if text.isdigit() else names.index(text)]


COLUMNS = (3, 16, 24, 4, 4, 6, 6, 5, 5, 7, 8)
HEADER = (
    "#",
    "replaces",
    "bug",
    "ones",
    "diff",
    "parity",
    "tensor",
    "stage",
    "named",
    "TinyCNN",
    "MNISTCNN",
    "cause",
)


def line(cells) -> str:
    """Cells in columns, the last one as it is."""
    *cells, last = map(str, cells)
    return "  ".join([*(cell.ljust(width) for cell, width in zip(cells, COLUMNS, strict=True)), last])


def cells_of(number: int, found: Finding) -> list:
    e = found.exhibit
    simple = ["-" if by is None else "yes" if by else "no" for by in (found.by_ones, found.by_differences)]
    shares = [
        f"{sum(r)}/{len(r)}" if r else "-" for r in (found.caught, found.tensor, found.stage, found.named)
    ]
    trained = [f"{found.accuracy[m]:.1f}" if m in found.accuracy else "-" for m in ("TinyCNN", "MNISTCNN")]
    return [number, e.replaces, e.cls.__name__, *simple, *shares, *trained, e.cause]


def summary(findings: list[Finding]) -> list[str]:
    def total(name: str) -> str:
        results = [result for found in findings for result in getattr(found, name)]
        return f"{sum(results)} of {len(results)} ({100 * sum(results) / max(1, len(results)):.1f} %)"

    in_layers = [found for found in findings if found.by_ones is not None]
    lines = [
        f"caught: {total('caught')}; right tensor first: {total('tensor')}",
        f"right stage first, where it shows in a model: {total('stage')}",
        f"named right by the first diagnosis: {total('named')}",
        f"of {len(in_layers)} bugs in layers one plain case under a gradient of ones, with "
        "allclose(1e-3), finds "
        f"{sum(bool(f.by_ones) for f in in_layers)}; central differences find "
        f"{sum(bool(f.by_differences) for f in in_layers)}",
    ]
    learned = [found.accuracy["MNISTCNN"] for found in findings if found.accuracy]
    if learned:
        lines.append(
            f"with {sum(a > 90 for a in learned)} of {len(learned)} bugs MNISTCNN still reaches over 90 %"
        )
    return lines


def to_dict(found: Finding) -> dict:
    e = found.exhibit
    facts = {name: value for name, value in vars(found).items() if name != "exhibit"}
    source = (e.cls.__doc__ or "").rpartition("Source: ")[2].strip()
    return {"bug": e.cls.__name__, "replaces": e.replaces, "cause": e.cause, "source": source} | facts


if __name__ == "__main__":
    run(main)
