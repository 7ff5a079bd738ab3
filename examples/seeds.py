"""How much of an accuracy is chance? The same recipe from several seeds: python -m examples.seeds

Every finished run becomes a line of --results and is not trained again: a stopped program goes on where it
was, and whatever asks for the same runs (the exercises, the audit) finds them there.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples import data
from examples.exercises import models
from examples.program import Parser, fail, in_words, machine, run, whole_number
from examples.recipe import train
from parity import copy_weights

MODELS: dict[str, tuple[Callable[..., tn.Layer], Callable[[], torch.nn.Module]]] = {
    "MNISTCNN": (tn.MNISTCNN, tt.MNISTCNN),
    "MLP": (tn.MLP, tt.MLP),
    "ThirdConvolution": (models.ThirdConvolution, models.TorchThirdConvolution),
    "AveragePooling": (models.AveragePooling, models.TorchAveragePooling),
}
PRINTED = 98.75  # percent: the chapter's one run of MNISTCNN, after 5 epochs
RESULTS = Path("runs/seeds.jsonl")


def main(argv=None) -> int:
    parser = Parser(prog="python -m examples.seeds", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--models", choices=list(MODELS), nargs="+", default=["MNISTCNN", "MLP"], help="what is trained")
    add("--backends", choices=["numpy", "torch"], nargs="+", default=["numpy", "torch"], help="who computes")
    add("--seeds", type=whole_number(2), default=10, help="how many: 0, 1, 2, ...")
    add("--epochs", type=whole_number(1), default=5, help="passes over the training set")
    add("--results", type=Path, default=RESULTS, help="file of the finished runs, read and added to")
    data.add_flags(parser)
    args = parser.parse_args(argv)
    dataset = data.from_flags(args)
    print(f"{dataset}, {args.epochs} epochs, seeds 0 to {args.seeds - 1}; {in_words(machine())}")
    print("test accuracy in percent    mean    std  smallest  largest")
    for model in args.models:
        for backend in args.backends:
            runs = logs(args.results, dataset, model, backend, range(args.seeds), args.epochs)
            last = last_accuracies(runs)
            spread = f"{last.mean():6.2f}  {last.std(ddof=1):5.2f}  {last.min():8.2f}  {last.max():7.2f}"
            print(
                f"{model:16}  {backend:8}  {spread}{placed(last) if model == 'MNISTCNN' else ''}", flush=True
            )
    return 0


def placed(last: np.ndarray) -> str:
    """Where the chapter's accuracy stands among those of our seeds."""
    away = (PRINTED - last.mean()) / last.std(ddof=1)
    return f"   {PRINTED}: above {(last < PRINTED).sum()} of {len(last)}, {away:+.1f} std from the mean"


def last_accuracies(runs: Iterable[list[dict]]) -> np.ndarray:
    """The test accuracy after the last epoch of each run, in percent."""
    return np.array([log[-1]["test_accuracy"] for log in runs])


def logs(
    results: Path, dataset: data.Dataset, model: str, backend: str, seeds: Iterable[int], epochs: int
) -> list[list[dict]]:
    """The log of a training run (see recipe.train) for every seed, from `results` or else trained now."""
    known = finished(results)
    found = []
    for seed in seeds:
        key = (dataset.name, model, backend, seed, epochs)
        if key not in known:
            log = train(start(model, backend, seed), dataset, seed, epochs)
            entry = dict(zip(KEY, key, strict=True)) | {"log": log, "machine": machine()}
            try:
                results.parent.mkdir(parents=True, exist_ok=True)
                with open(results, "a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
            except OSError as error:
                fail(f"--results {results} cannot be written: {error.strerror}")
            known[key] = log
        found.append(known[key])
    return found


KEY = ("dataset", "model", "backend", "seed", "epochs")


def finished(results: Path) -> dict[tuple, list[dict]]:
    """The finished runs of a file; a line that breaks off, as after a power cut, is left out."""
    known = {}
    try:
        lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    except OSError as error:
        fail(f"--results {results} cannot be read: {error.strerror}")
    for line in lines:
        try:
            entry = json.loads(line)
            known[tuple(entry[name] for name in KEY)] = entry["log"]
        except (ValueError, KeyError, TypeError):
            continue
    return known


def start(model: str, backend: str, seed: int):
    """The untrained model. One seed gives the same first weights on both sides."""
    by_hand, with_torch = MODELS[model]
    ours = by_hand(rng=np.random.default_rng(seed))
    if backend == "numpy":
        return ours
    theirs = with_torch()
    copy_weights(ours, theirs)
    return theirs


if __name__ == "__main__":
    run(main)
