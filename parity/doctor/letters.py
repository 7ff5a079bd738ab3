"""Every product of a layer is an einsum; these mistakes are made in its letters.

Letters: n image, c channel in, f filter or output, k input of a dense layer, h w output pixel, i j inside the
kernel. A factor whose letter is another one is summed by itself. A letter that is missing on the right is
summed, one too many there is kept. NumPy's own einsum computes the wrong numbers, so that an axis of length 1
broadcasts here as it does there.
"""

import itertools
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from parity.bounds import Array
from parity.doctor.arithmetic import cropped, scatter
from parity.doctor.evidence import Cause, Evidence, Page, causes
from parity.rules import windows_of

PRODUCTS = {  # (kind, tensor): the two factors and the letters of einsum
    ("Conv2D", "out"): ("windows", "weight", "nchwij,fcij->nfhw"),
    ("Conv2D", "dweight"): ("dout", "windows", "nfhw,nchwij->fcij"),
    ("Conv2D", "dx"): ("dout", "weight", "nfhw,fcij->nchwij"),
    ("Dense", "out"): ("x", "weight", "nk,fk->nf"),
    ("Dense", "dweight"): ("dout", "x", "nf,nk->fk"),
    ("Dense", "dx"): ("dout", "weight", "nf,fk->nk"),
}
NAMES = {
    "n": "image", "c": "channel", "f": "output", "k": "input", "h": "row of out", "w": "column of out",
    "i": "row of the kernel", "j": "column of the kernel",
}  # fmt: skip


def factor(e: Evidence, name: str) -> Array:
    """x, dout or weight; or the windows of x, (N, C, OH, OW, KH, KW)."""
    if name != "windows":
        return e.inputs[name].numpy()
    (N, C), (OH, OW), (KH, KW) = e.x.shape[:2], e.dout.shape[2:], e.weight.shape[2:]
    windows = windows_of(e.stage, e.x, 0.0).reshape(N, C, KH, KW, OH, OW)
    return windows.permute(0, 1, 4, 5, 2, 3).numpy()


def product(e: Evidence, tensor: str, letters: str) -> Array:
    """The tensor by another einsum. Raises ValueError if the letters do not fit the shapes."""
    first, second, _ = PRODUCTS[e.kind, tensor]
    found: Array = np.einsum(letters, factor(e, first), factor(e, second))
    if tensor == "out" and "bias" in e.inputs:
        shape = (-1, 1, 1) if e.kind == "Conv2D" else (-1,)
        found = found + e.bias.numpy().reshape(shape)
    if e.kind == "Conv2D" and tensor == "dx":
        N, C, OH, OW, KH, KW = found.shape
        dwindows = found.transpose(0, 1, 4, 5, 2, 3).reshape(N, C, KH * KW, OH * OW)
        found = cropped(e, scatter(e, torch.from_numpy(np.ascontiguousarray(dwindows))))
    return found


def cause_of(code: str, tensor: str, sentence: str, letters: str, meant: str) -> Cause:
    return Cause(
        code,
        f'{tensor} {sentence}, as by einsum "{letters}" in place of "{meant}".',
        lambda e: product(e, tensor, letters),
    )


def letters_of(kind: str, tensor: str) -> Iterator[Cause]:
    """Two letters that should be one; two that are exchanged; one too many on the right."""
    one, other, meant = PRODUCTS[kind, tensor]
    left, right = meant.split("->")
    first, second = left.split(",")
    for a in first:
        if a in second and a not in right:
            yield cause_of(
                "summed-apart",
                tensor,
                f"sums {one} and {other} over the {NAMES[a]} each by itself, not their product",
                f"{first},{second.replace(a, 'z')}->{right}",
                meant,
            )
    for name, own, place in ((other, second, 1), (one, first, 0)):
        for a, b in itertools.combinations(own, 2):
            both = f"{one}, or {other}," if {a, b} <= {*first} & {*second} else name
            factors = [first, second]
            factors[place] = own.translate(str.maketrans(a + b, b + a))
            yield cause_of(
                "kernel-transposed" if a + b == "ij" and tensor != "dweight" else "axes-swapped",
                tensor,
                f"reads {both} with two axes exchanged, {NAMES[a]} and {NAMES[b]}",
                f"{','.join(factors)}->{right}",
                meant,
            )
    for a in dict.fromkeys(first + second):
        if a not in right and (kind, tensor) != ("Conv2D", "dx"):
            for kept in (a + right, right[:1] + a + right[1:], right + a):
                yield cause_of(
                    "not-summed",
                    tensor,
                    f"is not summed over the {NAMES[a]}",
                    f"{left}->{kept}",
                    meant,
                )


for _kind, _tensor in PRODUCTS:
    causes(_kind, _tensor)(partial(letters_of, _kind, _tensor))


PAGES = [
    Page(
        "summed-apart",
        kind="Dense",
        what="An index that two factors share is summed in each of them by itself.",
        right="self.dweight = dout.T @ x",
        wrong='self.dweight = np.einsum("nm,lk->mk", dout, x)',
        why="""Two letters stand where one is meant. The product of two sums is not the sum of the products:
        every image meets the gradients of all the others. A batch of one hides it.""",
    ),
]
