"""How fast is a network by hand? Training steps and epochs against the field.

Tables: the training step of MNISTCNN and its answers (tinycnn_numpy, PyTorch, JAX/Flax), where the step's
time goes, one epoch of MNIST against the chapter's own loop, and the convolution ladder. The sides of a
table take turns within one run, and the ratio of each turn is what counts: absolute times move with the
machine.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from examples.common.cli import fail
from examples.common.data import Dataset

THREADS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"]


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


def measure_steps(
    work: str,
    dataset: str,
    data_dir: Path,
    threads: int,
    batch_sizes: list[int],
    turns: int,
    images_a_turn: int,
) -> list[dict]:
    """The rows of benchmark_steps, in new processes: a library counts its threads as it starts."""
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={threads}"]
    launch = launch if threads > 1 else []
    command: list[Any] = [*launch, "-m", "examples.experiments.benchmark_steps"]
    command += [work, dataset, data_dir, threads, turns, images_a_turn, ",".join(map(str, batch_sizes))]
    xla = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    return in_new_process(command, XLA_FLAGS=xla, **dict.fromkeys(THREADS, str(threads)))


def measure_stages(dataset: str, data_dir: Path, batch_sizes: list[int], steps: int) -> list[dict]:
    """The rows of benchmark_stages, and behind them those of all stages together."""
    command: list[Any] = ["-m", "examples.experiments.benchmark_stages", dataset, data_dir, steps]
    rows = in_new_process([*command, ",".join(map(str, batch_sizes))])
    return [*rows, *totals(rows)]


def totals(rows: list[dict]) -> list[dict]:
    """All stages of each batch size together."""
    sizes = dict.fromkeys(row["batch_size"] for row in rows)
    return [
        {"batch_size": size, "stage": "all", "way": ""}
        | {key: sum(row[key] for row in rows if row["batch_size"] == size) for key in ("ms", "floor_ms")}
        for size in sizes
    ]


def measure_epochs(dataset: Dataset, device: str, turns: int) -> list[dict]:
    """One epoch, batch 64: the chapter's loop, and train_mnist's with either backend."""
    import numpy as np

    from examples.common.models import start
    from examples.common.processes import Processes
    from examples.common.training import backend_of

    images = len(dataset.train_images)

    def with_backend(name, device):
        backend = backend_of(start("MNISTCNN", name, 0), group=Processes(device), stop_at_nan=True)
        tensors = backend.place(dataset.train_images), backend.place(dataset.train_labels)

        def epoch(turn: int, batches: int | None = None):
            order = backend.place(np.random.default_rng([0, turn]).permutation(images))
            backend.train_epoch(*tensors, [order[i : i + 64] for i in range(0, images, 64)][:batches])

        return epoch

    sides = {"train_mnist --backend torch": with_backend("torch", device)}
    sides["train_mnist --backend numpy"] = with_backend("numpy", "cpu")
    sides["the chapter's loop"] = chapter_epoch(dataset, device)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for epoch in sides.values():
        epoch(0, batches=5)  # warms up
    for turn in range(1, turns + 1):
        for name, epoch in sorted(sides.items(), reverse=turn % 2 == 1):
            began = time.perf_counter()
            epoch(turn)
            times[name].append(time.perf_counter() - began)
    rows = []
    for name, seconds in times.items():
        ratio = np.array(seconds) / np.array(times["the chapter's loop"])
        rows.append({"dataset": dataset.name, "device": device, "side": name, "seconds": seconds})
        rows[-1]["ratio"] = np.percentile(ratio, [0, 50, 100]).tolist()
    return rows


def chapter_epoch(dataset: Dataset, device: str):
    """The chapter's own loop: a DataLoader makes each image out of a PIL image, .item() at every step."""
    import torch

    from examples.experiments.chapter import loaders, train_epoch
    from tinycnn_torch import MNISTCNN

    torch.manual_seed(0)
    loader, _ = loaders(dataset)
    model = MNISTCNN().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    return lambda turn, batches=None: train_epoch(model, optimizer, loader, batches)
