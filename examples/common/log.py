"""The log of a training run, an entry for each finished epoch, and what it may hold when it is read back."""

import json
import math
from typing import Any, TypeGuard


def check_log(log: Any) -> None:
    """Raise ValueError, which names the value, unless `log` is that of the epochs 1, 2, 3, ... of a run.

    Each entry has epoch, train_loss (a finite number >= 0) and test_accuracy (percent). More may stand there.
    """
    if not isinstance(log, list):
        raise ValueError(f"log is {shown(log)}, expected a list with an entry for each epoch")
    for epoch, entry in enumerate(log, 1):
        if not isinstance(entry, dict):
            raise ValueError(f"epoch {epoch} of the log is {shown(entry)}, expected its numbers by name")
        if not is_whole(entry.get("epoch")) or entry["epoch"] != epoch:
            raise ValueError(f"epoch is {shown(entry.get('epoch'))} in the log, expected {epoch}")
        loss, accuracy = entry.get("train_loss"), entry.get("test_accuracy")
        if not is_number(loss) or not 0 <= loss < math.inf:
            raise ValueError(f"epoch {epoch}: train_loss is {shown(loss)}, expected a finite number >= 0")
        if not is_number(accuracy) or not 0 <= accuracy <= 100:
            raise ValueError(f"epoch {epoch}: test_accuracy is {shown(accuracy)}, expected 0 to 100")


def is_whole(value: Any, at_least: int = 0) -> TypeGuard[int]:
    """Whether it is an int, and no bool, >= at_least."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """The value as JSON has it, cut to what a line can hold; "missing" if there is none."""
    return "missing" if value is None else json.dumps(value, default=str)[:60]
