"""Is one model better than another, or was it the seed, or the test images? Differences pair by pair.

Both models of a pair are trained from the same seed, on the same batches in the same order. What a seed does
to both then cancels in their difference, and fewer seeds are needed than for two independent means.

The test images are drawn by chance as well. With d[s,i] = 1 if the first model of seed s alone is right about
image i, -1 if the second alone is, else 0, the mean of d is the difference of the accuracies, and

    variance = var_s(mean_i d) / S  +  var_i(mean_s d) / n  -  var(rest) / (S n)

rest: d without the means of its row and its column. It is in the first two terms both, so it is taken off
once (a two-way layout with random rows and columns; Scheffe, The Analysis of Variance, 1959, chapter 7).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

FEWEST = 3  # seeds for an interval: from two, Student's is 13 standard errors wide to either side


@dataclass(frozen=True)
class Paired:
    """Accuracies of two models, one of each for every seed, as differences first - second in points.

    differences  (seeds,), at least 2. Raises ValueError for fewer.
    by_image     (seeds, images): d as above. The error and the interval are then those of seeds and images;
                 without it of the seeds alone, on the same images for ever.
    """

    differences: np.ndarray
    by_image: np.ndarray | None = None

    def __post_init__(self):
        if self.differences.ndim != 1 or len(self.differences) < 2:
            raise ValueError(f"Paired: differences have shape {self.differences.shape}, expected (>= 2,)")

    @property
    def mean(self) -> float:
        return float(self.differences.mean())

    @property
    def seed_error(self) -> float:
        """The standard error of the mean, as far as it comes from the seeds."""
        return float(self.differences.std(ddof=1)) / math.sqrt(len(self.differences))

    @property
    def image_error(self) -> float:
        """As far as it comes from the images; 0 if nothing is known of them."""
        if self.by_image is None:
            return 0.0
        n = self.by_image.shape[1]
        return 100 * float(self.by_image.mean(axis=0).std(ddof=1)) / math.sqrt(n)

    @property
    def error(self) -> float:
        """The standard error of the mean; at least that of the seeds and that of the images."""
        if self.by_image is None:
            return self.seed_error
        S, n = self.by_image.shape
        rows, columns = self.by_image.mean(axis=1, keepdims=True), self.by_image.mean(axis=0)
        rest = self.by_image - rows - columns + self.by_image.mean()
        of_rest = 1e4 * float((rest**2).sum()) / ((S - 1) * (n - 1) * S * n)
        parts = self.seed_error**2, self.image_error**2
        return math.sqrt(max(sum(parts) - of_rest, *parts))

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the error: of the two parts together by Satterthwaite's formula."""
        of_seeds, of_images = self.seed_error**2, self.image_error**2
        S, n = len(self.differences), 2 if self.by_image is None else self.by_image.shape[1]
        return (of_seeds + of_images) ** 2 / (of_seeds**2 / (S - 1) + of_images**2 / (n - 1))

    @property
    def without_interval(self) -> str:
        """Why there is no interval; "" if there is one."""
        if len(self.differences) < FEWEST:
            return f"no interval from {len(self.differences)} seeds"
        return f"the same with all {len(self.differences)} seeds" if self.error == 0 else ""

    @property
    def margin(self) -> float:
        """How far its 95 % interval reaches to either side, by Student's t; infinitely if there is none."""
        if self.without_interval:
            return math.inf
        return float(stats.t.ppf(0.975, self.freedom)) * self.error

    def rounded(self, digits: int) -> str:
        """The mean with the margin, or with the reason why there is none."""
        margin = f" ({self.without_interval})" if self.without_interval else f" +-{self.margin:.{digits}f}"
        return f"{self.mean:+.{digits}f}{margin}"

    @property
    def interval(self) -> tuple[float, float]:
        """Where the mean over all seeds lies, with 95 % confidence."""
        return self.mean - self.margin, self.mean + self.margin

    @property
    def p(self) -> float:
        """How probable so large a mean is if neither model is better: two-sided t test; else 1."""
        if self.without_interval:
            return 1.0
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))

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
        if self.without_interval:
            return f"{text}, {self.without_interval}"
        low, high = self.interval
        of = "seeds alone" if self.by_image is None else f"seeds and {self.by_image.shape[1]:,} images"
        text += f" (95 % interval {low:+.3f} to {high:+.3f} of {of}, t test p = {self.p:.2g}); "
        return text + f"above 0 with {wins} of {count} seeds, sign test p = {self.sign_p:.2g}"


def paired(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> Paired:
    """Two models of the same seeds, in the same order. Raises ValueError unless both have one shape.

    first, second  (seeds,) accuracies in percent, or (seeds, images): whether each image is labelled right
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"paired: {a.shape} and {b.shape} accuracies, expected as many")
    if a.ndim == 2:
        return Paired(100 * (a - b).mean(axis=1), a - b)
    # Accuracies are shares of whole images: what rounding leaves of a difference of 0 is no difference.
    return Paired(np.round(a - b, 9))


def of_comparisons(count: int) -> str:
    """What several intervals of 95 % mean together."""
    return (
        f"{count} comparisons of two networks, each by an interval of 95 %: if no pair differed, "
        f"{0.05 * count:.2g} of them would still be expected to seem to."
    )
