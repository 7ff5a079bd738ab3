"""The exercises: what they state or suggest."""

from examples.audit.claim import answered, claim, exactly, holds, open_
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


@claim("exercise 31.1", "how many parameters does it add? (a question)", by="examples.exercises 31.1")
def third_convolution_parameters(lab):
    changes = parameter_changes(trace(MNISTCNN()), trace(TorchThirdConvolution()))
    return answered(in_words(changes))


@claim("exercise 31.1", "does it improve the accuracy? (a question)", by="examples.exercises 31.1")
def third_convolution_helps(lab):
    found = difference(lab, "ThirdConvolution")
    if not found.winner:
        return open_(str(found))
    return answered(f"{'yes' if found.winner == 1 else 'no, it is worse'}: {found}")


@claim(
    "exercise 31.2",
    "how do average and max pooling compare in accuracy? (a question)",
    by="examples.exercises 31.2",
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


@claim("exercise 31.4", "which is more parameter-efficient? (a question)", by="examples.exercises 31.4")
def parameter_efficiency(lab):
    """Against the MLP, and against an MLP of the same size."""
    small = parameter_count("SmallMLP")
    found = difference(lab, "MNISTCNN", "SmallMLP")
    sizes = [count(model) for model in (MNISTCNN(), MLP())]
    text = f"{sizes[0]:,} against {sizes[1]:,}; against an MLP of {small:,} parameters: {found}"
    if not found.winner:
        return open_(text)
    return answered(f"{'the CNN' if found.winner == 1 else 'the MLP'}: {text}")
