"""Hold a hand-written layer, model or optimiser against PyTorch, tensor by tensor."""

import copy

import numpy as np
import torch
from torch import nn

import tinycnn_numpy as tn
from parity.report import Report, Row, difference
from parity.tolerance import LOCKSTEP, Sum, largest, sums_of, sums_of_loss
from parity.trace import Trace, stages_of, torch_stages_of, trace_numpy, trace_torch
from parity.twins import twin, twin_optimizer
from parity.weights import numpy_state
from tinycnn_numpy.optim import Optimizer
from tinycnn_numpy.windows import windows_of


def compare(layer: tn.Layer, x: np.ndarray, module: nn.Module | None = None, *, labels=None, seed: int = 0) -> Report:
    """Compare out, dx, dweight and dbias at every stage, under a random upstream gradient or through the loss of `labels`.

    layer   a NumPy layer or model; module its PyTorch twin with the same weights (built from `layer` if None)
    x       (N, ...) float32 or float64, the dtype of the layer's weights; see also smooth_input
    labels  (N,) class indices; then the rows of the loss come too, and the upstream gradient is the loss's own
    seed    of the upstream gradient

    The NumPy side runs twice, first on other data: what is remembered or added up from then shows as a mismatch.
    """
    module = twin(layer) if module is None else module
    rng = np.random.default_rng(seed)
    x_before = x.copy()
    other_x = rng.permuted(x, axis=0) + x.dtype.type(0.5)
    out = layer.forward(other_x)
    dout = rng.standard_normal(out.shape).astype(x.dtype)
    layer.backward(rng.standard_normal(out.shape).astype(x.dtype))

    start = {"labels": labels} if labels is not None else {"dout": dout}
    ours, theirs = trace_numpy(stages_of(layer), x, **start), trace_torch(torch_stages_of(module, layer), x, **start)
    report = Report(f"{type(layer).__name__}, {x.dtype}: NumPy against PyTorch")
    if x.dtype == np.float32:
        start64 = start if labels is not None else {"dout": dout.astype(np.float64)}
        truth = trace_numpy(stages_of(_in_float64(layer)), x.astype(np.float64), **start64)
    else:
        truth = None
    sums = _sums_along(layer, x, theirs, start)
    report.rows = [
        _row(*key, ours.get(key), theirs[key], sums[key], x.dtype, None if truth is None else truth[key])
        for key in theirs
    ]
    if not np.array_equal(x, x_before, equal_nan=True):
        report.rows.append(Row("input", "x", x.shape, difference(x, x_before), np.inf, 0.0, note="was modified"))
    return report


def assert_parity(layer: tn.Layer, x: np.ndarray, module: nn.Module | None = None, **options) -> Report:
    """Raise AssertionError with the table unless compare(...) finds every tensor equal within its bound."""
    report = compare(layer, x, module, **options)
    if not report.ok:
        raise AssertionError("\n" + str(report))
    return report


def compare_optimizers(optimizer: Optimizer, steps: int = 10, seed: int = 0) -> Report:
    """Give an optimiser of a NumPy model and its PyTorch twin the same random gradients; compare weights and state."""
    rng = np.random.default_rng(seed)
    ours = optimizer.parameters
    theirs = [nn.Parameter(torch.from_numpy(p.data.copy())) for p in ours]
    twin = twin_optimizer(optimizer, nn.ParameterList(theirs))
    for _ in range(steps):
        for p, q in zip(ours, theirs, strict=True):
            grad = rng.standard_normal(p.data.shape).astype(p.data.dtype)
            setattr(p.layer, "d" + p.name, grad)
            q.grad = torch.from_numpy(grad.copy())
        optimizer.step()
        twin.step()
    dtype = ours[0].data.dtype
    report = Report(f"{type(optimizer).__name__}, {dtype}, {steps} steps on random gradients: NumPy against PyTorch")
    for name, value, reference in _optimizer_tensors(optimizer, twin):
        roundings = Sum(10 * steps, optimizer.lr)  # about ten to an update
        report.rows.append(_row(f"{steps} steps", name, value, reference, roundings, dtype))
    return report


def lockstep(model, module, optimizer: Optimizer, images, labels, batches) -> Report:
    """Train both from one initialisation on one order of batches; compare every loss, weight and optimiser state.

    model, optimizer    the NumPy side; module the PyTorch twin, whose weights must be equal now
    images, labels      the training set, NumPy arrays; batches a list of index arrays, one step each
    """
    twin = twin_optimizer(optimizer, module)
    device = next(module.parameters()).device
    loss_fn, torch_loss_fn = tn.CrossEntropyLoss(), nn.CrossEntropyLoss()
    losses = []
    for batch in batches:
        x, y = images[batch], labels[batch]
        loss = loss_fn(model(x), y)
        model.backward(loss_fn.backward())
        optimizer.step()

        torch_loss = torch_loss_fn(module(torch.from_numpy(x).to(device)), torch.from_numpy(y).to(device))
        twin.zero_grad()
        torch_loss.backward()
        twin.step()
        losses.append((loss, torch_loss.item()))
    name, dtype = f"{type(optimizer).__name__} x {len(batches)}", images.dtype
    report = Report(f"{type(model).__name__}, {dtype}, {name} steps in lockstep: NumPy against PyTorch")
    history, torch_history = np.array(losses, dtype).T
    for tensor, value, reference in [("loss", history, torch_history), *_optimizer_tensors(optimizer, twin)]:
        bound = LOCKSTEP[dtype] * largest(reference)
        gap = difference(value, reference)
        report.rows.append(Row(name, tensor, value.shape, gap, gap / max(largest(reference), 1e-300), bound))
    return report


def smooth_input(layer: tn.Layer, shape: tuple[int, ...], dtype, rng: np.random.Generator, draws: int = 100):
    """Draw a standard normal x on which rounding cannot decide anything.

    Where a ReLU's input is 0 within rounding, or the two largest of a pooling window are equal within rounding, two right
    answers may go different ways and send a gradient to different places. Such an x is drawn again. Raises ValueError
    after `draws` of them: take a smaller batch.
    """
    for _ in range(draws):
        x = rng.standard_normal(shape).astype(dtype)
        if _is_smooth(_in_float64(layer), x):
            return x
    raise ValueError(f"smooth_input: shape {shape} gave no smooth input in {draws} draws, expected a smaller batch")


def _is_smooth(layer64: tn.Layer, x: np.ndarray) -> bool:
    value, n = x.astype(np.float64), 0
    for stage in stages_of(layer64).values():
        margin = 2 * Sum(n).bound(x.dtype, value)
        if isinstance(stage, tn.ReLU):
            gaps = np.abs(value)
        elif isinstance(stage, tn.MaxPool2D):
            windows = windows_of(value, stage.kernel_size, stage.stride, stage.padding, fill=-np.inf)
            C, KH, KW, OH, OW, N = windows.shape
            ranked = np.sort(windows.reshape(C, KH * KW, OH, OW, N), axis=1)
            gaps = ranked[:, -1] - ranked[:, -2] if KH * KW > 1 else np.ones(1)
            gaps = gaps[ranked[:, -1] > 0] if KH * KW > 1 else gaps  # zeros that ReLU made are equal on both sides
        else:
            gaps = np.ones(1)
        if n > 0 and (gaps <= margin).any():
            return False
        out = stage.forward(value)
        n += sums_of(stage, value, out)["out"].n
        value = out
    return True


def _in_float64(layer: tn.Layer) -> tn.Layer:
    twin64 = copy.deepcopy(layer)
    for parameter in twin64.parameters():
        setattr(parameter.layer, parameter.name, parameter.data.astype(np.float64))
    return twin64


def _sums_along(layer: tn.Layer, x: np.ndarray, trace: Trace, start: dict) -> dict[tuple[str, str], Sum]:
    """What each tensor of a trace adds up, with all that it inherits from the stages before it."""
    sums: dict[tuple[str, str], Sum] = {}
    stages = stages_of(layer)
    inputs = dict(zip(stages, [x, *(trace[name, "out"] for name in stages)], strict=False))
    n = 0
    for name, stage in stages.items():
        sums[name, "out"] = sums_of(stage, inputs[name], trace[name, "out"])["out"].after(n)
        n = sums[name, "out"].n
    if "labels" in start:
        logits = trace[name, "out"]
        sums["loss", "loss"], sums["loss", "dlogits"] = (s.after(n) for s in sums_of_loss(logits).values())
        n, dout = sums["loss", "dlogits"].n, trace["loss", "dlogits"]
    else:
        dout = start["dout"]
        n = 0 if len(stages) == 1 else n
    for name, stage in reversed(stages.items()):
        for tensor, s in sums_of(stage, inputs[name], dout).items():
            if tensor != "out":
                sums[name, tensor] = s.after(n)
        n, dout = sums[name, "dx"].n, trace[name, "dx"]
    return sums


def _row(stage, tensor, value, reference, s: Sum, dtype, truth=None) -> Row:
    if value is None or value.shape != reference.shape:
        note = "missing" if value is None else f"shape is {value.shape}, expected {reference.shape}"
        return Row(stage, tensor, reference.shape, np.inf, np.inf, 0.0, note=note)
    note = "" if value.dtype == dtype else f"dtype is {value.dtype}, expected {dtype}"
    best = reference if truth is None else truth
    gap, scale = difference(value, reference), largest(best)
    float64 = () if truth is None else (difference(value, truth), difference(reference, truth))
    return Row(stage, tensor, reference.shape, gap, gap / scale if scale else gap, s.bound(dtype, best), *float64, note=note)


def _optimizer_tensors(optimizer: Optimizer, twin: torch.optim.Optimizer):
    """(name, NumPy array, PyTorch array) of every weight and of its state, which both sides name alike."""
    theirs = [q for group in twin.param_groups for q in group["params"]]
    for i, (p, q) in enumerate(zip(optimizer.parameters, theirs, strict=True)):
        yield f"{i}.{p.name}", p.data, q.detach().cpu().numpy()
        for state in ("momentum_buffer", "exp_avg", "exp_avg_sq"):
            if isinstance(twin.state[q].get(state), torch.Tensor):
                yield f"{i}.{state}", getattr(optimizer, state)[i], twin.state[q][state].cpu().numpy()


__all__ = ["assert_parity", "compare", "compare_optimizers", "lockstep", "numpy_state", "smooth_input"]
