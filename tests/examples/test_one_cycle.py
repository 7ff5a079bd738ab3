"""train_mnist under the one-cycle schedule: both sides, resumed bit for bit; the speedrun."""

import json

import numpy as np
import pytest
import torch

from examples import speedrun as program
from examples import train_mnist
from examples.common import training
from examples.experiments import speedrun
from examples.experiments.speedrun import PEAK, Epoch, reached

SMOOTHED = ", smoothed labels"
BACKENDS = pytest.mark.parametrize("backend", ["numpy", "torch"])


def flags(folder, backend, *more):
    words = f"--dataset digits --device cpu --quiet --schedule one-cycle --backend {backend}"
    return [*words.split(), "--output-dir", str(folder), *map(str, more)]


def log(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def stopped_after(epochs, folder, backend, monkeypatch):
    """A run of three epochs that ends as the next one begins."""
    begun, name = [], "tn" if backend == "numpy" else "tt"
    train_epoch = getattr(training, name).train_epoch

    def stop(*arguments):
        begun.append(1)
        if len(begun) > epochs:
            raise KeyboardInterrupt
        return train_epoch(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(getattr(training, name), "train_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            train_mnist.main(flags(folder, backend, "--epochs", 3))


def test_both_sides_go_the_same_way(few_digits, tmp_path):
    for backend in ("numpy", "torch"):
        train_mnist.main(flags(tmp_path / backend, backend, "--epochs", 2, "--lr", 0.003))
    for row, twin in zip(log(tmp_path / "numpy"), log(tmp_path / "torch"), strict=True):
        assert row["train_loss"] == pytest.approx(twin["train_loss"], rel=1e-4)
        assert (row["schedule"], row["lr"]) == ("one-cycle over 2 epochs, smoothed labels", 0.003)


@BACKENDS
@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_that_was_stopped_is_resumed_bit_for_bit(backend, epochs, few_digits, tmp_path, monkeypatch):
    train_mnist.main(flags(tmp_path / "whole", backend, "--epochs", 3))
    stopped_after(epochs, tmp_path / "stopped", backend, monkeypatch)
    assert len(log(tmp_path / "stopped")) == epochs
    train_mnist.main(flags(tmp_path / "stopped", backend, "--epochs", 3, "--resume"))
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")
    assert log(tmp_path / "stopped") == log(tmp_path / "whole")
    before = weights(tmp_path / "whole")
    train_mnist.main(flags(tmp_path / "whole", backend, "--epochs", 3, "--resume"))  # nothing is left to do
    assert weights(tmp_path / "whole") == before


@BACKENDS
def test_a_schedule_that_begins_anew_is_seen(backend, few_digits, tmp_path, monkeypatch):
    """What the test above would say of a resumed run that has forgotten how far it is."""
    train_mnist.main(flags(tmp_path / "whole", backend, "--epochs", 3))
    stopped_after(1, tmp_path / "stopped", backend, monkeypatch)
    theirs, ours = training.torch_one_cycle, training.tn.OneCycle.lr
    monkeypatch.setattr(training, "torch_one_cycle", lambda *run, done: theirs(*run, done=0))
    monkeypatch.setattr(training.tn.OneCycle, "lr", lambda self, step: ours(self, step % 3))
    train_mnist.main(flags(tmp_path / "stopped", backend, "--epochs", 3, "--resume"))
    assert weights(tmp_path / "stopped") != weights(tmp_path / "whole")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--schedule cosine", "argument --schedule: invalid choice: 'cosine'"),
        ("--schedule one-cycle --lr 0", "argument --lr: is '0', expected a number > 0"),
        (
            "--schedule one-cycle --epochs 1 --batch-size 1000",
            "--schedule one-cycle has 2 steps to go up and down in, expected at least 4",
        ),
    ],
)
def test_a_bad_argument_is_one_line(more, said, tmp_path, capsys):
    words = ["--dataset", "digits", "--output-dir", str(tmp_path / "run"), *more.split()]
    with pytest.raises(SystemExit) as ended:
        train_mnist.main(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and line.startswith(f"error: {said}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "had", "now"),
    [
        (["--epochs", "3"], f"one-cycle over 2 epochs{SMOOTHED}", f"one-cycle over 3 epochs{SMOOTHED}"),
        (
            ["--epochs", "2", "--schedule", "constant", "--lr", PEAK],
            f"one-cycle over 2 epochs{SMOOTHED}",
            "constant",
        ),
    ],
)
def test_a_run_is_not_resumed_under_another_schedule(more, had, now, few_digits, tmp_path, capsys):
    train_mnist.main(flags(tmp_path, "numpy", "--epochs", 2))
    with pytest.raises(SystemExit):
        train_mnist.main(flags(tmp_path, "numpy", *more, "--resume"))
    assert capsys.readouterr().err.endswith(f"is of a run with schedule {had}, and not {now}\n")


def test_a_checkpoint_that_names_no_schedule_is_of_the_constant_rate(few_digits, tmp_path, monkeypatch):
    words = f"--dataset digits --backend numpy --quiet --output-dir {tmp_path} --epochs".split()
    dumps = json.dumps

    def as_before(value, **options):
        if "recipe" in value:
            value = value | {"recipe": {k: v for k, v in value["recipe"].items() if k != "schedule"}}
        return dumps(value, **options)

    monkeypatch.setattr("examples.common.checkpoint.json.dumps", as_before)
    train_mnist.main([*words, "1"])
    monkeypatch.undo()
    assert train_mnist.main([*words, "2", "--resume"]) == 0


def test_without_epochs_there_is_nothing_to_schedule(few_digits, tmp_path):
    assert train_mnist.main(flags(tmp_path, "numpy", "--epochs", 0)) == 0


def test_the_target_is_reached_by_the_first_test_at_or_above_it():
    run = [Epoch(1, 2.0, 98.7), Epoch(2, 4.0, 98.75), Epoch(3, 6.0, 99.0)]
    assert reached(iter(run), 98.75) == (True, run[1])
    assert reached(iter(run), 99.0) == (True, run[2])
    assert reached(iter(run), 99.01) == (False, run[2])


def test_what_is_held_back_is_training_images_and_no_test_image(few_digits):
    chosen = speedrun.held_back(few_digits)
    assert len(chosen.train_images) == 108 and len(chosen.test_images) == 22
    for part in ("images", "labels"):
        halves = getattr(chosen, f"train_{part}"), getattr(chosen, f"test_{part}")
        np.testing.assert_array_equal(np.concatenate(halves), getattr(few_digits, f"train_{part}"))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_speedrun_trains_as_train_mnist_does(backend, few_digits, tmp_path):
    train_mnist.main(flags(tmp_path, backend, "--epochs", 2, "--seed", 4))
    run = list(speedrun.one_cycle(few_digits, backend, "cpu", seed=4, epochs=2))
    assert [epoch.accuracy for epoch in run] == [row["test_accuracy"] for row in log(tmp_path)]
    assert 0 < run[0].seconds < run[1].seconds and [epoch.number for epoch in run] == [1, 2]


def test_the_speedrun_prints_every_side_for_both_targets(few_digits, monkeypatch, capsys):
    monkeypatch.setattr(speedrun, "TARGETS", {5.0: 2, 100.0: 2})
    assert program.main(["--dataset", "digits", "--epochs", "3", "--seeds", "2"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if " %  " in line]
    assert len(rows) == 2 * 3 * 2 and len([row for row in rows if "the chapter's loop" in row]) == 4
    assert not any("not reached" in row for row in rows[:6])
    assert all(row.endswith("not reached") for row in rows[6:])


def test_peaks_are_compared_on_what_is_held_back(few_digits, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(
        speedrun, "one_cycle", lambda dataset, *run: seen.append(dataset) or [Epoch(1, 1.0, 100 * run[-1])]
    )
    words = ["--dataset", "digits", "--peaks", "0.5", "0.25", "--seeds", "2"]
    assert program.main(words) == 0
    assert "1    0.5  50.000 % (50.00 to 50.00)" in capsys.readouterr().out
    assert len(seen) == 8 and {len(dataset.test_images) for dataset in seen} == {22}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--peaks 0", "argument --peaks: is '0', expected a number > 0"),
        ("--only jax", "argument --only: invalid choice: 'jax'"),
        ("--only cuda", "--only cuda requested but not available"),
    ],
)
def test_the_speedrun_refuses_in_one_line(words, said, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        program.main(words.split())
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and line.startswith(f"error: {said}")
