"""Mistakes in a flatten: the wrong order of reading."""

from collections.abc import Iterator
from itertools import permutations

from torch import Tensor

from parity.doctor.evidence import Cause, Evidence, Page, causes


@causes("Flatten", "out")
def out_causes() -> Iterator[Cause]:
    for order in permutations(range(4)):
        yield Cause(
            "reading-order",
            "the pixels are in another order: out = x.reshape(N, C*H*W), channels slowest, columns fastest.",
            lambda e, order=order: (
                e.x.permute(order).reshape(e.exact["out"].shape) if e.x.ndim == 4 else None
            ),
        )


@causes("Flatten", "dx")
def dx_causes() -> Iterator[Cause]:
    for order in permutations(range(4)):
        yield Cause(
            "reading-order",
            "backward reshapes in another order than forward: dx = dout.reshape(x.shape).",
            lambda e, order=order: folded(e, order),
        )


def folded(e: Evidence, order: tuple[int, ...]) -> Tensor | None:
    if e.x.ndim != 4:
        return None
    back = [order.index(axis) for axis in range(4)]
    return e.dout.reshape([e.x.shape[axis] for axis in order]).permute(back)


PAGES = [
    Page(
        "reading-order",
        kind="Flatten",
        what="The right numbers stand at the wrong places, as a reshape in another order leaves them.",
        right="out = x.reshape(len(x), -1)",
        wrong="out = (x.transpose(0, 2, 3, 1) if x.ndim == 4 else x).reshape(len(x), -1)",
        why="""PyTorch reads channels slowest; Keras and Flax read them fastest. A network that is trained so
        works; weights from the other side do not fit.""",
    ),
]
