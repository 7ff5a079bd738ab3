"""An exception predicts no numbers. What names it is where it is raised: in which calls, and in which not.

A fact of a call, such as "the kernel is not square", explains an exception if it holds in every call that
raised it and in none that did not. So it is said only of a class that also ran to its end, in other cases.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from parity.doctor.evidence import Page
from parity.record import Failure, Outcome
from parity.report import Diagnosis

Pair = tuple[int, int]
LEAST = 2  # cases that raised, and cases that did not


@dataclass(frozen=True)
class Attempt:
    """A call of forward and backward, with what it was given and how it ended.

    shapes    of x, dout, weight and bias; first: those of the first call of the same object
    kernel    stride and padding of a layer with windows, (height, width)
    reached   whether forward has returned out
    """

    kind: str
    case: str
    run: str
    shapes: dict[str, tuple[int, ...]]
    first: dict[str, tuple[int, ...]]
    kernel: Pair | None
    stride: Pair | None
    padding: Pair | None
    precision: int
    reached: bool
    failure: Failure | None

    @property
    def images(self) -> int:
        return self.shapes["x"][0]

    @property
    def inputs(self) -> int:
        return self.shapes["x"][1]

    @property
    def outputs(self) -> int:
        return self.shapes["dout"][1]

    @property
    def method(self) -> str:
        return "backward" if self.reached else "forward"


@dataclass(frozen=True)
class Fact:
    """Something that is true of some calls, and what an exception in these alone tells."""

    code: str
    text: str
    hint: str
    holds: Callable[[Attempt], bool]


def windows(holds: Callable[[Pair, Pair, Pair, Pair, Pair], bool]) -> Callable[[Attempt], bool]:
    """A fact of the sides of the image, kernel, stride, padding and out; of no other layer."""

    def of(a: Attempt) -> bool:
        if a.kernel is None or a.stride is None or a.padding is None:
            return False
        (H, W), (OH, OW) = a.shapes["x"][2:], a.shapes["dout"][2:]
        return holds((H, W), a.kernel, a.stride, a.padding, (OH, OW))

    return of


def differ(size: Pair) -> bool:
    return size[0] != size[1]


KEPT = "look for what the first call has left on the object, and make it anew in every call"
EXCHANGED = "look for an H where a W is meant, or the other way round, in names and in axes"
FACTS = (
    Fact("bias-required", "bias=False is given", "self.bias is None there: ask before using it",
         lambda a: a.kind in ("Conv2D", "Dense") and "bias" not in a.shapes),
    Fact("stale-cache", "the batch has another size than in the first call of the object", KEPT,
         lambda a: a.images != a.first["x"][0] and a.shapes["x"][1:] == a.first["x"][1:]),
    Fact("stale-cache", "the images have another size than in the first call of the object", KEPT,
         lambda a: a.shapes["x"][1:] != a.first["x"][1:]),
    Fact("stale-cache", "x has another shape than in the first call of the object", KEPT,
         lambda a: a.shapes["x"] != a.first["x"]),
    Fact("stale-cache", "the object is called again", KEPT, lambda a: a.run != "first"),
    Fact("height-for-width", "the kernel is not square", EXCHANGED,
         windows(lambda x, K, S, P, out: differ(K))),
    Fact("height-for-width", "the strides differ", EXCHANGED, windows(lambda x, K, S, P, out: differ(S))),
    Fact("height-for-width", "the paddings differ", EXCHANGED, windows(lambda x, K, S, P, out: differ(P))),
    Fact("height-for-width", "out is not square", EXCHANGED, windows(lambda x, K, S, P, out: differ(out))),
    Fact("height-for-width", "the image is not square", EXCHANGED,
         lambda a: len(a.shapes["x"]) == 4 and differ(a.shapes["x"][2:])),
    Fact("height-for-width", "the padded image is not square", EXCHANGED,
         windows(lambda x, K, S, P, out: x[0] + 2 * P[0] != x[1] + 2 * P[1])),
    Fact("height-for-width", "out has more rows than columns", EXCHANGED,
         windows(lambda x, K, S, P, out: out[0] > out[1])),
    Fact("height-for-width", "out has more columns than rows", EXCHANGED,
         windows(lambda x, K, S, P, out: out[0] < out[1])),
    Fact("height-for-width", "the kernel has more rows than columns", EXCHANGED,
         windows(lambda x, K, S, P, out: K[0] > K[1])),
    Fact("height-for-width", "the kernel has more columns than rows", EXCHANGED,
         windows(lambda x, K, S, P, out: K[0] < K[1])),
    Fact("raises-where", "a stride is not 1", "look for an index or a size without the stride",
         windows(lambda x, K, S, P, out: S != (1, 1))),
    Fact("raises-where", "the stride is not the kernel's size", "windows then overlap or leave gaps",
         windows(lambda x, K, S, P, out: S != K)),
    Fact("raises-where", "there is padding", "a padded image is larger by 2*padding on each axis",
         windows(lambda x, K, S, P, out: P != (0, 0))),
    Fact("raises-where", "the padding is larger than the kernel less 1",
         "a padding of K - 1 - P is then negative",
         windows(lambda x, K, S, P, out: P[0] > K[0] - 1 or P[1] > K[1] - 1)),
    Fact("raises-where", "the kernel has more rows than the stride", "windows overlap up and down",
         windows(lambda x, K, S, P, out: K[0] > S[0])),
    Fact("raises-where", "the kernel has more columns than the stride", "windows overlap from side to side",
         windows(lambda x, K, S, P, out: K[1] > S[1])),
    Fact("raises-where", "windows overlap", "each pixel is then read more than once",
         windows(lambda x, K, S, P, out: S[0] < K[0] or S[1] < K[1])),
    Fact("raises-where", "the windows do not fill the image", "some last rows or columns are read by none",
         windows(lambda x, K, S, P, out: any(
             (x[i] + 2 * P[i] - K[i]) % S[i] for i in (0, 1)))),
    Fact("raises-where", "the kernel has more than one pixel", "look at the loops over the kernel",
         windows(lambda x, K, S, P, out: K != (1, 1))),
    Fact("raises-where", "the kernel has more than one row", "look at the loop over its rows",
         windows(lambda x, K, S, P, out: K[0] > 1)),
    Fact("raises-where", "the kernel has more than one column", "look at the loop over its columns",
         windows(lambda x, K, S, P, out: K[1] > 1)),
    Fact("raises-where", "there is more than one channel", "look at the axis of the channels",
         lambda a: len(a.shapes["x"]) == 4 and a.inputs > 1),
    Fact("raises-where", "there is more than one image", "look at the axis of the images",
         lambda a: a.images > 1),
    Fact("raises-where", "there is one image", "a batch of one is (1, ...), and squeeze drops that axis",
         lambda a: a.images == 1),
    Fact("raises-where", "there are not as many outputs as inputs", "look for a transposed weight",
         lambda a: a.inputs != a.outputs),
    Fact("raises-where", "there are not as many images as outputs, and several of both",
         "look for axis 0 where axis 1 is meant, or a bias along the images",
         lambda a: a.images != a.outputs and a.images > 1 and a.outputs > 1),
    Fact("raises-where", "there are not as many images as outputs",
         "look for axis 0 where axis 1 is meant, or a bias along the images",
         lambda a: a.images != a.outputs),
    Fact("raises-where", "there are not as many images as inputs", "look for axis 0 where axis 1 is meant",
         lambda a: a.images != a.inputs),
    Fact("raises-where", "x has two axes", "a dense layer's numbers have no rows and columns",
         lambda a: len(a.shapes["x"]) == 2),
    Fact("raises-where", "x has four axes", "images are (N, C, H, W)", lambda a: len(a.shapes["x"]) == 4),
    Fact("raises-where", "the numbers are float64", "take the dtype of x", lambda a: a.precision == 8),
)  # fmt: skip


def diagnoses_of(attempts: Sequence[Attempt]) -> Iterator[tuple[Diagnosis, list[Attempt]]]:
    """What tells the calls that raised from all others, by method, or else by the line; and these calls."""
    for method in ("forward", "backward"):
        came = [a for a in attempts if a.method == method or a.reached]
        raised = [a for a in came if a.method == method and is_raised(a)]
        texts = dict.fromkeys(str(a.failure) for a in raised)
        lines = [[a for a in raised if str(a.failure) == text] for text in texts]
        told = ((explained(some, came, method), some) for some in (raised, *lines) if some)
        found = [(said, some) for said, some in told if said]
        yield from found[:1] if found and found[0][1] is raised else found


def is_raised(a: Attempt) -> bool:
    return a.failure is not None and a.failure.outcome is Outcome.RAISED


def explained(raised: list[Attempt], came: list[Attempt], method: str) -> Diagnosis | None:
    """The facts that hold in all calls that raised and in no other; if they differ in code, all are told."""
    others = [a for a in came if a not in raised]
    facts = [fact for fact in FACTS if all(map(fact.holds, raised)) and not any(map(fact.holds, others))]
    facts = [fact for fact in facts if tells(fact, raised, others)]
    if not facts:
        return None
    first = facts[0]
    alike = first.code == "bias-required" or len({fact.code for fact in facts}) == 1
    others_too = [] if alike else [fact.text for fact in facts[1:]]
    smallest = min(raised, key=lambda a: sum(map(math.prod, a.shapes.values())))
    shapes = ", ".join(f"{name} {shape}" for name, shape in smallest.shapes.items())
    what = f"fails where {first.text}, and only there"
    hint = first.hint if alike else f"it is also where {' and where '.join(others_too)}"
    sentence = f"{what}: {hint}. The smallest: {shapes}."
    return Diagnosis(raised[0].kind, method, first.code if alike else "raises-where", sentence)


def tells(fact: Fact, raised: Sequence[Attempt], others: Sequence[Attempt]) -> bool:
    """Whether there are enough cases on both sides; of a missing bias there is one, which names None."""
    if fact.code == "bias-required":
        return all("NoneType" in f"{a.failure}" for a in raised) and bool(others)
    return min(len({a.case for a in some}) for some in (raised, others)) >= LEAST


PAGES = [
    Page(
        "bias-required",
        kind="Conv2D",
        what="The layer fails without a bias.",
        right="if self.bias is not None:",
        wrong="if True:",
        why="""bias=False makes self.bias None. A layer before a BatchNorm2D has none, for the norm would take
        it off again.""",
    ),
    Page(
        "raises-where",
        kind="Conv2D",
        what="An exception, raised by some calls alone, which have one thing in common.",
        right="self.dbias = dout.sum(axis=(0, 2, 3))",
        wrong="""
        others = np.stack([one.sum(axis=(1, 2)) for one in dout[1:]])
        self.dbias = dout[0].sum(axis=(1, 2)) + others.sum(axis=0)
        """,
        why="""What the failing calls share, and no other call has, is what the code does not provide for.
        Here it is a batch of one. The smallest of them is the one to try by hand.""",
    ),
]
