"""The recipe without the program around it is the program's."""

import json

import numpy as np
import pytest

from examples import train_mnist
from examples.common.models import start
from examples.common.training import train
from parity import numpy_state


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_one_seed_is_one_run_here_and_in_train_mnist(backend, few_digits, tmp_path):
    flags = f"--dataset digits --backend {backend} --device cpu --epochs 2 --seed 5 --quiet"
    train_mnist.main([*flags.split(), "--output-dir", str(tmp_path)])
    written = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    log = train(start("MNISTCNN", backend, 5), few_digits, seed=5, epochs=2)
    assert len(log) == 2
    mistakes = log[-1].pop("wrong")  # train_mnist keeps the accuracy alone
    assert log == [{name: entry[name] for name in log[0]} for entry in written]
    images = len(few_digits.test_images)
    assert log[-1]["test_accuracy"] == pytest.approx(100 * (1 - len(mistakes) / images))
    another = train(start("MNISTCNN", backend, 5), few_digits, seed=6, epochs=2)
    assert another[0]["train_loss"] != log[0]["train_loss"]


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_model_itself_is_trained_and_every_epoch_shown(backend, few_digits):
    model = start("SmallMLP", backend, 0)
    before, shown = numpy_state(model), []
    log = train(model, few_digits, seed=0, epochs=3, each_epoch=lambda entry: shown.append(dict(entry)))
    assert log[-1].pop("wrong") is not None  # of the last epoch, once it has been shown
    assert shown == log and [entry["epoch"] for entry in log] == [1, 2, 3]
    assert all(np.any(before[name] != array) for name, array in numpy_state(model).items())
    assert log[2]["train_loss"] < log[0]["train_loss"]


def test_both_sides_go_the_same_way(few_digits):
    ours, theirs = (train(start("MLP", side, 1), few_digits, seed=1, epochs=2) for side in ("numpy", "torch"))
    for row, torch_row in zip(ours, theirs, strict=True):
        assert row["train_loss"] == pytest.approx(torch_row["train_loss"], rel=1e-4)
        assert row["test_accuracy"] == pytest.approx(torch_row["test_accuracy"], abs=0.6)
