"""Feature maps: the same from both sides, the right ones, and what the program says and draws."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch.nn import functional as F  # noqa: N812  # its usual name

import tinycnn_numpy as tn
from examples import features as features_program
from examples.common.models import start
from examples.experiments import features
from parity import save_weights


@pytest.fixture
def no_pictures(monkeypatch):
    """They take longer than all the rest, and one test draws them."""
    monkeypatch.setattr(features, "image_grid", lambda *given, **named: None)
    monkeypatch.setattr("examples.common.figures.save", lambda figure, path: None)


@pytest.fixture
def sides():
    return features.both_in_float64(start("MNISTCNN", "numpy", 3))


@pytest.fixture
def images():
    return np.random.default_rng(0).standard_normal((2, 1, 28, 28))


def test_both_sides_give_the_same_maps_of_every_stage(sides, images):
    ours, theirs = (features.feature_maps(side, images[0]) for side in sides)
    assert list(ours) == ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "fc"]
    assert ours["relu1"].shape == (16, 26, 26) and ours["relu2"].shape == (32, 11, 11)
    assert all(array.dtype == np.float64 for maps in (ours, theirs) for array in maps.values())
    assert features.largest_difference(ours, theirs) < 1e-12


def test_maps_are_those_of_the_chapters_own_code(sides, images):
    module = sides[1]
    with torch.no_grad():
        first = F.relu(module.conv1(torch.from_numpy(images[:1])))
        second = F.relu(module.conv2(F.max_pool2d(first, 2)))
    maps = features.feature_maps(sides[0], images[0])
    np.testing.assert_allclose(maps["relu1"], first[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(maps["relu2"], second[0], rtol=1e-12, atol=1e-12)


def test_wrong_maps_are_seen(sides, images):
    right, other = (features.feature_maps(sides[0], image) for image in images)
    before_relu = right | {"relu1": right["conv1"]}
    turned = right | {"relu2": right["relu2"][:, ::-1]}
    missing = {name: array for name, array in right.items() if name != "fc"}
    for wrong in (other, before_relu, turned, missing, right | {"relu1": other["relu1"]}):
        assert features.largest_difference(wrong, right) > 1e-3


def test_a_given_model_is_read_drawn_and_named(few_digits, tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    save_weights(start("MNISTCNN", "numpy", 1), path, {"dataset": "mnist"})
    assert (
        features_program.main(f"--dataset digits --digit 7 --model {path} --output-dir {tmp_path}".split())
        == 0
    )
    out = capsys.readouterr().out
    assert "conv1: 16 filters of 3 x 3, stored as (16, 1, 3, 3), weights from " in out
    label = few_digits.test_labels[7]
    assert f"test image 7 of digits: a {label}, the network (of mnist) says" in out
    assert "train loss" not in out
    for name in ("filters", "maps1", "maps2"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_without_a_model_one_is_trained(backend, few_digits, no_pictures, capsys):
    assert features_program.main(f"--dataset digits --epochs 1 --backend {backend}".split()) == 0
    out = capsys.readouterr().out
    assert "digits: epoch 1/1, train loss" in out and "the network (of digits) says" in out


def test_the_range_is_that_of_the_filters(few_digits, no_pictures, tmp_path, capsys):
    model = start("MNISTCNN", "numpy", 1)
    model.conv1.weight[0, 0, 0, 0], model.conv1.weight[5, 0, 2, 1] = -0.702, 0.59
    path = tmp_path / "model.safetensors"
    save_weights(model, path)
    features_program.main(f"--dataset digits --model {path}".split())
    out = capsys.readouterr().out
    assert "weights from -0.702 to 0.590" in out and "(of an unnamed data set)" in out


def error_of(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        features_program.main(arguments.split())
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ") and text.count("\n") == 1
    return text


def test_errors_are_one_line(few_digits, tmp_path, capsys):
    good = tmp_path / "good.safetensors"
    save_weights(start("MNISTCNN", "numpy", 1), good)
    assert "are 0 to 359" in error_of(f"--dataset digits --model {good} --digit 360", capsys)
    assert "cannot be read: No such file" in error_of(f"--model {tmp_path / 'none'}", capsys)
    assert "cannot be read" in error_of(f"--model {tmp_path}", capsys)
    text, other, broken, nan = (tmp_path / name for name in ("text", "other", "broken", "nan"))
    text.write_text("no weights")
    save_file(tn.TinyCNN(rng=np.random.default_rng(0)).state_dict(), other)
    broken.write_bytes(good.read_bytes()[:-5])
    state = start("MNISTCNN", "numpy", 1).state_dict()
    state["fc.bias"][2] = np.nan
    save_file(state, nan)
    for path in (text, other, broken):
        assert "is no MNISTCNN of train_mnist" in error_of(f"--model {path}", capsys)
    assert "not finite" in error_of(f"--model {nan}", capsys)
    not_a_folder = good / "inside"
    assert "cannot be written" in error_of(
        f"--dataset digits --model {good} --output-dir {not_a_folder}", capsys
    )
