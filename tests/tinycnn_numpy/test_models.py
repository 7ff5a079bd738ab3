"""The models: the same stages, names and sizes on both sides, and equal from end to end."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, seeds
from torch import nn

import parity
import tinycnn_numpy as tn
import tinycnn_torch as tt
from parity import assert_parity, check_gradients, copy_weights, is_smooth, smooth_input, twin

MODELS = {
    "TinyCNN": ((1, 8, 8), 2, 114),
    "MNISTCNN": ((1, 28, 28), 10, 12_810),
    "MLP": ((1, 28, 28), 10, 101_770),
}
names = st.sampled_from(list(MODELS))


@pytest.mark.parametrize("name", MODELS)
def test_both_sides_have_the_same_stages_keys_and_parameters(name):
    _, _, count = MODELS[name]
    model, module = getattr(tn, name)(rng=np.random.default_rng(0)), getattr(tt, name)()
    assert list(model.stages) == [stage for stage, _ in module.named_children()]
    ours = {key: array.shape for key, array in model.state_dict().items()}
    assert ours == {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    assert sum(np.prod(shape) for shape in ours.values()) == count
    for stage, torch_stage in zip(model.stages.values(), module.children(), strict=True):
        assert type(torch_stage) is type(twin(stage))


@pytest.mark.parametrize("package", [tn, tt])
def test_count_parameters_returns_their_number_and_prints_nothing(package, capsys):
    model = tn.TinyCNN(rng=np.random.default_rng(0)) if package is tn else tt.TinyCNN()
    assert tn.count_parameters(model) == 114 and capsys.readouterr().out == ""


@given(names, dtypes, seeds, st.integers(1, 3), st.booleans())
def test_every_stage_equals_pytorch(name, dtype, seed, size, through_loss):
    shape, classes, _ = MODELS[name]
    rng = np.random.default_rng(seed)
    model, module = getattr(tn, name)(rng=rng, dtype=dtype), getattr(tt, name)().to(getattr(torch, dtype))
    copy_weights(model, module)
    x = smooth_input(model, (size, *shape), dtype, rng)
    labels = rng.integers(classes, size=size) if through_loss else None
    assert_parity(model, x, module, labels=labels, seed=seed)


@given(names, seeds)
def test_gradients_equal_central_differences(name, seed):
    """On an input that stays clear of every kink by more than the difference's step can move it."""
    shape, _, _ = MODELS[name]
    rng = np.random.default_rng(seed)
    model = getattr(tn, name)(rng=rng, dtype=np.float64)
    x = rng.standard_normal((1, *shape))
    while not is_smooth(model, x, margin=1e10):
        x = rng.standard_normal((1, *shape))
    report = check_gradients(model, x, h=1e-6, seed=seed)
    assert report.ok, report


class TestImageCNN:
    """MNISTCNN's form for other images: not square, several channels, another number of classes."""

    @pytest.mark.parametrize("image", [(3, 13, 22), (2, 10, 10), (1, 31, 11)])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_every_stage_equals_pytorch(self, image, dtype):
        rng = np.random.default_rng(0)
        model = tn.ImageCNN(image, 7, rng=rng, dtype=dtype)
        module = tt.ImageCNN(image, 7).to(getattr(torch, dtype))
        copy_weights(model, module)
        x = smooth_input(model, (3, *image), dtype, rng)
        assert_parity(model, x, module, labels=np.array([6, 0, 6]))
        module.fc.weight.data[6, 0] += 0.1
        assert not parity.compare(model, x, module).ok

    def test_is_mnistcnn_for_its_images(self):
        ours, theirs = (
            model(rng=np.random.default_rng(3)).state_dict()
            for model in (tn.MNISTCNN, lambda rng: tn.ImageCNN((1, 28, 28), 10, rng=rng))
        )
        assert list(ours) == list(theirs) == list(tt.ImageCNN((1, 28, 28), 10).state_dict())
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)

    @pytest.mark.parametrize("image", [(1, 9, 28), (3, 28, 9), (1, 1, 1)])
    def test_of_images_too_small_for_it_is_refused_on_both_sides(self, image):
        message = f"^ImageCNN: image has {image[1]} x {image[2]} pixels, expected at least 10 x 10$"
        with pytest.raises(ValueError, match=message):
            tn.ImageCNN(image, 3, rng=np.random.default_rng(0))
        with pytest.raises(ValueError, match=message):
            tt.ImageCNN(image, 3)


def test_a_model_of_ones_own_is_a_sequence_of_named_stages():
    rng = np.random.default_rng(0)
    model = tn.Sequential(
        conv=tn.Conv2D(3, 5, (3, 2), stride=(2, 1), padding=1, rng=rng),
        pool=tn.AvgPool2D(3, stride=2, padding=1),
        relu=tn.ReLU(),
        flatten=tn.Flatten(),
        fc=tn.Dense(5 * 2 * 4, 7, bias=False, rng=rng),
    )
    assert list(model.state_dict()) == ["conv.weight", "conv.bias", "fc.weight"]
    assert_parity(model, smooth_input(model, (2, 3, 6, 7), np.float32, rng))


def test_backward_weights_finds_the_same_gradients_as_backward():
    rng = np.random.default_rng(0)
    model = tn.MLP(rng=rng)
    dout = model(rng.standard_normal((3, 1, 28, 28), dtype=np.float32))
    model.backward(dout)
    gradients = [parameter.grad for parameter in model.parameters()]
    assert model.backward_weights(dout) is None
    assert all(np.array_equal(g, p.grad) for g, p in zip(gradients, model.parameters(), strict=True))


def test_a_layer_stands_in_one_place_only():
    pool = tn.MaxPool2D(2)
    with pytest.raises(
        ValueError, match=r"Sequential: stages are \['pool1', 'pool2'\], expected .* no layer twice"
    ):
        tn.Sequential(pool1=pool, pool2=pool)
    with pytest.raises(ValueError, match=r"stages are \['block.pool', 'pool'\]"):
        tn.Sequential(block=tn.Sequential(pool=pool), pool=pool)


def test_a_model_has_a_stage():
    with pytest.raises(ValueError, match=r"^Sequential: stages are \[\], expected at least one"):
        tn.Sequential()


def test_an_attribute_that_does_not_exist_is_named():
    model = tn.Sequential(relu=tn.ReLU())
    for layer in (model, model.relu):
        with pytest.raises(AttributeError, match=f"{layer}.* has no attribute 'conv'$"):
            layer.conv  # noqa: B018


def test_a_stage_must_not_be_called_like_a_method():
    with pytest.raises(ValueError, match="Sequential: a stage is called 'forward'"):
        tn.Sequential(forward=tn.ReLU())


def test_a_model_inside_a_model_is_compared_layer_by_layer():
    rng = np.random.default_rng(0)
    block = tn.Sequential(conv=tn.Conv2D(3, 2, 3, rng=rng), relu=tn.ReLU())
    model = tn.Sequential(block=block, flatten=tn.Flatten())
    report = assert_parity(model, smooth_input(model, (2, 3, 5, 4), np.float32, rng))
    assert [row.stage for row in report.rows[:3]] == ["block.conv", "block.relu", "flatten"]


class TestStateDict:
    def test_is_a_copy(self):
        model = tn.TinyCNN(rng=np.random.default_rng(0))
        model.state_dict()["conv.bias"][...] = 9
        assert not (model.conv.bias == 9).any()

    def test_names_everything_that_does_not_fit_and_loads_nothing(self):
        model = tn.TinyCNN(rng=np.random.default_rng(0))
        before = model.state_dict()
        state = {**before, "conv.weight": np.ones((4, 1, 3, 2)), "fc.w": np.ones(2), "conv.bias": np.ones(4)}
        del state["fc.bias"]
        with pytest.raises(ValueError) as error:
            model.load_state_dict(state)
        assert str(error.value) == (
            "TinyCNN: cannot load this state: missing fc.bias; unexpected fc.w; "
            "conv.weight has shape (4, 1, 3, 2), expected (4, 1, 3, 3)"
        )
        assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_a_layer_and_a_model_show_what_they_are_made_of():
    rng = np.random.default_rng(0)
    conv, pool = tn.Conv2D(1, 4, 3, padding=(1, 0), bias=False, rng=rng), tn.MaxPool2D(2)
    settings = "kernel_size=(3, 3), stride=(1, 1), padding=(1, 0), bias=False"
    assert repr(conv) == f"Conv2D(in_channels=1, out_channels=4, {settings})"
    assert repr(tn.ReLU()) == "ReLU()" and repr(tn.Dropout(0.25, rng=rng)) == "Dropout(p=0.25)"
    inner = tn.Sequential(conv, tn.ReLU())
    assert repr(tn.Sequential(body=inner, pool=pool)).splitlines() == [
        "Sequential(",
        "  (body): Sequential(",
        f"    (0): {conv!r}",
        "    (1): ReLU()",
        "  )",
        f"  (pool): {pool!r}",
        ")",
    ]


def test_stages_without_names_are_numbered_as_in_pytorch():
    rng = np.random.default_rng(0)
    model = tn.Sequential(tn.Conv2D(2, 3, (2, 3), rng=rng), tn.Flatten(), tn.Dense(3 * 4 * 3, 5, rng=rng))
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert_parity(model, rng.standard_normal((2, 2, 5, 5)).astype(np.float32))


class TestFromTorch:
    @pytest.mark.parametrize("named", [True, False])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_equals_its_origin(self, named, dtype):
        stages = {
            "conv": nn.Conv2d(2, 3, (2, 3), stride=(1, 2), padding=(1, 0), bias=False),
            "bn": nn.BatchNorm2d(3, eps=0.01, momentum=0.3),
            "relu": nn.ReLU(),
            "inner": nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.AvgPool2d((1, 2))),
            "flatten": nn.Flatten(),
            "fc": nn.Linear(9, 4),
        }
        module = (nn.Sequential(OrderedDict(stages)) if named else nn.Sequential(*stages.values())).to(dtype)
        rng = np.random.default_rng(0)
        model = parity.from_torch(module)
        x = rng.standard_normal((3, 2, 4, 9)).astype(str(dtype).removeprefix("torch."))
        assert list(model.state_dict()) == list(module.state_dict())
        assert_parity(model, x, module)
        model.stages["fc" if named else "5"].weight[0, 0] += 1
        assert not parity.compare(model, x, module).ok

    def test_evaluation_and_frozen_stages_come_along(self):
        module = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.3))
        module[0].eval()
        model = parity.from_torch(module)
        assert [layer.training for layer in model.modules()] == [True, False, True]
        assert model.stages["1"].p == 0.3

    @pytest.mark.parametrize(
        ("module", "message"),
        [
            (nn.Conv2d(2, 4, 3, dilation=2), r"Conv2d has dilation=\(2, 2\), which tinycnn_numpy.Conv2D"),
            (nn.Conv2d(2, 4, 3, groups=2), "groups=2"),
            (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode=True"),
            (nn.AvgPool2d(2, count_include_pad=False), "count_include_pad=False"),
            (nn.BatchNorm2d(2, affine=False), "affine=False"),
            (nn.Flatten(0), "start_dim=0"),
            (nn.Sequential(nn.ReLU(), nn.Tanh()), "Tanh has no NumPy twin"),
        ],
    )
    def test_what_numpy_does_not_have_is_named(self, module, message):
        with pytest.raises(ValueError, match=message):
            parity.from_torch(module)
