"""Exercise 31.1: a third convolution, its shapes, its parameters, and whether it helps."""

import argparse
import textwrap

from examples.common.data import Dataset
from examples.common.figures import save
from examples.common.models import start
from examples.experiments import seeds
from examples.experiments.compare_mlp import compare, introduction, mean_log, verdict
from examples.experiments.shapes import as_text, trace, trace_both

QUESTION = """Put a third convolution (32 to 64 channels, 3 x 3), a ReLU and a max pooling in front of fc.
How long is the flattened image then? How many parameters does the change add? Does it help?"""


def solve(dataset: Dataset, args: argparse.Namespace) -> None:
    model = "ThirdConvolution"
    before, after = (trace(start(name, "numpy", 0)) for name in ("MNISTCNN", model))
    pairs, _ = trace_both(start(model, "numpy", 0), start(model, "torch", 0))
    print(as_text(pairs))
    flat = {row.stage: row for row in after}["flatten"].shape[1]
    print(
        f"The flattened image has {flat} numbers: a 3 x 3 map has room for one 2 x 2 window, and pool3 drops"
    )
    print("the other 5 of its 9 places.")
    print(f"Parameters: {in_words(parameter_changes(before, after))}")

    models = ["MNISTCNN", model]
    print(introduction(models, dataset, args.backend, args.seeds, args.epochs), flush=True)
    found = compare(models, dataset, args.backend, args.seeds, args.epochs, args.results)
    print(found)
    difference = found.difference(model, "MNISTCNN")
    print(f"{model} - MNISTCNN, seed by seed: {difference}")
    print(seeds.sampling(found.last[model].mean(), dataset))
    says = verdict(difference, model, "MNISTCNN")
    print(f"On {dataset.name}, after {seeds.epochs_in_words(args.epochs)}, {says}.")
    losses = {name: mean_log(logs)[-1]["train_loss"] for name, logs in found.logs.items()}
    shown = ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
    print(f"Mean training loss of the last epoch: {shown}.")
    print(why(difference.winner, losses[model] - losses["MNISTCNN"], flat))
    save(found.curves(), args.output_dir / "third_convolution.png")


def why(winner: int, more_loss: float, flat: int) -> str:
    """What the runs say of the reason. winner: 1 if the third convolution helps, -1 if it harms, else 0."""
    if winner == 0:
        return "Why: the runs leave open whether it helps, so there is nothing yet to explain."
    if winner > 0:
        return f"Why: what conv3 computes is worth more here than the 800 - {flat} numbers that fc loses."
    text = f"Why: fc gets {flat} numbers in place of 800, for no stage is padded and pool3 looks at 4 of 9 "
    text += "places. The training images are fitted "
    text += "worse as well: that is no overfitting. " if more_loss > 0 else "better: more is overfitted. "
    text += "Padding, and no third pooling, would keep 5 x 5 places; that network is not measured here."
    return textwrap.fill(text, 105)


def parameter_changes(before, after) -> dict[str, tuple[int, int]]:
    """(before, after) of every stage whose number of parameters changes, and of the total."""
    counts = [{row.stage: row.parameters for row in of} for of in (before, after)]
    changes = {name: (counts[0].get(name, 0), count) for name, count in counts[1].items()}
    changes = {name: change for name, change in changes.items() if change[0] != change[1]}
    return changes | {"total": (sum(counts[0].values()), sum(counts[1].values()))}


def in_words(changes: dict[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} {old:,} -> {new:,} ({new - old:+,})" for name, (old, new) in changes.items())
