"""How fast is a network by hand? Training steps and epochs against the field: python -m examples.benchmark

Tables: the training step of MNISTCNN (tinycnn_numpy, PyTorch, JAX/Flax); its answers, forward alone; where
the step's time goes, stage by stage; one epoch of MNIST against the chapter's own loop; and the convolution
ladder. The sides of a table take turns within one run, and the ratio of each turn is what counts: absolute
times move with the machine.
"""

import json
from pathlib import Path
from typing import Any

from examples.common.cli import Parser, fail, in_words, machine, run, whole_number
from examples.common.data import add_flags, from_flags

TABLES = ["step", "answer", "stages", "epoch", "ladder"]


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

    from examples.experiments.benchmark import (
        in_new_process,
        measure_epochs,
        measure_stages,
        measure_steps,
    )

    if args.json and not args.json.parent.is_dir():
        fail(f"--json {args.json} cannot be written: there is no folder {args.json.parent}")

    figures: dict[str, Any] = {"machine": machine()}
    print(in_words(figures["machine"]))
    where = args.dataset, args.data_dir
    if "step" in args.only:
        counts = args.threads or sorted({1, figures["machine"]["cores"]})
        how = args.batch_sizes, args.turns, args.images
        figures["step"] = [row for threads in counts for row in measure_steps("step", *where, threads, *how)]
        print_steps(figures["step"])
    if "answer" in args.only:
        one = measure_steps("answer", *where, 1, [1], args.turns, 200)
        figures["answer"] = one + measure_steps("answer", *where, 1, [250], args.turns, 10_000)
        print_steps(figures["answer"], "answer")
    if "stages" in args.only:
        figures["stages"] = measure_stages(*where, args.batch_sizes, 20 + args.turns)
        print_stages(figures["stages"])
    if "epoch" in args.only:
        figures["epoch"] = measure_epochs(from_flags(args), args.device, args.epochs)
        print_epochs(figures["epoch"])
    if "ladder" in args.only:
        print()
        figures["ladder"] = in_new_process(["-m", "examples.ladder", "--turns", args.turns, "--json"])
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def print_steps(rows: list[dict], work: str = "step") -> None:
    what = "One training step" if work == "step" else "One answer, forward alone,"
    print(f"\n{what} of MNISTCNN on {rows[0]['dataset']}, float32, seed 0.")
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
    if work == "step":
        print("goals: at most 0.80 on one thread (0.90 at batch 1024), 0.90 on two, against each side")


def print_stages(rows: list[dict]) -> None:
    print("\nWhere a training step of tinycnn_numpy spends its time, on one thread")
    print("floor: its multiply-adds in one large matrix product, and a copy of what it must read and write")
    print("batch  stage    way             ms   floor  x floor")
    for row in rows:
        left = f"{row['batch_size']:5}  {row['stage']:7}  {row['way']:9}  {row['ms']:7.2f}"
        print(
            f"{left}  {row['floor_ms']:6.2f}  {row['ms'] / row['floor_ms']:7.1f}"
            if row["floor_ms"] > 0.005
            else left
        )


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
