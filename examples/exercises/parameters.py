"""Exercise 31.4: where the parameters of the MLP and of the CNN are, and what each is worth."""

import argparse
import contextlib
import io
import math
import textwrap

import tinycnn_numpy as tn
from examples.common.data import Dataset
from examples.common.figures import save
from examples.common.models import start
from examples.experiments import seeds
from examples.experiments.compare_mlp import compare, introduction, verdict
from examples.experiments.shapes import ShapeRow, trace

QUESTION = """Write count_parameters(model): it prints every name, shape and size and returns their total.
Which is more parameter-efficient, the MLP or the CNN, and why?"""


def solve(dataset: Dataset, args: argparse.Namespace) -> None:
    for model in ("MLP", "MNISTCNN"):
        print(f"The parameters of {model}; {agreement(model)}:")
        count_parameters(start(model, "numpy", 0))
    print("The bias apart, in a forward pass of one image:")
    print(f"{'model':10}{'stage':7}{'weights':>8}{'uses of each':>14}{'multiply-adds':>15}")
    for model in ("MLP", "SmallMLP", "MNISTCNN"):
        print(work_table(model, trace(start(model, "numpy", 0))))

    models = ["MNISTCNN", "MLP", "SmallMLP"]
    print(introduction(models, dataset, args.backend, args.seeds, args.epochs), flush=True)
    found = compare(models, dataset, args.backend, args.seeds, args.epochs, args.results)
    print(found)
    for model in ("MLP", "SmallMLP"):
        print(f"MNISTCNN - {model}, seed by seed: {found.difference('MNISTCNN', model)}")
    print(seeds.sampling(found.last["MNISTCNN"].mean(), dataset))
    conclusion = verdict(found.difference("MNISTCNN", "SmallMLP"), "MNISTCNN", "SmallMLP")
    print(f"On {dataset.name}, with equally many parameters, {conclusion}.")
    cnn, mlp = (trace(start(model, "numpy", 0)) for model in ("MNISTCNN", "MLP"))
    times, share = multiply_adds(cnn) / multiply_adds(mlp), weights(mlp) / weights(cnn)
    print("Why: a dense layer uses a weight once for an image, a convolution at every place.")
    print(
        f"MNISTCNN has 1/{share:.1f} of MLP's weights and does {times:.1f} times its multiply-adds with them."
    )
    print(wiring(cnn))
    save(found.curves(), args.output_dir / "parameters.png")


def wiring(cnn: list[ShapeRow]) -> str:
    """What being local and being shared save, in the first layer; and where nothing is shared."""
    stages = {row.stage: row for row in cnn}
    conv1, fc = stages["conv1"], stages["fc"]
    outputs, total = math.prod(conv1.shape[1:]), sum(row.parameters for row in cnn)
    text = (
        f"From 784 pixels to the {outputs:,} numbers of conv1 dense wiring takes {784 * outputs:,} weights, "
    )
    text += (
        f"local wiring {conv1.multiply_adds:,}, local and shared {conv1.weights}. But {fc.parameters:,} of "
    )
    text += (
        f"the CNN's {total:,} parameters are fc's, which shares nothing. Whether being local is what helps "
    )
    return textwrap.fill(f"{text}is measured by python -m examples.audit --only locality.", 105)


def count_parameters(model) -> int:
    """The answer: print name, shape and size of every parameter of a model of either package."""
    for name, array in model.state_dict().items():
        print(f"{name:<14} {tuple(array.shape)!s:<18} {math.prod(array.shape):>8,}")
    total = tn.count_parameters(model)
    print(f"{'total':<33} {total:>8,}")
    return total


def agreement(model: str) -> str:
    """Whether count_parameters prints the same for both packages."""
    printed = [counted(start(model, backend, 0))[1] for backend in ("numpy", "torch")]
    return "the PyTorch model gives the same" if printed[0] == printed[1] else "PYTORCH'S IS ANOTHER"


def counted(model) -> tuple[int, str]:
    """What count_parameters returns and what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        total = count_parameters(model)
    return total, printed.getvalue()


def work_table(model: str, of: list[ShapeRow]) -> str:
    """How often the weights of each stage are used for one image, and how many multiply-adds that makes."""
    rows = [
        f"{model:10}{row.stage:7}{row.weights:8,}{row.uses:14,}{row.multiply_adds:15,}"
        for row in of
        if row.weights
    ]
    mean = multiply_adds(of) / weights(of)
    return "\n".join([*rows, f"{model:10}{'total':7}{weights(of):8,}{mean:14.1f}{multiply_adds(of):15,}"])


def weights(of: list[ShapeRow]) -> int:
    return sum(stage.weights for stage in of)


def multiply_adds(of: list[ShapeRow]) -> int:
    return sum(stage.multiply_adds for stage in of)
