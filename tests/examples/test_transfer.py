"""A head that is replaced and a body that stays; few images of each class; an honest conclusion."""

import numpy as np
import pytest
import torch

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples import transfer as transfer_program
from examples.common import data
from examples.common.models import start
from examples.experiments import transfer
from parity import copy_weights, numpy_state


@pytest.fixture(scope="module")
def digits():
    return data.load_digits()


def changed(before, after):
    return {name for name in after if not np.array_equal(before[name], after[name])}


def test_a_replaced_head_learns_and_the_body_stays(digits):
    target = transfer.few_of_each(transfer.some_classes(digits, 5, 9), 4, np.random.default_rng(0))
    model = transfer.with_new_head(start("MNISTCNN", "torch", 0), 0)
    before = numpy_state(model)
    transfer.fit(model, target, 0, steps=3)
    assert changed(before, numpy_state(model)) == {"fc.weight", "fc.bias"}
    model.requires_grad_(True)  # and a body that is not frozen is seen to move
    transfer.fit(model, target, 0, steps=3)
    assert changed(before, numpy_state(model)) == set(before)


def test_a_head_is_replaced_alike_on_both_sides(digits):
    few = transfer.few_of_each(transfer.some_classes(digits, 5, 9), 6, np.random.default_rng(0))
    model, module = start("MNISTCNN", "numpy", 2), start("MNISTCNN", "torch", 2)
    first = numpy_state(model)
    optimizer = transfer.replace_head_by_hand(model, 5, np.random.default_rng(0))
    transfer.replace_head(module, 5)
    copy_weights(model.fc, module.fc)
    adam = torch.optim.Adam(module.fc.parameters())
    batch = np.arange(len(few.train_labels))
    arrays = few.train_images, few.train_labels
    ours = tn.train_epoch(model, tn.CrossEntropyLoss(), optimizer, *arrays, [batch] * 5)
    tensors = [torch.from_numpy(array) for array in arrays]
    batches = [torch.from_numpy(batch)] * 5
    theirs = tt.train_epoch(module, torch.nn.CrossEntropyLoss(), adam, *tensors, batches)
    assert ours == pytest.approx(theirs, rel=1e-4)
    states = numpy_state(model), numpy_state(module)
    assert states[0]["fc.weight"].shape == (5, 800)
    for name in states[0]:
        np.testing.assert_allclose(states[0][name], states[1][name], rtol=1e-3, atol=1e-5)
        assert name.startswith("fc") or np.array_equal(states[0][name], first[name])


def test_classes_are_chosen_and_labelled_from_0(digits):
    upper = transfer.some_classes(digits, 5, 9)
    assert set(upper.train_labels) == set(upper.test_labels) == {0, 1, 2, 3, 4}
    where = np.flatnonzero(digits.test_labels >= 5)
    np.testing.assert_array_equal(upper.test_images, digits.test_images[where])
    np.testing.assert_array_equal(upper.test_labels + 5, digits.test_labels[where])
    lower = transfer.some_classes(digits, 0, 4)
    assert len(lower.train_labels) + len(upper.train_labels) == len(digits.train_labels)


def test_few_of_each_class_without_repetition(digits):
    few = transfer.few_of_each(transfer.some_classes(digits, 5, 9), 7, np.random.default_rng(3))
    np.testing.assert_array_equal(np.bincount(few.train_labels), [7] * 5)
    assert len(np.unique(few.train_images.reshape(35, -1), axis=0)) == 35
    whole = transfer.some_classes(digits, 5, 9)
    for image, label in zip(few.train_images, few.train_labels, strict=True):
        same = (whole.train_images == image).all(axis=(1, 2, 3))
        assert label in whole.train_labels[same]
    with pytest.raises(ValueError, match="at most 133"):
        transfer.few_of_each(whole, 134, np.random.default_rng(0))


def test_the_four_ways_start_alike_and_differ_in_what_learns(digits, monkeypatch):
    seen = []

    def look(model, dataset, seed, steps):
        learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        seen.append((numpy_state(model), learns, dataset.train_images))
        return 50.0

    monkeypatch.setattr(transfer, "fit", look)
    body, untrained = (start("MNISTCNN", "torch", seed) for seed in (8, 0))
    found = transfer.transfer_accuracies([body], digits, [3], steps=1)
    assert list(found) == transfer.WAYS and all(values.shape == (1, 1) for values in found.values())
    bodies = [body, body, untrained, untrained]
    whole = {f"{layer}.{kind}" for layer in ("conv1", "conv2", "fc") for kind in ("weight", "bias")}
    head = {"fc.weight", "fc.bias"}
    for (state, learns, images), start_of, expected in zip(
        seen, bodies, [head, whole, whole, head], strict=True
    ):
        weights = numpy_state(start_of)
        assert all(np.array_equal(state[name], weights[name]) for name in whole - head)
        assert learns == expected and np.array_equal(images, seen[0][2])
        assert np.array_equal(state["fc.weight"], seen[0][0]["fc.weight"])


def test_the_verdict_follows_the_numbers():
    scratch, noise = np.array([[50.0, 52, 54], [90, 91, 92]]), np.array([0.1, -0.1, 0])

    def verdict(*gains):
        values = scratch + np.array(gains)[:, None] + noise
        return transfer.verdict({"frozen body": values, "from scratch": scratch}, [1, 10], "frozen body")

    assert verdict(20, 10).startswith("frozen body: helps, +15.0 +-0.2 points, clear alone at 1, 10 (+20.0")
    assert "helps, +10.0 +-0.2 points, clear alone at 1 (" in verdict(20, 0)
    assert "helps, +8.5 +-0.2 points, clear alone at 1 (+20.0 +-0.2; -3.0 +-0.2)" in verdict(20, -3)
    assert "harms, -3.0 +-0.2 points, clear alone at 1, 10 (" in verdict(-3, -3)
    assert "no difference shown, +0.0 +-0.2 points (" in verdict(0, 0)
    assert "no difference shown, +0.0 +-0.2 points (" in verdict(5, -5)


def test_the_program(tmp_path, capsys):
    flags = f"--dataset digits --seeds 2 --sizes 2 1 --body-steps 4 --steps 4 --output-dir {tmp_path}"
    assert transfer_program.main(flags.split()) == 0
    out = capsys.readouterr().out
    assert "\nbody: digits 0 to 4 of digits; new: 5 to 9 of digits;" in out
    assert "model.fc = torch.nn.Linear(800, classes)" in out and 'model.stages["fc"] = tn.Dense(800' in out
    assert "images of a class                  1            2\n" in out
    assert all(f"\n{way}" in out for way in transfer.WAYS)
    assert (tmp_path / "transfer.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match="2"):
        transfer_program.main(["--sizes", "1", "134"])
    assert capsys.readouterr().err.count("\n") == 1
