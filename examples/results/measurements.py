"""Every measurement whose values are stored, each behind the command that shows the same to a person.

Training runs are kept in stored.FOLDER / "runs.jsonl" and are not trained again on the same machine.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from examples.common import data
from examples.common.cli import fail, machine
from examples.common.statistics import paired
from examples.results.stored import FOLDER, store

HOUSE = Path(__file__).parents[2]
MNIST = "--data-dir DIR --dataset mnist"


@dataclass(frozen=True)
class Where:
    """What the measurements are made of."""

    data_dir: Path
    seeds: int = 10
    runs: Path = FOLDER / "runs.jsonl"

    @property
    def mnist(self) -> list[str]:
        return ["--data-dir", str(self.data_dir), "--dataset", "mnist"]

    def dataset(self) -> data.Dataset:
        return data.load("mnist", self.data_dir)[0]


@dataclass(frozen=True)
class Measurement:
    command: str
    seeds: str
    values: Callable[[Where], dict[str, Any]]

    def make(self, where: Where) -> Path:
        values = self.values(where)
        if not values:  # runs.jsonl has it all
            return where.runs
        return store(self.values.__name__, self.command, machine(), self.seeds, values)


MEASUREMENTS: dict[str, Measurement] = {}


def measured(command: str, seeds: str):
    """Put a function on the list; its values are stored under its name."""

    def enter(values: Callable[[Where], dict[str, Any]]):
        MEASUREMENTS[values.__name__] = Measurement(command, seeds, values)
        return values

    return enter


def printed(*command: Any, may_end_with: tuple[int, ...] = (0,), **variables: str) -> str:
    """What a command prints, run by this Python on one thread. It ends the program if that fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HOUSE)} | variables
    words = [sys.executable, *map(str, command)]
    ended = subprocess.run(words, cwd=HOUSE, env=environment, capture_output=True, text=True)
    if ended.returncode not in may_end_with:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:]
        fail(f"{' '.join(map(str, command))} ends with exit code {ended.returncode}: {' '.join(last)}")
    return ended.stdout


@measured(
    f"python -m examples.seeds --models MNISTCNN MLP ThirdConvolution AveragePooling SmallMLP {MNIST}",
    "0, 1, ...",
)
def training(where: Where) -> dict[str, Any]:
    """The runs themselves, which go to runs.jsonl, with all that is said of them."""
    from examples.experiments import seeds
    from examples.results.training_runs import PAIRS

    dataset = where.dataset()
    sides = dict.fromkeys(side for pair in PAIRS.values() for side in pair)
    for model, backend in sides:
        seeds.logs(where.runs, dataset, model, backend, range(where.seeds), 5)
    return {}


@measured(f"python -m examples.chapter {MNIST}", "42")
def chapter(where: Where) -> dict[str, Any]:
    """The chapter's own loop; loss_off: how far the loss of an epoch is from the printed one, at most."""
    from examples.audit.training import LOSSES
    from examples.experiments.chapter import train

    log = train(where.dataset(), 42)
    losses = np.array([entry["train_loss"] for entry in log])
    accuracies = " ".join(f"{entry['test_accuracy']:.2f}" for entry in log)
    return {"accuracies": accuracies, "loss_off": float(abs(losses - LOSSES).max())}


VERDICTS = ("confirmed", "conditions", "wrong", "answered", "not_shown", "not_checked")  # as summary.SIGNS


def verdicts(lab: Any) -> dict[str, Any]:
    from examples.audit.claim import CLAIMS, judge
    from examples.audit.summary import SIGNS

    findings = {claim.name: judge(claim, lab) for claim in sorted(CLAIMS, key=lambda claim: claim.section)}
    counts = Counter(found.verdict for found in findings.values())
    named = {name: counts[verdict] for name, verdict in zip(VERDICTS, SIGNS, strict=True)}
    return {"statements": len(findings)} | named | {"findings": findings}


@measured(f"python -m examples.audit {MNIST}", "as said in its findings")
def audit(where: Where) -> dict[str, Any]:
    from examples.audit.lab import Lab

    found = verdicts(Lab(where.dataset(), where.runs, where.seeds))
    findings = found.pop("findings")
    return found | {name: [each.verdict, each.computed] for name, each in findings.items()}


@measured("python -m examples.audit --dataset digits --seeds 3 --epochs 1", "0 to 2")
def audit_digits(where: Where) -> dict[str, Any]:
    """Counted alone: what anybody gets without MNIST."""
    from examples.audit.lab import Lab

    with tempfile.TemporaryDirectory() as folder:
        found = verdicts(Lab(data.load_digits(), Path(folder) / "runs.jsonl", 3, 1))
    return {name: value for name, value in found.items() if name != "findings"}


@measured("python -m examples.compare_mlp --dataset digits --seeds 20", "0 to 19")
def digits(where: Where) -> dict[str, Any]:
    """Whether the MLP beats the CNN there, as the programs say."""
    from examples.experiments.compare_mlp import compare
    from examples.results.training_runs import difference

    with tempfile.TemporaryDirectory() as folder:
        dataset, file = data.load_digits(), Path(folder) / "runs.jsonl"
        found = compare(["MNISTCNN", "MLP"], dataset, seed_count=20, results=file)
    means = {"cnn": float(found.last["MNISTCNN"].mean()), "mlp": float(found.last["MLP"].mean())}
    return means | difference(found.difference("MNISTCNN", "MLP")) | {"images": len(dataset.test_images)}


@measured(f"python -m examples.edges {MNIST}", "0 to 4")
def edges(where: Where) -> dict[str, Any]:
    from examples.common.models import start
    from examples.common.training import train
    from examples.experiments import edges as of

    dataset, before, learned = where.dataset(), [], []
    for seed in range(5):
        model = start("MNISTCNN", "torch", seed)
        before.append(of.first_filters(model))
        train(model, dataset, seed, 5)
        learned.append(of.first_filters(model))
    row = of.share_rows(np.array(before), np.array(learned), of.untrained_filters(2000))[0]
    fixed = of.fixed_accuracies(dataset, learned, 2)
    means = {kind: float(accuracies.mean()) for kind, accuracies in fixed.items()}
    gain = paired(fixed["edges"], fixed["random"])
    return means | {
        "share": float(row.trained.mean()),
        "untrained": float(row.untrained.mean()),
        "p": row.p,
        "half": 100 * float((row.trained > 0.5).mean()),
        "half_untrained": 100 * float((row.untrained > 0.5).mean()),
        "gain": gain.mean,
        "margin": gain.margin,
        "optimal": {1: "shown against random ones", 0: "not shown", -1: "refuted"}[gain.winner],
    }


@measured(f"python -m examples.museum --first-seed 2000 --train {MNIST}", "2000 to 2002")
def museum(where: Where) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "museum.json"
        printed("-m", "examples.museum", "--first-seed", 2000, "--train", *where.mnist, "--json", file)
        found = json.loads(file.read_text("utf-8"))
    bugs = found["bugs"]
    in_layers = [bug for bug in bugs if bug["by_ones"] is not None]
    learned = [bug["accuracy"]["MNISTCNN"] for bug in bugs if bug["accuracy"]]
    sums = {name: sum(sum(bug[name]) for bug in bugs) for name in ("caught", "tensor", "stage", "named")}
    return sums | {
        "asked": sum(len(bug["caught"]) for bug in bugs),
        "stages": sum(len(bug["stage"]) for bug in bugs),
        "layers": len(in_layers),
        "ones": sum(bug["by_ones"] for bug in in_layers),
        "differences": sum(bug["by_differences"] for bug in in_layers),
        "trained": len(learned),
        "above_90": sum(accuracy > 90 for accuracy in learned),
        "right_one": found["baseline"]["Adam"]["MNISTCNN"],
    }


@measured("SEEDS=16 pytest -n 0 tests/parity/test_styles.py -s", "0 to 15")
def styles(where: Where) -> dict[str, Any]:
    """That none is accused is what the tests demand; without it there are no figures."""
    out = printed("-m", "pytest", "-n", 0, "tests/parity/test_styles.py", "-s", SEEDS="16")
    rows = re.findall(r"(\d+) styles, ([\d,]+) in float32, ([\d,]+) in float64, .* bound ([\d.]+)", out)
    asked = [sum(int(count.replace(",", "")) for count in row[1:3]) for row in rows]
    worst = max(float(row[3]) for row in rows)
    return {"styles": sum(int(row[0]) for row in rows), "configurations": sum(asked), "worst": worst}


@measured("SEEDS=1000 pytest -n 0 tests/parity/test_exact.py -k violates -s", "0 to 999")
def bounds(where: Where) -> dict[str, Any]:
    """Of the tests' networks and precisions: bound / largest error of a tensor."""
    out = printed("-m", "pytest", "-n", 0, "tests/parity/test_exact.py", "-k", "violates", "-s", SEEDS="1000")
    rows = [
        [float(number) for number in row] for row in re.findall(r": ([\d.]+) to (\d+), median (\d+)", out)
    ]
    low, high, middle = zip(*rows, strict=True)
    return {"low": min(low), "high": max(high), "medians": [min(middle), max(middle)], "networks": len(rows)}


@measured("python tests/parity/unseen/measure.py FILE", "0")
def unseen(where: Where) -> dict[str, Any]:
    """What is found today of the bugs that were written blind, some of which the doctor has learnt since."""
    return {path.stem: of_bugs(path) for path in sorted((HOUSE / "tests/parity/unseen").glob("bugs*.jsonl"))}


def of_bugs(path: Path) -> dict[str, int]:
    out = printed("tests/parity/unseen/measure.py", path.name)
    counted = re.search(
        r"(\d+) bugs: (\d+) caught, (\d+) named.*\n.*: (\d+) true, (\d+) false, (\d+) unread", out
    )
    if not counted:
        fail(f"measure.py {path.name} prints no counts")
    names = ("bugs", "caught", "named", "true", "false", "unread")
    return dict(zip(names, map(int, counted.groups()), strict=True))


@measured(f"python -m examples.train_mnist --backend torch {MNIST}", "42")
def recipe(where: Where) -> dict[str, Any]:
    """Both backends in one process and in two."""
    found: dict[str, Any] = {}
    for backend in ("numpy", "torch"):
        for processes, launch in (
            (1, []),
            (2, ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]),
        ):
            with tempfile.TemporaryDirectory() as folder:
                flags = ["--backend", backend, "--device", "cpu", "--output-dir", folder]
                printed("-m", *launch, "examples.train_mnist", *flags, *where.mnist)
                log = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
            losses = " ".join(f"{entry['train_loss']:.4f}" for entry in log)
            found[f"{backend}_{processes}"] = {"accuracy": log[-1]["test_accuracy"], "losses": losses}
    return found


@measured(f"python -m examples.speedrun --only numpy --seeds 10 {MNIST}", "0 to 9")
def one_cycle(where: Where) -> dict[str, Any]:
    from examples.common.flags import RECIPES

    found = printed("-m", "examples.speedrun", "--only", "numpy", "--seeds", 10, *where.mnist)
    values: dict[str, Any] = {
        "peak": RECIPES["one-cycle"].lr,
        "smoothing": RECIPES["one-cycle"].label_smoothing,
    }
    for target, epochs in (("98.75", 1), ("99.0", 2)):
        rows = re.findall(rf"^ *{target} %  NumPy .*  ([0-9.]+) %(, not reached)?$", found, re.MULTILINE)
        last = [float(accuracy) for accuracy, _ in rows]
        values[f"epochs_{epochs}"] = {"count": len(last), "reached": sum(not missed for _, missed in rows)}
        values[f"epochs_{epochs}"] |= {"target": float(target), "mean": sum(last) / len(last)}
        values[f"epochs_{epochs}"] |= {"lowest": min(last), "highest": max(last)}
    return values


@measured(f"python -m examples.benchmark {MNIST}", "0")
def benchmark(where: Where) -> dict[str, Any]:
    """It wants a machine that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "benchmark.json"
        printed("-m", "examples.benchmark", *where.mnist, "--json", file)
        found = json.loads(file.read_text("utf-8"))
    values: dict[str, Any] = {f"t{threads}": {} for threads in (1, 2)}
    for row in found["step"]:
        values[f"t{row['threads']}"].setdefault(KEYS[row["side"]], {})[f"b{row['batch_size']}"] = range_of(
            row["ratio"]
        )
        if row["side"].startswith("tinycnn_numpy") and (row["threads"], row["batch_size"]) == (1, 64):
            values["limit"] = row["times_limit"]
    for row in found["answer"]:
        values.setdefault("answer", {}).setdefault(KEYS[row["side"]], {})[f"b{row['batch_size']}"] = range_of(
            row["ratio"]
        )
    for row in found["stages"]:
        if row["batch_size"] == 64:
            name = f"{row['stage']}_{row['way']}".strip("_")
            values.setdefault("stages", {})[name] = {"ms": row["ms"], "floor": row["floor_ms"]}
    for row in found["epoch"]:
        values[row["side"].removeprefix("train_mnist --backend ").replace(" ", "_")] = range_of(row["ratio"])
    return values


KEYS = {  # the sides of the benchmark's table
    "tinycnn_numpy": "one_core",
    "tinycnn_numpy, 2 processes": "itself",
    "PyTorch eager": "eager",
    "PyTorch channels last": "channels_last",
    "PyTorch compiled": "compiled",
    "JAX/Flax jit": "flax",
    "PyTorch DDP, 2 processes": "processes",
}


def range_of(ratio: list[float]) -> str:
    low, middle, high = ratio
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
