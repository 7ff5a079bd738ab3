"""The same question with other numbers, in larger sizes: what fits by chance does not fit twice."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from parity.bounds import Array
from parity.foreign.subject import WHATEVER, Offer
from parity.student.cases import Case
from parity.student.smallest import WINDOWS, Sizes, case_of, sizes_of


def another(case: Case, offer: Offer = WHATEVER, seed: int = 0) -> Case | None:
    """A case like this one, of more images, channels, pixels and outputs as far as the code takes them."""
    rng = np.random.default_rng([seed, *case.name.encode()])

    def numbers(own: Array, *shape: int) -> Array:
        values = own.ravel().astype(np.float64)
        if len(np.unique(values)) < len(values) or values.size < 3:  # ties belong to the question
            drawn = rng.choice(values, shape)
        else:
            drawn = rng.permuted(np.resize(values, shape).ravel()).reshape(shape)
            drawn = drawn * rng.uniform(0.8, 1.2, shape)
        found: Array = drawn.astype(own.dtype)
        return found

    if case.built or case.isolated:
        return None
    if case.kind in ("SGD", "Adam"):
        shapes = {name: tuple(side + 2 for side in weight.shape) for name, weight in case.weights.items()}
        grads: dict[str, Any] = case.first
        steps = len(next(iter(grads.values())))
        return replace(
            case,
            weights={name: numbers(weight, *shapes[name]) for name, weight in case.weights.items()},
            runs={"first": {name: numbers(grad, steps, *shapes[name]) for name, grad in grads.items()}},
        )
    sizes = sizes_of(case)
    for larger in enlarged(sizes, case.kind) if sizes else ():
        if larger.is_possible(case.kind, offer):
            more = case_of(case, larger, numbers, all_runs=True)
            return replace(more, runs={name: more.runs[name] for name in case.runs if name in more.runs})
    return None


def enlarged(sizes: Sizes, kind: str) -> Iterator[Sizes]:
    """As much larger as can be."""
    N, first, *sides = sizes.N + 3, sizes.axes[0] + 2, *sizes.axes[1:]
    outputs = sizes.outputs + (2 if kind in ("Conv2D", "Dense") else 0)
    step = (sizes.SH, sizes.SW) if kind in WINDOWS else (1, 1)
    more = [side + 2 * s + grows for side, s, grows in zip(sides, step, (1, 2), strict=False)]
    same = [
        side + 2 * s for side, s in zip(sides, step, strict=False)
    ]  # as many pixels are left over as before
    for axes in ((first, *more), (first, *same), (sizes.axes[0], *more), (first, *sides), sizes.axes):
        yield replace(sizes, N=N, axes=axes, outputs=outputs)
