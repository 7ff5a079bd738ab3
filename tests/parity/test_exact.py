"""The bounds: never violated by what is right, tight enough to see one wrong digit, honest where open."""

import copy
import os

import numpy as np
import pytest
import torch
from torch import nn

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.data import load_digits
from examples.experiments.train_tinycnn import line_patterns
from parity import compare, copy_weights, exact_run, rules, twin
from parity.bounds import ROOTS, TINY, Known, Witness, spread, unit
from parity.exact import cross_entropy
from parity.exact_optimizer import exact_steps
from parity.record import run_stages
from parity.record_torch import trace_torch
from parity.report import MATCH, MISMATCH, UNDECIDABLE, judge
from parity.rules import (
    backward,
    forward,
    pixel_of,
    terms,
    weights_of,
    windows_of,
)
from parity.student.cases import cases_of
from parity.twins import stages_of


def turning_points(name, stage, x, margin, witnesses):
    """The mask, and what exact_run makes of the places."""
    unsure, places = rules.turning_points(stage, x, margin * ROOTS * x.variance.sqrt())
    witnesses += [Witness(name, *place) for place in places]
    return unsure


SEEDS = int(os.environ.get("SEEDS", "10"))  # SEEDS=1000 pytest -n 0 tests/parity/test_exact.py -k violates -s
DIGITS = load_digits()
SHAPES = {"TinyCNN": (1, 8, 8), "MNISTCNN": (1, 28, 28), "MLP": (1, 28, 28)}


def pair_of(name, seed, dtype=np.float32):
    rng = np.random.default_rng(seed)
    model, module = getattr(tn, name)(rng=rng, dtype=dtype), getattr(tt, name)()
    module = module.to(getattr(torch, np.dtype(dtype).name))
    copy_weights(model, module)
    return model, module, rng


def ratios(arrays, exact, dtype):
    """error / bound of every tensor, where rounding decides nothing."""
    rows = [judge(*key, arrays[key], right, dtype) for key, right in exact.tensors.items()]
    assert all(row.verdict != MISMATCH for row in rows), [row for row in rows if row.verdict == MISMATCH]
    return {(row.stage, row.tensor): row.ratio for row in rows if row.verdict == MATCH}


def images_of(name, rng, N):
    """Noise, or every other time what networks really see: written digits, lines under noise, black paper."""
    C, H, W = SHAPES[name]
    if rng.random() < 0.5:
        return rng.standard_normal((N, C, H, W))
    if name == "TinyCNN":
        return line_patterns(N, rng)[0]
    return DIGITS.train_images[rng.integers(len(DIGITS.train_images), size=N)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_neither_side_violates_its_bounds(name, dtype):
    found = []
    for seed in range(SEEDS):
        model, module, rng = pair_of(name, seed, np.dtype(dtype))
        N = int(rng.integers(1, 9))
        x, labels = images_of(name, rng, N).astype(dtype), rng.integers(2, size=N)
        stages = stages_of(module, model)
        exact = exact_run(stages, x, labels=labels)
        run = run_stages(model, dict(model.named_layers()), x, labels=labels, loss_fn=tn.CrossEntropyLoss())
        theirs = trace_torch(stages, x, labels=labels)
        for arrays in (run.arrays, theirs):
            for key, ratio in ratios(arrays, exact, x.dtype).items():
                if ratio and arrays[key].size >= 10:  # one number may be right by chance
                    found.append(ratio)
    assert 0.05 < max(found) <= 1
    low, middle, high, top = np.percentile(1 / np.array(found), [0, 50, 99, 100])
    print(
        f"{name}, {dtype}: {SEEDS} seeds, {len(found):,} tensors, 0 violations, bound / largest error of a "
        f"tensor: {low:.1f} to {top:.0f}, median {middle:.0f}, 99 % below {high:.0f}"
    )


@pytest.mark.parametrize("tensor", ["out", "dweight", "dx"])
def test_one_entry_that_is_off_by_1e_5_is_seen_where_allclose_lets_it_pass(tensor):
    model, module, rng = pair_of("MNISTCNN", 0)
    x = rng.standard_normal((2, 1, 28, 28)).astype(np.float32)
    stages = stages_of(module, model)
    exact = exact_run(stages, x, dout=rng.standard_normal((2, 10)).astype(np.float32))
    inputs = {"x": exact.tensors["pool1", "out"].value, "dout": exact.tensors["relu2", "dx"].value}
    inputs = {name: array.astype(np.float32) for name, array in inputs.items()}
    right = exact_run({"conv2": stages["conv2"]}, **inputs).tensors["conv2", tensor]
    run = run_stages(model.conv2, {"conv2": model.conv2}, **inputs)
    value = run.arrays["conv2", tensor]
    assert judge("conv2", tensor, value, right, value.dtype).ok
    size = np.sqrt((right.value**2).mean())
    ordinary = np.unravel_index(np.abs(np.abs(value) - size).argmin(), value.shape)
    wrong = value.copy()
    wrong[ordinary] *= np.float32(1 + 1e-5)
    assert np.allclose(wrong, value, rtol=1e-3)
    row = judge("conv2", tensor, wrong, right, value.dtype)
    assert row.verdict == MISMATCH and row.at == ordinary


@pytest.mark.parametrize("order", ["as drawn", "largest first"])
def test_a_sum_of_one_term_after_the_other_keeps_the_bound(order):
    """np.cumsum adds one after the other in float32, as a loop does: the worst way that is still right."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 4000)).astype(np.float32)
    products = weight * x
    if order == "largest first":
        products = products[np.argsort(-np.abs(products))]
    dense = nn.Linear(len(x), 1, bias=False)
    with torch.no_grad():
        dense.weight[...] = torch.from_numpy(weight[None])
    exact = exact_run({"fc": dense}, x[None]).tensors["fc", "out"]
    one_by_one = np.cumsum(products, dtype=np.float32)[-1].reshape(1, 1)
    assert judge("fc", "out", one_by_one, exact, x.dtype).ok


def test_what_rounds_nothing_has_no_bound():
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 4)).astype(np.float32)
    for module in (nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()):
        dout = np.ones(module(torch.from_numpy(x)).shape, np.float32)
        assert not any(exact.bound.any() for exact in exact_run({"s": module}, x, dout=dout).tensors.values())


def test_a_stage_without_a_rule_is_refused():
    with pytest.raises(ValueError, match=r"Tanh has no rule in parity\.rules, expected one"):
        exact_run({"tanh": nn.Tanh()}, np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"Tanh has no rule in parity\.rules, expected one"):
        backward(nn.Tanh(), known([[1.0]]), known([[1.0]]), torch.zeros(()), 1.0)


def test_the_unit_is_that_of_the_run_and_of_the_float64_beside_it():
    assert unit(np.float32) == pytest.approx(2**-24, rel=1e-12)
    assert unit(np.float64) == pytest.approx(2**-53 * 2**0.5, rel=1e-12, abs=0)


def test_no_entry_is_held_to_less_than_the_mean_nor_to_nothing():
    """An entry that has overflowed takes no part in the mean."""
    variance = torch.tensor([[np.inf, 6.0, 0.0], [0, 0, 0]], dtype=torch.float64)
    assert spread(variance, images=False).tolist() == [[np.inf, 6, 1], [1, 1, 1]]
    assert spread(variance, images=True).tolist() == [[np.inf, 6, 2], [TINY**2] * 3]


def kink(x):
    """A model whose ReLU stands at x - 1, which float32 has subtracted: near 1 rounding decides."""
    rng = np.random.default_rng(0)
    model = tn.Sequential(fc1=tn.Dense(1, 1, rng=rng), relu=tn.ReLU(), fc2=tn.Dense(1, 2, rng=rng))
    model.fc1.weight[...], model.fc1.bias[...] = 1, -1
    return model, np.array([[x], [2.0]], np.float32)


def beside(model):
    """Its twin, whose ReLU stands on the other side of 0, by less than rounding may move it."""
    module = twin(model)
    with torch.no_grad():
        module.fc1.bias -= 2.5e-7
    return module


class TestUndecidable:
    def test_only_with_a_witness_and_only_where_it_reaches(self):
        model, x = kink(1.0000001)
        report = compare(model, x, beside(model))
        assert report.ok
        rows = {(row.stage, row.tensor): row for row in report.rows}
        assert rows["relu", "dx"].verdict == UNDECIDABLE and "relu: x[0, 0] is" in rows["relu", "dx"].note
        assert rows["fc2", "dweight"].verdict == MATCH
        assert report.summary().endswith("undecidable")

    def test_a_mistake_elsewhere_is_still_a_mismatch(self):
        class Doubled(tn.ReLU):
            def backward(self, dout):
                return 2 * super().backward(dout)

        model, x = kink(1.0000001)
        module = beside(model)
        model.stages["relu"] = Doubled()
        report = compare(model, x, module)
        assert (report.mismatches[0].stage, report.mismatches[0].tensor) == ("relu", "dx")

    def test_far_from_the_kink_nothing_is_undecidable(self):
        model, x = kink(1.5)
        assert not exact_run(stages_of(twin(model), model), x).witnesses
        assert all(row.verdict == MATCH for row in compare(model, x).rows)

    def test_a_witness_lies_within_once_its_bound_unless_said_otherwise(self):
        model, _ = kink(1.0)
        stages = stages_of(twin(model), model)
        points = [np.array([[1 + k * 2**-23]], np.float32) for k in range(1, 40)]
        assert any(
            exact_run(stages, x, margin=2).witnesses and not exact_run(stages, x).witnesses for x in points
        )

    def test_a_near_tie_in_a_pooling_window_is_a_witness_and_an_exact_one_is_not(self):
        pool = nn.MaxPool2d((1, 2))
        x = torch.tensor([[[[9.0] * 6, [1, 1.1, 2, 2.0000002, 3, 3]]]], dtype=torch.float64)
        x[..., 0, ::2] = 8
        variance = torch.tensor([[[[0.0] * 6, [1e-14, 1e-14, 1e-14, 1e-14, 0, 0]]]], dtype=torch.float64)
        found = []
        unsure = turning_points("pool", pool, Known(x, variance, torch.zeros_like(x)), 1.0, found)
        assert [w.index for w in found] == [(0, 0, 1, 2)] and unsure.sum() == 2
        assert "pool: x[0, 0, 1, 2] is 2.0e-07 from the turning point" in str(found[0])


def test_the_exact_run_leaves_its_module_alone():
    _, module, rng = pair_of("TinyCNN", 0)
    before = copy.deepcopy(module.state_dict())
    exact_run(
        stages_of(module, None), rng.standard_normal((1, 1, 8, 8)).astype(np.float32), labels=np.array([1])
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert all(p.grad is None and p.dtype == torch.float32 for p in module.parameters())


def known(value, variance=0.0, slack=0.0):
    value = torch.tensor(value, dtype=torch.float64)
    return Known(value, torch.full_like(value, variance), torch.full_like(value, slack))


class TestByHand:
    """Each rule on small whole numbers, with u = 1 unless it says otherwise."""

    def dense(self):
        stage = nn.Linear(2, 1).double()
        with torch.no_grad():
            stage.weight[...], stage.bias[...] = torch.tensor([[2.0, 3.0]]), 1.0
        return stage

    def test_a_sum_of_products_forward(self):
        out = forward(self.dense(), known([[1.0, 2.0]], variance=0.5), 1.0)
        n, squares = 3, 4 * 1 + 9 * 4 + 1
        assert out.value.item() == 9 and out.slack.item() == 0
        assert out.variance.item() == pytest.approx(n * (squares + 9**2) + 0.5 * (4 + 9))

    def test_a_sum_of_products_backward(self):
        x, dout = known([[1.0, 2.0], [3.0, 0.0]], variance=0.5), known([[5.0], [1.0]], 0.25, 0.125)
        found = backward(self.dense(), x, dout, torch.zeros(()), 1.0)
        assert list(found) == ["dweight", "dbias", "dx"]
        assert found["dx"].value.tolist() == [[10, 15], [2, 3]]
        first, second = ([0.25 * w**2 + 2 * (d * w) ** 2 for w in (2, 3)] for d in (5, 1))
        least = [[max(v, sum(image) / 2) for v in image] for image in (first, second)]
        assert np.allclose(found["dx"].variance, least, rtol=1e-12)
        assert found["dx"].slack.tolist() == [[0.25, 0.375]] * 2
        n = 2
        weight = [0.25 * 10 + n * (25 + 9 + 8**2) + 0.5 * 26, 0.25 * 4 + n * (100 + 10**2) + 0.5 * 26]
        assert found["dweight"].value.tolist() == [[8, 10]]
        assert np.allclose(found["dweight"].variance, [[max(v, sum(weight) / 2) for v in weight]], rtol=1e-12)
        assert found["dweight"].slack.tolist() == [[0.5, 0.25]]
        assert found["dbias"].variance.item() == pytest.approx(0.25 * 2 + n * (25 + 1 + 6**2))
        assert found["dbias"].slack.item() == 0.25

    def test_a_mean_of_pixels(self):
        """Each product is a pixel times 1/2, and there are no fewer roundings than those of transforms, 3."""
        pool, x = nn.AvgPool2d((1, 2)), known([[[[1.0, 3.0]]]], variance=0.5)
        out = forward(pool, x, 1.0)
        assert out.value.item() == 2
        assert out.variance.item() == pytest.approx(3 * (0.5**2 + 1.5**2 + 2**2) + 2 * 0.5 / 2**2)
        dx = backward(pool, x, known([[[[5.0]]]], 0.25, 0.125), torch.zeros(()), 1.0)["dx"]
        assert dx.value.flatten().tolist() == [2.5, 2.5] and dx.slack.flatten().tolist() == [0.0625] * 2
        assert np.allclose(dx.variance, 0.25 / 2**2 + 3 * (2.5**2 + 2.5**2), rtol=1e-12)

    def test_the_share_of_a_pixel_is_exact_to_the_precision_of_the_exact_run(self):
        assert weights_of(nn.AvgPool2d((1, 41)), torch.clone)["share"].item() == 1 / 41

    def test_where_pooling_windows_overlap_their_gradients_are_added(self):
        """3 wins both windows: two terms, each with the errors of dout, spread over the image."""
        pool, x = nn.MaxPool2d((1, 2), stride=1), known([[[[1.0, 3.0, 2.0]]]])
        dx = backward(pool, x, known([[[[-2.0, 7.0]]]], variance=0.25), torch.zeros(1, 1, 2, 2), 0.5**2)["dx"]
        assert dx.value.flatten().tolist() == [0, 5, 0]
        sum_of_two = 2 * 0.25 + 2 * 0.5**2 * (2**2 + 7**2 + 5**2)
        assert np.allclose(dx.variance.flatten(), [sum_of_two / 3, sum_of_two, sum_of_two / 3], rtol=1e-12)

    def test_padding_is_no_rival_in_a_pooling_window(self):
        """Windows (padding, -3, -3.5), (-3.5, -9, -1): the first is undecided, and the second is not."""
        pool, found = nn.MaxPool2d((1, 3), stride=2, padding=(0, 1)), []
        turning_points("pool", pool, known([[[[-3.0, -3.5, -9.0, -1.0]]]], 1 / 16), 1.0, found)
        assert [(w.index, w.gap, w.bound) for w in found] == [((0, 0, 0, 1), 0.5, 2)]

    @pytest.mark.parametrize("settings", [((2, 3), (1, 2), (1, 1)), ((3, 2), (2, 1), (1, 0)), (4, 3, 2)])
    def test_an_entry_of_a_window_is_found_again_in_its_image(self, settings):
        pool, x = nn.MaxPool2d(*settings), torch.arange(1.0, 211).reshape(1, 2, 15, 7)
        windows = windows_of(pool, x, 0.0)
        for index in map(tuple, windows.nonzero().tolist()):
            assert x[pixel_of(pool, index, x.shape)] == windows[index]

    def test_the_loss_of_equal_logits(self):
        labels = torch.tensor([0, 1])
        loss, dlogits = cross_entropy(known([[3.0, 3.0], [-3.0, -3.0]], variance=0.5), labels, 1.0)
        row, inherited = 2 * (1 + 3) ** 2, 0.5 + 2 * 0.5**2 * 0.5
        assert dlogits.value.tolist() == [[-0.25, 0.25], [0.25, -0.25]]
        assert np.allclose(dlogits.variance, 0.25**2 * (row + inherited) + 2 * 0.25**2, rtol=1e-12)
        assert loss.variance.item() == pytest.approx(2 * row / 4 + 4 * 0.25**2 * 0.5 + 2 * np.log(2) ** 2)
        assert not loss.slack.any() and not dlogits.slack.any()

    def test_a_logit_of_minus_infinity_leaves_the_bounds_finite(self):
        _, dlogits = cross_entropy(known([[1.0, -np.inf, 2.0]]), torch.tensor([0]), 1.0)
        assert dlogits.variance.isfinite().all()
        _, dlogits = cross_entropy(known([[0.5, -np.inf, 0.5]]), torch.tensor([0]), 1.0)
        row, own = 3 * 1.5**2, 3 * 0.5**2
        assert np.allclose(dlogits.variance, [[0.5**2 * row + own, 0, 0.5**2 * row + own]], rtol=1e-12)

    def test_a_probability_of_0_is_held_to_the_smallest_normal_number(self):
        _, dlogits = cross_entropy(known([[0.0, -1000.0]]), torch.tensor([0]), 2.0**-48)
        assert dlogits.numpy().bound[0, 1] == pytest.approx(ROOTS * TINY, rel=1e-12, abs=0)

    def test_where_a_relu_decides_all_that_comes_back_is_at_stake(self):
        x, found = known([[1.0, 3.0, -1.0, -3.0]], variance=1 / 16), []
        unsure = turning_points("relu", nn.ReLU(), x, 1.0, found)
        assert unsure.tolist() == [[True, False, True, False]] and (found[0].gap, found[0].bound) == (1, 1)
        assert forward(nn.ReLU(), x, 1.0).variance.tolist() == [[1 / 16, 1 / 16, 0, 0]]
        dout = known([[-2.0] * 4], variance=0.25, slack=0.5)
        dx = backward(nn.ReLU(), x, dout, unsure, 1.0)["dx"]
        assert dx.value.tolist() == [[-2, -2, 0, 0]] and dx.variance.tolist() == [[0.25, 0.25, 0.25, 0]]
        assert dx.slack.tolist() == [[3, 0.5, 2.5, 0]]

    def test_where_a_pooling_window_decides_all_that_comes_back_is_at_stake(self):
        pool, found = nn.MaxPool2d((1, 2)), []
        x = known([[[[1.0, 3.0, 8.0, 5.0]]]], variance=1 / 16)
        unsure = turning_points("pool", pool, x, 1.0, found)
        assert unsure.flatten().tolist() == [True, False, True, False]
        assert [(w.index, w.gap, w.bound) for w in found] == [((0, 0, 0, 0), 2, 2)]
        dx = backward(pool, x, known([[[[-2.0, 7.0]]]], variance=0.25, slack=0.5), unsure, 1.0)["dx"]
        assert dx.value.flatten().tolist() == [0, -2, 7, 0]
        assert dx.variance.flatten().tolist() == [0, 0.25, 0.25, 0]
        assert dx.slack.flatten().tolist() == [2.5, 3, 0.5, 0]

    def test_the_terms_of_a_convolution_are_no_fewer_than_those_of_transforms(self):
        conv, x, dout = nn.Conv2d(2, 3, (5, 4)), torch.zeros(5, 2, 7, 9), torch.zeros(5, 3, 3, 6)
        assert terms(conv, x, dout) == {"out": 41, "dx": 60, "dweight": 90, "dbias": 90}
        few = terms(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 7, 9), torch.zeros(1, 1, 1, 1))
        assert few == dict.fromkeys(("out", "dx", "dweight", "dbias"), 3 * 6)
        assert terms(nn.AvgPool2d((2, 5)), x) == {"out": 18, "dx": 18}


@pytest.mark.parametrize("module", [nn.Conv2d(2, 3, (3, 2)), nn.AvgPool2d(2), nn.MaxPool2d((3, 2), 1)])
def test_the_bounds_of_an_image_owe_nothing_to_the_other_images(module):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((2, 2, 7, 5)) * [[[[1]]], [[[1000]]]]).astype(np.float32)
    shape = module(torch.from_numpy(x)).shape
    dout = (rng.standard_normal(shape) * [[[[1]]], [[[1000]]]]).astype(np.float32)
    both = exact_run({"s": module}, x, dout=dout).tensors
    alone = exact_run({"s": module}, x[:1], dout=dout[:1]).tensors
    for tensor in ("out", "dx"):
        assert np.allclose(both["s", tensor].bound[:1], alone["s", tensor].bound, rtol=1e-12)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_the_steps_are_bit_for_bit_those_of_pytorch_s_class(kind):
    for case in cases_of(kind, np.random.default_rng(0)):
        for name, weight in case.weights.items():
            after = exact_steps(kind, dict(case.settings), weight, case.first[name])
            parameter = nn.Parameter(torch.from_numpy(weight.astype(np.float64)))
            optimizer = getattr(torch.optim, kind)([parameter], **case.settings)
            for grad, ours in zip(case.first[name], after, strict=True):
                parameter.grad = torch.from_numpy(grad.astype(np.float64))
                optimizer.step()
                assert np.array_equal(ours["weight"].value, parameter.detach().numpy()), case.name
                for state, theirs in optimizer.state[parameter].items():
                    if state != "step" and theirs is not None:
                        assert np.array_equal(ours[state].value, theirs.numpy()), (case.name, state)
