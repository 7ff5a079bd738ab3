"""Two models from the same seeds: the table, the difference, the verdict and the picture."""

import json

import numpy as np
import pytest

from examples import compare_mlp as compare_mlp_program
from examples.common.models import MODELS
from examples.common.statistics import paired
from examples.experiments import compare_mlp, seeds


def log_of(*accuracies):
    """Of 1,000 test images, of which the first ones are labelled wrong."""
    wrong = {"wrong": list(range(round(1000 - 10 * accuracies[-1])))}
    return [
        {"epoch": i + 1, "train_loss": 1 / (i + 1), "test_accuracy": accuracy} | wrong
        for i, accuracy in enumerate(accuracies)
    ]


@pytest.fixture
def planted():
    logs = {"MNISTCNN": [log_of(97, 98.5), log_of(98, 98.9)], "MLP": [log_of(94, 97), log_of(95, 98)]}
    return compare_mlp.Comparison("mnist", "torch", logs, {"MNISTCNN": 12810, "MLP": 101770}, 1000)


def test_the_table_and_the_difference_are_those_of_the_last_epoch(planted):
    header, cnn, mlp = str(planted).splitlines()
    assert cnn.split() == ["MNISTCNN", "12,810", "98.70", "0.28", "98.50", "98.90"]
    assert mlp.split() == ["MLP", "101,770", "97.50", "0.71", "97.00", "98.00"]
    assert len(header) == len(cnn) == len(mlp)
    assert planted.difference("MNISTCNN", "MLP").differences == pytest.approx([1.5, 0.9])
    assert planted.difference("MLP", "MNISTCNN").differences == pytest.approx([-1.5, -0.9])


def test_the_curves_are_means_in_the_band_of_all_seeds(planted):
    planted.logs["MLP"][0][0]["train_loss"] = 3.0
    figure = planted.curves()
    for axes, name in zip(figure.axes, ("train_loss", "test_accuracy"), strict=True):
        bands = [collection.get_paths()[0].vertices[:, 1] for collection in axes.collections]
        for line, band, logs in zip(axes.get_lines(), bands, planted.logs.values(), strict=True):
            values = np.array([[entry[name] for entry in log] for log in logs])
            np.testing.assert_allclose(line.get_ydata(), values.mean(axis=0))
            assert (band.min(), band.max()) == (values.min(), values.max())
            assert list(line.get_xdata()) == [1, 2]
            bottom, top = axes.get_ylim()
            assert bottom <= values.min() and values.max() < top
    assert figure.get_suptitle().startswith("mnist, PyTorch") and "2 seeds" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ([98.5, 98.6, 98.7], [97.5, 97.5, 97.8], "CNN is better than MLP, by 1.00 points over 3 seeds"),
        ([97.5, 97.5, 97.8], [98.5, 98.6, 98.7], "MLP is better than CNN, by 1.00 points over 3 seeds"),
        ([98.5, 98.6], [97.5, 97.5], "2 seeds do not tell whether CNN or MLP is better"),
        ([98.5, 98.6], [98.0, 98.4], "2 seeds do not tell whether CNN or MLP is better"),
        (
            [98.5, 98.6],
            [98.4, 98.5],
            "2 seeds do not tell whether CNN or MLP is better",
        ),  # no error to measure
        ([98.5, 98.6], [98.5, 98.6], "2 seeds do not tell whether CNN or MLP is better"),
    ],
)
def test_the_verdict_goes_by_the_interval(first, second, says):
    assert compare_mlp.verdict(paired(first, second), "CNN", "MLP") == says


@pytest.mark.parametrize("model", list(MODELS))
def test_parameters_are_counted_on_the_model(model):
    expected = {"MNISTCNN": 12810, "MLP": 101770, "ThirdConvolution": 23946, "AveragePooling": 12810}
    assert compare_mlp.parameter_count(model) == (expected | {"SmallMLP": 12730})[model]
    assert sum(p.numel() for p in MODELS[model][1]().parameters()) == compare_mlp.parameter_count(model)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_smallest_run_trains_both_and_then_never_again(
    backend, few_digits, tmp_path, capsys, monkeypatch
):
    flags = f"--dataset digits --backend {backend} --seeds 2 --epochs 1 --results {tmp_path}/seeds.jsonl"
    arguments = [*flags.split(), "--output-dir", str(tmp_path)]
    assert compare_mlp_program.main(arguments) == 0
    out = capsys.readouterr().out
    assert "digits (130 training" in out and "12,810" in out and "101,770" in out
    assert "On digits" in out and "7.9 times as many" in out
    assert (tmp_path / "compare_mlp.png").read_bytes().startswith(b"\x89PNG")
    lines = [json.loads(line) for line in (tmp_path / "seeds.jsonl").read_text().splitlines()]
    assert [(line["model"], line["seed"]) for line in lines] == [
        ("MNISTCNN", 0),
        ("MNISTCNN", 1),
        ("MLP", 0),
        ("MLP", 1),
    ]
    monkeypatch.setattr(seeds, "train", None)
    assert compare_mlp_program.main(arguments) == 0 and capsys.readouterr().out == out


def test_a_picture_that_cannot_be_written_is_one_line(few_digits, tmp_path, capsys):
    (tmp_path / "file").touch()
    flags = f"--dataset digits --seeds 2 --epochs 1 --results {tmp_path}/r --output-dir {tmp_path}/file"
    with pytest.raises(SystemExit) as exit_:
        compare_mlp_program.main(flags.split())
    error = capsys.readouterr().err.splitlines()
    assert exit_.value.code == 2 and len(error) == 1 and "file cannot be written" in error[0]


def test_help(capsys):
    with pytest.raises(SystemExit) as exit_:
        compare_mlp_program.main(["--help"])
    assert exit_.value.code == 0 and "--backend" in capsys.readouterr().out
