"""Train both sides from one initialisation on one order of batches, and say where they part."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from parity.bounds import Array
from parity.comparison import StagesTrial, rows_of
from parity.exact import exact_run
from parity.record import Fault, Remark, Run, run_stages, stages_by_name
from parity.record_torch import Trace, trace_torch, use_plain_float32
from parity.render import number
from parity.report import MISMATCH, Report, Row, within
from parity.twins import stages_of, twin, twin_optimizer, twin_schedule, under_one_mask
from parity.weights import copy_weights, load_numpy_state, numpy_state
from tinycnn_numpy import CrossEntropyLoss, Layer, OneCycle
from tinycnn_numpy.optim import Optimizer

# Every step feeds its errors to the next. Relative to the largest value that a tensor had on the way.
LOCKSTEP = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}


@dataclass(frozen=True)
class Divergence:
    """The first step, counted from 1, and the first stage at which two trajectories part.

    what      which decision fell differently there, or how far a tensor is off
    rounding  whether both sides are right: they started the step from weights equal within rounding, and the
              NumPy side's step is right for its own weights
    """

    step: int
    stage: str
    what: str
    rounding: bool

    def __str__(self) -> str:
        why = "both are right, rounding decides there" if self.rounding else "a mistake, or its consequence"
        return f"the two part at step {self.step}, {self.stage}: {self.what} ({why})"


def first(before: Divergence | None, now: Divergence | None) -> Divergence | None:
    """Which of two to report: the earlier, unless that was rounding, which was mended, and now a mistake."""
    if before and now and before.rounding and not now.rounding:
        return now
    return before or now


def lockstep(
    model: Any,
    module: nn.Module,
    optimizer: Optimizer,
    images: Array,
    labels: Array,
    batches: Iterable[Array],
    schedule: OneCycle | None = None,
    loss_fn: CrossEntropyLoss | None = None,
) -> Report:
    """Compare losses, weights and what the optimisers remember after training both.

    model, optimizer    the NumPy side; module the PyTorch twin, whose weights must be equal now
    images, labels      the training set, NumPy arrays
    batches             index arrays, one step each
    schedule            of the optimiser's learning rate
    loss_fn             with its label_smoothing, which is 0 unless given

    Bound: LOCKSTEP, relative to the largest value that each tensor had on the way. In float32 a ReLU or a
    pooling window that rounding turns on one side alone sends the two runs apart, though both are right:
    then the report says where (its `divergence`), PyTorch takes that one step with NumPy's gradients, which
    were found right, and the two go on together. See smooth_batches, which keeps clear of that.
    """
    stages = stages_of(module, model)
    parts = stages_by_name(model, list(stages))
    theirs = twin_optimizer(optimizer, module)
    their_schedule = twin_schedule(schedule, theirs) if schedule else None
    names = [name for name, _ in module.named_parameters()]
    use_plain_float32()
    loss_fn = loss_fn or CrossEntropyLoss()
    smoothing = loss_fn.label_smoothing
    losses: list[tuple[float, float]] = []
    rates: list[tuple[float, float]] = []
    peaks: dict[str, float] = {}
    divergence: Divergence | None = None
    for batch in batches:
        data = {"x": images[batch], "labels": labels[batch]}
        before = numpy_state(model)
        run = run_stages(model, parts, **data, loss_fn=loss_fn)
        twins = under_one_mask(stages, data["x"], run.arrays)
        trace = trace_torch(twins, **data, label_smoothing=smoothing)
        losses.append((float(run.arrays["loss", "loss"]), float(trace["loss", "loss"])))
        own = OwnStep(len(losses), run, data, module, model, before, smoothing)
        rates.append((optimizer.lr, theirs.param_groups[0]["lr"]))
        if abs(rates[-1][0] - rates[-1][1]) > LOCKSTEP[np.dtype(np.float64)] * _largest(np.array(rates)):
            divergence = first(divergence, own.rated(*rates[-1]))
        flipped = own.flipped(trace)
        divergence = first(divergence, flipped)
        if flipped and flipped.rounding:
            for p, q in zip(optimizer.parameters, module.parameters(), strict=True):
                q.grad = torch.from_numpy(np.array(p.grad)).to(q)
        optimizer.step()
        theirs.step()
        if schedule and their_schedule:
            schedule.step()
            their_schedule.step()
        for name, value, reference in _remembered(names, optimizer, theirs):
            peaks[name] = max(peaks.get(name, 0.0), _largest(reference))
            off = _largest(value - reference) / peaks[name] if peaks[name] else 0.0
            if off > LOCKSTEP[images.dtype] and (divergence is None or divergence.rounding):
                divergence = own.diverged(name, off)
    if not losses:
        raise ValueError("lockstep: batches is empty, expected at least one array of indices")

    how = f"{type(optimizer).__name__} x {len(losses)}"
    title = f"{type(model).__name__}, {images.dtype}, {how} steps in lockstep: NumPy against PyTorch"
    report = Report(title, divergence=divergence)
    histories = [("loss", *np.array(losses, images.dtype).T)]
    histories += [("lr", *np.array(rates).T)] if schedule else []
    for name, value, reference in [*histories, *_remembered(names, optimizer, theirs)]:
        gap, scale = _largest(value - reference), peaks.get(name, _largest(reference))
        finite = np.isfinite(value).all() and np.isfinite(reference).all()
        remark = None if finite else Remark(Fault.NOT_FINITE, "is not finite")
        report.rows.append(within(how, name, value.shape, gap, LOCKSTEP[value.dtype] * scale, remark))
    return report


@dataclass(frozen=True)
class OwnStep:
    """One step of the NumPy side, to be judged by its own weights when the two trajectories part in it."""

    number: int
    run: Run
    data: dict[str, Any]
    module: nn.Module
    model: Any
    weights: dict[str, Array]
    label_smoothing: float

    def mismatches(self) -> list[Row]:
        """What is wrong in this step, against PyTorch with the same weights."""
        module = copy.deepcopy(self.module).cpu()
        load_numpy_state(module, self.weights)
        stages = stages_of(module, self.model)
        trial = StagesTrial(self.run, stages=stages, data=self.data, label_smoothing=self.label_smoothing)
        return [row for row in rows_of(trial) if row.verdict == MISMATCH]

    def flipped(self, theirs: Trace) -> Divergence | None:
        """The first decision that fell differently on the two sides."""
        stages, ours = stages_of(self.module, self.model), self.run.arrays
        for before, name in zip(stages, list(stages)[1:], strict=False):
            x, torch_x = ours[before, "out"], theirs[before, "out"]
            where = np.argwhere(decisions(stages[name], x) != decisions(stages[name], torch_x))
            if len(where):
                index = tuple(int(i) for i in where[0])
                place = ", ".join(map(str, index))
                if isinstance(stages[name], nn.ReLU):
                    what = f"x[{place}] is {x[index]:.1e} in NumPy and {torch_x[index]:.1e} in PyTorch"
                else:
                    what = f"another entry of window [{place}] is the largest"
                return Divergence(self.number, name, what, rounding=not self.mismatches())
        return None

    def rated(self, lr: float, theirs: float) -> Divergence:
        """That the two sides are about to step at different learning rates."""
        what = f"lr is {lr:.6g} in NumPy and {theirs:.6g} in PyTorch"
        return Divergence(self.number, "schedule.step", what, rounding=False)

    def diverged(self, weight: str, off: float) -> Divergence:
        """Why a weight is off after this step: a gradient was wrong already, or what was done with it."""
        for row in self.mismatches():
            what = f"{row.tensor} is {number(row.ratio)} times its bound off"
            return Divergence(self.number, row.stage, what, rounding=False)
        what = f"{weight} is off by {off:.1e} of its largest entry, after right gradients"
        return Divergence(self.number, "optimizer.step", what, rounding=False)


def decisions(stage: nn.Module, x: Array) -> Array:
    """What a stage decides: which entries a ReLU lets pass, which entry of each window is the largest."""
    if isinstance(stage, nn.ReLU):
        return np.asarray(x > 0)
    if isinstance(stage, nn.MaxPool2d):
        _, winners = stage_with_indices(stage, torch.from_numpy(x.copy()))
        return np.asarray(winners.numpy())
    return np.zeros(0)


def stage_with_indices(stage: nn.MaxPool2d, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    found: tuple[torch.Tensor, torch.Tensor] = nn.functional.max_pool2d(
        x, stage.kernel_size, stage.stride, stage.padding, return_indices=True
    )
    return found


def smooth_input(layer: Layer, shape: tuple[int, ...], dtype: Any, rng: np.random.Generator) -> Array:
    """Draw standard normal x until is_smooth. Raises ValueError after 100 draws: take a smaller batch."""
    for _ in range(100):
        x: Array = rng.standard_normal(shape).astype(dtype)
        if is_smooth(layer, x):
            return x
    raise ValueError(
        f"smooth_input: shape {shape} gave nothing smooth in 100 draws, expected a smaller batch"
    )


def smooth_batches(
    layer: Layer, images: Array, steps: int, batch_size: int, rng: np.random.Generator
) -> Iterator[Array]:
    """Yield `steps` random index arrays, each a batch that is_smooth for the weights of just then.

    With a wider margin than one pass needs: by the last step the two sides' weights are no longer equal
    to the last bit. Raises ValueError after 100 draws: images with a flat background never are smooth.
    """
    module = twin(layer).double()
    stages = stages_of(module, layer)
    for _ in range(steps):
        copy_weights(layer, module)
        drawn = (rng.integers(len(images), size=batch_size) for _ in range(100))
        smooth = (batch for batch in drawn if not exact_run(stages, images[batch], margin=10).witnesses)
        batch = next(smooth, None)
        if batch is None:
            raise ValueError(f"smooth_batches: batch_size {batch_size} gave nothing smooth in 100 draws")
        yield batch


def is_smooth(layer: Layer, x: Array, margin: float = 1) -> bool:
    """Whether rounding, of `margin` times its bound, decides nothing on the way of x through a model."""
    return not exact_run(stages_of(twin(layer), layer), x, margin=margin).witnesses


def _remembered(
    names: list[str], optimizer: Optimizer, theirs: torch.optim.Optimizer
) -> Iterator[tuple[str, Array, Array]]:
    """(name, NumPy array, PyTorch array) of every weight and its state, which both sides name alike."""
    parameters = [q for group in theirs.param_groups for q in group["params"]]
    for i, (name, p, q) in enumerate(zip(names, optimizer.parameters, parameters, strict=True)):
        yield name, p.data, q.detach().cpu().numpy()
        for state in ("momentum_buffer", "exp_avg", "exp_avg_sq"):
            if isinstance(theirs.state[q].get(state), torch.Tensor):
                yield f"{name} {state}", getattr(optimizer, state)[i], theirs.state[q][state].cpu().numpy()


def _largest(array: Array) -> float:
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))
