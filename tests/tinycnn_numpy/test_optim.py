"""Optimisers by hand and against PyTorch, with their state."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, seeds

import tinycnn_numpy as tn
from parity import compare_optimizers
from parity.exact import unit
from parity.exact_optimizer import adam_errors, exact_steps, sgd_errors

rates, decays = st.sampled_from([1e-4, 0.01, 0.3]), st.sampled_from([0.0, 0.01, 0.5])


def one_weight(value=1.0):
    layer = tn.Dense(1, 1, bias=False, rng=np.random.default_rng(0), dtype=np.float64)
    layer.weight[...] = value
    return layer


def step(layer, optimizer, gradient):
    layer.dweight = np.array([[gradient]])
    optimizer.step()
    return layer.weight.item()


def test_sgd_by_hand():
    layer = one_weight()
    optimizer = tn.SGD(layer.parameters(), lr=0.1, momentum=0.5)
    assert step(layer, optimizer, 2.0) == pytest.approx(1 - 0.1 * 2)
    assert step(layer, optimizer, 2.0) == pytest.approx(0.8 - 0.1 * (0.5 * 2 + 2))


def test_nesterov_by_hand():
    layer = one_weight()
    optimizer = tn.SGD(layer.parameters(), lr=0.1, momentum=0.5, nesterov=True)
    assert step(layer, optimizer, 2.0) == pytest.approx(1 - 0.1 * (2 + 0.5 * 2))
    assert step(layer, optimizer, 2.0) == pytest.approx(0.7 - 0.1 * (2 + 0.5 * (0.5 * 2 + 2)))


def test_adam_by_hand():
    """The first step is lr whatever the gradient's size; the second remembers the first."""
    layer = one_weight()
    optimizer = tn.Adam(layer.parameters(), lr=0.1, betas=(0.5, 0.75), eps=0.0)
    assert step(layer, optimizer, 1e-6) == pytest.approx(0.9)
    m_hat, v_hat = (0.25e-6 + 0.5 * 3e-6) / 0.75, (0.1875e-12 + 0.25 * 9e-12) / 0.4375
    assert step(layer, optimizer, 3e-6) == pytest.approx(0.9 - 0.1 * m_hat / math.sqrt(v_hat))


@given(dtypes, seeds, rates, st.sampled_from([0.0, 0.5, 0.9]), st.booleans(), decays)
def test_sgd_equals_pytorch(dtype, seed, lr, momentum, nesterov, decay):
    model = tn.TinyCNN(rng=np.random.default_rng(seed), dtype=dtype)
    optimizer = tn.SGD(model.parameters(), lr, momentum, nesterov and momentum > 0, decay)
    report = compare_optimizers(optimizer, seed=seed)
    assert report.ok, report
    assert len(report.rows) == (8 if momentum else 4)


@given(
    dtypes,
    seeds,
    rates,
    st.sampled_from([(0.9, 0.999), (0.0, 0.5), (0.99, 0.9)]),
    st.sampled_from([1e-8, 1e-3]),
    decays,
)
def test_adam_equals_pytorch(dtype, seed, lr, betas, eps, decay):
    model = tn.TinyCNN(rng=np.random.default_rng(seed), dtype=dtype)
    report = compare_optimizers(tn.Adam(model.parameters(), lr, betas, eps, decay), seed=seed)
    assert report.ok, report
    assert len(report.rows) == 12


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (tn.SGD, torch.optim.SGD, ["momentum", "nesterov", "weight_decay"]),
        (tn.Adam, torch.optim.Adam, ["lr", "betas", "eps", "weight_decay"]),
    ],
)
def test_defaults_are_pytorchs(ours, theirs, names):
    required = {"lr": 0.1} if ours is tn.SGD else {}
    optimizer = ours(one_weight().parameters(), **required)
    defaults = theirs([torch.zeros(1)], **required).defaults
    assert {name: getattr(optimizer, name) for name in names} == {name: defaults[name] for name in names}


def test_settings_may_be_numpys_numbers_and_betas_a_list():
    optimizer = tn.Adam(one_weight().parameters(), lr=np.float32(0.5), betas=[0.5, np.float32(0.25)])
    assert optimizer.lr == 0.5 and optimizer.betas == (0.5, 0.25)


@pytest.mark.parametrize(
    "make", [lambda p: tn.SGD(p, 0.1, 0.9), lambda p: tn.Adam(p, 0.1)], ids=["SGD", "Adam"]
)
def test_a_loaded_state_goes_on_as_if_it_had_never_stopped(make):
    layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
    optimizer = make(layer.parameters())

    def steps(count):
        for _ in range(count):
            layer.dweight, layer.dbias = layer.weight**2, layer.bias - 1
            optimizer.step()
        return layer.state_dict(), optimizer.state_dict()

    weights, state = steps(3)
    wanted = steps(2)
    layer.load_state_dict(weights)
    optimizer = make(layer.parameters())
    optimizer.load_state_dict(state)
    for ours, theirs in zip(steps(2), wanted, strict=True):
        assert ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert optimizer.steps == wanted[1]["steps"] == 5


def test_a_state_that_does_not_fit_is_named_and_nothing_is_loaded():
    optimizer = tn.Adam(one_weight().parameters())
    state = {"steps": np.array(3), "exp_avg.0": np.ones((1, 1)), "exp_avg_sq.0": np.ones(2)}
    with pytest.raises(ValueError, match=r"^Adam: .* exp_avg_sq.0 has shape \(2,\), expected \(1, 1\)$"):
        optimizer.load_state_dict(state)
    assert optimizer.steps == 0 and optimizer.exp_avg[0] == 0


def test_a_step_changes_the_weights_in_place():
    model = tn.TinyCNN(rng=np.random.default_rng(0))
    weight = model.stages["conv"].weight
    optimizer = tn.Adam(model.parameters())
    model.backward(model(np.ones((2, 1, 8, 8), np.float32)))
    optimizer.step()
    assert model.stages["conv"].weight is weight and optimizer.steps == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: tn.SGD(p, lr=-1), "SGD: lr is -1, expected 0 <= lr < inf"),
        (lambda p: tn.SGD(p, lr="0.1"), "SGD: lr is '0.1', expected 0 <= lr < inf"),
        (lambda p: tn.SGD(p, lr=1, momentum=-1), "SGD: momentum is -1, expected 0 <= momentum < inf"),
        (lambda p: tn.Adam(p, betas=0.9), "Adam: betas is 0.9, expected a pair of numbers"),
        (lambda p: tn.Adam(p, betas=(0.9,)), "Adam: betas is (0.9,), expected a pair of numbers"),
        (lambda p: tn.Adam(p, eps=-1.0), "Adam: eps is -1.0, expected 0 <= eps < inf"),
        (lambda p: tn.SGD(p, lr=math.nan), "SGD: lr is nan, expected 0 <= lr < inf"),
        (
            lambda p: tn.SGD(p, lr=1, nesterov=True),
            "SGD: nesterov is True and momentum is 0, expected momentum > 0",
        ),
        (
            lambda p: tn.SGD(p, lr=1, weight_decay=-0.1),
            "SGD: weight_decay is -0.1, expected 0 <= weight_decay < inf",
        ),
        (lambda p: tn.Adam(p, betas=(1.0, 0.9)), "Adam: beta1 is 1.0, expected 0 <= beta1 < 1"),
        (lambda p: tn.Adam(p, betas=(0.9, 1.0)), "Adam: beta2 is 1.0, expected 0 <= beta2 < 1"),
        (lambda p: tn.Adam([]), "Adam: parameters is empty, expected model.parameters()"),
    ],
)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(ValueError) as error:
        make(one_weight().parameters())
    assert str(error.value) == message


def test_a_step_before_backward_is_refused():
    with pytest.raises(RuntimeError, match="Dense: weight has no gradient yet, call backward first"):
        tn.SGD(one_weight().parameters(), lr=1).step()


class TestErrorsByHand:
    """How an error of 2 in a weight of -4 grows in one step with u = 1/4 and the gradient -6."""

    def state(self, **more):
        return {name: np.array([float(value)]) for name, value in {"w": -4, "e_w": 2, **more}.items()}

    @pytest.mark.parametrize(("nesterov", "e_w"), [(False, 7.25), (True, 9.4375)])
    def test_sgd(self, nesterov, e_w):
        settings = {"lr": 0.25, "momentum": 0.5, "nesterov": nesterov, "weight_decay": 0.25}
        state = self.state(b=8, e_b=1)
        g, e_g = -6 + 0.25 * -4, 0.25 * 2 + 0.5 * (6 + 0.25 * 4)
        e_b = 0.5 * 1 + e_g + 0.5 * (0.5 * 8 + 7)
        assert sgd_errors(settings, state, np.array([-6.0]), 2, 0.25) == {"momentum_buffer": e_b}
        assert state == {"w": -4, "e_w": e_w, "b": 0.5 * 8 + g, "e_b": e_b}
        first = self.state()
        sgd_errors(settings, first, np.array([-6.0]), 1, 0.25)
        assert (first["b"], first["e_b"]) == (g, e_g + 0.5 * 7)
        assert first["b"].dtype == first["e_b"].dtype == np.float64

    @pytest.mark.parametrize(("grad", "m", "v", "eps"), [(-6, 13, 14 / 3, 1), (1.25, 0.25, 0.125, 0.25)])
    def test_adam(self, grad, m, v, eps):
        """The square root is 6 the first time and 1/2 the second."""
        settings = {"lr": 0.25, "betas": (0.5, 0.75), "eps": eps, "weight_decay": 0.25}
        state, g = self.state(m=m, e_m=1, v=v, e_v=1), grad - 1
        found = adam_errors(settings, state, np.array([float(grad)]), 2, 0.25)
        e_g = 0.25 * 2 + 0.5 * (abs(grad) + 1)
        e_m = 0.5 * 1 + 0.5 * e_g + 0.75 * (0.5 * m + 0.5 * abs(g))
        e_v = 0.75 * 1 + 0.25 * 2 * abs(g) * e_g + 1 * (0.75 * v + 0.25 * g**2)
        assert found == {"exp_avg": e_m, "exp_avg_sq": pytest.approx(e_v)}
        m, v = 0.5 * m + 0.5 * g, 0.75 * v + 0.25 * g**2
        root = math.sqrt(v / (1 - 0.75**2))
        below, e_root = root + eps, 0.75 * root + e_v / (1 - 0.75**2) / (2 * root)
        step = 0.25 * (m / 0.75) / below
        e_step = 0.25 * e_m / 0.75 / below + abs(step) * ((e_root + 0.25 * below) / below + 6 * 0.25)
        e_w = 2 + e_step + 0.5 * (4 + abs(step))
        assert state == pytest.approx({"w": -4, "e_w": e_w, "m": m, "e_m": e_m, "v": v, "e_v": e_v})

    def test_what_cancels_in_the_first_steps_of_adam_counts(self):
        settings = {"lr": 0.25, "betas": (0.5, 0.75), "eps": 1.0, "weight_decay": 0.0}
        state = self.state(e_w=0, m=19, v=14 / 3)
        adam_errors(settings, state, np.array([-7.0]), 2, 0.0)
        right = 0.25 * 8 / 7 * unit(np.float64) * (1 / 0.75 + 1 / 0.4375)
        assert state["e_w"] == pytest.approx(right, rel=1e-9, abs=0)

    def test_a_weight_that_never_moves_gathers_no_error_in_adam_without_eps(self):
        settings = {"lr": 0.25, "betas": (0.5, 0.75), "eps": 0.0, "weight_decay": 0.0}
        state = {"w": np.zeros(1), "e_w": np.zeros(1)}
        adam_errors(settings, state, np.zeros(1), 1, 0.25)
        assert state["e_w"] == 0

    def test_what_each_optimiser_remembers_and_how_far_the_first_step_is_off(self):
        weight, grads = np.array([-4.0], np.float32), np.array([[-6.0], [3.0]], np.float32)
        after = exact_steps("SGD", {"lr": 0.25, "momentum": 0.5, "weight_decay": 0.25}, weight, grads)
        assert [list(step) for step in after] == [["weight", "momentum_buffer"]] * 2
        u = unit(np.float32)
        e_b = 2 * u * 7 + 2 * u * 7
        assert after[0]["momentum_buffer"].bound == pytest.approx(e_b)
        assert after[0]["weight"].bound == pytest.approx(0.25 * e_b + 2 * u * (4 + 0.5 * 7))
        assert (after[0]["weight"].value, after[1]["momentum_buffer"].value) == (-2.25, -7 / 2 + 3 - 2.25 / 4)
        assert list(exact_steps("SGD", {"lr": 0.25}, weight, grads)[0]) == ["weight"]
        assert list(exact_steps("Adam", {}, weight, grads)[0]) == ["weight", "exp_avg", "exp_avg_sq"]

    def test_the_first_step_of_adam_is_corrected_as_the_first(self):
        weight, grads = np.array([-4.0], np.float32), np.array([[-6.0]], np.float32)
        settings = {"lr": 0.25, "betas": (0.5, 0.75), "eps": 1.0, "weight_decay": 0.25}
        state = self.state(e_w=0)
        adam_errors(settings, state, np.array([-6.0]), 1, unit(np.float32))
        assert exact_steps("Adam", settings, weight, grads)[0]["weight"].bound == pytest.approx(state["e_w"])

    def test_what_stays_0_is_held_to_the_smallest_normal_number(self):
        (after,) = exact_steps("SGD", {"lr": 0.25}, np.zeros(2, np.float32), np.zeros((1, 2), np.float32))
        assert after["weight"].bound.tolist() == [np.finfo(np.float32).tiny] * 2


@pytest.mark.parametrize(
    ("dbias", "message"),
    [
        (np.ones((1, 1), np.float32), r"has shape \(1, 1\), expected \(2,\)"),
        (1.0, "is a float, expected a NumPy array"),
        (np.ones((1, 2)).view(np.matrix), "is a matrix, expected a NumPy array"),
        (np.ma.masked_array([1.0, 1.0], [True, False]), "is a MaskedArray, expected a NumPy array"),
        (np.ones(2, complex), "has dtype complex128, expected float32 or float64"),
    ],
    ids=["shape", "float", "matrix", "masked", "complex"],
)
@pytest.mark.parametrize("cls", [tn.SGD, tn.Adam])
def test_a_gradient_that_is_not_one_of_its_parameter_is_refused(cls, dbias, message):
    layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
    optimizer = cls(layer.parameters(), 0.1)
    layer.dweight, layer.dbias = np.ones((2, 3), np.float32), dbias
    with pytest.raises(ValueError, match=f"^Dense: dbias {message}$"):
        optimizer.step()


UNREADABLE = {
    "letters": np.array(["a", "b"]),
    "digits": np.array(["1", "2"]),
    "objects": np.array([{}, {}]),
    "nothing": np.array([None, None]),
    "complex": np.array([1j, 2]),
    "dates": np.array([1, 2], "M8[s]"),
}


@pytest.mark.parametrize("wrong", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_state_that_cannot_be_read_is_not_half_loaded(wrong):
    layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
    before = layer.state_dict()
    with pytest.raises(
        ValueError, match=r"^Dense: cannot load this state: bias has dtype .*, expected float32$"
    ):
        layer.load_state_dict({"weight": np.zeros((2, 3)), "bias": wrong})
    assert all(np.array_equal(layer.state_dict()[name], array) for name, array in before.items())


@pytest.mark.parametrize("steps", [np.array(np.nan), np.array(2.5), np.array(1j), np.array("2")], ids=str)
def test_an_optimiser_s_state_with_unreadable_steps_is_not_half_loaded(steps):
    layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
    optimizer = tn.SGD(layer.parameters(), 0.1, momentum=0.9)
    state = {name: array + 1 for name, array in optimizer.state_dict().items()}
    with pytest.raises(
        ValueError, match=r"^SGD: cannot load this state: steps has dtype .*, expected int64$"
    ):
        optimizer.load_state_dict(state | {"steps": steps})
    assert optimizer.steps == 0 and not any(b.any() for b in optimizer.momentum_buffer)


def test_numbers_of_another_kind_are_cast_and_lists_are_read():
    layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
    layer.load_state_dict({"weight": np.ones((2, 3), int), "bias": [1.0, 2.0]})
    assert layer.weight.dtype == layer.bias.dtype == np.float32
    assert layer.weight.sum() == 6 and layer.bias.tolist() == [1, 2]
