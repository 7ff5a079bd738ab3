"""How fast is a network by hand? Training steps and epochs against the field: python -m examples.benchmark

Three tables: the training step of MNISTCNN (tinycnn_numpy, PyTorch, JAX/Flax), one epoch of MNIST against the
chapter's own loop, and the convolution ladder. The sides of a table take turns within one run, and the ratio
of each turn is what counts: absolute times move with the machine.
"""

import json
from pathlib import Path
from typing import Any

from examples.common.cli import Parser, fail, in_words, machine, run, whole_number
from examples.common.data import add_flags, from_flags

TABLES = ["step", "epoch", "ladder"]


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.benchmark", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", choices=TABLES, nargs="+", default=TABLES, help="the tables to make")
    add("--threads", type=whole_number(1), nargs="+", help="thread counts of the step; 1 and all cores")
    add("--batch-sizes", type=whole_number(1), nargs="+", default=[64, 256, 1024], help="images to a step")
    add("--turns", type=whole_number(1), default=20, help="turns of every side of the step table")
    add("--images", type=whole_number(1), default=1280, help="images that a side sees in one turn, about")
    add("--epochs", type=whole_number(1), default=3, help="turns of every side of the epoch table")
    add("--device", choices=["cpu", "cuda"], default="cpu", help="of PyTorch in the epoch table")
    add_flags(parser)
    add("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args(argv)

    from examples.experiments.benchmark import in_new_process, measure_epochs, measure_steps

    if args.json and not args.json.parent.is_dir():
        fail(f"--json {args.json} cannot be written: there is no folder {args.json.parent}")

    figures: dict[str, Any] = {"machine": machine()}
    print(in_words(figures["machine"]))
    if "step" in args.only:
        counts = args.threads or sorted({1, figures["machine"]["cores"]})
        where, how = (args.dataset, args.data_dir), (args.batch_sizes, args.turns, args.images)
        figures["step"] = [row for threads in counts for row in measure_steps(*where, threads, *how)]
        print_steps(figures["step"])
    if "epoch" in args.only:
        figures["epoch"] = measure_epochs(from_flags(args), args.device, args.epochs)
        print_epochs(figures["epoch"])
    if "ladder" in args.only:
        print()
        figures["ladder"] = in_new_process(["-m", "examples.ladder", "--turns", args.turns, "--json"])
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def print_steps(rows: list[dict]) -> None:
    print(f"\nOne training step of MNISTCNN on {rows[0]['dataset']}, float32, seed 0.")
    print(
        "ratio: time of tinycnn_numpy on all threads / time of this side, median (10 % to 90 % of the turns)"
    )
    print("x limit: time / the time in which a large matrix product does as many multiply-adds")
    print("threads  batch  side                            ms  ratio                x limit")
    for row in rows:
        low, middle, high = row["ratio"]
        left = f"{row['threads']:7}  {row['batch_size']:5}  {row['side']:26}  {row['ms']:6.1f}"
        print(f"{left}  {middle:.2f} ({low:.2f} to {high:.2f})  {row['times_limit']:7.1f}")
    missing = {"PyTorch compiled", "JAX/Flax jit"} - {row["side"] for row in rows}
    if missing:
        print(f"cannot be had here: {', '.join(sorted(missing))} (a C++ compiler; the extra `frameworks`)")
    print("goals: at most 0.80 at batch 64 with one thread, 0.90 with two, 1.10 elsewhere, against each side")


def print_epochs(rows: list[dict]) -> None:
    print(f"\nOne epoch of {rows[0]['dataset']}, batch 64, PyTorch on {rows[0]['device']}, one process each.")
    print("ratio: time / time of the chapter's loop, median (smallest to largest of the turns)")
    print("side                         seconds  ratio")
    for row in rows:
        low, middle, high = row["ratio"]
        seconds = sorted(row["seconds"])[len(row["seconds"]) // 2]
        print(f"{row['side']:27}  {seconds:7.2f}  {middle:.2f} ({low:.2f} to {high:.2f})")
    print("goal: at most 0.60")


if __name__ == "__main__":
    run(main)
