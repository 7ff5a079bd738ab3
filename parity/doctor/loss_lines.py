"""Slips in softmax and cross-entropy: its lines, and other losses that have a name."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from parity.bounds import Array
from parity.doctor.evidence import Cause, Evidence, Page, slips_of
from parity.doctor.formulas import (
    Lines,
    Vocabulary,
    combined,
    computed,
    slips,
    unless_contradicted,
    with_lines,
)

LINES = (
    "shifted = logits - max_k(logits)",
    "exps = exp(shifted)",
    "total = sum_k(exps)",
    "probs = exps / total",
    "log_probs = shifted - log(total)",
    "loss = -sum_nk(onehot * log_probs) / N",
    "dlogits = (probs - onehot) / N",
)
IN_ONE_LINE = (
    "total = sum_k(exp(logits - max_k(logits)))",
    "probs = exp(logits - max_k(logits)) / total",
    "log_probs = logits - max_k(logits) - log(total)",
    *LINES[-2:],
)
OF_PROBABILITIES = with_lines(LINES, log_probs="log(probs)")
VOCABULARY = Vocabulary(
    names=(("logits", "shifted", "exps", "probs", "log_probs", "onehot"),
           ("N", "K", "N * K", "sqrt(N)", "(N - 1)")),
    functions=(
        *(tuple(f"{name}_{over}" for over in ("k", "n", "nk")) for name in ("max", "sum", "mean")),
        ("sum_k", "max_k", "mean_k", "norm_k"), ("max_k", "min_k", "mean_k", "sum_k"),
        ("sum_nk", "mean_nk", "max_nk"), ("exp", "exp2", "sigmoid", "tanh", "expm1"),
        ("log", "log2", "log10", "log1p"),
    ),
    factors=("2", "1 / 2", "-1", "1 / N", "1 / K", "(1 - probs)", "(1 - probs) ** 2", "probs", "1 / total",
             "right_is_largest", "(1 - right_is_largest)"),
)  # fmt: skip


def reduced(name: str, axes: tuple[int, ...]) -> Callable[[Any], Any]:
    return lambda array: getattr(np, name)(array, axis=axes, keepdims=True)


FUNCTIONS: dict[str, Any] = {
    f"{name}_{letters}": reduced(name, axes)
    for name in ("max", "min", "sum", "mean")
    for letters, axes in {"k": (1,), "n": (0,), "nk": (0, 1)}.items()
} | {
    "norm_k": lambda z: np.sqrt((z**2).sum(axis=1, keepdims=True)),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "expm1": np.expm1,
    "round": np.round,
}


def values_of(e: Evidence) -> dict[str, Any]:
    """What the lines read: logits and onehot are (N, K)."""
    logits, labels = e.logits.numpy(), e.labels.numpy()
    N, K = logits.shape
    right = logits.argmax(axis=1) == labels
    return {
        "logits": logits,
        "onehot": np.eye(K)[labels],
        "N": np.float64(N),
        "K": np.float64(K),
        "right_is_largest": right[:, None].astype(float),
        **FUNCTIONS,
    }


def predicted(e: Evidence, tensor: str, lines: Lines, onehot: Array | None = None) -> Array:
    values = values_of(e) | ({} if onehot is None else {"onehot": onehot})
    found = np.asarray(computed(lines, values)[tensor])
    return found.reshape(()) if tensor == "loss" and found.size == 1 else found


def of_both(e: Evidence, tensor: str, lines: Lines, right: Lines) -> Array | None:
    """What wrong lines make of the loss or of dlogits."""
    found = predicted(e, tensor, lines)
    return unless_contradicted(found, tensor, e.given, right, lines, lambda: values_of(e))


def ones_at(e: Evidence, rows: Any, columns: Any) -> Array:
    array = np.zeros(tuple(e.logits.shape))
    array[rows, columns] = 1
    return array


def onehot_of(e: Evidence) -> Array:
    return ones_at(e, np.arange(len(e.labels)), e.labels.numpy())


def labels_so_far(e: Evidence) -> Array:
    """The ones of this batch and of those before it, as long as they have one shape."""
    if e.before is None or e.before.logits.shape != e.logits.shape:
        return onehot_of(e)
    return np.maximum(onehot_of(e), labels_so_far(e.before))


def smoothed(e: Evidence, share: float) -> Array:
    return (1 - share) * onehot_of(e) + share / e.logits.shape[1]


def smoothed_elsewhere(e: Evidence, share: float) -> Array:
    right = onehot_of(e)
    return np.where(right == 1, 1 - share, share / max(1, e.logits.shape[1] - 1))


def rows_of(e: Evidence, keep: Callable[[Array], Array]) -> Array:
    """One-hot labels of some images alone."""
    images = np.arange(len(e.labels))
    kept: Array = onehot_of(e) * keep(images)[:, None]
    return kept


OTHER_LABELS: tuple[tuple[str, str, Callable[[Evidence], Array]], ...] = (
    ("axes-swapped", "row and column are exchanged, [labels, n]",
     lambda e: ones_at(e, e.labels.numpy(), np.arange(len(e.labels)))),
    ("axes-swapped", "row and column are exchanged, [labels, n % K]",
     lambda e: ones_at(e, e.labels.numpy(), np.arange(len(e.labels)) % e.logits.shape[1])),
    ("axes-swapped", "the labels are taken for rows, [labels]",
     lambda e: ones_at(e, e.labels.numpy(), slice(None))),
    ("last-skipped", "the last image is left out", lambda e: rows_of(e, lambda n: n < len(n) - 1)),
    ("first-skipped", "the first image is left out", lambda e: rows_of(e, lambda n: n > 0)),
    ("last-only", "only the last image has a label", lambda e: rows_of(e, lambda n: n == len(n) - 1)),
    ("first-only", "only the first image has a label", lambda e: rows_of(e, lambda n: n == 0)),
    ("accumulated", "the ones of earlier batches are still there: begin with zeros", labels_so_far),
    *(("labels-smoothed", f"the labels are smoothed by {share}", lambda e, share=share: smoothed(e, share))
      for share in (0.1, 0.05, 0.2, 0.01, 0.3)),
    *(("labels-smoothed", f"the labels are smoothed by {share}, over the other classes",
       lambda e, share=share: smoothed_elsewhere(e, share)) for share in (0.1, 0.05, 0.2, 0.01, 0.3)),
)  # fmt: skip


def hinge(z: Tensor, y: Tensor) -> Tensor:
    return functional.multi_margin_loss(z, y.argmax(dim=1), reduction="sum") * z.shape[1]


OTHER_LOSSES: tuple[tuple[str, Callable[[Tensor, Tensor], Tensor]], ...] = (
    ("the squared error of the probabilities", lambda z, y: ((z.softmax(1) - y) ** 2).sum()),
    ("half the squared error of the probabilities", lambda z, y: ((z.softmax(1) - y) ** 2).sum() / 2),
    ("the squared error of the logits", lambda z, y: ((z - y) ** 2).sum()),
    ("half the squared error of the logits", lambda z, y: ((z - y) ** 2).sum() / 2),
    ("the absolute error of the probabilities", lambda z, y: (z.softmax(1) - y).abs().sum()),
    ("the binary cross-entropy of the probabilities, one a class",
     lambda z, y: -(y * z.log_softmax(1) + (1 - y) * (-z.softmax(1)).log1p()).sum()),
    ("the binary cross-entropy of the logits, one a class",
     lambda z, y: functional.binary_cross_entropy_with_logits(z, y, reduction="sum")),
    ("a hinge loss", hinge),
    ("the right logit alone, with a minus", lambda z, y: -(z * y).sum()),
    ("the right probability alone, with a minus", lambda z, y: -(z.softmax(1) * y).sum()),
    ("1 - p of the right class", lambda z, y: (1 - (z.softmax(1) * y).sum(1)).sum()),
    ("the entropy of the prediction", lambda z, y: -(z.softmax(1) * z.log_softmax(1)).sum()),
    *((f"a focal loss with gamma = {gamma}",
       lambda z, y, gamma=gamma: -((1 - z.softmax(1)) ** gamma * z.log_softmax(1) * y).sum())
      for gamma in (0.5, 1, 2, 5)),
)  # fmt: skip


def by_another_loss(e: Evidence, tensor: str, loss_of: Any, divisor: str) -> Tensor:
    """The loss, or its gradient."""
    dtype = torch.float32 if e.precision == 4 else torch.float64  # in which probabilities vanish
    z, y = e.logits.to(dtype).clone().requires_grad_(), torch.from_numpy(onehot_of(e)).to(dtype)
    loss: Tensor = loss_of(z, y) / {"N": len(z), "N * K": z.numel(), "1": 1}[divisor]
    return (loss.detach() if tensor == "loss" else torch.autograd.grad(loss, z)[0]).double()


@slips_of("CrossEntropyLoss")
def lines_of_the_loss(tensor: str) -> Iterator[Cause]:
    if tensor not in ("loss", "dlogits"):
        return
    for code, what, onehot in OTHER_LABELS:
        yield Cause(
            code,
            f"{what}: each image has a 1 at its own label, in [n, labels[n]].",
            lambda e, onehot=onehot: predicted(e, tensor, LINES, onehot(e)),
        )
    for (what, loss_of), divisor in itertools.product(OTHER_LOSSES, ("N", "N * K", "1")):
        gradient = "the gradient of " if tensor == "dlogits" else ""
        over = "" if divisor == "1" else f", divided by {divisor}"
        yield Cause(
            "other-loss",
            f"{tensor} is {gradient}{what}{over}: cross-entropy is -mean(log_probs[n, labels]).",
            lambda e, loss_of=loss_of, divisor=divisor: by_another_loss(e, tensor, loss_of, divisor),
            alone=True,
        )
    for digits, name in itertools.product(range(1, 7), ("probs", "log_probs", "shifted", tensor)):
        lines = tuple(
            new
            for line in LINES
            for new in (line, f"{name} = round({name}, {digits})")
            if new == line or line.startswith(f"{name} = ")
        )
        yield Cause(
            "precision-lost",
            f"{name} is rounded to {digits} decimals: keep all of them, and round what is printed.",
            lambda e, lines=lines: predicted(e, tensor, lines),
            alone=True,
        )
    for lines in (LINES, IN_ONE_LINE, OF_PROBABILITIES):
        for slip in slips(lines, VOCABULARY):
            predict = lambda e, new=slip.lines, old=lines: of_both(e, tensor, new, old)  # noqa: E731
            yield Cause(slip.code, slip.sentence, predict, alone=True)


@slips_of("CrossEntropyLoss")
def terms_of_dlogits(tensor: str) -> Iterator[Cause]:
    if tensor == "dlogits":
        yield Cause(
            "extra-factor",
            "dlogits is made of probs and the one-hot labels, but not as (probs - onehot) / N.",
            lambda e: combined(e.given[tensor], [e.logits.softmax(1).numpy(), onehot_of(e)]),
        )


PAGES = [
    Page(
        "other-loss",
        kind="CrossEntropyLoss",
        what="Another loss than cross-entropy.",
        right="loss = -log_probs[np.arange(len(labels)), labels].mean()",
        wrong="""
        onehot = np.eye(logits.shape[1], dtype=logits.dtype)[labels]
        loss = ((np.exp(log_probs) - onehot) ** 2).sum(axis=1).mean()
        """,
        why="A squared error is nearly flat where the network is sure and wrong. It learns, slowly.",
    ),
    Page(
        "labels-smoothed",
        kind="CrossEntropyLoss",
        what="The labels are smoothed, and nobody has asked for it.",
        right="loss = -log_probs[np.arange(len(labels)), labels].mean()",
        wrong="""
        K = logits.shape[1]
        onehot = (0.9 * np.eye(K)[labels] + 0.1 / K).astype(logits.dtype)
        loss = -(onehot * log_probs).sum(axis=1).mean()
        """,
        why="PyTorch smooths if label_smoothing is given. Without it the right class has the whole weight.",
    ),
]
