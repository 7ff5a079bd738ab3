"""The trace of both sides: the chapter's shapes, and where an input does not fit."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.experiments.shapes import DoesNotFitError, diagram, fitting_sizes, trace, trace_both
from examples.shapes import main

CHAPTER = {  # the shapes that section 31.2 prints
    "conv1": (16, 26, 26),
    "pool1": (16, 13, 13),
    "conv2": (32, 11, 11),
    "pool2": (32, 5, 5),
    "flatten": (800,),
    "fc": (10,),
}


def hand(name="MNISTCNN"):
    return getattr(tn, name)(rng=np.random.default_rng(0))


@pytest.mark.parametrize("side", ["numpy", "torch"])
def test_the_trace_is_the_chapters(side):
    rows = trace(hand() if side == "numpy" else tt.MNISTCNN(), (3, 1, 28, 28))
    assert {row.stage: row.shape for row in rows if row.stage in CHAPTER} == {
        stage: (3, *shape) for stage, shape in CHAPTER.items()
    }
    assert sum(row.parameters for row in rows) == 12_810
    by_hand = 3 * np.array([26 * 26 * 16 * 9, 11 * 11 * 32 * 16 * 9, 8000])
    assert [row.multiply_adds for row in rows if row.multiply_adds] == by_hand.tolist()
    assert rows[-1].nbytes == 3 * 10 * 4


@pytest.mark.parametrize(("name", "shape"), [("TinyCNN", (2, 1, 8, 8)), ("MLP", (5, 1, 28, 28))])
def test_both_sides_agree(name, shape):
    pairs, refusal = trace_both(hand(name), getattr(tt, name)(), shape)
    assert refusal is None and len(pairs) == len(hand(name).stages)
    assert sum(row.parameters for row, _ in pairs) == {"TinyCNN": 114, "MLP": 101_770}[name]


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("MNISTCNN", (1, 1, 32, 32), "fc: Dense: .* in_features is 800 and would have to be 1152"),
        ("MNISTCNN", (2, 3, 28, 28), "conv1: Conv2D: .* in_channels is 1 and would have to be 3"),
        ("TinyCNN", (1, 1, 3, 3), "pool: MaxPool2D: x has 1 x 1 pixels, expected at least kernel_size"),
        ("MLP", (1, 3, 28, 28), "fc1: Dense: .* in_features is 784 and would have to be 2352"),
    ],
)
def test_the_stage_that_refuses_says_so_itself(name, shape, message):
    pairs, refusal = trace_both(hand(name), getattr(tt, name)(), shape)
    assert re.match(message, str(refusal))
    assert [ours.stage for ours, _ in pairs] == list(hand(name).stages)[: len(pairs)]
    with pytest.raises(DoesNotFitError, match=f"^{refusal.stage}: "):
        trace(getattr(tt, name)(), shape)


def test_the_number_asked_for_is_the_number_that_helps():
    module = tt.MNISTCNN()
    module.fc = nn.Linear(1152, 10)
    assert trace(module, (1, 1, 32, 32))[-1].shape == (1, 10)


def another(stage, module):
    changed = tt.MNISTCNN()
    setattr(changed, stage, module)
    return changed


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (another("pool1", nn.MaxPool2d(2, stride=1)), "^pool1: NumPy"),
        (another("conv1", nn.Conv2d(1, 16, 3, bias=False)), "^conv1: NumPy"),
        (another("fc", nn.Linear(801, 10)), r"^NumPy takes the input; PyTorch fc: .* would have to be 800"),
        (another("pool2", nn.MaxPool2d(2, padding=1)), "^pool2: NumPy"),
        (nn.Sequential(*list(tt.MNISTCNN())), "^conv1: NumPy .* PyTorch 0 "),
    ],
)
def test_sides_that_differ_are_refused(module, message):
    with pytest.raises(ValueError, match=message):
        trace_both(hand(), module, (1, 1, 28, 28))


def test_every_size_that_fits_is_found():
    less, more, why = fitting_sizes(hand(), (1, 1, 28, 28))
    assert (less, more) == (2, 1) and "would have to be 1152" in why
    for side in range(25, 31):
        refusal = trace_both(hand(), tt.MNISTCNN(), (1, 1, side, side))[1]
        assert (refusal is None) == (26 <= side <= 29)


def test_the_diagram_names_every_stage_and_shape():
    rows = trace(tt.MNISTCNN(), (1, 1, 28, 28))
    (axes,) = diagram("a title", (1, 1, 28, 28), rows).axes
    texts = "\n".join(text.get_text() for text in axes.texts)
    assert (
        all(row.stage in texts for row in rows) and "(B, 32, 5, 5)" in texts and "8,010 parameters" in texts
    )


def test_the_program_prints_the_trace_and_draws_it(tmp_path, capsys):
    assert main(f"--batch 3 --output-dir {tmp_path}".split()) == 0
    out = capsys.readouterr().out
    assert "(3, 16, 26, 26)" in out and "12,810" in out and "26 x 26 to 29 x 29 pixels fit" in out
    assert (tmp_path / "MNISTCNN.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--input 1 32 32",
            "MNISTCNN does not take (1, 1, 32, 32). fc: Dense: x has shape (1, 1152), expected",
        ),
        ("--input 1 28", "argument --input: expected 3 arguments (see --help)"),
        ("--model LeNet", "argument --model: invalid choice: 'LeNet'"),
        ("--batch 0", "argument --batch: is '0', expected a whole number >= 1 (see --help)"),
    ],
)
def test_the_program_says_in_one_line_what_is_wrong(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([*arguments.split(), "--output-dir", str(tmp_path)])
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and error.startswith(f"error: {message}") and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_trace_leaves_the_models_as_they_were():
    module = tt.TinyCNN()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trace(module, (1, 1, 8, 8))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
