"""A student's TinyCNN, in a process of its own, on the situation that the page begins with."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

import tinycnn_torch as tt
from parity import load_numpy_state
from parity.comparison import IsolatedTrial, StagesTrial, diagnoses_of, evidence_of, rows_of
from parity.exact import exact_inputs, exact_run
from parity.student.cases import Case
from parity.student.process import Contained, LoadError


class ModelError(ValueError):
    """A file that defines no TinyCNN; one line says so."""


def examine(path: Path, state: dict[str, np.ndarray], x: np.ndarray, label: int) -> dict[str, Any]:
    """What its TinyCNN gave, tensor by tensor, parity's verdict on each and the doctor's words.

    x is one image without an axis for it. Raises ModelError.
    """
    images, labels = x[None], np.array([label])
    module = tt.TinyCNN().double()
    load_numpy_state(module, state)
    stages: dict[str, nn.Module] = dict(module.named_children())
    exact = exact_run(stages, images, labels=labels)
    inputs = exact_inputs(stages, exact, images)
    data = {"x": images, "labels": labels}
    question = Case("TinyCNN", "the page", {"first": data}, weights=state, dtype=np.float64, isolated=inputs)
    try:
        with Contained(path) as child:
            names = [name for name, kinds in child.subjects.items() if "TinyCNN" in kinds]
            if not names:
                raise ModelError(f"--model {path} defines no class TinyCNN")
            [(_, runs)] = child.ask(names[0], [question])
    except LoadError as error:
        raise ModelError(f"--model {path} cannot be loaded: {error}") from None
    trial = StagesTrial(runs["first"], stages=stages, data=data)
    alone = IsolatedTrial(runs["isolated"], stages=stages, inputs=inputs) if "isolated" in runs else None
    rows = rows_of(trial, alone)
    said = {(d.stage, d.tensor): str(d) for d in diagnoses_of(rows, evidence_of([alone or trial], rows))}
    wrong = {(row.stage, row.tensor) for row in rows if row.verdict != "match"}
    arrays = {key: array for key, array in runs["first"].arrays.items() if key in wrong}
    return {
        "file": path.name,
        "error": str(runs["first"].failure or ""),
        "tensors": {f"{stage}.{name}": array.tolist() for (stage, name), array in arrays.items()},
        "verdicts": [
            {
                "name": f"{row.stage}.{row.tensor}",
                "verdict": row.verdict,
                "said": said.get((row.stage, row.tensor), ""),
            }
            for row in rows
        ],
    }
