"""Right code is never accused, in whatever style it is written.

SEEDS=40 pytest tests/test_styles.py -s    asks each style the questions of 40 seeds and prints their number
"""

import os

import numpy as np
import pytest
from styles import STYLES

from parity import check

SEEDS = int(os.environ.get("SEEDS", "2"))


@pytest.mark.parametrize("kind", STYLES)
def test_a_right_class_in_another_style_is_not_accused(kind):
    asked, worst = {"float32": 0, "float64": 0}, 0.0
    for cls in STYLES[kind]:
        for seed in range(SEEDS):
            checkup = check(cls, kind, seed=seed)
            assert checkup.ok, checkup
            for c in checkup.checks:
                if not c.skipped:
                    asked["float64" if "float64" in c.case else "float32"] += 1
                    worst = max(worst, *(row.ratio for row in c.rows if np.isfinite(row.ratio)))
    configurations = ", ".join(f"{count} of {dtype}" for dtype, count in asked.items())
    print(f"{kind}: {len(STYLES[kind])} styles, {configurations}, largest error / bound {worst:.2f}")
