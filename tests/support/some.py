"""A few of many cases run with every test, all of them under -m slow."""

from collections.abc import Iterable
from typing import Any

import pytest


def every(step: int, cases: Iterable[Any]) -> list[Any]:
    """The cases; all but each `step`-th are slow."""
    return [
        case if i % step == 0 else pytest.param(case, marks=pytest.mark.slow) for i, case in enumerate(cases)
    ]
