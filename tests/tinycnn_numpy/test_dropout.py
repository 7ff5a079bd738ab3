"""Dropout: its own mask, the same in backward, nothing in evaluation; compared under one mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, seeds

import tinycnn_numpy as tn
from parity import assert_parity, check, compare


@given(st.floats(0, 0.9), st.lists(st.integers(1, 5), min_size=2, max_size=4), dtypes, seeds, st.booleans())
def test_every_tensor_equals_pytorch_under_one_mask(p, shape, dtype, seed, training):
    rng = np.random.default_rng(seed)
    layer = tn.Dropout(p, rng=rng).train(training)
    x = rng.standard_normal(shape).astype(dtype)
    x[rng.random(shape) < 0.2] = 0  # where x is 0 the mask shows in dx alone
    out = layer(x)
    assert out.dtype == dtype and out.shape == x.shape
    report = compare(layer, x, seed=seed)
    assert all(row.ok for row in report.rows if row.tensor in ("out", "dx")), report


def test_the_share_that_is_kept_is_1_minus_p():
    for p in (0.0, 0.1, 0.5, 0.8):
        layer, x = tn.Dropout(p, rng=np.random.default_rng(0)), np.ones((100, 300))
        out = layer(x)
        assert (out != 0).mean() == pytest.approx(1 - p, abs=0.01) and out.mean() == pytest.approx(
            1, abs=0.03
        )
        assert set(np.round(np.unique(out), 12)) <= {0.0, round(1 / (1 - p), 12)}
        assert np.array_equal(layer.backward(x), out)


def test_every_forward_draws_anew_and_the_generator_decides():
    x = np.ones((4, 50))
    layer, again = (tn.Dropout(0.5, rng=np.random.default_rng(7)) for _ in range(2))
    first, second = layer(x), layer(x)
    assert not np.array_equal(first, second) and np.array_equal(first, again(x))


def test_in_evaluation_nothing_happens_and_nothing_is_drawn():
    rng = np.random.default_rng(0)
    layer, x = tn.Dropout(0.5, rng=rng).eval(), np.random.default_rng(1).standard_normal((3, 4, 5, 6))
    before = rng.bit_generator.state
    assert np.array_equal(layer(x), x) and np.array_equal(layer.backward(x), x)
    assert rng.bit_generator.state == before
    assert_parity(layer, x)


def test_evaluate_switches_it_off_and_on_again():
    rng = np.random.default_rng(0)
    model = tn.Sequential(drop=tn.Dropout(0.9, rng=rng), fc=tn.Dense(6, 2, rng=rng))
    images, labels = rng.standard_normal((50, 6)).astype(np.float32), rng.integers(2, size=50)
    assert tn.evaluate(model, images, labels) == tn.evaluate(model, images, labels)
    assert model.training and model.drop.training


@pytest.mark.parametrize("wrong", ["another mask", "no mask", "not scaled"])
def test_a_wrong_backward_is_rejected_and_named(wrong):
    class Wrong(tn.Dropout):
        def backward(self, dout):
            if wrong == "another mask":
                return dout * (self.rng.random(dout.shape) >= self.p) / (1 - self.p)
            return dout * 1 if wrong == "no mask" else dout * (self.cache > 0)

    report = compare(Wrong(0.4, rng=np.random.default_rng(0)), np.random.default_rng(1).random((6, 30)) + 0.1)
    assert [row.tensor for row in report.mismatches] == ["dx"]
    codes = {"another mask": "mask-drawn-again", "no mask": "mask-missing", "not scaled": "scale-missing"}
    assert [d.code for d in report.diagnoses] == [codes[wrong]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tn.Dropout(1.0, rng=np.random.default_rng(0)), "Dropout: p is 1.0, expected 0 <= p < 1"),
        (lambda: tn.Dropout(rng=0), "Dropout: rng is 0, expected a numpy.random.Generator"),
        (lambda: tn.Dropout(rng=np.random.default_rng(0))([1.0]), "Dropout: x is a list, expected a NumPy"),
    ],
)
def test_what_it_refuses(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_a_mask_shared_by_a_channel_is_not_called_nothing_dropped():
    class ByChannel(tn.Dropout):
        def forward(self, x):
            if not self.training:
                return super().forward(x)
            shape = (*x.shape[:2], *(1 for _ in x.shape[2:]))
            self.cache = (self.rng.random(shape) >= self.p) / x.dtype.type(1 - self.p) * np.ones_like(x)
            return x * self.cache

    codes = {d.code for seed in range(6) for c in check(ByChannel, seed=seed).checks for d in c.diagnoses}
    assert "nothing-dropped" not in codes
