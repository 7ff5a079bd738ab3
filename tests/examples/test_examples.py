"""Every program at its smallest size, and what it says when it cannot run."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from threadpoolctl import threadpool_info, threadpool_limits

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples import benchmark as benchmark_program
from examples import train_mnist
from examples import train_tinycnn as train_tinycnn_program
from examples.common import training
from examples.common.models import start
from examples.experiments import benchmark, benchmark_stages, benchmark_steps, train_tinycnn
from parity import load_weights


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_train_mnist_writes_what_it_promises(backend, few_digits, tmp_path, capsys):
    arguments = (
        f"--dataset digits --backend {backend} --epochs 2 --device cpu --seed 7 --output-dir {tmp_path}"
    )
    assert train_mnist.main(arguments.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "do not compare with MNIST" in lines.pop(0)
    assert len(lines) == 4 and all(line.startswith("digits: ") for line in lines)
    metrics = rows(tmp_path)
    assert [row["epoch"] for row in metrics] == [1, 2]
    for row in metrics:
        constant = {"dataset": "digits", "backend": backend, "device": "cpu", "seed": 7, "batch_size": 64}
        assert row | constant == row and row["seconds"] > 0
    assert f"{metrics[-1]['test_accuracy']:.2f} %" in lines[-1]
    for model in (tn.MNISTCNN(rng=np.random.default_rng(0)), tt.MNISTCNN()):
        load_weights(model, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "np") as file:
        assert file.metadata()["dataset"] == "digits"
    assert (tmp_path / "training_curves.png").read_bytes().startswith(b"\x89PNG")


def test_train_mnist_goes_the_same_way_on_both_sides(few_digits, tmp_path):
    for backend in ("numpy", "torch"):
        arguments = (
            f"--dataset digits --backend {backend} --epochs 3 --quiet --output-dir {tmp_path / backend}"
        )
        train_mnist.main([*arguments.split(), "--device", "cpu"])
    ours, theirs = rows(tmp_path / "numpy"), rows(tmp_path / "torch")
    for row, torch_row in zip(ours, theirs, strict=True):
        assert row["train_loss"] == pytest.approx(torch_row["train_loss"], rel=1e-4)
        assert row["test_accuracy"] == pytest.approx(torch_row["test_accuracy"], abs=0.6)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_train_mnist_does_the_same_twice(backend, few_digits, tmp_path):
    for name in "ab":
        arguments = f"--dataset digits --backend {backend} --epochs 1 --quiet --output-dir {tmp_path / name}"
        train_mnist.main([*arguments.split(), "--device", "cpu"])
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert hash(a) == hash(b)
    assert rows(tmp_path / "a")[0]["train_loss"] == rows(tmp_path / "b")[0]["train_loss"]


def test_train_mnist_with_0_epochs_only_evaluates(few_digits, tmp_path, capsys):
    train_mnist.main(f"--dataset digits --backend numpy --epochs 0 --quiet --output-dir {tmp_path}".split())
    assert "after 0 epochs" in capsys.readouterr().out and rows(tmp_path) == []


def test_train_mnist_keeps_an_earlier_run(few_digits, tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_text("precious")
    with pytest.raises(SystemExit) as exit_:
        train_mnist.main(f"--dataset digits --output-dir {tmp_path}".split())
    assert exit_.value.code == 2 and "holds a run: add --resume or --overwrite" in capsys.readouterr().err
    assert (tmp_path / "metrics.jsonl").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--epochs -1", "argument --epochs: is '-1', expected a whole number >= 0"),
        ("--batch-size 0", "argument --batch-size: is '0', expected a whole number >= 1"),
        ("--batch-size 131 --dataset digits", "--batch-size 131 is above the 130 training images of digits"),
        ("--lr nan", "argument --lr: is 'nan', expected a number > 0"),
        ("--seed x", "argument --seed: is 'x', expected a whole number >= 0"),
        ("--speed 3", "unrecognized arguments: --speed 3"),
        ("--device cuda --backend numpy", "--device cuda with --backend numpy"),
        ("--device mps", "--device mps requested but not available"),
        ("--device cuda", "--device cuda requested but not available"),
        ("--dataset mnist --data-dir nowhere", "no mirror answered"),
        (
            "--dataset digits --output-dir file/runs",
            "--output-dir file/runs cannot be written: Not a directory",
        ),
    ],
)
def test_train_mnist_says_in_one_line_what_is_wrong(
    arguments, message, few_digits, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as exit_:
        train_mnist.main(arguments.split())
    error = capsys.readouterr().err.splitlines()[-1]
    assert exit_.value.code == 2 and error.startswith("error: ") and message in error
    assert not list(tmp_path.glob("runs/*/metrics.jsonl"))


def test_help_does_not_import_torch():
    code = "import sys; from examples import train_mnist\ntry: train_mnist.main(['--help'])\n"
    code += "except SystemExit as e: assert e.code == 0 and 'torch' not in sys.modules"
    assert (
        "--backend"
        in subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    )


def test_train_tinycnn_prints_two_equal_columns(tmp_path, capsys):
    train_tinycnn_program.main(["--epochs", "3", "--output-dir", str(tmp_path)])
    table = [line.split() for line in capsys.readouterr().out.splitlines()[2:5]]
    assert [row[0] for row in table] == ["1", "2", "3"]
    assert all(float(row[1]) == pytest.approx(float(row[2]), abs=1e-12) for row in table)
    assert (tmp_path / "tinycnn_filters.png").read_bytes().startswith(b"\x89PNG")


def test_line_patterns_are_what_they_say():
    images, labels = train_tinycnn.line_patterns(200, np.random.default_rng(0))
    assert images.shape == (200, 1, 8, 8) and 60 < labels.sum() < 140
    across, down = images[:, 0].sum(axis=2).max(axis=1), images[:, 0].sum(axis=1).max(axis=1)
    assert ((down > across) == labels).mean() > 0.95


def test_the_step_benchmark_prints_a_ratio_for_each_side(few_digits, monkeypatch, capsys):
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)  # takes half a minute
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # JAX/Flax is an extra
    rows = benchmark_steps.measure(
        few_digits, "step", threads=1, batch_sizes=[2, 3], turns=2, images_a_turn=4
    )
    benchmark_program.print_steps(rows)
    out = capsys.readouterr().out
    sides = ["tinycnn_numpy", "PyTorch eager", "PyTorch channels last", "PyTorch compiled"]
    assert [(row["batch_size"], row["side"]) for row in rows] == [(n, side) for n in (2, 3) for side in sides]
    assert all(row["side"] in out and row["ms"] > 0 and row["times_limit"] > 1 for row in rows)
    assert all(row["ratio"] == sorted(row["ratio"]) for row in rows) and rows[0]["ratio"] == [1, 1, 1]


def test_a_side_that_cannot_be_had_is_named(few_digits, monkeypatch, capsys):
    def no_compiler(module, **_):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", lambda module, **_: no_compiler)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    rows = benchmark_steps.measure(few_digits, "step", threads=1, batch_sizes=[2], turns=1, images_a_turn=2)
    benchmark_program.print_steps(rows)
    assert not any(row["side"] == "PyTorch compiled" for row in rows)
    assert "cannot be had here: JAX/Flax jit, PyTorch compiled" in capsys.readouterr().out


def test_answers_are_measured_without_a_step(few_digits, monkeypatch, capsys):
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(tn.Adam, "step", None)
    rows = benchmark_steps.measure(few_digits, "answer", 1, batch_sizes=[1], turns=2, images_a_turn=2)
    benchmark_program.print_steps(rows, "answer")
    out = capsys.readouterr().out
    assert len(rows) == 4 and all(row["ms"] > 0 and row["ratio"] == sorted(row["ratio"]) for row in rows)
    assert "One answer, forward alone, of MNISTCNN on digits" in out and "goals" not in out


def test_stages_are_timed_beside_their_floor(few_digits, monkeypatch, capsys):
    monkeypatch.setattr(benchmark_stages, "matrix_rate", lambda: 1e9)
    monkeypatch.setattr(benchmark_stages, "copy_rate", lambda size: 1e9)
    rows = benchmark_stages.measure(few_digits, batch_size=2, steps=3)
    by_name = {(row["stage"], row["way"]): row for row in rows}
    out, x = 2 * 16 * 26 * 26, 2 * 28 * 28
    assert by_name["conv1", "forward"]["floor_ms"] == pytest.approx(1e-6 * (9 * out + 4 * (x + out)))
    assert by_name["conv1", "backward"]["floor_ms"] == pytest.approx(1e-6 * (9 * out + 4 * (x + out)))
    assert by_name["relu1", "backward"]["floor_ms"] == pytest.approx(1e-6 * 4 * 3 * out)
    assert all(row["ms"] > 0 for row in rows)
    benchmark_program.print_stages([*rows, *benchmark.totals(rows)])
    *_, last = capsys.readouterr().out.splitlines()
    assert last.split()[:2] == ["2", "all"] and float(last.split()[-1]) > 0


@pytest.mark.parametrize("limited", [True, False])
def test_numpy_trains_on_one_thread(limited, monkeypatch):
    seen = []
    monkeypatch.setattr(tn, "train_epoch", lambda *_: seen.append(blas_threads()))
    monkeypatch.setattr(tn, "evaluate", lambda *_: seen.append(blas_threads()))
    if not limited:  # what the test says of a backend that has forgotten it
        monkeypatch.setattr(training.threadpool_limits, "wrap", lambda **_: lambda function: function)
    backend = training.backend_of(start("MLP", "numpy", 0))
    with threadpool_limits(2, user_api="blas"):
        backend.train_epoch()
        backend.evaluate()
        assert blas_threads() == 2
    assert seen == ([1, 1] if limited else [2, 2])


def blas_threads():
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


def test_multiply_adds_are_those_of_the_chapters_shapes():
    first, second, dense = 26 * 26 * 16 * 9, 11 * 11 * 32 * 9 * 16, 800 * 10
    assert benchmark_steps.multiply_adds_an_image() == 2 * first + 3 * second + 3 * dense


def test_the_epoch_benchmark_compares_with_the_chapters_loop(few_digits, tmp_path, capsys):
    path = tmp_path / "speed.json"
    arguments = f"--only epoch --dataset digits --epochs 2 --json {path}"
    assert benchmark_program.main(arguments.split()) == 0
    out, rows = capsys.readouterr().out, json.loads(path.read_text())["epoch"]
    assert [row["ratio"] for row in rows][-1] == [1, 1, 1] and all(row["side"] in out for row in rows)
