"""What is claimed of a GPU, measured. On a CPU the same functions run, without a CUDA graph."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from examples.common.data import Dataset
from examples.common.models import start
from examples.common.processes import Processes
from examples.common.training import Backend, backend_of, batches_of
from examples.experiments.benchmark import chapter_epoch

HOUSE = Path(__file__).parents[2]


def trained_by(device: str, seed: int, captured: bool) -> Backend:
    return backend_of(start("MNISTCNN", "torch", seed), group=Processes(device), captured=captured)


def step_times(dataset: Dataset, device: str, batch_size: int, turns: int, steps: int) -> dict[str, float]:
    """Milliseconds of a training step, "captured" and "eager": medians of turns that alternate."""
    images, labels = dataset.train_images, dataset.train_labels
    found: dict[str, list[float]] = {"captured": [], "eager": []}
    sides = {name: trained_by(device, 0, name == "captured") for name in found}
    rng = np.random.default_rng(0)
    for turn in range(turns + 1):
        batches = [rng.integers(len(images), size=batch_size) for _ in range(steps)]
        for name in sorted(sides, reverse=turn % 2 == 1):
            place = sides[name].place
            there = place(images), place(labels), [place(batch) for batch in batches]
            began = time.perf_counter()
            sides[name].train_epoch(*there)  # reads the loss, and so waits for the GPU
            found[name].append((time.perf_counter() - began) / steps)
    return {name: 1000 * float(np.median(times[1:])) for name, times in found.items()}  # the first warms up


def chapters_recipe(dataset: Dataset, device: str, seed: int, epochs: int) -> tuple[float, float]:
    """Seconds of the training steps of train_mnist's run, and its last test accuracy in percent."""
    backend = trained_by(device, seed, captured=True)
    place, count, seconds = backend.place, len(dataset.train_images), 0.0
    images, labels = place(dataset.train_images), place(dataset.train_labels)
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        backend.train_epoch(images, labels, batches_of(place, count, seed, epoch))
        seconds += time.perf_counter() - began
    return seconds, backend.evaluate(place(dataset.test_images), place(dataset.test_labels))


def chapters_loop(dataset: Dataset, device: str) -> float:
    """Seconds of one epoch of the chapter's own loop, with the network on the device."""
    epoch = chapter_epoch(dataset, device)
    epoch(0, 5)  # warms up
    began = time.perf_counter()
    epoch(1)
    return time.perf_counter() - began


def resumes(dataset: str, data_dir: Path, device: str) -> bool:
    """Whether two epochs of train_mnist, and one with a second one resumed, leave the same bits.

    Raises RuntimeError with what a run said that failed.
    """
    words = f"-m examples.train_mnist --device {device} --dataset {dataset} --quiet".split()
    with tempfile.TemporaryDirectory() as folder:
        runs = [("whole", "2"), ("parts", "1"), ("parts", "2", "--resume")]
        for name, epochs, *more in runs:
            flags = ["--data-dir", data_dir, "--output-dir", Path(folder, name), "--epochs", epochs, *more]
            code, said = python([*words, *flags])
            if code:
                raise RuntimeError(said)
        whole, parts = (Path(folder, name, "model.safetensors").read_bytes() for name in ("whole", "parts"))
    return whole == parts


def python(words: list) -> tuple[int, str]:
    """Exit code and last line of a Python process, which ends with this one's patience."""
    child = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=HOUSE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return child.returncode, (child.stdout.strip().splitlines() or ["nothing was said"])[-1]
