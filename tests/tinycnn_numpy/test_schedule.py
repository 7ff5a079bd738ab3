"""The one-cycle learning rate: by hand, as PyTorch's, and in lockstep with it."""

import copy
import math

import numpy as np
import pytest
import torch

import parity
import tinycnn_numpy as tn
import tinycnn_torch as tt

MODEL = tn.TinyCNN(rng=np.random.default_rng(0), dtype=np.float64)


def adam(model=MODEL):
    return tn.Adam(model.parameters())


def rates(schedule, steps):
    found = []
    for _ in range(steps):
        found.append(schedule.optimizer.lr)
        schedule.optimizer.steps += 1
        schedule.step()
    return found


def test_ten_steps_worked_by_hand():
    found = rates(tn.OneCycle(adam(), max_lr=25.0, total_steps=10), 10)
    down = (1e-4 - 25) / 7
    assert found == pytest.approx([1, 13, 25, *(25 + k * down for k in range(1, 8))])


@pytest.mark.parametrize(("total_steps", "pct_start"), [(4, 0.3), (7, 0.5), (100, 0.25), (938, 0.3)])
def test_every_rate_is_pytorchs(total_steps, pct_start):
    schedule = tn.OneCycle(adam(), 0.006, total_steps, pct_start)
    theirs = parity.twin_optimizer(schedule.optimizer, parity.twin(MODEL))
    twin, expected = parity.twin_schedule(schedule, theirs), []
    for _ in range(total_steps):
        expected.append(theirs.param_groups[0]["lr"])
        theirs.step()
        twin.step()
    found = rates(schedule, total_steps)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    assert min(found) == found[-1] > 0 and 0.7 * 0.006 < max(found) <= 0.006


def test_a_run_that_goes_on_needs_the_optimisers_state_alone():
    whole = rates(tn.OneCycle(adam(), 0.01, 20), 20)
    first = adam()
    rates(tn.OneCycle(first, 0.01, 20), 8)
    second = adam()
    second.load_state_dict(first.state_dict())
    assert rates(tn.OneCycle(second, 0.01, 20), 12) == whole[8:]


def test_the_rate_widens_no_float32_weight():
    model = tn.TinyCNN(rng=np.random.default_rng(0))
    optimizer = adam(model)
    schedule = tn.OneCycle(optimizer, np.float64(0.01), 10)
    x, y = np.ones((2, 1, 8, 8), np.float32), np.array([0, 1])
    tn.train_epoch(model, tn.CrossEntropyLoss(), optimizer, x, y, [y], schedule)
    assert type(optimizer.lr) is float and all(m.dtype == np.float32 for m in optimizer.exp_avg)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((math.nan, 10), "OneCycle: max_lr is nan, expected 0 <= max_lr < inf"),
        ((-1, 10), "OneCycle: max_lr is -1, expected 0 <= max_lr < inf"),
        ((0.1, 0), "OneCycle: total_steps is 0, expected an int >= 1"),
        ((0.1, 2.5), "OneCycle: total_steps is 2.5, expected an int >= 1"),
        ((0.1, 10, 1.0), "OneCycle: pct_start is 1.0, expected 0 <= pct_start < 1"),
        ((0.1, 10, "half"), "OneCycle: pct_start is 'half', expected 0 <= pct_start < 1"),
        ((0.1, 3), "OneCycle: pct_start 0.3 of total_steps 3 is 0.9, expected above 1"),
        ((0.1, 2, 0.5), "OneCycle: pct_start 0.5 of total_steps 2 is 1, expected above 1"),
    ],
)
def test_a_setting_out_of_range_is_one_line(settings, said):
    optimizer = adam()
    with pytest.raises(ValueError) as refused:
        tn.OneCycle(optimizer, *settings)
    assert str(refused.value) == said and optimizer.lr == 1e-3


def test_both_loops_step_the_schedule_after_each_batch():
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((40, 1, 8, 8)), rng.integers(2, size=40)
    batches = list(np.arange(40).reshape(8, 5))
    model, module = copy.deepcopy(MODEL), parity.twin(MODEL)
    ours = tn.Adam(model.parameters(), betas=(0.8, 0.95))
    schedule = tn.OneCycle(ours, 0.05, 8)
    theirs = parity.twin_optimizer(ours, module)
    twin = parity.twin_schedule(schedule, theirs)
    loss = tn.train_epoch(model, tn.CrossEntropyLoss(), ours, images, labels, batches, schedule)
    tensors = torch.from_numpy(images), torch.from_numpy(labels), [torch.from_numpy(b) for b in batches]
    torch_loss = tt.train_epoch(module, torch.nn.CrossEntropyLoss(), theirs, *tensors, twin)
    assert loss == pytest.approx(torch_loss, rel=1e-11) and ours.lr < 1e-6
    for name, weight in parity.numpy_state(module).items():
        np.testing.assert_allclose(model.state_dict()[name], weight, rtol=1e-9, atol=1e-12)


class OneStepLate(tn.OneCycle):
    def lr(self, step):
        return super().lr(step - 1)


class StopsTooHigh(tn.OneCycle):
    """The last rate is 10,000 times too large, and still so small that no weight shows it."""

    def lr(self, step):
        return (
            max(super().lr(step), 1e-9 * self.max_lr) if step < self.total_steps - 1 else self.max_lr / 25e3
        )


class Cosine(tn.OneCycle):
    def lr(self, step):
        return self.max_lr * (1 - math.cos(2 * math.pi * step / self.total_steps)) / 2 or self.max_lr / 25


def in_lockstep(cls, peak=0.01, loss_fn=None):
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((20, 1, 8, 8)), rng.integers(2, size=20)
    model = copy.deepcopy(MODEL)
    optimizer = tn.Adam(model.parameters(), betas=(0.8, 0.95))
    schedule = cls(optimizer, peak, 12)
    batches = [rng.integers(20, size=5) for _ in range(12)]
    return parity.lockstep(model, parity.twin(model), optimizer, images, labels, batches, schedule, loss_fn)


def test_the_two_sides_agree_under_the_schedule():
    report = in_lockstep(tn.OneCycle)
    assert report.ok and report.divergence is None
    assert [row.tensor for row in report.rows][:2] == ["loss", "lr"] and report.rows[1].shape == (12,)


class ForgetsTheRest(tn.CrossEntropyLoss):
    def backward(self):
        return super().backward() + np.float64(self.label_smoothing / 2 / 5)


def test_the_two_sides_agree_on_smoothed_labels():
    assert in_lockstep(tn.OneCycle, loss_fn=tn.CrossEntropyLoss(0.1)).ok
    report = in_lockstep(tn.OneCycle, loss_fn=ForgetsTheRest(0.1))
    assert not report.ok and (report.divergence.step, report.divergence.stage) == (1, "loss")


@pytest.mark.parametrize(("cls", "step"), [(OneStepLate, 2), (Cosine, 2), (StopsTooHigh, 12)])
def test_a_wrong_schedule_is_rejected_at_its_first_wrong_step(cls, step):
    report = in_lockstep(cls)
    assert not report.ok and "lr" in {row.tensor for row in report.mismatches}
    assert (report.divergence.step, report.divergence.stage) == (step, "schedule.step")
    assert not report.divergence.rounding and report.divergence.what.startswith("lr is ")
