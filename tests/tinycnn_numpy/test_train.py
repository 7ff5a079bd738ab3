"""One loop on each side: equal losses, images weighted and not batches, what can be learnt is learnt."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

import tinycnn_numpy as tn
import tinycnn_torch as tt
from parity import copy_weights


def lines(count, rng):
    labels = rng.integers(2, size=count)
    images = 0.3 * rng.standard_normal((count, 1, 8, 8))
    for image, label in zip(images, labels, strict=True):
        image[0, 3, :] += label
        image[0, :, 3] += 1 - label
    return images, labels


def test_both_loops_go_the_same_way_and_learn():
    rng = np.random.default_rng(0)
    images, labels = lines(50, rng)
    model, module = tn.TinyCNN(rng=rng, dtype=np.float64), tt.TinyCNN().double()
    copy_weights(model, module)
    ours, theirs = tn.Adam(model.parameters(), 0.01), torch.optim.Adam(module.parameters(), 0.01)
    tensors = torch.from_numpy(images), torch.from_numpy(labels)
    assert tn.evaluate(model, images, labels) == tt.evaluate(module, *tensors)
    for _ in range(20):
        batches = np.split(rng.permutation(50), [16, 32, 48])  # the last batch has 2
        loss = tn.train_epoch(model, tn.CrossEntropyLoss(), ours, images, labels, batches)
        torch_batches = [torch.from_numpy(batch) for batch in batches]
        assert loss == pytest.approx(
            tt.train_epoch(module, nn.CrossEntropyLoss(), theirs, *tensors, torch_batches), rel=1e-11
        )
    assert loss < 0.1 and tn.evaluate(model, images, labels) == tt.evaluate(module, *tensors) == 100


def test_the_epoch_loss_weights_images_and_not_batches():
    rng = np.random.default_rng(0)
    images, labels = lines(5, rng)
    model = tn.TinyCNN(rng=rng, dtype=np.float64)
    standing_still = tn.SGD(model.parameters(), lr=0.0)
    loss = tn.train_epoch(
        model, tn.CrossEntropyLoss(), standing_still, images, labels, np.split(np.arange(5), [4])
    )
    assert loss == pytest.approx(tn.CrossEntropyLoss()(model(images), labels))


def test_evaluate_counts_every_batch():
    model = tn.Sequential(flatten=tn.Flatten())
    images, labels = np.eye(10)[:7].reshape(7, 10, 1, 1), np.array([0, 1, 2, 3, 4, 5, 0])
    assert tn.evaluate(model, images, labels, batch_size=3) == pytest.approx(100 * 6 / 7)
    module = nn.Sequential(nn.Flatten())
    assert tt.evaluate(module, torch.from_numpy(images), torch.from_numpy(labels), 3) == pytest.approx(
        100 * 6 / 7
    )


@pytest.mark.parametrize("before", [True, False])
def test_evaluate_runs_in_evaluation_and_restores_the_mode(before):
    """Channel 0 is the larger; in training it becomes 0 and 0, channel 1 becomes -1 and 1: 50 %."""
    images, labels = np.array([[5.0, 3], [5, 4]]).reshape(2, 2, 1, 1), np.array([0, 0])
    layer = tn.BatchNorm2D(2, dtype=np.float64)
    model = tn.Sequential(bn=layer, flatten=tn.Flatten()).train(before)
    module = nn.Sequential(nn.BatchNorm2d(2).double(), nn.Flatten()).train(before)
    assert tn.evaluate(model, images, labels) == 100
    assert tt.evaluate(module, torch.from_numpy(images), torch.from_numpy(labels)) == 100
    assert model.training == layer.training == module.training == module[0].training == before
    assert layer.num_batches_tracked == module[0].num_batches_tracked == 0


def test_without_gradients_nothing_is_kept():
    layer, x = tn.ReLU(), np.ones((1, 2), np.float32)
    out = layer(x)
    with pytest.raises(ArithmeticError), tn.no_grad():
        assert np.array_equal(layer(x), out)
        with pytest.raises(RuntimeError, match=r"ReLU: .* forward ran under no_grad"):
            layer.backward(out)  # not the gradient of the call before
        raise ArithmeticError
    layer(x)
    assert np.array_equal(layer.backward(out), out)


def test_evaluate_leaves_no_cache():
    model = tn.Sequential(relu=tn.ReLU(), flatten=tn.Flatten())
    images = np.ones((3, 2, 1, 1), np.float32)
    model(images)
    assert "cache" in vars(model.relu)
    tn.evaluate(model, images, np.zeros(3, int))
    assert "cache" not in vars(model.relu)


class Stumble(tn.Flatten):
    def forward(self, x):
        raise ArithmeticError("stumbled")


class TorchStumble(nn.Flatten):
    def forward(self, x):
        raise ArithmeticError("stumbled")


def models_with_a_frozen_stage(last, torch_last):
    """A model of either side in training, whose stage bn alone is in evaluation, and all its layers."""
    frozen = tn.BatchNorm2D(2, dtype=np.float64).eval()
    inner = tn.Sequential(bn=frozen, relu=tn.ReLU())
    model = tn.DataParallel(tn.Sequential(inner=inner, last=last), 0, 1, lambda array: None)
    module = nn.Sequential(nn.Sequential(nn.BatchNorm2d(2).double(), nn.ReLU()), torch_last)
    module[0][0].eval()
    return (model, [model, model.model, inner, frozen, inner.relu, last]), (module, list(module.modules()))


@pytest.mark.parametrize("stumbles", [False, True])
def test_evaluate_leaves_every_layer_in_the_mode_that_it_had(stumbles):
    lasts = (Stumble(), TorchStumble()) if stumbles else (tn.Flatten(), nn.Flatten())
    images, labels = np.ones((3, 2, 1, 1)), np.zeros(3, int)
    ours, theirs = models_with_a_frozen_stage(*lasts)
    tensors = torch.from_numpy(images), torch.from_numpy(labels)
    for (model, layers), evaluate, data in (
        (ours, tn.evaluate, (images, labels)),
        (theirs, tt.evaluate, tensors),
    ):
        before = [layer.training for layer in layers]
        assert sum(before) == len(layers) - 1  # all but the frozen one
        with pytest.raises(ArithmeticError) if stumbles else nullcontext():
            evaluate(model, *data)
        assert [layer.training for layer in layers] == before


def test_a_model_hands_its_mode_to_every_layer_inside():
    drop = tn.Dropout(0.5, rng=np.random.default_rng(0))
    inner = tn.Sequential(drop=drop)
    model = tn.DataParallel(tn.Sequential(inner=inner), 0, 1, lambda array: None)
    assert model.eval() is model and not any(layer.training for layer in (model, model.model, inner, drop))
    assert model.train() is model and all(layer.training for layer in (model, model.model, inner, drop))


@pytest.mark.parametrize("package", [tn, tt])
def test_no_images_are_refused(package):
    with pytest.raises(ValueError, match="evaluate: images is empty"):
        package.evaluate(None, np.zeros((0, 1, 8, 8)), np.zeros(0, int))


@pytest.mark.parametrize("package", [tn, tt])
def test_no_batches_are_refused(package):
    with pytest.raises(ValueError, match="train_epoch: batches is empty"):
        package.train_epoch(None, None, None, None, None, [])
