"""The exercises: what they state or suggest."""

from examples.audit.claim import claim, confirmed, exactly, holds, open_
from examples.common.models import TorchThirdConvolution
from examples.common.statistics import paired
from examples.exercises.third_convolution import in_words, parameter_changes
from examples.experiments.compare_mlp import parameter_count
from examples.experiments.shapes import trace
from examples.experiments.zoo import count
from tinycnn_torch import MLP, MNISTCNN


def difference(lab, first: str, second: str = "MNISTCNN"):
    lab.chapters_recipe()
    return paired(lab.last(first), lab.last(second))


@claim("exercise 31.1", "a third convolution fits between conv2 and fc", by="examples.exercises 31.1")
def third_convolution(lab):
    shape = {row.stage: row.shape[1:] for row in trace(TorchThirdConvolution())}
    text = f"conv3 gives {shape['conv3']}, pool3 {shape['pool3']}: flattened {shape['flatten'][0]} numbers"
    return holds(shape["flatten"] == (64,), text)


@claim("exercise 31.1", "it adds parameters", by="examples.exercises 31.1")
def third_convolution_parameters(lab):
    changes = parameter_changes(trace(MNISTCNN()), trace(TorchThirdConvolution()))
    before, after = changes["total"]
    return holds(after > before, in_words(changes))


@claim("exercise 31.1", "it improves the accuracy (asked, not said)", by="examples.exercises 31.1")
def third_convolution_helps(lab):
    found = difference(lab, "ThirdConvolution")
    return holds(found.winner == 1, str(found)) if found.winner else open_(str(found))


@claim("exercise 31.2", "average and max pooling differ in accuracy (asked)", by="examples.exercises 31.2")
def average_pooling(lab):
    found = difference(lab, "AveragePooling")
    text = f"average - max: {found}"
    return confirmed(text) if found.winner else open_(text)


@claim("exercise 31.3", "conv2 gives 32 maps of 11 x 11", by="examples.exercises 31.3")
def second_maps(lab):
    return exactly((32, 11, 11), {row.stage: row.shape[1:] for row in trace(MNISTCNN())}["conv2"])


@claim("exercise 31.4", "the CNN is the more parameter-efficient one", by="examples.exercises 31.4")
def parameter_efficiency(lab):
    """Against the MLP, and against an MLP of the same size."""
    small = parameter_count("SmallMLP")
    found = difference(lab, "MNISTCNN", "SmallMLP")
    sizes = [count(model) for model in (MNISTCNN(), MLP())]
    text = f"{sizes[0]:,} against {sizes[1]:,}; against an MLP of {small:,} parameters: {found}"
    return holds(found.winner == 1 and sizes[0] < sizes[1], text)
