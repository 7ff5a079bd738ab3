"""Weights that cross, in memory and through files."""

import copy
from hashlib import sha256

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file as torch_load_file
from safetensors.torch import save_file as torch_save_file

import parity
import tinycnn_numpy as tn
import tinycnn_torch as tt

MODELS = ["TinyCNN", "MNISTCNN", "MLP"]


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back_changes_nothing(name):
    model, module = getattr(tn, name)(rng=np.random.default_rng(0)), getattr(tt, name)()
    before = model.state_dict()
    parity.copy_weights(model, module)
    model.load_state_dict({key: np.zeros_like(array) for key, array in before.items()})
    parity.copy_weights(module, model)
    assert same(model.state_dict(), before)


@pytest.mark.parametrize("name", MODELS)
def test_both_sides_write_the_same_bytes_and_read_each_other(name, tmp_path):
    model, module = getattr(tn, name)(rng=np.random.default_rng(0)), getattr(tt, name)()
    parity.copy_weights(model, module)
    parity.save_weights(model, tmp_path / "numpy")
    parity.save_weights(module, tmp_path / "torch")
    torch_save_file(module.state_dict(), tmp_path / "torch_alone")
    digests = {sha256((tmp_path / n).read_bytes()).digest() for n in ("numpy", "torch", "torch_alone")}
    assert len(digests) == 1
    module.load_state_dict(torch_load_file(tmp_path / "numpy"))
    other = getattr(tn, name)(rng=np.random.default_rng(1))
    parity.load_weights(other, tmp_path / "torch")
    assert same(other.state_dict(), model.state_dict())


@pytest.mark.parametrize("target", [tt.MLP(), tn.MLP(rng=np.random.default_rng(0))])
def test_what_does_not_fit_is_named_and_nothing_is_loaded(target):
    before = parity.numpy_state(target)
    with pytest.raises(ValueError, match=r"MLP: cannot load .*missing fc1.weight.*unexpected conv.weight"):
        parity.copy_weights(tn.TinyCNN(rng=np.random.default_rng(0)), target)
    assert same(parity.numpy_state(target), before)


def test_what_a_file_is_about_can_be_written_into_it(tmp_path):
    parity.save_weights(tn.MLP(rng=np.random.default_rng(0)), tmp_path / "mlp", {"epochs": "3"})
    with safe_open(tmp_path / "mlp", "numpy") as file:
        assert file.metadata() == {"epochs": "3"}


def steps(module, optimizer, count):
    for _ in range(count):
        for parameter in module.parameters():
            parameter.grad = parameter.detach() ** 2 - 1
        optimizer.step()


@pytest.mark.parametrize(
    ("cls", "settings", "names"),
    [
        (torch.optim.Adam, {"lr": 0.1}, {"exp_avg", "exp_avg_sq", "step"}),
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.5}, {"momentum_buffer"}),
        (torch.optim.SGD, {"lr": 0.1}, set()),
    ],
)
def test_a_pytorch_optimiser_goes_on_from_numpy_arrays(cls, settings, names):
    """Its memory lies as its parameters lie, here not as NumPy's would."""
    module = torch.nn.Conv2d(2, 3, (3, 2)).to(memory_format=torch.channels_last)
    optimizer = cls(module.parameters(), **settings)
    steps(module, optimizer, 2)
    weights, state = copy.deepcopy(module.state_dict()), parity.numpy_state(optimizer)
    assert state.keys() == {f"{name}.{i}" for name in names for i in (0, 1)}
    steps(module, optimizer, 2)
    wanted, state_wanted = parity.numpy_state(module), parity.numpy_state(optimizer)
    module.load_state_dict(weights)
    other = cls(module.parameters(), **settings)
    parity.load_optimizer_state(other, state)
    for memory in other.state[module.weight].values():
        assert memory is None or memory.ndim == 0 or memory.stride() == module.weight.stride()
    steps(module, other, 2)
    assert same(parity.numpy_state(module), wanted) and same(parity.numpy_state(other), state_wanted)


def test_a_numpy_optimiser_goes_on_from_its_own_arrays():
    layers = [tn.Dense(2, 3, rng=np.random.default_rng(0)) for _ in range(2)]
    first, second = (tn.Adam(layer.parameters()) for layer in layers)
    layers[0].dweight, layers[0].dbias = np.ones((3, 2), np.float32), np.ones(3, np.float32)
    first.step()
    parity.load_optimizer_state(second, parity.numpy_state(first))
    assert same(parity.numpy_state(second), parity.numpy_state(first)) and second.steps == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("exp_avg.1"), "Adam: cannot load this state: missing exp_avg.1"),
        (
            lambda s: [s.pop(name) for name in list(s) if name.endswith(".0")],
            "missing step.0; missing exp_avg.0",
        ),
        (lambda s: s.update({"exp_avg.7": s["exp_avg.1"]}), "unexpected exp_avg.7"),
        (lambda s: s.update({"momentum": np.ones(1)}), "unexpected momentum"),
        (
            lambda s: s.update({"exp_avg.0": np.ones(())}),
            r"exp_avg.0 has shape \(\), expected \(3, 2, 3, 2\)",
        ),
        (lambda s: s.update({"step.0": np.ones(3, "f")}), r"step.0 has shape \(3,\), expected \(\)"),
        (
            lambda s: s.update({"exp_avg.1": np.ones(3, complex)}),
            "exp_avg.1 has dtype complex128, expected float32",
        ),
    ],
)
def test_what_does_not_fit_a_pytorch_optimiser_is_named_and_nothing_is_loaded(change, said):
    module = torch.nn.Conv2d(2, 3, (3, 2))
    optimizer = torch.optim.Adam(module.parameters())
    steps(module, optimizer, 1)
    state = parity.numpy_state(optimizer)
    change(state)
    other = torch.optim.Adam(module.parameters())
    weights = copy.deepcopy(module.state_dict())
    with pytest.raises(ValueError, match=said) as error:
        parity.load_optimizer_state(other, state)
    assert "\n" not in str(error.value) and not other.state
    assert all(torch.equal(weights[name], tensor) for name, tensor in module.state_dict().items())


def test_a_new_pytorch_optimiser_has_an_empty_state_which_can_be_loaded():
    optimizer = torch.optim.Adam(torch.nn.Linear(2, 3).parameters())
    assert parity.numpy_state(optimizer) == {}
    parity.load_optimizer_state(optimizer, {})
    assert parity.numpy_state(optimizer) == {}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.float8_e5m2])
def test_weights_of_another_precision_are_read_as_the_numbers_that_they_are(dtype, tmp_path):
    module = tt.MLP().to(dtype)
    torch_save_file(module.state_dict(), tmp_path / "weights")
    for model in (tn.MLP(rng=np.random.default_rng(0)), tt.MLP()):
        parity.load_weights(model, tmp_path / "weights")
        for name, array in parity.numpy_state(model).items():
            assert np.array_equal(array, module.state_dict()[name].float().numpy())
