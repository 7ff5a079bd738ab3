"""The size of out or dx by a wrong formula, told from the shape alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from parity.bounds import Array
from parity.doctor.arithmetic import geometry
from parity.doctor.evidence import Cause, Evidence, Page, causes


@dataclass(frozen=True)
class Axis:
    """One axis of a window: side of the image, kernel, stride, padding, windows."""

    L: int
    K: int
    S: int
    P: int
    O: int  # noqa: E741


def axes_of(e: Evidence) -> list[Axis]:
    """The rows and the columns."""
    return list(map(Axis, e.x.shape[2:], *geometry(e), e.dout.shape[2:]))


Formula = Callable[[Axis, Axis], int]  # of an axis and the other one
OF_OUT: tuple[tuple[str, str, Formula], ...] = (
    ("(L + 2*P - K) // S", "1 is missing", lambda a, b: (a.L + 2 * a.P - a.K) // a.S),
    ("(L + 2*P - K + 1) // S", "1 is added after the division",
     lambda a, b: (a.L + 2 * a.P - a.K + 1) // a.S),
    ("(L + 2*P - K) // S + 2", "1 is added once", lambda a, b: (a.L + 2 * a.P - a.K) // a.S + 2),
    ("(L - K) // S + 1", "that is the size without padding", lambda a, b: (a.L - a.K) // a.S + 1),
    ("(L + P - K) // S + 1", "that is the size with padding on one side",
     lambda a, b: (a.L + a.P - a.K) // a.S + 1),
    ("ceil((L + 2*P - K) / S) + 1", "the division is rounded down",
     lambda a, b: -(-(a.L + 2 * a.P - a.K) // a.S) + 1),
    ("L + 2*P - K + 1", "that is the size for a stride of 1", lambda a, b: a.L + 2 * a.P - a.K + 1),
    ("(L + 2*P - K) // K + 1", "that is the size for a stride of K",
     lambda a, b: (a.L + 2 * a.P - a.K) // a.K + 1),
    ("(L + 2*P) // S", "that is the size without the kernel", lambda a, b: (a.L + 2 * a.P) // a.S),
    ("L // S", "that is the size with neither kernel nor padding", lambda a, b: a.L // a.S),
    ("ceil(L / S)", "that is TensorFlow's padding SAME", lambda a, b: -(-a.L // a.S)),
    ("L", "that is the size of the image", lambda a, b: a.L),
    ("(L + 2*P - K) // S + 1 with the other axis's K", "each axis has its own kernel",
     lambda a, b: (a.L + 2 * a.P - b.K) // a.S + 1),
    ("(L + 2*P - K) // S + 1 with the other axis's S", "each axis has its own stride",
     lambda a, b: (a.L + 2 * a.P - a.K) // b.S + 1),
    ("(L + 2*P - K) // S + 1 with the other axis's P", "each axis has its own padding",
     lambda a, b: (a.L + 2 * b.P - a.K) // a.S + 1),
    ("(L + 2*P - K) // S + 1 with the other axis's K and S", "each axis has its own kernel and stride",
     lambda a, b: (a.L + 2 * a.P - b.K) // b.S + 1),
    ("the other axis's size", "rows and columns are counted apart", lambda a, b: b.O),
)  # fmt: skip
OF_DX: tuple[tuple[str, str, Formula], ...] = (
    ("L + 2*P", "that is the size with the padding around it", lambda a, b: a.L + 2 * a.P),
    ("L + P", "that is the size with the padding of one side", lambda a, b: a.L + a.P),
    ("L - 2*P", "that is the size without padding, less as much again", lambda a, b: max(0, a.L - 2 * a.P)),
    ("(O - 1)*S + K, O windows", "that is what windows read", lambda a, b: (a.O - 1) * a.S + a.K),
    ("(O - 1)*S + K - 2*P, O windows", "that is what windows read",
     lambda a, b: (a.O - 1) * a.S + a.K - 2 * a.P),
    ("(O - 1)*S + K - P, O windows", "that is what windows read",
     lambda a, b: min(a.L, (a.O - 1) * a.S + a.K - a.P)),
    ("O + K - 1, O windows", "that is the size for a stride of 1", lambda a, b: a.O + a.K - 1),
    ("O + K - 1 - 2*P, O windows", "that is the size for a stride of 1",
     lambda a, b: a.O + a.K - 1 - 2 * a.P),
    ("O + K - 1 - P, O windows", "that is the size for a stride of 1",
     lambda a, b: min(a.L, a.O + a.K - 1 - a.P)),
    ("O*S, O windows", "that is the size without overlaps and gaps", lambda a, b: a.O * a.S),
    ("O*K, O windows", "that is the size for a stride of K", lambda a, b: a.O * a.K),
    ("O*K - 2*P, O windows", "that is the size for a stride of K", lambda a, b: a.O * a.K - 2 * a.P),
    ("O*K - P, O windows", "that is the size for a stride of K",
     lambda a, b: min(a.L, a.O * a.K - a.P)),
    ("O, the windows", "that is dout's", lambda a, b: a.O),
    ("the other axis's", "rows and columns have sizes of their own", lambda a, b: b.L),
)  # fmt: skip


def sizes(tensor: str, meant: str, formulas: tuple[tuple[str, str, Formula], ...]) -> Iterator[Cause]:
    for formula, why, size in formulas:
        for where, axes in (("rows and columns", (0, 1)), ("rows", (0,)), ("columns", (1,))):
            yield Cause(
                "wrong-size",
                f"the number of {where} of {tensor} is {formula}, where {meant} is right: {why} "
                "(L the image's side, K kernel, S stride, P padding).",
                lambda e, size=size, axes=axes: of_this_shape(e, tensor, size, axes),
                whole=True,
            )


def of_this_shape(e: Evidence, tensor: str, size: Formula, axes: tuple[int, ...]) -> Array | None:
    """What was given, if its shape is the one by the formula; numbers that nobody gives if it is not."""
    exact, given = e.exact[tensor], e.given[tensor]
    shape = list(exact.shape)
    for axis in axes:
        shape[2 + axis] = size(axes_of(e)[axis], axes_of(e)[1 - axis])
    if tuple(shape) == exact.shape or min(shape) < 0:
        return None
    return given if given.shape == tuple(shape) else np.full(shape, np.nan)


@causes("Conv2D", "out")
@causes("MaxPool2D", "out")
@causes("AvgPool2D", "out")
def size_of_out() -> Iterator[Cause]:
    yield from sizes("out", "(L + 2*P - K) // S + 1", OF_OUT)


@causes("Conv2D", "dx")
@causes("MaxPool2D", "dx")
@causes("AvgPool2D", "dx")
def size_of_dx() -> Iterator[Cause]:
    yield from sizes("dx", "L", OF_DX)


PAGES = [
    Page(
        "wrong-size",
        kind="AvgPool2D",
        what="There are more or fewer rows or columns than there should be, by a known formula.",
        right="out = windows.mean(axis=(4, 5))",
        wrong="out = windows.mean(axis=(4, 5))[:, :, :-1, :-1]",
        why="""Of L + 2*P pixels a window of K reads the first K; each further step of S needs S more:
        (L + 2*P - K) // S + 1, rounded down. Each part matters only if padding, stride or a remainder
        shows it.""",
    ),
]
