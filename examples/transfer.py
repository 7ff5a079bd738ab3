"""Does a network learn new digits from fewer examples if it knows others? python -m examples.transfer

Section 31.4 of the chapter calls it transfer learning: keep the trained body of a network, replace its head.
Here the body (conv1 to pool2) of an MNISTCNN learns the digits 0 to 4, and a new head tells 5 to 9 apart
from few labelled images of the 8 x 8 digits of scikit-learn.
"""

import inspect
import textwrap

from examples.common import data
from examples.common.cli import Parser, fail, in_words, machine, output_folder, run, whole_number


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.transfer", description=__doc__.splitlines()[0])
    add = parser.add_argument
    data.add_flags(parser)
    sizes = [1, 2, 5, 10, 20, 50, 100]
    add("--sizes", type=whole_number(1), nargs="+", default=sizes, help="labelled images of each new digit")
    add("--seeds", type=whole_number(2), default=5, help="how many: 0, 1, 2, ...")
    add("--body-steps", type=whole_number(1), default=1000, help="optimiser steps for the body")
    add("--steps", type=whole_number(1), default=200, help="optimiser steps for the new digits")
    add("--output-dir", type=output_folder, default="runs/transfer", help="folder of the picture")
    args = parser.parse_args(argv)

    from examples.common.figures import save
    from examples.experiments.transfer import (
        WAYS,
        fewest,
        picture,
        replace_head,
        replace_head_by_hand,
        some_classes,
        train_body,
        transfer_accuracies,
        verdict,
    )

    args.sizes = sorted(set(args.sizes))
    target = data.load_digits()
    if args.sizes[-1] > (available := fewest(some_classes(target, 5, 9))):
        fail(f"--sizes {args.sizes[-1]}: one of the digits 5 to 9 has only {available} training images")
    source = data.from_flags(args)

    print(f"body: digits 0 to 4 of {source.name}; new: 5 to 9 of {target.name}; {in_words(machine())}")
    print("To replace a head, in PyTorch and by hand:")
    for code in (replace_head, replace_head_by_hand):
        print(textwrap.indent(inspect.getsource(code).rstrip(), "    "))
    bodies = []
    for seed in range(args.seeds):
        body, accuracy = train_body(source, seed, args.body_steps)
        bodies.append(body)
        print(f"body of seed {seed}: test accuracy {accuracy:.2f} % on 0 to 4 of {source.name}", flush=True)

    accuracies = transfer_accuracies(bodies, target, args.sizes, args.steps)
    tests = len(some_classes(target, 5, 9).test_labels)
    print(f"test accuracy in percent on 5 to 9 of {target.name} ({tests} images), mean +- std over seeds")
    print("images of a class      " + "".join(f"{size:>13}" for size in args.sizes))
    for way, values in accuracies.items():
        cells = (f"{row.mean():.1f} +- {row.std(ddof=1):.1f}" for row in values)
        print(f"{way:23}" + "".join(f"{cell:>13}" for cell in cells))
    print("against from scratch, 95 % intervals: all sizes together (then each alone)")
    for way in WAYS:
        if way != "from scratch":
            print(verdict(accuracies, args.sizes, way))
    title = f"Digits 5 to 9 of {target.name}, after 0 to 4 of {source.name}: mean, std of {args.seeds} seeds"
    save(picture(accuracies, args.sizes, title), args.output_dir / "transfer.png")
    return 0


if __name__ == "__main__":
    run(main)
