"""BatchNorm2D: PyTorch's numbers in training and evaluation, its state, and what it refuses."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, seeds
from torch import nn

import tinycnn_numpy as tn
from parity import assert_parity, check_gradients, compare, load_numpy_state, lockstep, numpy_state, twin


@st.composite
def batch_norms(draw):
    """A layer with weights and statistics of its own, in training or evaluation, and images for it."""
    rng, dtype = np.random.default_rng(draw(seeds)), draw(dtypes)
    N, C, H, W = (draw(st.integers(1, 5)) for _ in range(4))
    W += N * H * W == 1  # a single number a channel is refused
    eps, momentum = draw(st.sampled_from([1e-5, 1e-3, 0.1])), draw(st.sampled_from([0.1, 0.5, 1.0]))
    layer = tn.BatchNorm2D(C, eps, momentum, dtype=dtype)
    layer.weight[...], layer.bias[...] = rng.standard_normal(C), rng.standard_normal(C)
    layer.running_mean[...], layer.running_var[...] = rng.standard_normal(C), rng.uniform(0.5, 2, C)
    layer.train(draw(st.booleans()))
    x = rng.choice([0, 0, 3]) + 10 ** rng.uniform(-1, 1) * rng.standard_normal((N, C, H, W))
    return layer, x.astype(dtype), rng


@given(batch_norms())
def test_every_tensor_equals_pytorch(case):
    layer, x, rng = case
    report = assert_parity(layer, x, seed=int(rng.integers(2**32)))
    tensors = ["running_mean", "running_var", "out", "dweight", "dbias", "dx"]
    assert [row.tensor for row in report.rows] == tensors


@given(batch_norms())
def test_gradients_equal_central_differences(case):
    layer, x, rng = case
    exact = tn.BatchNorm2D(layer.num_features, eps=0.1, dtype=np.float64).train(layer.training)
    exact.weight[...] = layer.weight
    x = rng.standard_normal(x.shape)
    report = check_gradients(exact, x)
    assert report.ok, report


@given(batch_norms())
def test_in_training_dx_sums_to_0_and_along_x_hat_to_what_eps_leaves(case):
    """Moving all x of a channel changes nothing; scaling them changes the share of eps in the root."""
    layer, x, rng = case
    if layer.training and x.dtype == np.float64:
        dout = rng.standard_normal(x.shape)
        layer(x)
        dx, (x_hat, root, _) = layer.backward(dout), layer.cache
        x_hat, root = x_hat.transpose(3, 2, 0, 1), root[:, 0]
        size = np.abs(layer.weight) / root * np.abs(dout).sum(axis=(0, 2, 3))
        assert (np.abs(dx.sum(axis=(0, 2, 3))) <= 1e-9 * size).all()
        left = layer.weight / root * layer.dweight * layer.eps / root**2
        assert (np.abs((dx * x_hat).sum(axis=(0, 2, 3)) - left) <= 1e-9 * size).all()


def test_by_hand():
    """Two pixels, 1 and 3: mean 2, var 1, x_hat -1 and 1; out = 2 x_hat + 5."""
    layer = tn.BatchNorm2D(1, eps=0.0, dtype=np.float64)
    layer.weight[...], layer.bias[...] = 2, 5
    out = layer(np.array([[[[1.0, 3.0]]]]))
    assert out.tolist() == [[[[3, 7]]]]
    assert (layer.running_mean, layer.running_var) == (pytest.approx(0.2), pytest.approx(0.9 + 0.1 * 2))
    dx = layer.backward(np.array([[[[1.0, 0.0]]]]))
    assert (layer.dbias, layer.dweight) == (1, -1) and dx.tolist() == [[[[0, 0]]]]
    layer.eval()
    assert layer(np.array([[[[0.2, 0.2]]]])).tolist() == [[[[5, 5]]]]


def test_several_forwards_leave_the_running_statistics_of_pytorch():
    rng = np.random.default_rng(0)
    layer, module = tn.BatchNorm2D(3, dtype=np.float64), nn.BatchNorm2d(3).double()
    for _ in range(5):
        x = rng.standard_normal((2, 3, 4, 5)) * 3 + 1
        layer(x), module(torch.from_numpy(x))
    state = numpy_state(module)
    assert list(layer.state_dict()) == list(state) and state["num_batches_tracked"] == 5
    assert all(np.allclose(layer.state_dict()[name], state[name], rtol=1e-12) for name in state)


def test_state_goes_there_and_back_and_no_optimiser_sees_the_statistics():
    layer, module = tn.BatchNorm2D(3), nn.BatchNorm2d(3)
    layer(np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32))
    load_numpy_state(module, layer.state_dict())
    other = tn.BatchNorm2D(3)
    other.load_state_dict(numpy_state(module))
    assert all(np.array_equal(other.state_dict()[name], array) for name, array in layer.state_dict().items())
    assert [parameter.name for parameter in layer.parameters()] == ["weight", "bias"]
    with pytest.raises(ValueError, match="missing running_var"):
        layer.load_state_dict({k: v for k, v in layer.state_dict().items() if k != "running_var"})


def model_of(seed=0):
    rng = np.random.default_rng(seed)
    return tn.Sequential(
        conv=tn.Conv2D(1, 3, (3, 2), rng=rng, dtype=np.float64),
        bn=tn.BatchNorm2D(3, dtype=np.float64),
        relu=tn.ReLU(),
        drop=tn.Dropout(0.3, rng=rng),
        flatten=tn.Flatten(),
        fc=tn.Dense(3 * 6 * 6, 4, rng=rng, dtype=np.float64),
    )


def test_inside_a_model_it_is_right_in_training_and_evaluation():
    x = np.random.default_rng(1).standard_normal((3, 1, 8, 7))
    for model in (model_of().train(), model_of().eval()):
        before = model.state_dict()
        report = assert_parity(model, x, labels=np.array([0, 3, 1]))
        assert {row.stage for row in report.rows} > {"bn", "drop"}
        assert all(np.array_equal(model.state_dict()[name], array) for name, array in before.items())


def test_two_hundred_steps_in_lockstep():
    model, rng = model_of(), np.random.default_rng(2)
    images, labels = rng.standard_normal((40, 1, 8, 7)), rng.integers(4, size=40)
    batches = [rng.integers(40, size=4) for _ in range(200)]
    report = lockstep(model, twin(model), tn.SGD(model.parameters(), 0.01), images, labels, batches)
    assert report.ok, report


def test_a_backward_that_forgets_the_statistics_is_rejected_and_named():
    class Constant(tn.BatchNorm2D):
        def backward(self, dout):
            super().backward(dout)
            return dout * (self.weight / self.cache[1][:, 0])[:, None, None]

    layer = Constant(3, dtype=np.float64)
    report = compare(layer, np.random.default_rng(0).standard_normal((2, 3, 4, 5)))
    assert [(row.tensor) for row in report.mismatches] == ["dx"]
    assert [d.code for d in report.diagnoses] == ["statistics-constant"]


def test_memory_runs_as_that_of_the_other_layers():
    layer = tn.BatchNorm2D(3, dtype=np.float64)
    x = np.random.default_rng(0).standard_normal((4, 5, 3, 2)).transpose(3, 2, 0, 1)  # H, W, C, N in memory
    out = layer(x)
    for array in (out, layer.backward(out)):
        assert array.transpose(2, 3, 1, 0).flags.c_contiguous


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tn.BatchNorm2D(0), "BatchNorm2D: num_features is 0, expected an int >= 1"),
        (lambda: tn.BatchNorm2D(2, eps=-1.0), "BatchNorm2D: eps is -1.0, expected 0 <= eps"),
        (lambda: tn.BatchNorm2D(2, dtype=np.float16), "BatchNorm2D: dtype is float16, expected float32"),
        (
            lambda: tn.BatchNorm2D(2)(np.zeros((1, 3, 2, 2), np.float32)),
            r"BatchNorm2D: x has shape \(1, 3, 2, 2\), expected \(N, 2, H, W\)",
        ),
        (
            lambda: tn.BatchNorm2D(2)(np.zeros((1, 2, 1, 1), np.float32)),
            "BatchNorm2D: x has 1 number a channel, expected more than 1 in training",
        ),
    ],
)
def test_what_it_refuses(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_one_number_a_channel_is_welcome_in_evaluation():
    assert tn.BatchNorm2D(2).eval()(np.zeros((1, 2, 1, 1), np.float32)).shape == (1, 2, 1, 1)


def test_a_setting_that_is_a_numpy_number_does_not_widen():
    layer = tn.BatchNorm2D(2, eps=np.float64(1e-5), momentum=np.float64(0.1))
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 5)).astype(np.float32)
    for mode in (True, False):
        out = layer.train(mode)(x)
        dx = layer.backward(out)
        assert {array.dtype for array in (out, dx, layer.dweight, layer.dbias)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("shape", [(0, 2, 3, 4), (3, 2, 0, 4)])
def test_no_images_leave_the_statistics_as_they_are(shape):
    layer, module = tn.BatchNorm2D(2), nn.BatchNorm2d(2)
    x = np.zeros(shape, np.float32)
    assert layer(x).shape == tuple(module(torch.from_numpy(x)).shape) == layer.backward(x).shape
    state = numpy_state(module)
    assert state["num_batches_tracked"] == 1  # the one difference: PyTorch counts the batch
    state["num_batches_tracked"] = np.array(0)
    assert all(np.array_equal(layer.state_dict()[name], state[name]) for name in state)
    assert layer.dweight.tolist() == layer.dbias.tolist() == [0, 0]


@pytest.mark.parametrize("training", [True, False])
def test_backward_belongs_to_the_forward_before_it_whatever_the_mode_is_now(training):
    rng = np.random.default_rng(0)
    x, dout = rng.standard_normal((2, 4, 3, 5, 2))
    layer, module = tn.BatchNorm2D(3, dtype=np.float64).train(training), nn.BatchNorm2d(3).double()
    layer.weight[...] = rng.standard_normal(3)
    module.weight.data[...] = torch.from_numpy(layer.weight)
    module.train(training)
    leaf = torch.from_numpy(x).requires_grad_()
    out = module(leaf)
    layer.forward(x)
    layer.train(not training)
    module.train(not training)
    out.backward(torch.from_numpy(dout))
    np.testing.assert_allclose(layer.backward(dout), leaf.grad, rtol=0, atol=1e-13)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(1, 2, 1, 2), (1, 3, 1, 5), (3, 2, 4, 5)])
def test_images_in_fortran_order_are_compared_with_the_right_gradients(shape, training):
    """Given the strides of the first x as they are, PyTorch 2.14.1 sums dout over other places."""
    x = np.asfortranarray(np.random.default_rng(0).standard_normal(shape))
    assert_parity(tn.BatchNorm2D(shape[1], dtype=np.float64).train(training), x)
