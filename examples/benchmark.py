"""How fast is a network by hand? Training steps and epochs against the field: python -m examples.benchmark

Three tables: the training step of MNISTCNN (tinycnn_numpy, PyTorch, JAX/Flax), one epoch of MNIST against the
chapter's own loop, and the convolution ladder. The sides of a table take turns within one run, and the ratio
of each turn is what counts: absolute times move with the machine.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from examples.data import add_flags, from_flags
from examples.program import Parser, fail, in_words, machine, run, whole_number

TABLES = ["step", "epoch", "ladder"]
THREADS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"]


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
    if args.json and not args.json.parent.is_dir():
        fail(f"--json {args.json} cannot be written: there is no folder {args.json.parent}")

    figures: dict[str, Any] = {"machine": machine()}
    print(in_words(figures["machine"]))
    if "step" in args.only:
        counts = args.threads or sorted({1, figures["machine"]["cores"]})
        figures["step"] = [row for threads in counts for row in measure_steps(args, threads)]
        print_steps(figures["step"])
    if "epoch" in args.only:
        figures["epoch"] = measure_epochs(args)
        print_epochs(figures["epoch"])
    if "ladder" in args.only:
        print()
        figures["ladder"] = in_new_process(["-m", "examples.ladder", "--turns", args.turns, "--json"])
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def in_new_process(command: list, **environment: str) -> Any:
    """What `python COMMAND FILE` writes to FILE, as JSON; what it prints is printed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        words = [sys.executable, *map(str, command), str(file)]
        child = subprocess.run(
            words, env=os.environ | environment, stderr=subprocess.PIPE, text=True, check=False
        )
        if child.returncode:
            said = [line for line in child.stderr.splitlines() if line.startswith("error: ")]
            fail(said[0].removeprefix("error: ") if said else child.stderr)
        return json.loads(file.read_text(encoding="utf-8"))


def measure_steps(args, threads: int) -> list[dict]:
    """The rows of examples.benchmark_steps, in new processes: a library counts its threads as it starts."""
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={threads}"]
    command = [
        *(launch if threads > 1 else []),
        "-m",
        "examples.benchmark_steps",
        args.dataset,
        args.data_dir,
    ]
    command += [threads, args.turns, args.images, ",".join(map(str, args.batch_sizes))]
    xla = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    return in_new_process(command, XLA_FLAGS=xla, **dict.fromkeys(THREADS, str(threads)))


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


def measure_epochs(args) -> list[dict]:
    """One epoch, batch 64: the chapter's loop, and train_mnist's with either backend."""
    import numpy as np

    from examples.processes import Processes
    from examples.sides import numpy_side, torch_side

    dataset = from_flags(args)
    images = len(dataset.train_images)

    def with_backend(side):
        tensors = side.place(dataset.train_images), side.place(dataset.train_labels)

        def epoch(turn: int, batches: int | None = None):
            order = side.place(np.random.default_rng([0, turn]).permutation(images))
            side.train_epoch(*tensors, [order[i : i + 64] for i in range(0, images, 64)][:batches])

        return epoch

    sides = {"train_mnist --backend torch": with_backend(torch_side(1e-3, 0, Processes(args.device)))}
    sides["train_mnist --backend numpy"] = with_backend(numpy_side(1e-3, 0, Processes("cpu")))
    sides["the chapter's loop"] = chapter_epoch(dataset, args.device)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for epoch in sides.values():
        epoch(0, batches=5)  # warms up
    for turn in range(1, args.epochs + 1):
        for name, epoch in sorted(sides.items(), reverse=turn % 2 == 1):
            start = time.perf_counter()
            epoch(turn)
            times[name].append(time.perf_counter() - start)
    rows = []
    for name, seconds in times.items():
        ratio = np.array(seconds) / np.array(times["the chapter's loop"])
        rows.append({"dataset": dataset.name, "device": args.device, "side": name, "seconds": seconds})
        rows[-1]["ratio"] = np.percentile(ratio, [0, 50, 100]).tolist()
    return rows


def chapter_epoch(dataset, device: str):
    """The chapter's own loop: a DataLoader makes each image out of a PIL image, .item() at every step."""
    import torch

    from examples.chapter import loaders, train_epoch
    from tinycnn_torch import MNISTCNN

    torch.manual_seed(0)
    loader, _ = loaders(dataset)
    model = MNISTCNN().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    return lambda turn, batches=None: train_epoch(model, optimizer, loader, batches)


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
