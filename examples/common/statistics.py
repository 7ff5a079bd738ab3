"""Is one model better than another, or was it the seed? Differences seed by seed.

Both models of a pair are trained from the same seed, on the same batches in the same order. What a seed does
to both then cancels in their difference, and fewer seeds are needed than for two independent means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Paired:
    """Accuracies of two models, one of each for every seed, as differences first - second in points.

    differences  (seeds,), at least 2. Raises ValueError for fewer.
    """

    differences: np.ndarray

    def __post_init__(self):
        if self.differences.ndim != 1 or len(self.differences) < 2:
            raise ValueError(f"Paired: differences have shape {self.differences.shape}, expected (>= 2,)")

    @property
    def mean(self) -> float:
        return float(self.differences.mean())

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return float(self.differences.std(ddof=1)) / math.sqrt(len(self.differences))

    @property
    def margin(self) -> float:
        """How far its 95 % interval reaches to either side, by Student's t; infinitely if error is 0."""
        if self.error == 0:
            return math.inf
        return float(stats.t.ppf(0.975, len(self.differences) - 1)) * self.error

    @property
    def interval(self) -> tuple[float, float]:
        """Where the mean over all seeds lies, with 95 % confidence."""
        return self.mean - self.margin, self.mean + self.margin

    @property
    def p(self) -> float:
        """How probable so large a mean is if neither model is better: two-sided t test; 1 if error is 0."""
        if self.error == 0:
            return 1.0
        return float(2 * stats.t.sf(abs(self.mean) / self.error, len(self.differences) - 1))

    @property
    def sign_p(self) -> float:
        """The same from the signs alone, whatever the distribution; ties count for neither side."""
        wins, losses = (self.differences > 0).sum(), (self.differences < 0).sum()
        return float(stats.binomtest(int(wins), int(wins + losses)).pvalue) if wins + losses else 1.0

    @property
    def winner(self) -> int:
        """1 or -1 if the interval says that the first or the second is better, 0 if it leaves that open."""
        low, high = self.interval
        return (low > 0) - (high < 0)

    def __str__(self) -> str:
        count, wins = len(self.differences), (self.differences > 0).sum()
        text = f"{self.mean:+.3f} +- {self.error:.3f} points"
        if self.error == 0:
            return f"{text}, the same with all {count} seeds"
        low, high = self.interval
        text += f" (95 % interval {low:+.3f} to {high:+.3f}, t test p = {self.p:.2g}); "
        return text + f"above 0 with {wins} of {count} seeds, sign test p = {self.sign_p:.2g}"


def paired(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> Paired:
    """Two models' accuracies in percent, (seeds,) each, in the same order of seeds. Raises ValueError."""
    if np.shape(first) != np.shape(second):
        raise ValueError(f"paired: {np.shape(first)} and {np.shape(second)} accuracies, expected as many")
    # Accuracies are shares of whole images: what rounding leaves of a difference of 0 is no difference.
    return Paired(np.round(np.asarray(first, np.float64) - np.asarray(second, np.float64), 9))
