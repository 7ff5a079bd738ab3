"""Hold a hand-written layer, model, loss or optimiser against PyTorch, tensor by tensor.

The one pipeline, also behind the examination of a student's class and lockstep training:

    Trial      what somebody's code gave for some inputs (a Run), and what is exact for them
    rows_of    a verdict on every tensor of a trial
    evidence   what the doctor sees of a trial, put together only if a row is wrong
    diagnoses  what the doctor says of every wrong row
"""

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from parity.bounds import Array
from parity.doctor.diagnose import diagnose
from parity.doctor.evidence import Evidence
from parity.exact import ExactRun, exact_each, exact_inputs, exact_loss, exact_run
from parity.exact_optimizer import exact_steps, stacked
from parity.kinds import kind_of, names_of
from parity.record import (
    Fault,
    Key,
    Remark,
    Run,
    catching,
    run_each,
    run_loss,
    run_optimizer,
    run_stages,
    set_arrays,
    stages_by_name,
    states_of,
)
from parity.record_torch import trace_torch
from parity.report import INHERITED, MATCH, MISMATCH, Diagnosis, Report, Row, judge, wrong
from parity.twins import MaskedDropout, kind_of_stage, settings_of, stages_of, twin, under_one_mask
from tinycnn_numpy import CrossEntropyLoss
from tinycnn_numpy.optim import Optimizer

Data = Mapping[str, Array]  # x, dout, labels and so on
ENDED = "(ended)"  # in place of a tensor's name
NOT_REACHED = Remark(Fault.NOT_REACHED, "not reached")
RIGHT_ALONE = Remark(Fault.RIGHT_ALONE, "right by itself")
PYTORCH_IS_OFF = Remark(Fault.PYTORCH_IS_OFF, "PyTorch itself is off, NumPy is right")


@dataclass
class Subject:
    """What one stage, loss or optimiser computes from."""

    kind: str
    inputs: Data
    stage: nn.Module | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Trial:
    """One run of somebody's code. `exact` and the doctor's evidence are computed when they are asked for."""

    run: Run
    name: str = ""  # "second run", say

    @cached_property
    def exact(self) -> ExactRun:
        raise NotImplementedError

    @property
    def dtype(self) -> Any:
        raise NotImplementedError

    def subjects(self) -> dict[str, Subject]:
        """By stage, what the doctor predicts mistakes from."""
        raise NotImplementedError

    def keep_masks(self, twins: Mapping[str, nn.Module]) -> None:
        """Which share of its inputs a dropout has kept is part of what it gave."""
        for name, stage in twins.items():
            if isinstance(stage, MaskedDropout) and stage.mask.numel():
                self.run.arrays[name, "kept"] = stage.mask.mean().numpy().astype(self.dtype)
                if stage.earlier is not None:
                    again = (stage.mask * stage.earlier).mean()
                    self.run.arrays[name, "kept again"] = again.numpy().astype(self.dtype)

    def evidence(self, rows: Iterable[Row], before: "Mapping[str, Evidence]") -> dict[str, Evidence]:
        """What the doctor sees: by stage, the run and which of its tensors `rows` found wrong."""
        found = {}
        wrong = [(row.stage, row.tensor) for row in rows if row.verdict == MISMATCH and not is_widened(row)]
        not_reached = {(row.stage, row.tensor) for row in rows if row.fault is Fault.NOT_REACHED}
        reached = [key for key in self.run.arrays if key not in not_reached]
        for name, subject in self.subjects().items():
            right = {tensor: exact for (stage, tensor), exact in self.exact.tensors.items() if stage == name}
            finite = {tensor: exact.bound[np.isfinite(exact.bound)] for tensor, exact in right.items()}
            found[name] = Evidence(
                subject.kind,
                {key: torch.from_numpy(_widest(array)) for key, array in subject.inputs.items()},
                given={key[1]: self.run.arrays[key] for key in reached if key[0] == name},
                exact={tensor: exact.value for tensor, exact in right.items()},
                wrong={tensor for stage, tensor in wrong if stage == name},
                bound={tensor: float(bound.max(initial=0.0)) for tensor, bound in finite.items()},
                precision=self.dtype.itemsize,
                stage=subject.stage,
                settings=dict(subject.settings),
                before=before.get(name),
                run=self.name,
            )
        return found


def _widest(array: Array) -> Array:
    return np.array(array, np.float64 if array.dtype.kind == "f" else np.int64, order="C")


@dataclass
class StagesTrial(Trial):
    """A layer or a model. stages: the PyTorch twins as they were before the run; data: x, dout or labels.

    earlier          the twins of the run before, if it had a batch of the same shape
    label_smoothing  of the loss
    """

    stages: Mapping[str, nn.Module] = field(default_factory=dict)
    data: Data = field(default_factory=dict)
    earlier: Mapping[str, nn.Module] = field(default_factory=dict)
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        self.twins = under_one_mask(self.stages, self.data["x"], self.run.arrays)
        for name, stage in self.twins.items():
            before = self.earlier.get(name)
            if isinstance(stage, MaskedDropout) and isinstance(before, MaskedDropout):
                stage.earlier = before.mask if before.mask.shape == stage.mask.shape else None
        self.keep_masks(self.twins)

    @cached_property
    def exact(self) -> ExactRun:
        return exact_run(
            self.twins,
            self.data["x"],
            dout=self.data.get("dout"),
            labels=self.data.get("labels"),
            label_smoothing=self.label_smoothing,
        )

    @property
    def dtype(self) -> Any:
        return self.data["x"].dtype

    def subjects(self) -> dict[str, Subject]:
        """Of a layer alone: the evidence against a stage of a model comes from its isolated run."""
        if len(self.twins) > 1:
            return {}
        inputs = self.isolated_inputs() if "labels" in self.data else dict.fromkeys(self.twins, self.data)
        return {name: subject_of(stage, inputs[name]) for name, stage in self.twins.items()}

    def isolated_inputs(self) -> dict[str, dict[str, Array]]:
        """x and dout of every stage by itself."""
        return exact_inputs(self.twins, self.exact, self.data["x"], self.data.get("dout"))


@dataclass
class IsolatedTrial(Trial):
    """Every stage of a model by itself, on exact inputs: {stage: {x, dout}}."""

    stages: Mapping[str, nn.Module] = field(default_factory=dict)
    inputs: Mapping[str, Data] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.twins: dict[str, nn.Module] = {}
        for name, stage in self.stages.items():
            self.twins |= under_one_mask({name: stage}, self.inputs[name]["x"], self.run.arrays)
        self.keep_masks(self.twins)

    @cached_property
    def exact(self) -> ExactRun:
        return exact_each(self.twins, self.inputs)

    @property
    def dtype(self) -> Any:
        return next(iter(self.inputs.values()))["x"].dtype

    def subjects(self) -> dict[str, Subject]:
        return {name: subject_of(stage, self.inputs[name]) for name, stage in self.twins.items()}


def subject_of(stage: nn.Module, data: Data) -> Subject:
    """x and dout, the arrays of the stage (its weights, running_mean, a dropout's mask), and its settings."""
    stage = copy.deepcopy(stage).cpu().double()
    inputs = {"x": data["x"], "dout": data["dout"]}
    inputs |= {name: array.numpy().copy() for name, array in stage.state_dict().items()}
    if isinstance(stage, MaskedDropout):
        inputs["mask"] = stage.mask.numpy()
    return Subject(kind_of_stage(stage).name, inputs, stage)


@dataclass
class LossTrial(Trial):
    """data: logits and labels."""

    data: Data = field(default_factory=dict)
    label_smoothing: float = 0.0

    @cached_property
    def exact(self) -> ExactRun:
        return exact_loss(self.data["logits"], self.data["labels"], self.label_smoothing)

    @property
    def dtype(self) -> Any:
        return self.data["logits"].dtype

    def subjects(self) -> dict[str, Subject]:
        return {"loss": Subject("CrossEntropyLoss", self.data)}


@dataclass
class OptimizerTrial(Trial):
    """weights before the first step, and the gradients of all steps (steps, ...): {"0": ..., "1": ...}"""

    kind: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Data = field(default_factory=dict)
    grads: Data = field(default_factory=dict)

    @cached_property
    def exact(self) -> ExactRun:
        found = ExactRun()
        for name, weight in self.weights.items():
            after = exact_steps(self.kind, dict(self.settings), weight, self.grads[name])
            found.tensors["steps", name] = stacked(after)
            last = {f"{name} {key}": known for key, known in after[-1].items() if key != "weight"}
            states = {("steps", state): known for state, known in last.items()}
            found.tensors |= {key: known for key, known in states.items() if key in self.run.arrays}
        return found

    @property
    def dtype(self) -> Any:
        return next(iter(self.weights.values())).dtype

    def subjects(self) -> dict[str, Subject]:
        grads = {f"grad {name}": grad for name, grad in self.grads.items()}
        return {"steps": Subject(self.kind, {**self.weights, **grads}, settings=self.settings)}


def rows_of(
    trial: Trial, isolated: Trial | None = None, theirs: Mapping[Key, Array] | None = None
) -> list[Row]:
    """Judge every tensor of a run.

    isolated  the same model, every stage by itself on exact inputs
    theirs    what PyTorch gave in the precision of the run
    """
    run, exact, name = trial.run, trial.exact, trial.name
    meddled = (Fault.MODIFIED, Fault.CHANGED_BETWEEN, Fault.UNLISTED)
    rows = [wrong(*key, r, run=name) for key, r in run.remarks.items() if r.fault in meddled]
    ended = False
    for key, right in exact.tensors.items():
        remark = run.remarks.get(key)
        if run.failure and key not in run.arrays and not remark:
            if not ended:
                rows.append(wrong(key[0], ENDED, Remark(Fault.ENDED, str(run.failure)), run=name))
            remark, ended = NOT_REACHED, True
        witness = _witness(exact, key[0])
        row = judge(*key, run.arrays.get(key), right, trial.dtype, remark=remark, witness=witness, run=name)
        if (
            run.failure and key[1].startswith("d") and row.verdict == MISMATCH
        ):  # of an earlier call, or unfinished
            row = judge(*key, None, right, trial.dtype, remark=remark or NOT_REACHED, run=name)
        if isolated and key in isolated.exact.tensors:
            row = _weigh(row, _judge(isolated, key), rows)
        elif isolated and row.verdict == MISMATCH and any(not earlier.ok for earlier in rows):
            row = dataclasses.replace(row, verdict=INHERITED)  # the loss is the library's own
        if theirs is not None and key in theirs:
            torchs = judge(*key, theirs[key], right, trial.dtype)
            row = dataclasses.replace(row, torch=torchs.ratio)
            if torchs.verdict == MISMATCH and row.ok:
                row = dataclasses.replace(row, verdict=MISMATCH, remark=PYTORCH_IS_OFF)
        rows.append(row)
    if run.failure and not ended:
        rows.append(wrong("run", ENDED, Remark(Fault.ENDED, str(run.failure)), run=name))
    return rows


def _judge(trial: Trial, key: Key) -> Row:
    run, exact = trial.run, trial.exact
    return judge(*key, run.arrays.get(key), exact.tensors[key], trial.dtype, remark=run.remarks.get(key))


def _weigh(row: Row, alone: Row, before: Sequence[Row]) -> Row:
    """The verdict on a stage that ran twice: with the inputs of the run, and by itself on exact ones."""
    row = dataclasses.replace(row, isolated=alone.ratio)
    if alone.verdict == MISMATCH:
        return dataclasses.replace(row, verdict=MISMATCH, remark=alone.remark or row.remark)
    if row.verdict == MISMATCH and any(earlier.verdict == MISMATCH for earlier in before):
        return dataclasses.replace(row, verdict=INHERITED, remark=None)
    return dataclasses.replace(row, remark=row.remark or RIGHT_ALONE) if row.verdict == MISMATCH else row


def _witness(exact: ExactRun, stage: str) -> str:
    """One that a gradient of `stage` has passed on its way back, if there is any."""
    order = [name for name, tensor in exact.tensors if tensor == "out"]
    later = order[order.index(stage) :] if stage in order else []
    return next((str(witness) for witness in exact.witnesses if witness.stage in later), "")


def evidence_of(trials: Iterable[Trial], rows: Sequence[Row]) -> dict[str, list[Evidence]]:
    """By stage, the evidence of successive runs of one object, each with the run before it."""
    found: dict[str, list[Evidence]] = {}
    before: dict[str, Evidence] = {}
    for trial in trials:
        of_this_run = [row for row in rows if row.run == trial.name or isinstance(trial, IsolatedTrial)]
        before = trial.evidence(of_this_run, before)
        for stage, seen in before.items():
            found.setdefault(stage, []).append(seen)
    return found


def diagnoses_of(rows: Iterable[Row], evidence: Mapping[str, Sequence[Evidence]]) -> list[Diagnosis]:
    """What the doctor says of every wrong tensor."""
    with np.errstate(all="ignore"):  # what a mistake predicts may overflow
        said = [diagnose(row, evidence.get(row.stage, ())) for row in rows if is_to_diagnose(row)]
    return [diagnosis for diagnoses in said for diagnosis in diagnoses]


def is_widened(row: Row) -> bool:
    """Whether the numbers are right and only their dtype is not."""
    return row.fault is Fault.WRONG_DTYPE and row.ratio <= 1


def is_to_diagnose(row: Row) -> bool:
    explained = (Fault.NOT_REACHED, Fault.PYTORCH_IS_OFF)
    return row.verdict == MISMATCH and row.tensor != ENDED and row.fault not in explained


def report_of(title: str, rows: list[Row], trials: Sequence[Trial]) -> Report:
    """The end of the pipeline. trials: those that are evidence, in the order in which they ran."""
    evidence = evidence_of(trials, rows) if any(map(is_to_diagnose, rows)) else {}
    return Report(title, rows, diagnoses_of(rows, evidence))


def compare(
    layer: Any,
    x: Array,
    module: nn.Module | None = None,
    *,
    dout: Array | None = None,
    labels: Array | None = None,
    seed: int = 0,
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
    one that inherits the mistakes of others. Each mismatch is diagnosed. Running statistics are put back.
    """
    module = copy.deepcopy(twin(layer) if module is None else module)
    stages = stages_of(module, layer)
    parts = dict.fromkeys(stages, layer) if module in stages.values() else stages_by_name(layer, list(stages))
    rng, shape = np.random.default_rng(seed), output_shape(module, x)
    other = {"x": rng.permuted(x, axis=0) + x.dtype.type(0.5), "dout": _normal(rng, shape, x.dtype)}
    if labels is not None:
        data, how = {"x": x, "labels": labels}, "through the loss"
    else:
        drawn = _normal(rng, shape, x.dtype) if dout is None else dout
        data = {"x": x, "dout": drawn}
        how = f"under a {'random' if dout is None else 'given'} upstream gradient"

    states = {name: states_of(part) for name, part in parts.items()}

    def put_back() -> None:
        for name, part in parts.items():
            set_arrays(part, states[name])

    earlier = StagesTrial(run_stages(layer, parts, **other), "earlier run", stages, other)
    put_back()
    trial = StagesTrial(
        run_stages(layer, parts, **data, loss_fn=CrossEntropyLoss()), stages=stages, data=data
    )
    put_back()
    isolated = None
    if len(stages) > 1:
        inputs = trial.isolated_inputs()
        isolated = IsolatedTrial(run_each(parts, inputs), stages=stages, inputs=inputs)
        put_back()
    trace = trace_torch(copy.deepcopy(trial.twins), x, dout=data.get("dout"), labels=labels)
    rows = rows_of(trial, isolated, trace)
    rows += _rows_of_backward_weights(layer, parts, trial, rows)
    put_back()
    title = f"{type(layer).__name__}, {x.dtype}, {how}: NumPy against PyTorch"
    return report_of(title, rows, [isolated] if isolated else [earlier, trial])


def output_shape(module: nn.Module, x: Array) -> tuple[int, ...]:
    """The shape of module(x), of which nothing is computed."""
    plain = copy.deepcopy(module).cpu().float()
    with torch.no_grad():
        return tuple(plain(torch.zeros(x.shape)).shape)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    return rng.standard_normal(shape).astype(dtype)


def _rows_of_backward_weights(
    layer: Any, parts: Mapping[str, Any], trial: StagesTrial, rows: Sequence[Row]
) -> list[Row]:
    """backward_weights, which training calls, must find the same gradients; a row where it alone does not."""
    if not hasattr(layer, "backward_weights") or any(row.tensor == ENDED for row in rows):
        return []
    if any(isinstance(stage, nn.Dropout) and stage.training for stage in trial.stages.values()):
        return []  # another forward draws another mask
    data, run = trial.data, Run()
    dout = data["dout"] if "dout" in data else trial.exact.tensors["loss", "dlogits"].value
    with catching(run):
        layer.forward(data["x"].copy())
        layer.backward_weights(dout.astype(trial.dtype))
    if run.failure:
        return [wrong("backward_weights", ENDED, Remark(Fault.ENDED, str(run.failure)))]
    right = {(row.stage, row.tensor) for row in rows if row.verdict == MATCH}
    again = []
    for name, part in parts.items():
        for key in ((name, "dweight"), (name, "dbias")):
            if key in right and getattr(part, key[1], None) is not None:
                row = judge(*key, getattr(part, key[1]), trial.exact.tensors[key], trial.dtype)
                again.append(dataclasses.replace(row, tensor=f"{key[1]} of backward_weights"))
    return [row for row in again if not row.ok]


def assert_parity(layer: Any, x: Array, module: nn.Module | None = None, **options: Any) -> Report:
    """Raise AssertionError with the table unless compare(...) finds every tensor equal within its bound."""
    report = compare(layer, x, module, **options)
    if not report.ok:
        raise AssertionError("\n" + str(report))
    return report


def compare_loss(loss_fn: Any, logits: Array, labels: Array) -> Report:
    """Compare a NumPy loss and its gradient with PyTorch. logits (N, classes), labels (N,).

    If loss_fn has an attribute label_smoothing, that of PyTorch is the same.
    """
    data = {"logits": logits, "labels": labels}
    smoothing = getattr(loss_fn, "label_smoothing", 0.0)
    trial = LossTrial(run_loss(loss_fn, logits, labels), data=data, label_smoothing=smoothing)
    title = f"{type(loss_fn).__name__}, {logits.dtype}: NumPy against PyTorch"
    return report_of(title, rows_of(trial), [trial])


def compare_optimizers(optimizer: Optimizer, steps: int = 10, seed: int = 0) -> Report:
    """Give a new optimiser random gradients; compare weights, and what it remembers, with PyTorch's."""
    rng = np.random.default_rng(seed)
    kind = kind_of(type(optimizer), names_of("optimizer"))
    weights = {str(i): p.data.copy() for i, p in enumerate(optimizer.parameters)}
    grads = {name: _normal(rng, (steps, *weight.shape), weight.dtype) for name, weight in weights.items()}
    run = run_optimizer(optimizer, optimizer.parameters, grads)
    for i, name in enumerate(weights):
        for state in kind.states:
            run.keep(("steps", f"{name} {state}"), getattr(optimizer, state)[i])
    trial = OptimizerTrial(
        run, kind=kind.name, settings=settings_of(optimizer, kind), weights=weights, grads=grads
    )
    title = f"{type(optimizer).__name__}, {trial.dtype}, {steps} steps on random gradients"
    report = Report(f"{title}: NumPy against PyTorch", rows_of(trial))
    of_weights = [row for row in report.rows if row.tensor in weights]  # no cause is known for its memory
    report.diagnoses = report_of(report.title, of_weights, [trial]).diagnoses
    return report
