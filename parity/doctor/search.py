"""Find the causes that explain a wrong tensor, run by run.

A cause explains a run if the code gave there what the cause predicts, and that is not the right answer. It
is ruled out by a run in which the code is right and the cause predicts otherwise. One cause that explains
every wrong run is best; else several are named, each for its own runs; else two that show at once in one
run: a factor on top of another mistake, or two whose effects add up.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from parity.bounds import Array
from parity.doctor.evidence import Cause, Evidence
from parity.doctor.known import causes_of

CLOSE = {4: 1e-5, 8: 1e-10}  # by bytes a number: how near a prediction comes, relative to its largest entry
TWICE = 2  # cases that are asked once more
TRIES = 3  # cases that are searched for a cause of their own
ENOUGH = 8  # numbers that two causes at once must predict: there are many pairs
Again = Callable[[Evidence], list[Evidence]]  # what the code gave for other numbers in other sizes


@dataclass(frozen=True)
class Explanation:
    """A cause, and the runs that it explains."""

    cause: Cause
    runs: frozenset[int]


def tolerance(e: Evidence, tensor: str, bounds: float = 4) -> float:
    """How near a prediction must come. Mistakes are far larger; a right answer keeps within one bound."""
    given = e.given[tensor]
    size = float(np.abs(given[np.isfinite(given)]).max(initial=0.0))
    return max(CLOSE[e.precision] * size, bounds * e.bound.get(tensor, 0.0), 1e-30)


def near(a: Array, b: Array, tolerance: float) -> bool:
    if a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore"):
        off = np.abs(a - b)
    if (off > tolerance).any():
        return False
    unordered = np.isnan(off)  # inf - inf, or a NaN
    return not unordered.any() or bool(np.array_equal(a[unordered], b[unordered], equal_nan=True))


def predicted(cause: Cause, e: Evidence, tensor: str) -> Array:
    """What the cause makes of a run; the right answer where it does not show."""
    try:
        prediction = cause.predict(e)
    except (IndexError, KeyError, RuntimeError, ValueError):  # not with these shapes or tensors
        prediction = None
    if prediction is None:
        return e.exact[tensor]
    return prediction.detach().numpy() if isinstance(prediction, Tensor) else np.asarray(prediction)


class Search:
    """The causes of one tensor on all runs in which it was given. Each prediction is computed once."""

    def __init__(self, tensor: str, runs: Sequence[Evidence], again: Again | None = None):
        self.tensor, self.runs, self.again = tensor, runs, again
        self.wrong = [i for i, e in enumerate(runs) if tensor in e.wrong]
        self.known = list(causes_of(runs[0].kind, tensor))
        self._predictions: dict[tuple[int, int], Array] = {}
        self._kept: list[Cause] = []  # so that no id is given twice

    def explanations(self) -> list[Explanation]:
        """Those that together explain most; the first ones of the table of causes if several do."""
        found: list[Explanation] = []
        for candidates in (self.single, self.double):
            tried: set[str] = set()
            for i in self.wrong:
                e, rest = self.runs[i], set(self.wrong).difference(*(one.runs for one in found))
                if i not in rest or (e.case and e.case in tried) or len(tried) == TRIES:
                    continue
                tried.add(e.case)
                best = self.best(candidates(i))
                if best.runs:
                    found.append(best)
        for one in sorted(found, key=lambda one: len(one.runs)):
            others = [other.runs for other in found if other is not one]
            if one.runs <= frozenset().union(*others):
                found.remove(one)
        whole = frozenset().union(*(one.runs for one in found)) == set(self.wrong)
        return found if whole else [one for one in found if self.is_likely(one, found)]

    def best(self, causes: Iterable[Cause]) -> Explanation:
        """The first of those that explain most; none is asked after one that explains all."""
        best = Explanation(Cause("", "", None), frozenset())
        for one in map(self.explanation, causes):
            if len(one.runs) > len(best.runs):
                best = one
            if len(best.runs) == len(self.wrong):
                break
        return best

    def is_likely(self, one: Explanation, found: Sequence[Explanation]) -> bool:
        """Where some runs stay unexplained: whether a cause explains half of those that the others leave,
        in two cases at least.

        What comes near enough in float32 and not in float64 does not explain it.
        """
        most = max(self.runs[i].precision for i in self.wrong)
        exact = {i for i in self.wrong if self.runs[i].precision == most}
        several = len({self.runs[i].case for i in one.runs}) > 1
        left = set(self.wrong).difference(*(other.runs for other in found if other is not one))
        return several and 2 * len(one.runs & left) >= len(left) and bool(exact & one.runs)

    def explanation(self, cause: Cause) -> Explanation:
        """The wrong runs that the cause explains; none if it is a single one, or a right run rules it out."""
        at = [i for i in self.wrong if self.explains(cause, i)]
        shown = [i for i in at if self.shows(cause, i)]
        wanted = 1 if len(at) == len(self.wrong) else 2
        numbers = sum(self.runs[i].given[self.tensor].size for i in shown)
        if cause.whole and not {i for i in self.wrong if self.is_misshapen(i)} <= set(at):
            return Explanation(cause, frozenset())
        if cause.everywhere and not self.is_everywhere(at, shown):
            return Explanation(cause, frozenset())
        if len(shown) < wanted or (cause.parts and numbers < ENOUGH) or self.is_ruled_out(cause):
            return Explanation(cause, frozenset())
        return Explanation(cause, frozenset(at if self.fits_again(cause, shown) else ()))

    def fits_again(self, cause: Cause, shown: Sequence[int]) -> bool:
        """Whether a cause also predicts what the code gives for other numbers in other sizes."""
        cases: dict[str, int] = {}
        for i in shown:
            cases.setdefault(self.runs[i].case, i)
        for i in [*cases.values()][:TWICE] if self.again else ():
            for e in self.again(self.runs[i]) if self.again else ():
                if self.tensor not in e.given or self.tensor not in e.exact:
                    continue
                if not near(
                    predicted(cause, e, self.tensor), e.given[self.tensor], tolerance(e, self.tensor)
                ):
                    return False
        return True

    def is_everywhere(self, at: Sequence[int], shown: Sequence[int]) -> bool:
        """Whether that is every wrong run, and it shows in two cases, if the runs are of cases."""
        cases = {self.runs[i].case for i in shown}
        return len(at) == len(self.wrong) and (len(cases) > 1 or cases == {""})

    def is_misshapen(self, i: int) -> bool:
        e = self.runs[i]
        return bool(e.given[self.tensor].shape != e.exact[self.tensor].shape)

    def is_ruled_out(self, cause: Cause) -> bool:
        right = [i for i in range(len(self.runs)) if i not in self.wrong]
        return any(self.shows(part, i) and not self.explains(part, i) for part in cause.parts or (cause,)
                   for i in right)  # fmt: skip

    def prediction(self, cause: Cause, i: int) -> Array:
        key = id(cause), i
        if key not in self._predictions:
            self._kept.append(cause)
            self._predictions[key] = predicted(cause, self.runs[i], self.tensor)
        return self._predictions[key]

    def explains(self, cause: Cause, i: int) -> bool:
        """Whether the code gave what the cause predicts."""
        e = self.runs[i]
        return near(self.prediction(cause, i), e.given[self.tensor], tolerance(e, self.tensor))

    def shows(self, cause: Cause, i: int) -> bool:
        """Whether the cause predicts anything but the right answer."""
        e = self.runs[i]
        return not near(self.prediction(cause, i), e.exact[self.tensor], tolerance(e, self.tensor, 1))

    def single(self, i: int) -> Iterator[Cause]:
        """The causes that explain a run."""
        for known in self.known:
            cause = known.in_run(self.runs[i])
            if cause and self.explains(cause, i):
                yield cause

    def double(self, i: int) -> Iterator[Cause]:
        """The pairs of causes that explain a run together. Neither does alone."""
        e, tensor = self.runs[i], self.tensor
        simple = [c for c in self.known if not (c.fit or c.parts or c.alone) and self.shows(c, i)]
        shown = self.distinct(simple, i)
        for inner in shown:
            under = self.under(inner, e)
            for outer in shown:
                if outer.outer and outer is not inner:
                    pair = on_top(outer, inner, tensor)
                    if near(predicted(outer, under, tensor), e.given[tensor], tolerance(e, tensor)):
                        yield pair
        yield from self.added_up(i, shown)

    def distinct(self, causes: Sequence[Cause], i: int) -> list[Cause]:
        """The first of those that predict the same. Sums are compared first: there are hundreds."""
        close = tolerance(self.runs[i], self.tensor, 1)
        found: list[tuple[float, Cause]] = []
        for cause in causes:
            new = self.prediction(cause, i)
            with np.errstate(invalid="ignore"):
                total = float(new.sum())
            alike = (old for known, old in found if not abs(known - total) > 2 * close * max(1, new.size))
            if not any(near(self.prediction(old, i), new, close) for old in alike):
                found.append((total, cause))
        return [cause for _, cause in found]

    def under(self, inner: Cause, e: Evidence) -> Evidence:
        return left_by(inner, e, self.tensor)

    def added_up(self, i: int, shown: Sequence[Cause]) -> Iterator[Cause]:
        """Pairs whose differences from the right answer add up to what was given."""
        e, tensor = self.runs[i], self.tensor
        exact, given, close = e.exact[tensor], e.given[tensor], tolerance(e, tensor)
        alike = [
            c for c in shown if (p := self.prediction(c, i)).shape == exact.shape and np.isfinite(p).all()
        ]
        if given.shape != exact.shape or not np.isfinite(given).all() or not alike:
            return
        weights = np.random.default_rng(0).uniform(0.5, 1, exact.size)
        off = np.array([(self.prediction(c, i) - exact).ravel() for c in alike])
        sums, wanted = off @ weights, (given - exact).ravel()
        pairs = np.abs(sums[:, None] + sums - wanted @ weights) <= close * exact.size
        for a, b in np.argwhere(np.triu(pairs, 1)).tolist():
            if np.abs(off[a] + off[b] - wanted).max() <= close:
                yield side_by_side(alike[a], alike[b], tensor)


def left_by(inner: Cause, e: Evidence, tensor: str) -> Evidence:
    """A run of which the wrong answer of `inner` is what is right."""
    known = e.before and tensor in e.before.exact and tensor in e.before.given
    before = left_by(inner, e.before, tensor) if e.before and known else None
    return dataclasses.replace(e, exact=e.exact | {tensor: predicted(inner, e, tensor)}, before=before)


def on_top(outer: Cause, inner: Cause, tensor: str) -> Cause:
    return Cause(
        f"{inner.code}, {outer.code}",
        f"{inner.sentence} {outer.sentence}",
        lambda e: outer.predict(left_by(inner, e, tensor)),
        parts=(inner, outer),
    )


def side_by_side(one: Cause, other: Cause, tensor: str) -> Cause:
    return Cause(
        f"{one.code}, {other.code}",
        f"{one.sentence} {other.sentence}",
        lambda e: predicted(one, e, tensor) + predicted(other, e, tensor) - e.exact[tensor],
        parts=(one, other),
    )


def causes_for(
    tensor: str, evidence: Sequence[Evidence], again: Again | None = None
) -> tuple[list[Explanation], list[Evidence]]:
    """What explains a wrong tensor, and the wrong runs that nothing explains."""
    runs = [e for e in evidence if tensor in e.given and tensor in e.exact]
    if not any(tensor in e.wrong for e in runs):
        return [], []
    search = Search(tensor, runs, again)
    found = search.explanations()
    covered = set(itertools.chain(*(one.runs for one in found)))
    return found, [runs[i] for i in search.wrong if i not in covered]
