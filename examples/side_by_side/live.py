"""One image through both TinyCNNs, forward, backward and one step: every tensor, computed when asked."""

from dataclasses import dataclass

import numpy as np
import torch

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.experiments.train_tinycnn import line_patterns
from examples.side_by_side.lines import NoCounterpartError
from parity import Report, compare, copy_weights, numpy_state
from parity.record import run_stages
from parity.record_torch import trace_torch

Tensors = dict[tuple[str, str], np.ndarray]
LEARNING_RATE, MOMENTUM = 0.1, 0.9  # as in examples.train_tinycnn


@dataclass
class Live:
    """What both sides gave for one image x (1, 1, 8, 8) with its label, in float64, from the same weights.

    hand, torch  (stage, "out"), (stage, "dx"), (stage, "dweight"); ("loss", "loss"), ("loss", "dlogits"); and
                 (stage, "x"), (stage, "dout"), (stage, "weight"): what a stage was given
    graph        by stage, what autograd put down for its backward: "ReluBackward0"
    after        by weight, its value on both sides after one step: ("conv.weight", hand, torch)
    report       every tensor held against its bound by parity
    """

    x: np.ndarray
    label: int
    hand: Tensors
    torch: Tensors
    graph: dict[str, str]
    before: dict[str, np.ndarray]
    after: dict[str, tuple[np.ndarray, np.ndarray]]
    report: Report


def live(seed: int, hand: type = tn.TinyCNN, torch_class: type = tt.TinyCNN) -> Live:
    """Run both sides. Raises NoCounterpartError unless parity finds all their tensors equal."""
    rng = np.random.default_rng(seed)
    images, labels = line_patterns(1, rng)
    model, module = hand(rng=rng, dtype=np.float64), torch_class().double()
    copy_weights(model, module)
    report = compare(model, images, module, labels=labels)
    if not report.ok:
        row = (report.mismatches or [row for row in report.rows if not row.ok])[0]
        raise NoCounterpartError(f"{hand.__name__}: {row.stage} {row.tensor} is not PyTorch's: {row.verdict}")
    loss_fn, stages = tn.CrossEntropyLoss(), dict(model.named_layers())
    ours = run_stages(model, stages, images, labels=labels, loss_fn=loss_fn).arrays
    theirs = trace_torch(dict(module.named_children()), images, labels=labels)
    before = numpy_state(model)
    for side in (ours, theirs):
        _add_what_was_given(side, list(stages), images, before)
    graph, value = {}, torch.from_numpy(images).requires_grad_()
    for name, stage in module.named_children():
        value = stage(value)
        graph[name] = value.grad_fn.name() if value.grad_fn else ""
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    sgd = tn.SGD(model.parameters(), LEARNING_RATE, MOMENTUM)
    tn.train_step(model, loss_fn, sgd, images, labels)
    torch_sgd = torch.optim.SGD(module.parameters(), LEARNING_RATE, MOMENTUM)
    tt.train_step(module, torch.nn.CrossEntropyLoss(), torch_sgd, x, y)
    states = numpy_state(model), numpy_state(module)
    after = {name: (states[0][name], states[1][name]) for name in before}
    return Live(images, int(labels[0]), ours, theirs, graph, before, after, report)


def _add_what_was_given(
    side: Tensors, stages: list[str], x: np.ndarray, weights: dict[str, np.ndarray]
) -> None:
    dout = side["loss", "dlogits"]
    for name in stages:
        side[name, "x"], x = x, side[name, "out"]
    for name in reversed(stages):
        side[name, "dout"], dout = dout, side[name, "dx"]
    for name, array in weights.items():
        stage, _, parameter = name.rpartition(".")
        side[stage, parameter] = array
