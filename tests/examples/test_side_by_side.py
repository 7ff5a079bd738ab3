"""The table and the page are the code: what is counted, what is set beside what, and what is refused."""

import html
import re
import textwrap
import warnings
from collections import OrderedDict

import numpy as np
import pytest
from torch import nn

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.side_by_side.__main__ import main
from examples.side_by_side.aligned import beside_each_other, beside_equations
from examples.side_by_side.build import build
from examples.side_by_side.lines import NoCounterpartError, code_lines, equations, stage_lines
from examples.side_by_side.pairs import aligned, pairs_of
from examples.side_by_side.proof import prove
from examples.side_by_side.table import in_words, layer_table


def planted(x):  # the first line of code
    """A docstring of
    two lines.
    """

    # a comment
    text = """not a
    # comment, nor a docstring"""
    if x:

        def inner():
            "A docstring of one line."
            return text  # a comment behind code

        return inner
    return (
        x,
        text,
    )


def only_documented():
    """No code but the def."""


def test_code_lines_are_neither_docstrings_nor_comments_nor_blank():
    lines = [line.strip() for line in code_lines(planted)]
    assert lines == [
        "def planted(x):  # the first line of code",
        'text = """not a',
        '# comment, nor a docstring"""',
        "if x:",
        "def inner():",
        "return text  # a comment behind code",
        "return inner",
        "return (",
        "x,",
        "text,",
        ")",
    ]
    assert code_lines(only_documented) == ["def only_documented():"]
    assert code_lines(tn.ReLU.backward)[0].startswith("def backward")
    assert len(code_lines(tn.ReLU)) == 1 + len(code_lines(tn.ReLU.forward)) + len(
        code_lines(tn.ReLU.backward)
    )


def test_the_table_has_the_lines_of_both_models_and_their_counts():
    rows = {row.layer: row for row in layer_table()}
    assert list(rows) == [
        "Convolution", "Activation", "Pooling", "Flatten", "Dense", "Loss", "Backward pass", "Update"
    ]  # fmt: skip
    sources = [stage_lines(tn.TinyCNN), stage_lines(tt.TinyCNN)]
    assert sources[0]["pool"] == "pool=MaxPool2D(kernel_size=2)"
    assert sources[1]["fc"] == "fc=nn.Linear(4 * 3 * 3, 2)"
    for row, ours, theirs in zip(rows.values(), *(lines.values() for lines in sources), strict=False):
        assert (row.numpy, row.torch) == (ours, theirs)
    assert rows["Activation"][2:5] == (5, 4, 10)
    assert rows["Dense"].backward == len(code_lines(tn.Dense.backward)) + len(
        code_lines(tn.Dense.backward_weights)
    )
    through = len(code_lines(tn.Sequential.backward)) + len(code_lines(tn.Sequential.backward_weights))
    layers = sum(row.backward for row in list(rows.values())[:6])
    assert rows["Backward pass"].backward == layers + through
    assert (rows["Backward pass"].torch, rows["Update"].torch) == ("loss.backward()", "optimizer.step()")
    assert "-= self.lr *" in rows["Update"].numpy
    assert f"the backward pass {layers + through}:" in in_words(list(rows.values()))


def test_every_equation_stands_beside_the_line_that_computes_it():
    conv, relu, pool, _flatten, fc = pairs_of()
    beside = {
        text.partition(" = ")[0]: "\n".join(row.code)
        for pair in (conv, fc)
        for row in pair.forward + pair.backward
        for text in row.equations
    }
    assert "windows = windows_of(" in beside["windows[h,w,i,j,c,n]"]
    assert "np.matmul(" in beside["out[n,f,h,w]"] and "out[rows] += bias" in beside["out[n,f,h,w]"]
    assert beside["dbias[f]"].splitlines()[0].strip() == "if self.bias is not None:"
    assert "dmatrix +=" in beside["dweight[f,c,i,j]"] and "self.dweight =" in beside["dweight[f,c,i,j]"]
    assert "dx_windows[rows, :, i, j] +=" in beside["dwindows[h,w,i,j,c,n]"] == beside["dx"]
    assert beside["dweight[m,k]"].strip() == "self.dweight = dout.T @ x"
    assert beside["dx[n,k]"].strip() == "return dout @ self.weight"
    assert any("dout * winner" in "".join(row.code) and len(row.equations) == 2 for row in pool.backward)
    for pair in (conv, relu, pool, fc):  # no line is lost or told twice
        shown = [line for row in pair.forward for line in row.code]
        assert [line for line in shown if line.strip()] == textwrap.dedent(
            "\n".join(code_lines(pair.hand.forward))
        ).splitlines()


def test_an_equation_beside_the_wrong_line_would_be_seen():
    class Swapped(tn.Dense):
        def backward_weights(self, dout):
            self.dbias = dout.T @ self.cache
            self.dweight = dout.sum(axis=0)

    rows = beside_equations(Swapped.backward_weights, equations(tn.Dense, ("dbias",)), "dx")
    assert [(len(row.equations), row.code[0].strip()) for row in rows] == [
        (0, "def backward_weights(self, dout):"),
        (1, "self.dbias = dout.T @ self.cache"),
        (1, "self.dweight = dout.sum(axis=0)"),
    ]
    assert rows[1].equations[0].startswith("dbias")


def test_the_two_steps_are_aligned_line_by_line():
    rows = beside_each_other(tn.train_step, tt.train_step)
    assert ("", "optimizer.zero_grad()") in rows
    assert ("model.backward_weights(loss_fn.backward())", "loss.backward()") in rows
    assert sum(left == right for left, right in rows) == 3 and len(rows) == 6


class Documented(tn.ReLU):
    """out = max(x, 0)

    dx = dout * [x > 0]
    """


class NoBackwardMathematics(tn.ReLU):
    """out = max(x, 0), entry by entry."""


class NoForwardMathematics(tn.ReLU):
    """dx = dout * [x > 0]"""


class NoDocstring(tn.ReLU):
    pass


class NoLineForIt(tn.ReLU):
    """gate = [x > 0]

    out = max(x, 0)
    dx = dout * gate
    """


class NoBackward(tn.Layer):
    """out = max(x, 0)

    dx = dout * [x > 0]
    """

    def forward(self, x):
        return np.clip(x, 0, np.inf)


class Sigmoid(tn.Layer):
    """out = 1 / (1 + exp(-x))

    dx = dout * out * (1 - out)
    """

    def forward(self, x):
        return 1 / (1 + np.exp(-x))

    def backward(self, dout):
        return dout


class DenseWithoutDbias(tn.Dense):
    """out[n,m] = bias[m] + sum_k x[n,k] * weight[m,k]

    dweight[m,k] = sum_n dout[n,m] * x[n,k]
    dx[n,k] = sum_m dout[n,m] * weight[m,k]
    """


class MaskForgotten(Documented):
    """out = max(x, 0)

    dx = dout
    """

    def backward(self, dout):
        return dout


def of(relu=tn.ReLU, fc=tn.Dense):
    """TinyCNN with other classes at two of its stages."""

    class TinyCNN(tn.Sequential):
        def __init__(self, *, rng, dtype=np.float32):
            super().__init__(
                conv=tn.Conv2D(1, 4, kernel_size=3, rng=rng, dtype=dtype),
                relu=relu(),
                pool=tn.MaxPool2D(kernel_size=2),
                flatten=tn.Flatten(),
                fc=fc(4 * 3 * 3, 2, rng=rng, dtype=dtype),
            )

    return TinyCNN


class WithoutRelu(tn.Sequential):
    def __init__(self, *, rng, dtype=np.float32):
        super().__init__(
            conv=tn.Conv2D(1, 4, kernel_size=3, rng=rng, dtype=dtype),
            pool=tn.MaxPool2D(kernel_size=2),
            flatten=tn.Flatten(),
            fc=tn.Dense(4 * 3 * 3, 2, rng=rng, dtype=dtype),
        )


class TorchWithoutFlatten(nn.Sequential):
    def __init__(self):
        super().__init__(
            OrderedDict(conv=nn.Conv2d(1, 4, 3), relu=nn.ReLU(), pool=nn.MaxPool2d(2), fc=nn.Linear(36, 2))
        )


class TorchWithTanh(nn.Sequential):
    def __init__(self):
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(1, 4, 3),
                relu=nn.Tanh(),
                pool=nn.MaxPool2d(2),
                flatten=nn.Flatten(),
                fc=nn.Linear(36, 2),
            )
        )


class TorchPoolFirst(nn.Sequential):
    def __init__(self):
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(1, 4, 3),
                pool=nn.MaxPool2d(2),
                relu=nn.ReLU(),
                flatten=nn.Flatten(),
                fc=nn.Linear(36, 2),
            )
        )


class NoStages(tn.TinyCNN):
    pass


HERE = "examples/test_side_by_side.py: "


@pytest.mark.parametrize(
    ("hand", "torch", "message"),
    [
        (
            WithoutRelu,
            tt.TinyCNN,
            f"{HERE}WithoutRelu has no stage 'relu', which tinycnn_torch/models.py: TinyCNN has",
        ),
        (tn.TinyCNN, TorchWithoutFlatten, f"{HERE}TorchWithoutFlatten has no stage 'flatten', which"),
        (tn.TinyCNN, TorchPoolFirst, f"{HERE}TorchPoolFirst has stages ['conv', 'pool', 'relu',"),
        (tn.TinyCNN, TorchWithTanh, "tinycnn_numpy/relu.py: ReLU stands beside Tanh as stage 'relu'"),
        (NoStages, tt.TinyCNN, f"{HERE}NoStages passes no stages to super().__init__"),
        (
            of(NoBackwardMathematics),
            tt.TinyCNN,
            f"{HERE}NoBackwardMathematics: the docstring has no equation for dx",
        ),
        (of(NoForwardMathematics), tt.TinyCNN, "NoForwardMathematics: the docstring has no equation for out"),
        (of(NoDocstring), tt.TinyCNN, f"{HERE}NoDocstring: the docstring has no equation for out"),
        (of(NoLineForIt), tt.TinyCNN, "NoLineForIt: no line of forward or backward makes gate"),
        (of(Sigmoid), tt.TinyCNN, "Sigmoid has no counterpart"),
        (of(fc=DenseWithoutDbias), tt.TinyCNN, "DenseWithoutDbias: the docstring has no equation for dbias"),
        (of(MaskForgotten), tt.TinyCNN, "TinyCNN: relu dx is not PyTorch's: MISMATCH"),
    ],
)
def test_the_page_is_refused_where_a_side_lacks_its_counterpart(hand, torch, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        build(tmp_path, 0, hand, torch)
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1
    assert message in error and not list(tmp_path.iterdir())


def test_a_class_without_a_method_is_refused():
    with pytest.raises(NoCounterpartError, match=r"test_side_by_side.py: NoBackward has no method backward$"):
        aligned(NoBackward, ("out", "dx"), ("out", "dx"))
    aligned(Documented, ("out", "dx"), ("out", "dx"))


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_layer_of_the_library_that_loses_a_method_is_refused(method, monkeypatch):
    monkeypatch.delattr(tn.MaxPool2D, method)
    with pytest.raises(NoCounterpartError, match=rf"tinycnn_numpy/pool.py: MaxPool2D has no method {method}"):
        pairs_of()


def test_words_are_no_equation():
    class Silent(tn.Flatten):
        """x (N, C, H, W) -> out (N, C*H*W). Backward folds again."""

    with pytest.raises(NoCounterpartError, match="no equation for out"):
        equations(Silent, ("out", "dx"))


def test_both_sides_are_proven_equal_and_autograds_notes_are_there():
    proof = prove(3)
    assert {row.verdict for row in proof.report.rows} == {"match"}
    assert {("loss", "dlogits"), ("conv", "dweight"), ("fc", "dbias")} <= {
        (row.stage, row.tensor) for row in proof.report.rows
    }
    assert proof.graph["relu"] == "ReluBackward0" and list(proof.graph) == [pair.name for pair in pairs_of()]


def test_the_program_writes_a_page_with_every_line_and_the_proof(tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["--seed", "5", "--output-dir", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and "nn.MaxPool2d(kernel_size=2)" in printed.out
    assert (tmp_path / "side_by_side.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "side_by_side.html").read_text(encoding="utf-8")
    text = html.unescape(page)
    assert 'src="http' not in text and "<script" not in text and "Seed 5" in text
    words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    for pair in pairs_of():
        for row in pair.forward + pair.backward:
            for line in row.equations + row.code:
                assert " ".join(line.split()) in words
    for row in prove(5).report.rows:
        assert f"<td>{row.stage}</td><td>{row.tensor}</td><td>{row.shape}</td>" in text
    assert 'href="../playground/playground.html"' in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--seed -1", "argument --seed: is '-1', expected a whole number >= 0 (see --help)"),
        ("--output-dir {file}/x", "cannot be written: Not a directory"),
    ],
)
def test_the_program_says_in_one_line_what_is_wrong(arguments, message, tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as exit_:
        main(arguments.format(file=tmp_path / "file").split())
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and message in error and error.count("\n") == 1
