"""Every bug of the museum, what finds it, and how well a network still learns: python -m examples.museum

--exercise KernelFlipped   prints a file with that bug in it, to find and mend (a number does as well)
--solution KernelFlipped   prints what is wrong with it
"""

import json
from pathlib import Path

from examples.common.cli import Parser, fail, in_words, machine, run, whole_number
from examples.common.data import add_flags, from_flags

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

    import torch

    from examples.bugs import BUGS
    from examples.museum.exercise import exercise, solution
    from examples.museum.matrix import HEADER, cells_of, exhibit_of, line, summary, to_dict
    from examples.museum.measure import accuracy, examine

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


if __name__ == "__main__":
    run(main)
