"""A student's TinyCNN, in a process of its own, on the situation that the page begins with."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

import tinycnn_torch as tt
from parity import load_numpy_state
from parity.comparison import ENDED, IsolatedTrial, StagesTrial, diagnoses_of, evidence_of, rows_of
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
                raise ModelError(f"--model {path} defines no class TinyCNN with forward and backward")
            [(_, runs)] = child.ask(names[0], [question])
    except LoadError as error:
        raise ModelError(f"--model {path} cannot be loaded: {error}") from None
    trial = StagesTrial(runs["first"], stages=stages, data=data)
    alone = IsolatedTrial(runs["isolated"], stages=stages, inputs=inputs) if "isolated" in runs else None
    rows = rows_of(trial, alone)
    said = {(d.stage, d.tensor): str(d) for d in diagnoses_of(rows, evidence_of([alone or trial], rows))}
    wrong = {(row.stage, row.tensor) for row in rows if row.verdict != "match"}
    came = runs["first"].arrays
    alike = {key for key in wrong & set(came) if came[key].shape == exact.tensors[key].value.shape}
    ended = [row.stage for row in rows if row.tensor == ENDED and runs["first"].arrays]
    return {
        "file": path.name,
        "error": " ".join([f"{stage}:" for stage in ended] + [str(runs["first"].failure or "")]).strip(),
        "tensors": {f"{stage}.{name}": for_json(came[stage, name]) for stage, name in sorted(alike)},
        "verdicts": [
            {
                "name": f"{row.stage}.{row.tensor}",
                "verdict": row.verdict if (row.stage, row.tensor) in came else "never computed",
                "said": said.get((row.stage, row.tensor), ""),
            }
            for row in rows
            if row.tensor != ENDED
        ],
    }


def for_json(array: np.ndarray) -> list[float | str]:
    """Its entries in a flat list; what JSON has no number for as text that JavaScript's Number reads."""
    words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return [value if np.isfinite(value) else words[str(value)] for value in array.ravel().tolist()]
