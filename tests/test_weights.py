"""Weights that cross, in memory and through files."""

from hashlib import sha256

import numpy as np
import pytest
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
