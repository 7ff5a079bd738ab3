"""Right code is never accused, in whatever style it is written.

SEEDS=30 pytest -n 0 tests/parity/test_styles.py -s  30 seeds for each style, counted
"""

import dataclasses
import os

import numpy as np
import pytest
from styles import STYLES

from parity.student.checkup import Checkup
from parity.student.examine import examine, questions
from parity.student.run_case import run_case

SEEDS = int(os.environ.get("SEEDS", "2"))


def in_float64(value):
    """A case, and every array inside of it, in float64."""
    if isinstance(value, dict):
        return {name: in_float64(inner) for name, inner in value.items()}
    return value.astype(np.float64) if getattr(value, "dtype", None) == np.float32 else value


def cases_of(kind, seed):
    """As they are for an even seed, all in float64 for an odd one."""
    for case in questions(kind, seed):
        if seed % 2:
            arrays = {name: in_float64(getattr(case, name)) for name in ("runs", "weights", "isolated")}
            case = dataclasses.replace(case, dtype=np.float64, **arrays)
        yield case


@pytest.mark.parametrize("kind", STYLES)
def test_a_right_class_in_another_style_is_not_accused(kind):
    asked, worst = {"float32": 0, "float64": 0}, 0.0
    for cls in STYLES[kind]:
        for seed in range(SEEDS):
            cases = list(cases_of(kind, seed))
            checks = examine(cls.__name__, ((case, run_case(cls, case)) for case in cases))
            assert all(check.ok for check in checks), Checkup(cls.__name__, seed, checks)
            for case, check in zip(cases, checks, strict=True):
                if not check.skipped:
                    asked[np.dtype(case.dtype).name] += 1
                    worst = max(worst, *(row.ratio for row in check.rows))
    configurations = ", ".join(f"{count:,} in {dtype}" for dtype, count in asked.items())
    print(f"{kind}: {len(STYLES[kind])} styles, {configurations}, largest error / bound {worst:.2f}")
