"""The page: mathematics, code by hand and PyTorch in three columns, stage by stage."""

from collections.abc import Iterable, Sequence

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.cli import in_words as words_of
from examples.common.cli import machine
from examples.common.html_page import Markup, code, paragraph, table
from examples.side_by_side.aligned import AlignedRow, beside_each_other, beside_equations
from examples.side_by_side.lines import code_lines, equations
from examples.side_by_side.pairs import Pair, aligned
from examples.side_by_side.pieces import by_autograd, line, section, three_columns
from examples.side_by_side.proof import Proof
from examples.side_by_side.table import HEADER, TableRow, counts_of, in_words
from parity.render import number

TOUCH = "../playground/playground.html"  # where both pages lie unless --output-dir says otherwise


def page_parts(pairs: Sequence[Pair], rows: list[TableRow], proof: Proof, seed: int) -> list[Markup]:
    """Everything below the title."""
    return [
        *_opening(rows),
        *(part for pair in pairs for part in _stage(pair, proof)),
        *_loss(),
        *_step(proof),
        *_update(),
        *_proof(proof, seed),
    ]


def _opening(rows: list[TableRow]) -> Iterable[Markup]:
    yield paragraph(
        "The same small network twice, stage by stage: its mathematics as the docstring of the layer gives "
        "it, the code by hand, and PyTorch. All code is read from the sources. Strong lines compute the "
        "equation beside them; grey ones check, remember, or arrange memory. In each stage look at the right "
        "column of backward, where no code stands: that is what autograd adds, and all that it adds."
    )
    yield paragraph(
        Markup(
            "The numbers behind these lines can be touched: <code>python -m examples.playground</code> makes "
            f'<a href="{TOUCH}">a page</a> on which every value, gradient and sum of TinyCNN moves.'
        )
    )
    yield table(
        HEADER,
        [[row.layer, line(row.numpy), *counts_of(row), line(row.torch)] for row in rows],
        "Layer by layer, with the number of lines of code",
        kind="layers",
    )
    yield paragraph(in_words(rows))


def _stage(pair: Pair, proof: Proof) -> Iterable[Markup]:
    name, module = pair.name, f"nn.{pair.module.__name__}"
    yield section(f"{name}: {pair.hand.__name__} and {module}", name)
    yield three_columns(
        pair.hand.__name__,
        module,
        ["the model", "forward", "backward"],
        [[AlignedRow([], [pair.hand_line])], pair.forward, pair.backward],
        [line(pair.torch_line), paragraph("nothing to write"), by_autograd(proof.graph[name])],
    )


def _loss() -> Iterable[Markup]:
    yield section("The loss: CrossEntropyLoss and nn.CrossEntropyLoss", "loss")
    forward, backward = aligned(tn.CrossEntropyLoss, ("loss", "dlogits"), ("loss", "dlogits"))
    yield three_columns(
        "CrossEntropyLoss",
        "nn.CrossEntropyLoss",
        ["forward", "backward"],
        [forward, backward],
        [paragraph("nothing to write"), by_autograd("")],
    )


def _step(proof: Proof) -> Iterable[Markup]:
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
        [[code(loops), code("\n".join(reversed(proof.graph.values())))]],
        "Through the whole model",
        kind="halves",
    )


def _update() -> Iterable[Markup]:
    yield section("The update: SGD and torch.optim.SGD", "update")
    texts = equations(tn.SGD, ("data",))
    rows = beside_equations(tn.SGD.step, texts, "")
    yield three_columns("SGD.step", "torch.optim.SGD", ["step"], [rows], [line("optimizer.step()")])


def _proof(proof: Proof, seed: int) -> Iterable[Markup]:
    yield section("Is it the same?", "same")
    yield paragraph(
        "Every tensor of one training step of both sides, from the same weights. error / bound: the error "
        "over what rounding may do to this tensor (see parity): at or below 1 is a match. "
        f"Seed {seed}, float64, one image. {words_of(machine())}."
    )
    body = [
        [row.stage, row.tensor, str(row.shape), number(row.error), number(row.ratio), row.verdict]
        for row in proof.report.rows
    ]
    yield table(
        ["stage", "tensor", "shape", "error", "error / bound", "verdict"], body, "NumPy against PyTorch"
    )
