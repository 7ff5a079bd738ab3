"""The smallest case that fails, as hypothesis shrinks: every size is made smaller while it still fails.

Its numbers are small and whole, if the mistake shows with such, so that a person can compute them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.bounds import Array
from parity.doctor.evidence import Evidence
from parity.foreign.subject import WHATEVER, Offer
from parity.record import Run
from parity.report import Row
from parity.student.cases import Case, as_written, runs_of

Ask = Callable[[Case], Mapping[str, Run]]
Judge = Callable[[Case, Mapping[str, Run]], list[Row]]
TRIES = 60  # of a case, until what was found so far will do
FEW = 16  # numbers that one line can show
WINDOWS = ("Conv2D", "MaxPool2D", "AvgPool2D")


@dataclass(frozen=True)
class Sizes:
    """All that makes a case but its numbers. A stage without windows has none of those in the second line."""

    N: int
    axes: tuple[int, ...]  # of x behind the batch: C, H, W or inputs; the classes of a loss
    outputs: int = 1  # F of a convolution, M of a dense layer
    KH: int = 1
    KW: int = 1
    SH: int = 1
    SW: int = 1
    PH: int = 0
    PW: int = 0
    bias: bool = True

    def smaller(self) -> Iterator["Sizes"]:
        """One number made smaller: as small as it may be, half of it, one less."""
        for name in ("N", "outputs", "SH", "SW", "PH", "PW", "KH", "KW"):
            size, least = getattr(self, name), 0 if name[0] == "P" else 1
            for less in dict.fromkeys((least, (size + least) // 2, size - 1)):
                if least <= less < size:
                    yield replace(self, **{name: less})
        for i, size in enumerate(self.axes):
            for less in dict.fromkeys((1, size // 2, size - 1)):
                if 1 <= less < size:
                    yield replace(self, axes=(*self.axes[:i], less, *self.axes[i + 1 :]))
        for sizes in (replace(self, KH=self.KH - 1, KW=self.KW - 1), replace(self, SH=1, SW=1)):
            if min(sizes.KH, sizes.KW) >= 1 and sizes != self:  # of a class that takes one number for both
                yield sizes
        if self.PH and self.PW:
            yield replace(self, PH=self.PH - 1, PW=self.PW - 1)

    def out_sides(self) -> tuple[int, int]:
        H, W = self.axes[1:]
        return (H + 2 * self.PH - self.KH) // self.SH + 1, (W + 2 * self.PW - self.KW) // self.SW + 1

    def is_possible(self, kind: str, offer: Offer) -> bool:
        if kind == "CrossEntropyLoss":
            return self.axes[0] >= 2
        if kind not in WINDOWS:
            return kind != "BatchNorm2D" or self.N * self.axes[1] * self.axes[2] > 1
        K, S, P = (self.KH, self.KW), (self.SH, self.SW), (self.PH, self.PW)
        if kind != "Conv2D" and (2 * self.PH > self.KH or 2 * self.PW > self.KW):
            return False
        fits = offer.window(K) == K and offer.step(S, K) == S and offer.margin(P, K) == P
        fits = fits and offer.channels in (None, self.axes[0])
        fits = fits and (kind != "Conv2D" or offer.filters in (None, self.outputs))
        return fits and min(self.out_sides()) >= 1 and offer.sides(self.axes[1:], K, S, P) == self.axes[1:]  # type: ignore[arg-type]


def sizes_of(case: Case) -> Sizes | None:
    """None for a case that has no such sizes: an optimiser, a model."""
    if case.kind in ("SGD", "Adam") or case.isolated or case.built:
        return None
    data = case.first
    N, *axes = data["logits" if "logits" in data else "x"].shape
    sizes = Sizes(N, tuple(axes))
    if case.kind == "Dense":
        return replace(sizes, outputs=case.positional[1], bias="bias" in case.weights)
    if case.kind not in WINDOWS:
        return sizes
    KH, KW = _pair(case.positional[-1])
    SH, SW = _pair(case.settings.get("stride", (1, 1) if case.kind == "Conv2D" else (KH, KW)))
    PH, PW = _pair(case.settings.get("padding", 0))
    outputs = case.positional[1] if case.kind == "Conv2D" else 1
    return Sizes(N, tuple(axes), outputs, KH, KW, SH, SW, PH, PW, "bias" in case.weights)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


Numbers = Callable[..., Array]  # (own, *shape) -> other numbers of that shape, instead of the case's own


def few_numbers(whole: bool, all_runs: bool) -> Numbers:
    """whole: distinct ones, none of them 0; or else the first ones of the case."""
    rng = np.random.default_rng(0)

    def numbers(own: Array, *shape: int) -> Array:
        count = int(np.prod(shape))
        if whole:
            values = rng.permutation(np.arange(1, count + 1)) * rng.choice([-1, 1], count)
        else:
            values = np.resize(np.roll(own.ravel(), rng.integers(2) * all_runs), count)
        found: Array = values.reshape(shape).astype(own.dtype)
        return found

    return numbers


def case_of(case: Case, sizes: Sizes, numbers: Numbers, all_runs: bool) -> Case:
    """The case in other sizes, with other numbers."""
    kind, data, positional, settings = case.kind, case.first, case.positional, dict(case.settings)
    x_shape: tuple[int, ...] = (sizes.N, *sizes.axes)
    out_shape, weights = x_shape, {}
    if kind in WINDOWS:
        outputs = sizes.outputs if kind == "Conv2D" else sizes.axes[0]
        K, S, P = (sizes.KH, sizes.KW), (sizes.SH, sizes.SW), (sizes.PH, sizes.PW)
        out_shape = (sizes.N, outputs, *sizes.out_sides())
        positional = (as_written(K),) if kind != "Conv2D" else (sizes.axes[0], outputs, as_written(K))
        usual = {"stride": (1, 1) if kind == "Conv2D" else K, "padding": (0, 0)}
        kept = {name: value for name, value in settings.items() if name not in usual}
        chosen = {"stride": S, "padding": P}
        settings = kept | {name: as_written(chosen[name]) for name in usual if chosen[name] != usual[name]}
        shapes = {"weight": (outputs, sizes.axes[0], *K), "bias": (outputs,)}
    elif kind == "Dense":
        positional, out_shape = (sizes.axes[0], sizes.outputs), (sizes.N, sizes.outputs)
        shapes = {"weight": (sizes.outputs, sizes.axes[0]), "bias": (sizes.outputs,)}
    elif kind == "BatchNorm2D":
        positional = (sizes.axes[0],)
        shapes = dict.fromkeys(case.weights, (sizes.axes[0],))
    else:
        shapes = {}
        out_shape = (sizes.N, int(np.prod(sizes.axes))) if kind == "Flatten" else x_shape
    for name, own in case.weights.items():
        weights[name] = numbers(own, *shapes[name])
        weights[name] = np.abs(weights[name]) if name == "running_var" else weights[name]

    def draw() -> dict[str, Array]:
        if kind == "CrossEntropyLoss":
            return {"logits": numbers(data["logits"], *x_shape), "labels": np.arange(sizes.N) % sizes.axes[0]}
        return {"x": numbers(data["x"], *x_shape), "dout": numbers(data["dout"], *out_shape)}

    runs = runs_of(draw) if all_runs else {"first": draw()}
    return replace(case, runs=runs, positional=positional, settings=settings, weights=weights)


Fails = Callable[[Case, Mapping[str, Run]], Row | None]  # the row that is wrong, if there is one


def shrunk(
    case: Case, ask: Ask, fails: Fails, all_runs: bool, offer: Offer = WHATEVER
) -> tuple[Case, Row, Mapping[str, Run]] | None:
    """The smallest case like `case` that still fails, and what came of it; None if none can be made."""
    sizes, tries = sizes_of(case), 0
    if sizes is None or case.kind == "Dropout":  # which drops other numbers every time
        return None

    def tried(candidate: Sizes, whole: bool) -> tuple[Case, Row, Mapping[str, Run]] | None:
        one = case_of(case, candidate, few_numbers(whole, all_runs), all_runs)
        runs = ask(one)
        row = fails(one, runs)
        return (one, row, runs) if row else None

    for whole in (True, False):
        found = tried(sizes, whole)
        if not found:
            continue
        shrinking = True
        while shrinking and tries < TRIES:
            shrinking = False
            for candidate in sizes.smaller():
                tries += 1
                if candidate.is_possible(case.kind, offer) and (better := tried(candidate, whole)):
                    sizes, found, shrinking = candidate, better, True
                    break
                if tries >= TRIES:
                    break
        return found
    return None


def smallest(case: Case, tensor: str, e: Evidence, ask: Ask, judge: Judge, offer: Offer = WHATEVER) -> str:
    """In words, the smallest case in which `tensor` is wrong; "" if none can be made.

    case   one that fails, in the run `e`; ask: what the code gives for another; judge: its rows
    """

    def fails(one: Case, runs: Mapping[str, Run]) -> Row | None:
        if any(run.failure for run in runs.values()):
            return None
        return next((row for row in judge(one, runs) if row.tensor == tensor and not row.ok), None)

    found = shrunk(case, ask, fails, bool(e.run), offer)
    return told(*found) if found else ""


def told(case: Case, row: Row, runs: Mapping[str, Run]) -> str:
    """The call, and the numbers if they are few."""
    settings = [f"{name}={value!r}" for name, value in case.settings.items()]
    call = f"{case.kind}({', '.join([*map(repr, case.positional), *settings])})"
    data = case.runs[row.run or "first"]
    arrays: dict[str, Array] = data | case.weights_in(row.run or "first")
    if row.tensor in ("out", "loss"):
        arrays.pop("dout", None)
    first = next(iter(data))
    text = f"Smallest case that fails: {call}, {first} {data[first].shape}"
    if sum(array.size for array in arrays.values()) <= FEW:
        shown = (f"{name} = {_listed(array)}" for name, array in arrays.items())
        text = f"Smallest case that fails: {call}, {', '.join(shown)}"
    again = {"second": "called a second time", "beside": "with another object in between"}
    text += f", {again.get(row.run, 'another batch size')}" if row.run else ""
    given = next((a for (_, name), a in runs[row.run or "first"].arrays.items() if name == row.tensor), None)
    if given is not None and given.size <= FEW // 2:
        text += f": {row.tensor} is {_listed(given)}"
    return f"{text}."


def _listed(array: Array) -> str:
    """[1, -2] of whole numbers, four digits of others."""
    numbers = np.asarray(array, float)
    rounded: Any = np.vectorize(lambda n: int(n) if n == int(n) else float(f"{n:.4g}"), otypes=[object])
    finite = np.isfinite(numbers).all() and numbers.size
    return str(rounded(numbers).tolist() if finite else numbers.tolist())
