"""The known mistakes, one file for each kind of layer: what a mistake would compute, and a sentence about it.

Each entry predicts a wrong tensor from the inputs of a run, in float64 and mostly by PyTorch's own functions
with one thing changed. A prediction of None means: in this run the mistake does not show. The order is from
the particular to the general; the first that explains everything is named.
"""

from collections.abc import Iterator

from parity.doctor import anything, convolution, loss, optimizers, pooling, simple
from parity.doctor.evidence import Cause

OWN = {
    "Conv2D": convolution.CAUSES,
    "MaxPool2D": pooling.MAX_CAUSES,
    "AvgPool2D": pooling.AVERAGE_CAUSES,
    "ReLU": simple.RELU_CAUSES,
    "Flatten": simple.FLATTEN_CAUSES,
    "Dense": simple.DENSE_CAUSES,
    "CrossEntropyLoss": loss.CAUSES,
}


def causes_of(kind: str, tensor: str) -> Iterator[Cause]:
    """What may have made `tensor` of a class wrong."""
    if kind in optimizers.CAUSES:
        yield from optimizers.CAUSES[kind](tensor)
        return
    if tensor in OWN[kind]:
        yield from OWN[kind][tensor]()
    yield from anything.causes(tensor)
