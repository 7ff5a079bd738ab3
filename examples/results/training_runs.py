"""What the stored training runs say: accuracies by model and backend, and the differences of two networks."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from examples.common.cli import in_words
from examples.common.statistics import Paired, paired
from examples.experiments import seeds

ALIKE = ("dataset", "images", "epochs", "recipe", "machine")  # in all of the runs
PAIRS = {  # one network and another, and what their difference is called here
    "numpy_torch": (("MNISTCNN", "numpy"), ("MNISTCNN", "torch")),
    "cnn_mlp": (("MNISTCNN", "torch"), ("MLP", "torch")),
    "third": (("ThirdConvolution", "torch"), ("MNISTCNN", "torch")),
    "average": (("AveragePooling", "torch"), ("MNISTCNN", "torch")),
    "same_size": (("MNISTCNN", "torch"), ("SmallMLP", "torch")),
}


def of_runs(path: Path) -> dict[str, Any]:
    """Raises ValueError unless the runs are alike, and the same seeds are there for both of a pair."""
    entries = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    logs: dict[tuple[str, str], dict[int, list[dict]]] = defaultdict(dict)
    for entry in entries:
        seeds.check_entry(entry)
        if other := [fact for fact in ALIKE if entry[fact] != entries[0][fact]]:
            raise ValueError(
                f"{path}: {other[0]} is {entry[other[0]]}, expected {entries[0][other[0]]} as above"
            )
        logs[entry["model"], entry["backend"]][entry["seed"]] = entry["log"]
    found: dict[str, Any] = {"machine": in_words(entries[0]["machine"]), "trained": len(entries)}
    images = entries[0]["images"][1]
    for (model, backend), by_seed in logs.items():
        if len(by_seed) == 1:  # the chapter's own run has no spread
            continue
        found[f"{model}_{backend}"] = spread_of(seeds.last_accuracies(by_seed.values()))
    for name, pair in PAIRS.items():
        both = [logs[side] for side in pair]
        if not both[0].keys() == both[1].keys():
            raise ValueError(f"{path}: seeds {sorted(both[0])} of {pair[0]}, expected {sorted(both[1])}")
        found[name] = difference(
            paired(*(seeds.correct([of[seed] for seed in sorted(of)], images) for of in both))
        )
    return found | {"comparisons": len(PAIRS), "by_chance": 0.05 * len(PAIRS)}


def spread_of(last: np.ndarray) -> dict[str, Any]:
    std = float(last.std(ddof=1))
    away = (seeds.PRINTED - float(last.mean())) / std
    facts = {"mean": float(last.mean()), "std": std, "low": last.min(), "high": last.max()}
    return facts | {"count": len(last), "away": away}


def difference(of: Paired) -> dict[str, Any]:
    """In points. margin: of the 95 % interval over seeds and images; says: what that allows to say."""
    says = {1: "better", 0: "no difference shown", -1: "worse"}[of.winner]
    wins, count = int((of.differences > 0).sum()), len(of.differences)
    facts = {"mean": of.mean, "margin": of.margin, "error": of.error, "seed_error": of.seed_error}
    return facts | {"says": says, "wins": wins, "count": count}
