"""The figures of the documents, measured, filled in and checked: python -m examples.results

Without a flag the stored results are written into every document. --measure makes results anew; some take
hours, and benchmark wants a machine that does nothing else.
"""

from pathlib import Path

from examples.common.cli import Parser, fail, run, whole_number

NAMES = ["training", "chapter", "audit", "audit_digits", "digits", "edges", "museum"]
NAMES += ["styles", "bounds", "unseen", "recipe", "one_cycle", "benchmark"]


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.results", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--measure", nargs="+", choices=[*NAMES, "all"], default=[], help="what to measure first")
    add("--check", action="store_true", help="write nothing; exit code 1 if a figure is not what is stored")
    add("--pictures", action="store_true", help="draw the pictures of the README anew")
    add("--data-dir", type=Path, default=Path("data"), help="folder that holds or gets MNIST/raw")
    add("--seeds", type=whole_number(3), default=10, help="training runs of each network")
    args = parser.parse_args(argv)

    from examples.results.documents import HOUSE, differing, documents, filled
    from examples.results.measurements import MEASUREMENTS, Where
    from examples.results.stored import results

    for name in MEASUREMENTS:
        if {name, "all"} & set(args.measure):
            print(f"{name}: {MEASUREMENTS[name].command}", flush=True)
            print(f"stored: {MEASUREMENTS[name].make(Where(args.data_dir, args.seeds))}", flush=True)
    if args.pictures:
        from examples.results.pictures import draw

        for path in draw():
            print(f"picture: {path}", flush=True)
    wrong = 0
    for path in documents():
        text = path.read_text("utf-8")
        try:
            lines = differing(text, results())
        except ValueError as error:
            fail(f"{path.relative_to(HOUSE)}: {error}")
        wrong += len(lines)
        for line in lines:
            print(f"{path.relative_to(HOUSE)}: {line}")
        if lines and not args.check:
            path.write_text(filled(text, results()), "utf-8")
    if not wrong:
        print("every figure is the stored one")
    return 1 if args.check and wrong else 0


if __name__ == "__main__":
    run(main)
