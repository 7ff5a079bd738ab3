"""Hold a hand-written layer, model or optimiser against PyTorch, tensor by tensor."""

import copy

import numpy as np
import torch
from torch import nn

import tinycnn_numpy as tn
from parity.report import Report, Row, difference
from parity.tolerance import LOCKSTEP, Sum, largest, sums_of, sums_of_loss
from parity.trace import Trace, stages_of, torch_stages_of, trace_numpy, trace_torch, use_plain_float32
from parity.twins import twin, twin_optimizer
from tinycnn_numpy.optim import Optimizer
from tinycnn_numpy.windows import windows_of


def compare(
    layer: tn.Layer, x: np.ndarray, module: nn.Module | None = None, *, dout=None, labels=None, seed: int = 0
) -> Report:
    """Compare out, dx, dweight and dbias at every stage.

    layer   a NumPy layer or model; module its PyTorch twin with the same weights (built from `layer` if None)
    x       (N, ...) in the dtype of the layer's weights, float32 or float64; see also smooth_input
    dout    the upstream gradient, in the shape of the output; random unless given
    labels  (N,) class indices; then the loss is compared too, and its gradient is the upstream one
    seed    of the upstream gradient

    The NumPy side runs twice, first on other data: what is remembered or added up from then shows as a
    mismatch. In float32 both sides are also held against PyTorch in float64.
    """
    module = twin(layer) if module is None else module
    rng = np.random.default_rng(seed)
    other_x = rng.permuted(x, axis=0) + x.dtype.type(0.5)
    out = layer.forward(other_x)
    if dout is None:
        dout = rng.standard_normal(out.shape).astype(x.dtype)
    layer.backward(rng.standard_normal(out.shape).astype(x.dtype))

    start = {"labels": labels} if labels is not None else {"dout": dout}
    modified: list[tuple[str, str]] = []
    ours = trace_numpy(stages_of(layer), x, **start, modified=modified)
    layer.backward_weights(ours["loss", "dlogits"] if labels is not None else dout.copy())
    theirs = trace_torch(torch_stages_of(module, layer), x, **start)
    how = "under a random upstream gradient" if labels is None else "through the loss"
    report = Report(f"{type(layer).__name__}, {x.dtype}, {how}: NumPy against PyTorch")
    truth = None
    if x.dtype == np.float32:
        module64 = copy.deepcopy(module).cpu().double()
        start64 = start if labels is not None else {"dout": dout.astype(np.float64)}
        truth = trace_torch(torch_stages_of(module64, layer), x.astype(np.float64), **start64)
    sums = _sums_along(layer, x, theirs, start)
    for stage, name in modified:
        report.rows.append(Row(stage, name, (), np.inf, np.inf, 0.0, note="was modified"))

    def row(key, value, tensor=None) -> Row:
        best = None if truth is None else truth[key]
        return _row(key[0], tensor or key[1], value, theirs[key], sums[key], x.dtype, best)

    report.rows += [row(key, ours.get(key)) for key in theirs]
    for stage, leaf in stages_of(layer).items():  # the short way round must find the same
        for name, parameter in leaf.named_parameters():
            gradient = (stage, f"d{name}")
            if not np.array_equal(parameter.grad, ours[gradient], equal_nan=True):
                report.rows.append(row(gradient, parameter.grad, f"d{name} of backward_weights"))
    return report


def assert_parity(layer: tn.Layer, x: np.ndarray, module: nn.Module | None = None, **options) -> Report:
    """Raise AssertionError with the table unless compare(...) finds every tensor equal within its bound."""
    report = compare(layer, x, module, **options)
    if not report.ok:
        raise AssertionError("\n" + str(report))
    return report


def compare_loss(loss_fn, logits: np.ndarray, labels: np.ndarray) -> Report:
    """Compare a NumPy loss and its gradient with PyTorch. logits (N, classes), labels (N,)."""
    identity, no_layer = {"logits": tn.Sequential(same=tn.Flatten())}, {"logits": nn.Flatten()}
    ours = trace_numpy(identity, logits, labels=labels, loss_fn=loss_fn)
    theirs = trace_torch(no_layer, logits, labels=labels)
    report = Report(f"{type(loss_fn).__name__}, {logits.dtype}: NumPy against PyTorch")
    for tensor, s in sums_of_loss(logits, exact=True).items():
        key = "loss", tensor
        report.rows.append(_row(*key, ours[key], theirs[key], s, logits.dtype))
    return report


def compare_optimizers(optimizer: Optimizer, steps: int = 10, seed: int = 0, device="cpu") -> Report:
    """Give a new optimiser and its PyTorch twin the same random gradients; compare weights and state.

    Bound: about ten roundings to a step, relative to the largest value that each tensor had on the way.
    """
    rng = np.random.default_rng(seed)
    ours = optimizer.parameters
    theirs = [nn.Parameter(torch.from_numpy(p.data.copy()).to(device)) for p in ours]
    twin = twin_optimizer(optimizer, nn.ParameterList(theirs))
    names = [f"{i}.{p.name}" for i, p in enumerate(ours)]
    peaks: dict[str, float] = {}
    for _ in range(steps):
        for p, q in zip(ours, theirs, strict=True):
            grad = rng.standard_normal(p.data.shape).astype(p.data.dtype)
            setattr(p.layer, "d" + p.name, grad)
            q.grad = torch.from_numpy(grad.copy()).to(device)
        _note_peaks(peaks, names, optimizer, twin)
        optimizer.step()
        twin.step()
    _note_peaks(peaks, names, optimizer, twin)
    dtype = ours[0].data.dtype
    how = f"{dtype}, {steps} steps on random gradients"
    report = Report(f"{type(optimizer).__name__}, {how}: NumPy against PyTorch")
    for name, value, reference in _optimizer_tensors(names, optimizer, twin):
        s = Sum(10 * steps, peaks[name])
        report.rows.append(_row(f"{steps} steps", name, value, reference, s, dtype))
    return report


def lockstep(model, module, optimizer: Optimizer, images, labels, batches) -> Report:
    """Train both from one initialisation on one order of batches; compare losses, weights and state.

    model, optimizer    the NumPy side; module the PyTorch twin, whose weights must be equal now
    images, labels      the training set, NumPy arrays
    batches             index arrays, one step each; see smooth_batches: in float32 a ReLU that rounding
                        opens on one side alone sends the two runs apart, though both are right

    Bound: LOCKSTEP of parity.tolerance, relative to the largest value that each tensor had on the way.
    """
    twin = twin_optimizer(optimizer, module)
    use_plain_float32()
    names, device = [name for name, _ in module.named_parameters()], next(module.parameters()).device
    loss_fn, torch_loss_fn = tn.CrossEntropyLoss(), nn.CrossEntropyLoss()
    losses: list[tuple[float, float]] = []
    peaks: dict[str, float] = {}
    for batch in batches:
        x, y = images[batch], labels[batch]
        loss = loss_fn(model(x), y)
        model.backward_weights(loss_fn.backward())
        optimizer.step()

        torch_loss = torch_loss_fn(module(torch.from_numpy(x).to(device)), torch.from_numpy(y).to(device))
        twin.zero_grad()
        torch_loss.backward()
        twin.step()
        losses.append((float(loss), torch_loss.item()))
        _note_peaks(peaks, names, optimizer, twin)
    if not losses:
        raise ValueError("lockstep: batches is empty, expected at least one array of indices")
    name, dtype = f"{type(optimizer).__name__} x {len(losses)}", images.dtype
    report = Report(f"{type(model).__name__}, {dtype}, {name} steps in lockstep: NumPy against PyTorch")
    history, torch_history = np.array(losses, dtype).T
    for tensor, value, reference in [
        ("loss", history, torch_history),
        *_optimizer_tensors(names, optimizer, twin),
    ]:
        scale, gap = peaks.get(tensor, largest(reference)), difference(value, reference)
        bound, note = LOCKSTEP[dtype] * scale, "" if np.isfinite(reference).all() else "is not finite"
        rel = gap / scale if scale else gap
        report.rows.append(Row(name, tensor, value.shape, gap, rel, bound, note=note))
    return report


def smooth_input(layer: tn.Layer, shape: tuple[int, ...], dtype, rng: np.random.Generator) -> np.ndarray:
    """Draw standard normal x until is_smooth. Raises ValueError after 100 draws: take a smaller batch."""
    for _ in range(100):
        x = rng.standard_normal(shape).astype(dtype)
        if is_smooth(layer, x):
            return x
    raise ValueError(
        f"smooth_input: shape {shape} gave nothing smooth in 100 draws, expected a smaller batch"
    )


def smooth_batches(
    layer: tn.Layer, images: np.ndarray, steps: int, batch_size: int, rng: np.random.Generator
):
    """Yield `steps` random index arrays, each a batch that is_smooth for the weights of just then.

    With a wider margin than one pass needs: by the last step the two sides' weights are no longer equal
    to the last bit. Raises ValueError after 100 draws: images with a flat background never are smooth.
    """
    for _ in range(steps):
        drawn = (rng.integers(len(images), size=batch_size) for _ in range(100))
        batch = next((batch for batch in drawn if is_smooth(layer, images[batch], margin=10)), None)
        if batch is None:
            raise ValueError(f"smooth_batches: batch_size {batch_size} gave nothing smooth in 100 draws")
        yield batch


def is_smooth(layer: tn.Layer, x: np.ndarray, margin: float = 2) -> bool:
    """Whether rounding, of `margin` times its bound, decides nothing on the way of x through a model.

    Where a ReLU's input is 0 within rounding, or the two largest of a pooling window are equal within
    rounding, two right answers may take different turns and send a gradient to different places.
    """
    value, n = x.astype(np.float64), 0
    for stage in map(_in_float64, stages_of(layer).values()):
        rounding = margin * Sum(n).bound(x.dtype, value)
        if isinstance(stage, tn.ReLU) and n > 0 and (np.abs(value) <= rounding).any():
            return False
        if isinstance(stage, tn.MaxPool2D) and n > 0:
            windows = windows_of(value, stage.kernel_size, stage.stride, stage.padding, fill=-np.inf)
            ranked = np.sort(windows.reshape(*windows.shape[:2], -1, *windows.shape[4:]), axis=2)
            winner, second = ranked[:, :, -1], ranked[:, :, -2:].min(axis=2)
            zeros = winner == 0  # which a ReLU made, on both sides
            if ((winner - second <= rounding) & ~zeros).any():
                return False
        out = stage.forward(value)
        n += sums_of(stage, value, out)["out"].n
        value = out
    return True


def _in_float64(stage: tn.Layer) -> tn.Layer:
    """The same layer with float64 weights and a cache of its own."""
    twin64 = copy.copy(stage)
    for parameter in stage.parameters():
        setattr(twin64, parameter.name, parameter.data.astype(np.float64))
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
    return Row(
        stage,
        tensor,
        reference.shape,
        max_abs=gap,
        max_rel=gap / scale if scale else gap,
        bound=s.bound(dtype, best),
        numpy_vs_float64=None if truth is None else difference(value, truth),
        torch_vs_float64=None if truth is None else difference(reference, truth),
        note=note,
    )


def _note_peaks(peaks: dict[str, float], names, optimizer, twin) -> None:
    for name, _, reference in _optimizer_tensors(names, optimizer, twin):
        peaks[name] = max(peaks.get(name, 0.0), largest(reference))


def _optimizer_tensors(names: list[str], optimizer: Optimizer, twin: torch.optim.Optimizer):
    """(name, NumPy array, PyTorch array) of every weight and its state, which both sides name alike."""
    theirs = [q for group in twin.param_groups for q in group["params"]]
    for i, (name, p, q) in enumerate(zip(names, optimizer.parameters, theirs, strict=True)):
        yield name, p.data, q.detach().cpu().numpy()
        for state in ("momentum_buffer", "exp_avg", "exp_avg_sq"):
            if isinstance(twin.state[q].get(state), torch.Tensor):
                yield f"{name} {state}", getattr(optimizer, state)[i], twin.state[q][state].cpu().numpy()
