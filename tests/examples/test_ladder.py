"""Every rung of the ladder against PyTorch, and wrong rungs that the same check must reject."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import image_cases

from examples import ladder as ladder_program
from examples.experiments import ladder
from examples.experiments.ladder import RUNGS, layer_of
from parity import exact_run, twin
from parity.report import judge

CASES = [  # x, filters, kernel, stride, padding
    ((2, 3, 7, 6), 4, (3, 3), (1, 1), (0, 0)),
    ((3, 2, 9, 6), 3, (3, 3), (2, 3), (2, 1)),
    ((2, 4, 8, 5), 3, (3, 2), (3, 2), (0, 2)),  # the stride leaves rows over
    ((1, 3, 5, 9), 2, (2, 4), (1, 2), (1, 0)),
    ((1, 1, 4, 3), 5, (4, 3), (1, 1), (0, 0)),  # a kernel as large as the image
    ((3, 5, 4, 7), 2, (1, 1), (1, 1), (0, 0)),
    ((2, 2, 3, 5), 3, (1, 1), (2, 3), (1, 2)),
]


def check(rung, case, dtype, seed=0):
    """Fail unless `rung` leaves its arrays alone and agrees with PyTorch, in this dtype and in float64."""
    (N, C, H, W), F, (KH, KW), stride, padding = case
    rng = np.random.default_rng(seed)
    x, weight, bias = arrays = [
        rng.standard_normal(shape).astype(dtype) for shape in [(N, C, H, W), (F, C, KH, KW), (F,)]
    ]
    module = twin(layer_of(weight, bias, stride, padding))
    exact = exact_run({"conv": module}, x).tensors["conv", "out"]
    if rung is ladder.fft:  # spreads the rounding of each pixel over all, also where little is added up
        spread = np.finfo(dtype).eps * np.linalg.norm(x) * np.linalg.norm(weight)
        exact = replace(exact, bound=exact.bound + spread)
    before = [array.copy() for array in arrays]
    out = rung(*arrays, stride, padding)
    assert all(map(np.array_equal, arrays, before)), "modified"
    row = judge("conv", "out", out, exact, x.dtype)
    assert row.ok, row.note or "against PyTorch"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", RUNGS)
def test_a_rung_equals_pytorch(name, case, dtype):
    check(RUNGS[name], case, dtype)


@pytest.mark.parametrize("name", RUNGS)
@given(image_cases(), st.integers(1, 3))
def test_a_rung_equals_pytorch_on_any_images(name, case, filters):
    shape, kernel, stride, padding, dtype, seed = case
    check(RUNGS[name], (shape, filters, kernel, stride, padding), dtype, seed)


def kernel_flipped(x, weight, *rest):
    """A true convolution where a correlation is meant."""
    return ladder.im2col(x, weight[:, :, ::-1, ::-1], *rest)


def kernel_transposed(x, weight, *rest):
    return ladder.im2col(x, weight.swapaxes(2, 3), *rest)


def filters_and_channels_swapped(x, weight, *rest):
    F, C, KH, KW = weight.shape
    return ladder.im2col(x, weight.reshape(C, F, KH, KW).swapaxes(0, 1), *rest)


def stride_ignored(x, weight, bias, stride, padding):
    return ladder.im2col(x, weight, bias, (1, 1), padding)


def stride_ignored_then_cut(x, weight, bias, stride, padding):
    OH, OW = ladder.out_size(ladder.pad(x, padding), weight, stride)
    return ladder.im2col(x, weight, bias, (1, 1), padding)[:, :, :OH, :OW]


def stride_swapped(x, weight, bias, stride, padding):
    return ladder.im2col(x, weight, bias, stride[::-1], padding)


def padding_on_one_side(x, weight, bias, stride, padding):
    PH, PW = padding
    x = np.pad(x, [(0, 0), (0, 0), (2 * PH, 0), (2 * PW, 0)])
    return ladder.im2col(x, weight, bias, stride, (0, 0))


def bias_dropped(x, weight, bias, *rest):
    return ladder.im2col(x, weight, np.zeros_like(bias), *rest)


def wrapped_around(x, weight, bias, stride, padding):
    """A circular convolution: the spectra of images without their padding."""
    PH, PW = padding
    x = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], mode="wrap")
    return ladder.im2col(x, weight, bias, stride, (0, 0))


def input_modified(x, *rest):
    out = ladder.im2col(x, *rest)
    x *= 2
    return out


def widened(x, *rest):
    return ladder.im2col(x, *rest).astype(np.float64)


def off_by_a_little(x, *rest):
    return ladder.im2col(x, *rest) * x.dtype.type(1.00001)


def narrowed(x, weight, *rest):
    """float64 on the outside, float32 within."""
    return ladder.im2col(x.astype(np.float32), weight.astype(np.float32), *rest).astype(x.dtype)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (kernel_flipped, "against PyTorch"),
        (kernel_transposed, "against PyTorch"),
        (filters_and_channels_swapped, "against PyTorch"),
        (stride_ignored, "shape"),
        (stride_ignored_then_cut, "against PyTorch"),
        (stride_swapped, "shape"),
        (padding_on_one_side, "against PyTorch"),
        (bias_dropped, "against PyTorch"),
        (wrapped_around, "against PyTorch"),
        (input_modified, "modified"),
        (widened, "dtype"),
        (off_by_a_little, "against PyTorch"),
        (narrowed, "against PyTorch"),
    ],
)
def test_a_wrong_rung_is_rejected(wrong, message):
    with pytest.raises(AssertionError, match=message):
        check(wrong, CASES[1], "float64" if wrong is narrowed else "float32")


def test_the_program_prints_and_writes_every_rung(capfd, tmp_path):
    path = tmp_path / "ladder.json"
    assert ladder_program.main(f"--batch-size 2 --side 7 --turns 2 --calls 1 --json {path}".split()) == 0
    printed, result = capfd.readouterr().out, json.loads(path.read_text(encoding="utf-8"))
    rows = {row["rung"]: row for row in result["rungs"]}
    assert list(rows) == list(RUNGS) and all(f"\n{name}" in printed for name in RUNGS)
    assert result["x"] == [2, 16, 7, 7] and result["threads"] == 1 and result["seed"] == 0
    assert rows["six_loops"]["images"] == 1 and rows["im2col"]["images"] == 2
    assert rows["library"]["ratio"] == [1, 1, 1]
    for name, row in rows.items():
        assert row["ms"] > 0 and row["ratio"] == sorted(row["ratio"]) and 0 < row["error_to_bound"] <= 1
        assert (row["extra_mb"] is None) == (name == "torch")
    columns = 2 * 5 * 5 * 16 * 3 * 3 * 4 / 1e6
    assert rows["six_loops"]["extra_mb"] < columns < rows["im2col"]["extra_mb"] < 3 * columns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--turns 0", "argument --turns: is '0', expected a whole number >= 1 (see --help)"),
        ("--side 4 --kernel 5", "--kernel 5 is larger than --side 4"),
        ("--batch-size 1 --side 3 --turns 1 --json .", "--json . cannot be written: Is a directory"),
    ],
)
def test_the_program_says_in_one_line_what_is_wrong(arguments, message, monkeypatch, capsys):
    for name in ladder.THREADS:
        monkeypatch.setenv(name, "1")
    with pytest.raises(SystemExit) as exit_:
        ladder_program.main(arguments.split())
    assert exit_.value.code == 2 and capsys.readouterr().err == f"error: {message}\n"
