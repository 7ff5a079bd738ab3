"""Hold a hand-written layer, model, loss or optimiser against PyTorch, tensor by tensor."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from parity.doctor.diagnose import diagnose
from parity.doctor.evidence import Evidence
from parity.exact import Exact, ExactRun, exact_run
from parity.exact_optimizer import exact_steps, stacked
from parity.record import Key, Run, catching, run_each, run_loss, run_stages, stages_by_name
from parity.record_torch import trace_torch
from parity.report import INHERITED, MATCH, MISMATCH, Diagnosis, Report, Row, judge
from parity.twins import KIND_OF_MODULE, OPTIMIZERS, kind_of, settings_of, stages_of, twin
from tinycnn_numpy import CrossEntropyLoss
from tinycnn_numpy.optim import Optimizer

Data = Mapping[str, Any]  # x, dout, labels and so on
ENDED, NOT_REACHED, PYTORCH_IS_OFF = "(ended)", "not reached", "PyTorch itself is off, NumPy is right"
RIGHT_ALONE = "right by itself"


def compare(
    layer: Any, x: np.ndarray, module: nn.Module | None = None, *, dout=None, labels=None, seed: int = 0
) -> Report:
    """Compare out, dx, dweight and dbias at every stage, each with the bound that rounding allows.

    layer   a NumPy layer or model: the library's, or whatever has forward, backward, weight and bias. A
            model has its layers as attributes, by the names of the module's stages.
    x       (N, ...) in the dtype of the layer's weights, float32 or float64
    module  the PyTorch twin with the same weights; built from `layer` if it is one of the library's
    dout    the upstream gradient, in the shape of the output; random unless given
    labels  (N,) class indices; then the loss is compared too, and its gradient is the upstream one
    seed    of the upstream gradient

    The layer runs twice, first on other data: what is remembered or added up from then shows as a mismatch.
    Each stage of a model runs once more by itself on exact inputs, which tells a stage that is wrong from
    one that inherits the mistakes of others. What is wrong is put before the doctor.
    """
    module = twin(layer) if module is None else module
    stages = stages_of(module, layer)
    parts = dict.fromkeys(stages, layer) if module in stages.values() else stages_by_name(layer, list(stages))
    rng = np.random.default_rng(seed)
    shape = exact_run(stages, x).tensors[list(stages)[-1], "out"].value.shape
    before = {"x": rng.permuted(x, axis=0) + x.dtype.type(0.5), "dout": _normal(rng, shape, x.dtype)}
    data = {"x": x, "labels": labels} if labels is not None else {"x": x, "dout": dout}
    if labels is None and dout is None:
        data["dout"] = _normal(rng, shape, x.dtype)

    how = "under a random upstream gradient" if labels is None else "through the loss"
    report = Report(f"{type(layer).__name__}, {x.dtype}, {how}: NumPy against PyTorch")
    earlier = run_stages(layer, parts, **before)
    run = run_stages(layer, parts, **data, loss_fn=CrossEntropyLoss())
    theirs = trace_torch(stages, **data)
    exact = exact_run(stages, **data)
    alone, fed, exact_fed = run, exact_inputs(stages, exact, data), exact.tensors
    if len(stages) > 1:
        alone, exact_fed = run_each(parts, fed), exact_each(stages, fed)
    by_themselves = (alone, exact_fed) if len(stages) > 1 else None
    report.rows = rows_of(run, exact, x.dtype, by_themselves, theirs)
    report.rows += _rows_of_backward_weights(layer, parts, data, exact, report)

    if len(stages) == 1:
        ((name, stage),) = stages.items()
        first = evidence_of(
            stage, name, before, earlier, exact_run(stages, **before).tensors, report.rows[:0]
        )
        evidence = {name: [evidence_of(stage, name, fed[name], run, exact.tensors, report.rows, first)]}
    else:
        evidence = {
            name: [evidence_of(stage, name, fed[name], alone, exact_fed, report.rows)]
            for name, stage in stages.items()
        }
    report.diagnoses = diagnoses_of(report.rows, evidence)
    return report


def assert_parity(layer: Any, x: np.ndarray, module: nn.Module | None = None, **options) -> Report:
    """Raise AssertionError with the table unless compare(...) finds every tensor equal within its bound."""
    report = compare(layer, x, module, **options)
    if not report.ok:
        raise AssertionError("\n" + str(report))
    return report


def rows_of(
    run: Run,
    exact: ExactRun,
    dtype,
    by_themselves: tuple[Run, Mapping[Key, Exact]] | None = None,
    theirs: Mapping[Key, np.ndarray] | None = None,
) -> list[Row]:
    """Judge every tensor of a run. by_themselves: what each stage gave alone; theirs: what PyTorch gave."""
    rows = [
        _failed(*key, note)
        for key, note in run.notes.items()
        if note.startswith(("was modified", "was changed"))
    ]
    ended = False
    for key, right in exact.tensors.items():
        note = run.notes.get(key, "")
        if run.error and key not in run.arrays and not note:
            if not ended:
                rows.append(_failed(key[0], ENDED, run.error))
            note, ended = NOT_REACHED, True
        row = judge(*key, run.arrays.get(key), right, dtype, note, _witness(exact, key[0]))
        if by_themselves and key in by_themselves[1]:
            alone, right = by_themselves[0], by_themselves[1][key]
            row = _weigh(
                row, judge(*key, alone.arrays.get(key), right, dtype, alone.notes.get(key, "")), rows
            )
        elif by_themselves and row.verdict == MISMATCH and any(not earlier.ok for earlier in rows):
            row = dataclasses.replace(row, verdict=INHERITED)  # the loss is the library's own
        if theirs is not None:
            torchs = judge(*key, theirs[key], exact.tensors[key], dtype)
            row = dataclasses.replace(row, torch=torchs.ratio)
            if torchs.verdict == MISMATCH and row.ok:
                row = dataclasses.replace(row, verdict=MISMATCH, note=PYTORCH_IS_OFF)
        rows.append(row)
    if run.error and not ended:
        rows.append(_failed("run", ENDED, run.error))
    return rows


def _weigh(row: Row, alone: Row, before: list[Row]) -> Row:
    """The verdict on a stage that ran twice: with the inputs of the run, and by itself on exact ones."""
    row = dataclasses.replace(row, fed=alone.ratio)
    if alone.verdict == MISMATCH:
        return dataclasses.replace(row, verdict=MISMATCH, note=alone.note or row.note)
    if row.verdict == MISMATCH and any(earlier.verdict == MISMATCH for earlier in before):
        return dataclasses.replace(row, verdict=INHERITED, note="")
    return dataclasses.replace(row, note=row.note or RIGHT_ALONE) if row.verdict == MISMATCH else row


def _witness(exact: ExactRun, stage: str) -> str:
    """One that a gradient of `stage` has passed on its way back, if there is any."""
    order = [name for name, tensor in exact.tensors if tensor == "out"]
    later = order[order.index(stage) :] if stage in order else []
    return next((str(witness) for witness in exact.witnesses if witness.stage in later), "")


def _failed(stage: str, tensor: str, note: str) -> Row:
    return Row(stage, tensor, (), np.inf, np.inf, MISMATCH, note=note)


def _rows_of_backward_weights(layer, parts, data: Data, exact: ExactRun, report: Report) -> list[Row]:
    """backward_weights, which training calls, must find the same gradients; a row where it alone does not."""
    if not hasattr(layer, "backward_weights") or any(row.tensor == ENDED for row in report.rows):
        return []
    dtype, run = data["x"].dtype, Run()
    dout = exact.tensors["loss", "dlogits"].value.astype(dtype) if "labels" in data else data["dout"]
    with catching(run):
        layer.forward(data["x"].copy())
        layer.backward_weights(dout.copy())
    if run.error:
        return [_failed("backward_weights", ENDED, run.error)]
    right = {(row.stage, row.tensor) for row in report.rows if row.verdict == MATCH}
    again = []
    for name, part in parts.items():
        for key in ((name, "dweight"), (name, "dbias")):
            if key in right and getattr(part, key[1], None) is not None:
                row = judge(*key, getattr(part, key[1]), exact.tensors[key], dtype)
                again.append(dataclasses.replace(row, tensor=f"{key[1]} of backward_weights"))
    return [row for row in again if not row.ok]


def exact_inputs(
    stages: Mapping[str, nn.Module], exact: ExactRun, data: Data
) -> dict[str, dict[str, np.ndarray]]:
    """x and dout of every stage as the exact run has them, rounded to the dtype of the run."""
    dtype, value = data["x"].dtype, data["x"]
    inputs = {}
    for name in stages:
        inputs[name] = {"x": value}
        value = exact.tensors[name, "out"].value.astype(dtype)
    dout = exact.tensors["loss", "dlogits"].value.astype(dtype) if "labels" in data else data["dout"]
    for name in reversed(list(stages)):
        inputs[name]["dout"] = dout
        dout = exact.tensors[name, "dx"].value.astype(dtype)
    return inputs


def exact_each(stages: Mapping[str, nn.Module], inputs: Mapping[str, Data]) -> dict[Key, Exact]:
    """The exact tensors of every stage by itself."""
    found: dict[Key, Exact] = {}
    for name, stage in stages.items():
        found |= exact_run({name: stage}, **inputs[name]).tensors
    return found


def evidence_of(
    stage: nn.Module,
    name: str,
    data: Data,
    run: Run,
    exact: Mapping[Key, Exact],
    rows: list[Row],
    before=None,
) -> Evidence:
    """What the doctor sees of one stage: a run of it by itself, and which tensors `rows` found wrong."""
    stage = copy.deepcopy(stage).cpu().double()
    inputs = {key: data[key] for key in ("x", "dout")}
    weights = {key: weight.detach().numpy() for key, weight in stage.named_parameters()}
    kind, dtype = KIND_OF_MODULE[type(stage)], data["x"].dtype
    return _evidence(kind, name, inputs | weights, dtype, run, exact, rows, stage=stage, before=before)


def loss_evidence(data: Data, run: Run, exact: Mapping[Key, Exact], rows: list[Row], before=None) -> Evidence:
    kind, dtype = "CrossEntropyLoss", data["logits"].dtype
    return _evidence(kind, "loss", data, dtype, run, exact, rows, before=before)


def optimizer_evidence(
    kind: str,
    settings: dict,
    weights: Data,
    grads: Data,
    run: Run,
    exact: Mapping[Key, Exact],
    rows: list[Row],
) -> Evidence:
    inputs = {**weights, **{f"grad {name}": grad for name, grad in grads.items()}}
    return _evidence(kind, "steps", inputs, weights["0"].dtype, run, exact, rows, settings=settings)


def _evidence(kind, stage_name, inputs, dtype, run, exact, rows, **more) -> Evidence:
    right = {tensor: known for (stage, tensor), known in exact.items() if stage == stage_name}
    finite = {tensor: known.bound[np.isfinite(known.bound)] for tensor, known in right.items()}
    return Evidence(
        kind,
        {name: torch.from_numpy(_widest(array)) for name, array in inputs.items()},
        given={tensor: array for (stage, tensor), array in run.arrays.items() if stage == stage_name},
        exact={tensor: known.value for tensor, known in right.items()},
        wrong={row.tensor for row in rows if row.stage == stage_name and row.verdict == MISMATCH},
        bound={tensor: float(bound.max(initial=0.0)) for tensor, bound in finite.items()},
        precision=dtype.itemsize,
        **more,
    )


def _widest(array: np.ndarray) -> np.ndarray:
    return np.array(array, np.float64 if array.dtype.kind == "f" else np.int64)


def diagnoses_of(rows: list[Row], evidence: Mapping[str, list[Evidence]]) -> list[Diagnosis]:
    """What the doctor says of every wrong tensor."""
    return [diagnose_row(row, evidence.get(row.stage, [])) for row in rows if is_to_diagnose(row)]


def is_to_diagnose(row: Row) -> bool:
    return row.verdict == MISMATCH and row.tensor != ENDED and row.note not in (NOT_REACHED, PYTORCH_IS_OFF)


def diagnose_row(row: Row, evidence: list[Evidence]) -> Diagnosis:
    if row.note.startswith("was modified"):
        if row.tensor in ("weight", "bias"):
            sentence = f"{row.tensor} {row.note}: weights change in step, when all gradients are known."
            return Diagnosis(row.stage, row.tensor, "updated-too-early", sentence)
        sentence = f"{row.tensor} {row.note}: it belongs to the caller, work on a copy."
        return Diagnosis(row.stage, row.tensor, "input-modified", sentence)
    if row.note.startswith("dtype is") and row.ratio <= 1:
        sentence = f"{row.note}: a float64 array or np.sqrt of a Python number got in; float32 stays float32."
        return Diagnosis(row.stage, row.tensor, "widened", sentence)
    if row.note.startswith("was never computed"):
        return Diagnosis(row.stage, row.tensor, "stage-skipped", f"{row.tensor} {row.note}.")
    if row.note.startswith("was changed"):
        sentence = f"{row.tensor} {row.note}: each stage takes what the one before it returned, unchanged."
        return Diagnosis(row.stage, row.tensor, "changed-in-between", sentence)
    if row.note == RIGHT_ALONE:
        sentence = (
            "right by itself and wrong in this run: an earlier call or another stage changed what it uses."
        )
        return Diagnosis(row.stage, row.tensor, "shared-arrays", sentence)
    if row.note.startswith(("is None", "missing")):
        return Diagnosis(row.stage, row.tensor, "gradient-missing", "never assigned, or a return is missing.")
    return diagnose(row.stage, row.tensor, evidence)


def compare_loss(loss_fn: Any, logits: np.ndarray, labels: np.ndarray) -> Report:
    """Compare a NumPy loss and its gradient with PyTorch. logits (N, classes), labels (N,)."""
    data = {"logits": logits, "labels": labels}
    run = run_loss(loss_fn, data)
    exact = exact_loss(logits, labels)
    rows = rows_of(run, exact, logits.dtype)
    evidence = {"loss": [loss_evidence(data, run, exact.tensors, rows)]}
    title = f"{type(loss_fn).__name__}, {logits.dtype}: NumPy against PyTorch"
    return Report(title, rows, diagnoses_of(rows, evidence))


def compare_optimizers(optimizer: Optimizer, steps: int = 10, seed: int = 0) -> Report:
    """Give a new optimiser random gradients; compare weights, and what it remembers, with PyTorch's."""
    rng = np.random.default_rng(seed)
    kind, settings, run = kind_of(type(optimizer), OPTIMIZERS), settings_of(optimizer), Run()
    weights = {str(i): p.data.copy() for i, p in enumerate(optimizer.parameters)}
    grads = {name: _normal(rng, (steps, *weight.shape), weight.dtype) for name, weight in weights.items()}
    history: dict[str, list[np.ndarray]] = {name: [] for name in weights}
    for step in range(steps):
        for grad, p in zip(grads.values(), optimizer.parameters, strict=True):
            setattr(p.layer, "d" + p.name, grad[step].copy())
        optimizer.step()
        for after, p in zip(history.values(), optimizer.parameters, strict=True):
            after.append(p.data.copy())
    dtype, how = weights["0"].dtype, f"{steps} steps on random gradients"
    report = Report(f"{type(optimizer).__name__}, {dtype}, {how}: NumPy against PyTorch")
    exact = {}
    for name, weight in weights.items():
        run.arrays["steps", name] = np.stack(history[name])
        known = exact_steps(kind, settings, weight, grads[name])
        exact["steps", name] = stacked(known)
        report.rows.append(judge("steps", name, run.arrays["steps", name], exact["steps", name], dtype))
        for memory in [key for key in known[-1] if key != "weight"]:
            array = getattr(optimizer, memory)[int(name)]
            report.rows.append(judge("steps", f"{name} {memory}", array, known[-1][memory], dtype))
    evidence = optimizer_evidence(kind, settings, weights, grads, run, exact, report.rows)
    report.diagnoses = diagnoses_of(
        [row for row in report.rows if row.tensor in weights], {"steps": [evidence]}
    )
    return report


def exact_loss(logits: np.ndarray, labels: np.ndarray) -> ExactRun:
    """loss and dlogits, with the bounds for exact logits."""
    return exact_run({}, logits, labels=labels)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)
