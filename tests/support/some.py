"""A few of many cases run with every test, all of them under -m slow."""

from collections.abc import Iterable
from typing import Any

import pytest


def every(step: int, cases: Iterable[Any]) -> list[Any]:
    """The cases; all but each `step`-th are slow. A tuple holds the values of several arguments."""
    values = [case if isinstance(case, tuple) else (case,) for case in cases]
    marks = [() if i % step == 0 else pytest.mark.slow for i in range(len(values))]
    return [pytest.param(*case, marks=mark) for case, mark in zip(values, marks, strict=True)]
