"""How much of an accuracy is chance? The same recipe from several seeds.

Every finished run becomes a line of --results and is not trained again: a stopped program loses the run
under way and no other, and whoever asks for the same runs (compare_mlp, exercises, audit) finds them there.
The same runs are those of the same images, recipe, machine and versions: a run of another stays in the file
and is not shown. A line that cannot be a run is left out, and named.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from examples.common import data, training
from examples.common.cli import fail, in_words, machine, note
from examples.common.figures import AMBER, INDIGO, RED
from examples.common.log import check_log, is_whole, shown
from examples.common.models import start
from examples.common.training import train

PRINTED = 98.75  # percent: the chapter's one run of MNISTCNN on MNIST, after 5 epochs


def introduction(dataset: data.Dataset, seed_count: int, epochs: int) -> str:
    """A line with the data set, the recipe and the machine."""
    recipe = f"Adam with learning rate 1e-3, batches of 64, {epochs_in_words(epochs)}"
    return f"{dataset}, {recipe}, seeds 0 to {seed_count - 1}; {in_words(of_training())}"


def of_training() -> dict[str, Any]:
    """The facts about this machine that a training run depends on."""
    return {name: fact for name, fact in machine().items() if name not in ("jax", "flax")}


def epochs_in_words(epochs: int) -> str:
    return f"{epochs} epoch" + "s" * (epochs > 1)


HEADER = "  mean    std  smallest  largest"


def spread(accuracies: np.ndarray) -> str:
    """The row under HEADER."""
    low, high = accuracies.min(), accuracies.max()
    return f"{accuracies.mean():6.2f}  {accuracies.std(ddof=1):5.2f}  {low:8.2f}  {high:7.2f}"


def placed(last: np.ndarray) -> str:
    """Where the chapter's accuracy stands among those of our seeds."""
    text = f"{PRINTED} or more: {(last >= PRINTED).sum()} of {len(last)} seeds"
    if last.std(ddof=1) == 0:
        return text
    return f"{text}; {PRINTED} is {(PRINTED - last.mean()) / last.std(ddof=1):+.1f} std from the mean"


def sampling(accuracy: float, dataset: data.Dataset) -> str:
    """What the seeds leave out: the test images are a sample too."""
    images, share = len(dataset.test_images), accuracy / 100
    error = 100 * math.sqrt(share * (1 - share) / images)
    return (
        f"All this is on the same {images:,} test images; drawn anew, they would move an accuracy of "
        f"{accuracy:.2f} by {error:.2f} (binomial std)."
    )


def dots(last: dict[tuple[str, str], np.ndarray], title: str, printed: float | None = None) -> Figure:
    """A dot for each seed of each (model, backend), with the mean as a bar.

    last     (seeds,) test accuracies in percent
    printed  an accuracy to hold MNISTCNN's against
    """
    figure = Figure(figsize=(max(6.0, 1.7 * len(last) + 1.5), 4.5), layout="constrained")
    axes = figure.subplots()
    styles = {"numpy": ("o", INDIGO), "torch": ("s", AMBER)}
    for x, ((_, backend), accuracies) in enumerate(last.items()):
        marker, color = styles[backend]
        places = x + np.linspace(-0.25, 0.25, len(accuracies))
        axes.plot(places, accuracies, marker, color=color, alpha=0.7, linestyle="none")
        axes.hlines(accuracies.mean(), x - 0.35, x + 0.35, color="black", label="" if x else "mean")
    if printed and (columns := [x for x, (model, _) in enumerate(last) if model == "MNISTCNN"]):
        ends = min(columns) - 0.45, max(columns) + 0.45
        axes.hlines(printed, *ends, color=RED, linestyle="--", label=f"the chapter's one run: {printed} %")
    shown = {"numpy": "NumPy", "torch": "PyTorch"}
    axes.set_xticks(range(len(last)), [f"{model}\n{shown[backend]}" for model, backend in last])
    axes.set(xlabel="model and backend; a dot for each seed", ylabel="test accuracy (%)")
    axes.set_xlim(-0.6, len(last) - 0.4)
    axes.grid(alpha=0.3, axis="y")
    figure.legend(loc="outside lower center", ncols=2)
    figure.suptitle(title)
    return figure


def last_accuracies(runs: Iterable[list[dict]]) -> np.ndarray:
    """The test accuracy after the last epoch of each run, in percent."""
    return np.array([log[-1]["test_accuracy"] for log in runs])


def correct(runs: Sequence[list[dict]], images: int) -> np.ndarray:
    """(seeds, images): whether each of the test images is labelled right after the last epoch of each run."""
    right = np.ones((len(runs), images), dtype=bool)
    for row, log in zip(right, runs, strict=True):
        row[log[-1]["wrong"]] = False
    return right


def logs(
    results: Path, dataset: data.Dataset, model: str, backend: str, seeds: Iterable[int], epochs: int
) -> list[list[dict]]:
    """The log of a training run (see training.train) for every seed, from `results` or else trained now.

    backend  "numpy", "torch", or "chapter": its own loop, which trains MNISTCNN
    Several programs may share `results`. One that cannot be written ends the program before it has trained.
    """
    found = []
    known = finished(results)
    bar = tqdm(list(seeds), f"{dataset.name}: {model}, {backend}", unit="run", leave=False, disable=None)
    for seed in bar:
        facts = facts_of(dataset, model, backend, seed, epochs)
        key = key_of(facts)
        if key not in known:
            known = finished(results)  # another program may have been here meanwhile
        if key not in known:
            keep(results)
            if backend == "chapter":
                from examples.experiments import (
                    chapter,  # it needs torchvision, which takes seconds to import
                )

                log = chapter.train(dataset, seed, epochs, each_epoch=bar.set_postfix)
            else:
                log = train(start(model, backend, seed), dataset, seed, epochs, each_epoch=bar.set_postfix)
            if not all(math.isfinite(entry["train_loss"]) for entry in log):
                fail(f"{model}, {backend}, seed {seed}: the training loss is not finite", code=3)
            keep(results, facts | {"log": log})
            known[key] = log
        found.append(known[key])
    return found


def is_counts(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_whole, value))


EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {  # all that tells one run from another
    "dataset": (lambda value: isinstance(value, str), "a name"),
    "images": (is_counts, "[training, test], two whole numbers"),
    "model": (lambda value: isinstance(value, str), "a name"),
    "backend": (lambda value: isinstance(value, str), "a name"),
    "seed": (is_whole, "a whole number >= 0"),
    "epochs": (lambda value: is_whole(value, at_least=1), "a whole number >= 1"),
    "recipe": (lambda value: isinstance(value, dict), "settings by name"),
    "machine": (lambda value: isinstance(value, dict), "facts by name"),
}


def facts_of(dataset: data.Dataset, model: str, backend: str, seed: int, epochs: int) -> dict[str, Any]:
    """All that tells this run from another, as it stands in its line."""
    return {
        "dataset": dataset.name,
        "images": [len(dataset.train_images), len(dataset.test_images)],
        "model": model,
        "backend": backend,
        "seed": seed,
        "epochs": epochs,
        "recipe": {"optimizer": "Adam", "lr": training.LR, "batch_size": training.BATCH_SIZE},
        "machine": of_training(),
    }


def key_of(entry: dict[str, Any]) -> str:
    return json.dumps({name: entry[name] for name in EXPECTED}, sort_keys=True)


def finished(results: Path) -> dict[str, list[dict]]:
    """The finished runs of a file, by key_of. A line that cannot be one is left out, and named on stderr."""
    known: dict[str, list[dict]] = {}
    refused: dict[str, list[str]] = {}
    try:
        lines = results.read_text("utf-8", errors="replace").splitlines() if results.exists() else []
    except OSError as error:
        fail(f"--results {results} cannot be read: {error.strerror}")
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            check_entry(entry)
            known[key_of(entry)] = entry["log"]
        except (ValueError, RecursionError) as error:
            whole = not isinstance(error, json.JSONDecodeError | RecursionError)
            refused.setdefault(str(error) if whole else "no whole line of JSON", []).append(str(number))
    for reason, numbers in refused.items():
        note(f"{results}, line {', '.join(numbers)}, is left out: {reason}")
    return known


def check_entry(entry: Any) -> None:
    """Raise ValueError, which names the value, unless this is what `logs` writes of a finished run."""
    if not isinstance(entry, dict):
        raise ValueError(f"it is {shown(entry)}, expected the facts of a run by name")
    for name, (fits, expected) in EXPECTED.items():
        if not fits(entry.get(name)):
            raise ValueError(f"{name} is {shown(entry.get(name))}, expected {expected}")
    check_log(entry.get("log"))
    if len(entry["log"]) != entry["epochs"]:
        raise ValueError(f"log has {len(entry['log'])} epochs, expected {entry['epochs']}")
    last, images = entry["log"][-1], entry["images"][1]
    if entry["backend"] == "chapter":
        if not isinstance(bounds := last.get("filters"), list) or len(bounds) != 2:
            raise ValueError(f"filters is {shown(bounds)}, expected the smallest and the largest weight")
    elif not is_ascending(wrong := last.get("wrong"), images):
        raise ValueError(f"wrong is {shown(wrong)}, expected test images in ascending order, below {images}")


def is_ascending(value: Any, below: int) -> bool:
    """Whether it is a list of different whole numbers from 0 to below - 1, in order."""
    if not isinstance(value, list) or not all(map(is_whole, value)):
        return False
    return all(a < b for a, b in pairwise([*value, below]))


def keep(results: Path, entry: dict | None = None) -> None:
    """Add a line to the file in one write; without an entry, only make sure that this can be done."""
    try:
        if not results.parent.exists():
            results.parent.mkdir(parents=True, exist_ok=True)
        with open(results, "ab") as file:
            if entry is not None:
                before = results.read_bytes()
                broken_off = b"" if before.endswith(b"\n") or not before else b"\n"
                file.write(broken_off + json.dumps(entry, allow_nan=False).encode() + b"\n")
    except OSError as error:
        fail(f"--results {results} cannot be written: {error.strerror}")
