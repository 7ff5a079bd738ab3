"""One image through both TinyCNNs, from the same weights: what parity says of every tensor."""

from dataclasses import dataclass

import numpy as np
import torch

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.experiments.train_tinycnn import line_patterns
from examples.side_by_side.lines import NoCounterpartError
from parity import Report, compare, copy_weights


@dataclass
class Proof:
    """NumPy against PyTorch, in float64.

    report  every tensor, held against its bound by parity
    graph   by stage, what autograd noted for its backward: "ReluBackward0"
    """

    report: Report
    graph: dict[str, str]


def prove(seed: int, hand: type = tn.TinyCNN, torch_class: type = tt.TinyCNN) -> Proof:
    """Run both sides. Raises NoCounterpartError unless parity finds all their tensors equal."""
    rng = np.random.default_rng(seed)
    images, labels = line_patterns(1, rng)
    model, module = hand(rng=rng, dtype=np.float64), torch_class().double()
    copy_weights(model, module)
    report = compare(model, images, module, labels=labels)
    if not report.ok:
        row = (report.mismatches or [row for row in report.rows if not row.ok])[0]
        raise NoCounterpartError(f"{hand.__name__}: {row.stage} {row.tensor} is not PyTorch's: {row.verdict}")
    graph, value = {}, torch.from_numpy(images).requires_grad_()
    for name, stage in module.named_children():
        value = stage(value)
        graph[name] = value.grad_fn.name() if value.grad_fn else ""
    return Proof(report, graph)
