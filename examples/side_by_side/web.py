"""The page: mathematics, code by hand and PyTorch in three columns, and below them the live numbers."""

from collections.abc import Iterable, Sequence

import numpy as np

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.cli import in_words as words_of
from examples.common.cli import machine
from examples.common.html_page import Markup, code, escape, paragraph, table
from examples.side_by_side.aligned import AlignedRow, beside_each_other, beside_equations
from examples.side_by_side.lines import code_lines, equations
from examples.side_by_side.live import LEARNING_RATE, MOMENTUM, Live
from examples.side_by_side.pairs import Pair, aligned
from examples.side_by_side.pieces import arrow, by_autograd, gap, line, row_of, section, tensor, three_columns
from examples.side_by_side.table import HEADER, TableRow, counts_of, in_words
from parity.render import number
from parity.report import differences


def page_parts(pairs: Sequence[Pair], rows: list[TableRow], now: Live, seed: int) -> list[Markup]:
    """Everything below the title."""
    return [
        *_opening(rows, now, seed),
        *(part for pair in pairs for part in _stage(pair, now)),
        *_loss(now),
        *_step(now),
        *_update(now),
        *_proof(now),
    ]


def _opening(rows: list[TableRow], now: Live, seed: int) -> Iterable[Markup]:
    yield paragraph(
        "The same small network twice, stage by stage: its mathematics as the docstring of the layer gives "
        "it, the code by hand, and PyTorch. All code is read from the sources, and all numbers were computed "
        "on both sides when this page was made. Black lines of code compute the equation beside them; grey "
        "ones check, remember, or arrange memory. In each stage look at the right column of backward, where "
        "no code stands: that is what autograd adds, and all that it adds."
    )
    facts = f"Seed {seed}, float64, one image. {words_of(machine())}."
    yield Markup(f'<p class="facts">{escape(facts)}</p>')
    yield table(
        HEADER,
        [[row.layer, line(row.numpy), *counts_of(row), line(row.torch)] for row in rows],
        "Layer by layer, with the number of lines of code",
        kind="layers",
    )
    yield paragraph(in_words(rows))
    kind = ("a horizontal line", "a vertical line")[now.label]
    yield section("The image", "image")
    yield paragraph(
        f"x is {kind} under noise, so its label is {now.label}. Its colours: blue below 0, red above."
    )
    yield row_of([tensor(now, "conv", "x")])


def _stage(pair: Pair, now: Live) -> Iterable[Markup]:
    name, module = pair.name, f"nn.{pair.module.__name__}"
    shapes = f"{now.hand[name, 'x'].shape} -> {now.hand[name, 'out'].shape}"
    yield section(f"{name}: {pair.hand.__name__} and {module}, {shapes}", name)
    yield three_columns(
        pair.hand.__name__,
        module,
        ["the model", "forward", "backward"],
        [[AlignedRow([], [pair.hand_line])], pair.forward, pair.backward],
        [line(pair.torch_line), paragraph("nothing to write"), by_autograd(now.graph[name])],
    )
    yield row_of([tensor(now, name, "x"), arrow("→", "forward"), tensor(now, name, "out")])
    yield row_of([tensor(now, name, "dx"), arrow("←", "backward"), tensor(now, name, "dout")])
    for parameter in ("weight", "bias"):
        if (name, parameter) in now.hand:
            yield row_of([tensor(now, name, parameter), tensor(now, name, f"d{parameter}")])


def _loss(now: Live) -> Iterable[Markup]:
    loss = float(now.hand["loss", "loss"]), float(now.torch["loss", "loss"])
    yield section("The loss: CrossEntropyLoss and nn.CrossEntropyLoss", "loss")
    forward, backward = aligned(tn.CrossEntropyLoss, ("loss", "dlogits"), ("loss", "dlogits"))
    yield three_columns(
        "CrossEntropyLoss",
        "nn.CrossEntropyLoss",
        ["forward", "backward"],
        [forward, backward],
        [paragraph("nothing to write"), by_autograd("")],
    )
    yield paragraph(f"loss: NumPy {loss[0]:.15f}, PyTorch {loss[1]:.15f} (label {now.label})")
    yield row_of([tensor(now, "loss", "dlogits")])


def _step(now: Live) -> Iterable[Markup]:
    yield section("One training step", "step")
    yield paragraph("Both train_step functions, equal lines beside each other:")
    yield table(
        ["tinycnn_numpy/train.py", "tinycnn_torch/train.py"],
        [[line(left), line(right)] for left, right in beside_each_other(tn.train_step, tt.train_step)],
        "train_step",
        kind="halves",
    )
    methods = (tn.Sequential.forward, tn.Sequential.backward, tn.Sequential.backward_weights)
    yield paragraph(
        "Behind model(x) and model.backward_weights stand these loops. Training never needs the gradient of "
        "the images: backward_weights is backward without the first stage's dx. PyTorch records during "
        "forward which stage came after which, and goes back that way:"
    )
    loops = "\n\n".join("\n".join(code_lines(method)) for method in methods)
    yield table(
        ["tinycnn_numpy/sequential.py", "PyTorch: the way back that autograd noted"],
        [[code(loops), code("\n".join(reversed(now.graph.values())))]],
        "Through the whole model",
        kind="halves",
    )


def _update(now: Live) -> Iterable[Markup]:
    yield section("The update: SGD and torch.optim.SGD", "update")
    texts = equations(tn.SGD, ("data",))
    rows = beside_equations(tn.SGD.step, texts, "")
    yield three_columns("SGD.step", "torch.optim.SGD", ["step"], [rows], [line("optimizer.step()")])
    yield paragraph(f"After one step with lr {LEARNING_RATE} and momentum {MOMENTUM}, from the same weights:")
    body = [
        [
            name,
            str(hand.shape),
            _short(now.before[name]),
            _short(hand),
            _short(torch),
            number(float(differences(hand, torch).max())),
        ]
        for name, (hand, torch) in now.after.items()
    ]
    header = [
        "weight",
        "shape",
        "first entries before",
        "after, NumPy",
        "after, PyTorch",
        "largest difference",
    ]
    yield table(header, body, "The weights before and after", kind="same")


def _proof(now: Live) -> Iterable[Markup]:
    yield section("Is it the same?", "same")
    yield paragraph(
        "Every tensor of this page, NumPy against PyTorch. error / bound is NumPy's error over what "
        "rounding may do to this tensor (see parity): at or below 1 is a match."
    )
    body = [
        [
            row.stage,
            row.tensor,
            str(row.shape),
            number(gap(now, row.stage, row.tensor)),
            number(row.ratio),
            row.verdict,
        ]
        for row in now.report.rows
        if (row.stage, row.tensor) in now.hand
    ]
    header = ["stage", "tensor", "shape", "largest difference", "error / bound", "verdict"]
    yield table(header, body, "Largest differences")


def _short(array: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in array.ravel()[:2])
