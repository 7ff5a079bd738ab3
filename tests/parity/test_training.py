"""Two training runs side by side: where they part, and why."""

import copy

import numpy as np
import pytest
import torch

import parity
import tinycnn_numpy as tn
from parity.report import MATCH
from parity.training import LOCKSTEP, decisions, smooth_input

MODEL = tn.TinyCNN(rng=np.random.default_rng(0))
DOUBLE = tn.TinyCNN(rng=np.random.default_rng(0), dtype=np.float64)


def run(images, batches, model=MODEL, cls=tn.SGD, module=None):
    model = copy.deepcopy(model)
    labels = np.arange(len(images)) % 2
    module = parity.twin(model) if module is None else module
    return parity.lockstep(model, module, cls(model.parameters(), 0.1), images, labels, batches)


def test_the_bound_is_this():
    """A change of it is a change of what is promised, not a repair."""
    assert {np.dtype("float32"): 2e-5, np.dtype("float64"): 1e-12} == LOCKSTEP


def test_a_learning_rate_that_is_off_parts_the_two_at_the_first_step():
    class Hasty(tn.SGD):
        def step(self):
            lr, self.lr = self.lr, 1.0001 * self.lr
            super().step()
            self.lr = lr

    rng = np.random.default_rng(0)
    images, model = rng.standard_normal((20, 1, 8, 8)), tn.TinyCNN(rng=rng, dtype=np.float64)
    assert run(images, [np.arange(5)] * 20, model).divergence is None
    report = run(images, [np.arange(5)] * 20, model, Hasty)
    assert report.title == "TinyCNN, float64, Hasty x 20 steps in lockstep: NumPy against PyTorch"
    assert not report.ok and report.divergence.step == 1 and not report.divergence.rounding
    assert "the two part at step 1, optimizer.step: conv.weight is off by" in str(report)
    assert str(report.divergence).endswith(", after right gradients (a mistake, or its consequence)")


def test_a_wrong_gradient_is_told_from_a_wrong_step():
    class Half(tn.Conv2D):
        def backward_weights(self, dout):
            super().backward_weights(dout)
            self.dbias = self.dbias / 2

    model = copy.deepcopy(MODEL)
    model.conv.__class__ = Half
    images = np.random.default_rng(0).standard_normal((20, 1, 8, 8)).astype(np.float32)
    divergence = run(images, [np.arange(20)] * 3, model, module=parity.twin(MODEL)).divergence
    assert (divergence.step, divergence.stage) == (1, "conv") and divergence.what.startswith("dbias is ")
    assert float(divergence.what.split()[2]) > 1000 and divergence.what.endswith(" times its bound off")


def flipping(by):
    """A model whose ReLU stands within rounding of 0 on the images of ones, and a twin `by` beside it."""
    model = copy.deepcopy(MODEL)
    model.conv.weight[...] = np.float32(1 / 9)
    model.conv.bias[...] = -1
    out = model.conv(np.ones((1, 1, 8, 8), np.float32))
    model.conv.bias[...] -= out.max() - np.float32(6e-8)
    module = parity.twin(model)
    with torch.no_grad():
        module.conv.bias -= by
    return model, module


def test_a_relu_that_rounding_turns_is_named_and_nobody_is_blamed():
    model, module = flipping(1.2e-7)
    report = run(np.ones((4, 1, 8, 8), np.float32), [np.arange(4)] * 3, model, module=module)
    assert report.divergence.step == 1 and report.divergence.stage == "relu" and report.divergence.rounding
    assert "relu: x[0, 0, 0, 0] is" in str(report.divergence)
    assert str(report.divergence).endswith(" in PyTorch (both are right, rounding decides there)")
    assert report.ok and {row.verdict for row in report.rows} == {MATCH}
    (bias,) = [row for row in report.rows if row.tensor == "conv.bias"]
    assert bias.error > 1e-7, "the twin keeps the weights of its own"


def after_a_flip(cls=tn.SGD, conv=tn.Conv2D):
    """Rounding decides the first step, and none of the 40 on noise that follow."""
    model, module = flipping(1.2e-7)
    model.conv.__class__ = conv
    images = np.random.default_rng(0).standard_normal((164, 1, 8, 8)).astype(np.float32)
    images[:4] = 1
    return run(images, np.arange(164).reshape(41, 4), model, cls, module)


@pytest.mark.parametrize("cls", [tn.SGD, tn.Adam])
def test_after_a_flip_the_two_go_on_together(cls):
    report = after_a_flip(cls)
    assert report.divergence.step == 1 and report.divergence.rounding
    assert {row.verdict for row in report.rows} == {MATCH}


def test_a_learning_rate_that_is_off_after_a_flip_is_a_mistake_at_its_own_step():
    class HastyLater(tn.SGD):
        taken = 0

        def step(self):
            self.taken += 1
            lr, self.lr = self.lr, self.lr * (1.01 if self.taken >= 9 else 1)
            super().step()
            self.lr = lr

    report = after_a_flip(HastyLater)
    assert not report.ok and {row.tensor for row in report.mismatches} >= {"conv.weight", "fc.weight"}
    assert (report.divergence.step, report.divergence.stage) == (
        9,
        "optimizer.step",
    ) and not report.divergence.rounding


def test_a_mistake_that_turns_a_relu_after_a_flip_is_not_excused_by_it():
    class ShiftedLater(tn.Conv2D):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x) + np.float32(0.3 if self.calls >= 9 else 0)

    report = after_a_flip(conv=ShiftedLater)
    assert not report.ok and not report.divergence.rounding
    assert (report.divergence.step, report.divergence.stage) == (9, "relu")


def test_a_relu_that_a_mistake_turns_is_not_excused():
    class Shifted(tn.Conv2D):
        def forward(self, x):
            return super().forward(x) + np.float32(0.01)

    model = copy.deepcopy(MODEL)
    model.conv.__class__ = Shifted
    images = np.random.default_rng(0).standard_normal((20, 1, 8, 8)).astype(np.float32)
    report = run(images, [np.arange(20)] * 3, model, module=parity.twin(MODEL))
    assert not report.ok and not report.divergence.rounding and report.divergence.stage == "relu"


def test_another_winner_of_a_pooling_window_is_named():
    class Noisy(tn.Conv2D):
        def forward(self, x):
            out = super().forward(x)
            return out + np.random.default_rng(0).standard_normal(out.shape).astype(np.float32) / 10

    model = copy.deepcopy(MODEL)
    model.conv.bias[...] = 5
    module = parity.twin(model)
    model.conv.__class__ = Noisy
    x = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)
    divergence = run(x, [np.arange(3)], model, module=module).divergence
    assert divergence.what.startswith("another entry of window [") and not divergence.rounding


@pytest.mark.filterwarnings("ignore:invalid value")
def test_two_runs_that_both_end_in_nan_prove_nothing():
    report = run(np.full((2, 1, 8, 8), np.nan, np.float32), [np.arange(2)])
    assert not report.ok and report.rows[0].note == "is not finite"


def test_one_run_that_ends_in_nan_is_not_within_the_bound():
    class Breaks(tn.SGD):
        def step(self):
            super().step()
            self.parameters[0].data[...] = np.nan

    report = run(np.random.default_rng(0).standard_normal((4, 1, 8, 8)), [np.arange(4)], DOUBLE, Breaks)
    assert [(row.tensor, row.note) for row in report.mismatches] == [("conv.weight", "is not finite")]


def test_what_a_stage_decides_is_what_pytorch_lets_pass():
    x = np.array([[[[-1.0, 0, 2, 0], [3, -4, -5, 1]]]])
    assert decisions(torch.nn.ReLU(), x).tolist() == [[[[0, 0, 1, 0], [1, 0, 0, 1]]]]
    pool = torch.nn.MaxPool2d(2, stride=1, padding=1, return_indices=True)
    assert np.array_equal(decisions(pool, x), pool(torch.from_numpy(x))[1])


def test_a_module_with_other_stages_is_refused():
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    with pytest.raises(ValueError, match=r"Sequential has stages \['0', '1'\], expected \['conv', 'relu'"):
        run(np.zeros((2, 1, 8, 8), np.float32), [np.arange(2)], module=module)


def test_each_tensor_is_held_to_the_largest_value_that_it_had_on_the_way():
    """Weights that halve at every step: the bound is that of the first."""
    images, bounds = np.random.default_rng(0).standard_normal((4, 1, 8, 8)), []
    for steps in (1, 6):
        report = run(
            images, [np.arange(4)] * steps, DOUBLE, lambda p, lr: tn.SGD(p, lr / 1000, weight_decay=5000)
        )
        (row,) = [row for row in report.rows if row.tensor == "fc.weight"]
        bounds.append(row.error / row.ratio)
    largest = np.abs(DOUBLE.fc.weight).max() / 2
    assert bounds == pytest.approx([1e-12 * largest] * 2, rel=0.01, abs=0)


def test_a_tensor_that_stays_0_on_both_sides_is_no_divergence():
    model = copy.deepcopy(MODEL)
    model.conv.bias[...] = -100
    images = np.random.default_rng(0).standard_normal((4, 1, 8, 8)).astype(np.float32)
    report = run(images, [np.arange(4)] * 3, model, lambda p, lr: tn.SGD(p, lr, momentum=0.5))
    assert report.ok and report.divergence is None
    (row,) = [row for row in report.rows if row.tensor == "conv.weight momentum_buffer"]
    assert row.ratio == 0


def test_no_batches_are_refused():
    with pytest.raises(ValueError, match=r"^lockstep: batches is empty, expected at least one array "):
        run(np.zeros((2, 1, 8, 8), np.float32), [])


def test_flat_images_are_never_smooth_and_say_so():
    batches = parity.smooth_batches(MODEL, np.zeros((5, 1, 8, 8), np.float32), 1, 2, np.random.default_rng(0))
    model = copy.deepcopy(MODEL)
    model.conv.bias[...] = 0
    with pytest.raises(ValueError, match="batch_size 2 gave nothing smooth in 100 draws"):
        next(batches)


class Ones:
    """A generator that draws nothing else, and counts."""

    draws = 0

    def integers(self, high, size):
        return self.standard_normal(size).astype(int)

    def standard_normal(self, shape):
        self.draws += 1
        return np.ones(shape)


def kink():
    """Its ReLU stands at x - 1."""
    layer = tn.Sequential(fc=tn.Dense(1, 1, rng=np.random.default_rng(0)), relu=tn.ReLU())
    layer.fc.weight[...], layer.fc.bias[...] = 1, -1
    return layer


POINTS = [np.array([[1 + k * 2**-23]], np.float32) for k in range(1, 300)]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda rng: smooth_input(kink(), (4, 1), np.float32, rng),
            r"smooth_input: shape \(4, 1\) gave nothing smooth in 100 draws, expected a smaller batch",
        ),
        (
            lambda rng: next(parity.smooth_batches(kink(), np.ones((3, 1), np.float32), 1, 2, rng)),
            "smooth_batches: batch_size 2 gave nothing smooth in 100 draws",
        ),
    ],
)
def test_after_100_draws_it_says_that_nothing_is_smooth(draw, message):
    rng = Ones()
    with pytest.raises(ValueError, match=f"^{message}$"):
        draw(rng)
    assert rng.draws == 100


def test_batches_are_smooth_by_ten_times_the_bound():
    images = np.concatenate([x for x in POINTS if not parity.is_smooth(kink(), x, margin=12)])
    batches = list(parity.smooth_batches(kink(), images, 50, 1, np.random.default_rng(0)))
    assert len(batches) == 50 and all(parity.is_smooth(kink(), images[b], margin=10) for b in batches)
    assert not all(parity.is_smooth(kink(), images[batch], margin=11) for batch in batches)


def test_an_input_within_rounding_of_a_kink_is_not_smooth():
    assert parity.is_smooth(kink(), np.array([[1.5]], np.float32))
    assert not parity.is_smooth(kink(), np.array([[1.5], [1.0000001]], np.float32))


def test_a_pooling_window_within_rounding_of_a_tie_is_not_smooth():
    conv = tn.Conv2D(1, 1, 1, rng=np.random.default_rng(0))
    conv.weight[...], conv.bias[...] = 1, 0
    model = tn.Sequential(conv=conv, pool=tn.MaxPool2D((1, 2)))
    assert parity.is_smooth(model, np.array([[[[1, 1.1, 2, 3]]]], np.float32))
    assert not parity.is_smooth(model, np.array([[[[1, 1.1, 2, 2.0000002]]]], np.float32))


@pytest.mark.parametrize(
    ("cls", "memory"), [(tn.SGD, ["momentum_buffer"]), (tn.Adam, ["exp_avg", "exp_avg_sq"])]
)
def test_every_weight_and_what_is_remembered_of_it_is_held_to_the_bound(cls, memory):
    rng = np.random.default_rng(0)
    images, model = rng.standard_normal((20, 1, 8, 8)), tn.TinyCNN(rng=rng, dtype=np.float64)
    options = {"momentum": 0.5} if cls is tn.SGD else {}
    report = run(images, [np.arange(5)] * 2, model, lambda parameters, lr: cls(parameters, lr, **options))
    names = [name for name, _ in model.named_parameters()]
    expected = [f"{name} {what}".strip() for name in names for what in ("", *memory)]
    assert report.ok and [row.tensor for row in report.rows] == ["loss", *expected]
    assert report.rows[1].shape == (4, 1, 3, 3)


def test_smooth_means_by_once_the_bound_unless_said_otherwise():
    assert any(parity.is_smooth(kink(), x) and not parity.is_smooth(kink(), x, margin=2) for x in POINTS)
