"""The exercises: what they state or suggest."""

import numpy as np
import torch

from examples.audit.claim import answered, claim, exactly, holds, only_if, open_, wrong
from examples.common.models import TorchThirdConvolution, start
from examples.common.statistics import paired
from examples.exercises.third_convolution import in_words, parameter_changes
from examples.experiments.compare_mlp import parameter_count
from examples.experiments.shapes import outputs, trace
from examples.experiments.zoo import count
from tinycnn_torch import MLP, MNISTCNN


def difference(lab, first: str, second: str = "MNISTCNN"):
    lab.chapters_recipe()
    return paired(lab.correct(first), lab.correct(second))


@claim("exercise 31.1", "a third convolution fits between conv2 and fc", by="examples.exercises 31.1")
def third_convolution(lab):
    shape = {row.stage: row.shape[1:] for row in trace(TorchThirdConvolution())}
    text = f"conv3 gives {shape['conv3']}, pool3 {shape['pool3']}: flattened {shape['flatten'][0]} numbers"
    return holds(shape["flatten"] == (64,), text)


@claim("exercise 31.1", "how many parameters does it add? (a question)", by="examples.exercises 31.1")
def third_convolution_parameters(lab):
    changes = parameter_changes(trace(MNISTCNN()), trace(TorchThirdConvolution()))
    return answered(in_words(changes))


@claim(
    "exercise 31.1",
    "does it improve the accuracy? (a question)",
    by="examples.exercises 31.1",
    comparisons=1,
)
def third_convolution_helps(lab):
    found = difference(lab, "ThirdConvolution")
    if not found.winner:
        return open_(str(found))
    return answered(f"{'yes' if found.winner == 1 else 'no, it is worse'}: {found}")


@claim(
    "exercise 31.2",
    "how do average and max pooling compare in accuracy? (a question)",
    by="examples.exercises 31.2",
    comparisons=1,
)
def average_pooling(lab):
    found = difference(lab, "AveragePooling")
    text = f"average - max: {found}"
    if not found.winner:
        return open_(text)
    return answered(f"{'average' if found.winner == 1 else 'max'} pooling is better; {text}")


@claim("exercise 31.3", "conv2 gives 32 maps of 11 x 11", by="examples.exercises 31.3")
def second_maps(lab):
    return exactly((32, 11, 11), {row.stage: row.shape[1:] for row in trace(MNISTCNN())}["conv2"])


@claim(
    "exercise 31.4",
    "which is more parameter-efficient? (a question)",
    by="examples.exercises 31.4",
    comparisons=1,
)
def parameter_efficiency(lab):
    """Against the MLP, and against an MLP of the same size."""
    small = parameter_count("SmallMLP")
    found = difference(lab, "MNISTCNN", "SmallMLP")
    sizes = [count(model) for model in (MNISTCNN(), MLP())]
    text = f"{sizes[0]:,} against {sizes[1]:,}; against an MLP of {small:,} parameters: {found}"
    if not found.winner:
        return open_(text)
    return answered(f"{'the CNN' if found.winner == 1 else 'the MLP'}: {text}")


@claim(
    "exercise 31.3",
    "conv2's maps are more abstract than conv1's",
    by="examples.exercises 31.3",
    comparisons=2,
)
def more_abstract(lab):
    """Abstract has no number. Here: how much of what a map answers is explained by the digit's class."""
    lab.chapters_recipe()
    images, labels = torch.from_numpy(lab.dataset.test_images[:2000]), lab.dataset.test_labels[:2000]
    untrained = [start("MNISTCNN", "torch", seed) for seed in range(len(lab.networks))]
    shares = ([told_apart(network, images, labels) for network in some] for some in (lab.networks, untrained))
    return abstraction(*map(np.array, shares))


def told_apart(network: torch.nn.Module, images: torch.Tensor, labels: np.ndarray) -> list[float]:
    """Of relu1 and of relu2: the share of the variance of a map's mean that lies between classes.

    0: the map answers alike to all digits; 1: to all images of a digit alike. The mean over maps that answer.
    """
    stages, found = outputs(network, images), []
    for stage in ("relu1", "relu2"):
        answers = stages[stage].mean(dim=(2, 3)).numpy()  # (N, maps)
        answers = answers[:, answers.std(axis=0) > 0]
        centres = np.stack([answers[labels == label].mean(axis=0) for label in np.unique(labels)])
        expected = centres[np.searchsorted(np.unique(labels), labels)]
        found.append(float((expected.var(axis=0) / answers.var(axis=0)).mean()))
    return found


def abstraction(trained: np.ndarray, untrained: np.ndarray):
    """(networks, 2) shares of relu1 and relu2. A condition at best: that this measures abstraction."""
    gain = paired(trained[:, 1], trained[:, 0])
    before, after = ([f"{share:.2f}" for share in shares.mean(axis=0)] for shares in (untrained, trained))
    text = f"classes explain {after[0]} of what a map of conv1 answers, {after[1]} of conv2; "
    text += f"in untrained networks {before[0]} and {before[1]}"
    if gain.winner == 0:
        return open_(text)
    if gain.winner < 0:
        return wrong(text)
    learned = paired(trained[:, 1] - trained[:, 0], untrained[:, 1] - untrained[:, 0]).winner == 1
    return only_if(f"{text}: in this measure" + ("" if learned else ", and without training as well"))
