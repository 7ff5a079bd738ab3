"""Each oracle is shown a gradient that is wrong by one in a thousand, or a backward that is no transpose."""

import numpy as np
import pytest

import parity
import tinycnn_numpy as tn


def test_central_differences_reject_a_factor_of_1_001():
    class Off(tn.Dense):
        def backward(self, dout):
            return 1.001 * super().backward(dout)

    layer = Off(4, 3, rng=np.random.default_rng(0), dtype=np.float64)
    report = parity.check_gradients(layer, np.random.default_rng(1).standard_normal((5, 4)))
    assert [row.tensor for row in report.mismatches] == ["dx"]


def test_central_differences_refuse_float32():
    with pytest.raises(ValueError, match="check_gradients: x has dtype float32, expected float64"):
        parity.check_gradients(tn.ReLU(), np.zeros(3, np.float32))


def test_of_a_linear_layer_central_differences_are_held_to_what_rounding_may_do():
    rng = np.random.default_rng(0)
    layer, x = tn.Dense(50, 3, rng=rng, dtype=np.float64), rng.standard_normal((7, 50))
    dout = np.random.default_rng(0).standard_normal((7, 3))
    products = (np.abs(x) @ np.abs(layer.weight).T + np.abs(layer.bias)) * np.abs(dout)
    roundings = 50 + 3 + 153  # the numbers of an image, of its out, the weights
    for h in (1e-3, 1e-5):
        row = parity.check_gradients(layer, x, h=h).rows[0]
        bound = roundings * 2.0**-53 * products.sum() / h
        assert row.ok and bound <= row.error / row.ratio <= 2 * bound


def test_curvature_widens_the_bound_of_central_differences():
    class Cubes(tn.Layer):
        def forward(self, x):
            self.cache = x
            return x**3

        def backward(self, dout):
            return 3 * self.cache**2 * dout

    class Off(Cubes):
        def backward(self, dout):
            return 1.001 * super().backward(dout)

    x = np.random.default_rng(2).standard_normal((3, 4))
    for h in (1e-1, 1e-2, 1e-4):
        assert parity.check_gradients(Cubes(), x, h=h).ok
    assert not parity.check_gradients(Off(), x, h=1e-4).ok


def test_the_transpose_check_rejects_a_flipped_gradient():
    class Flipped(tn.AvgPool2D):
        def backward(self, dout):
            return super().backward(dout[:, :, ::-1])

    x = np.random.default_rng(0).standard_normal((2, 3, 6, 4))
    assert parity.check_adjoint(tn.AvgPool2D(2), x).ok and not parity.check_adjoint(Flipped(2), x).ok


def test_the_transpose_check_rejects_one_wrong_digit():
    class Off(tn.Dense):
        def backward(self, dout):
            return (1 + 1e-12) * super().backward(dout)

    rng = np.random.default_rng(0)
    right, wrong = (cls(6, 5, bias=False, rng=rng, dtype=np.float64) for cls in (tn.Dense, Off))
    x = np.abs(rng.standard_normal((3, 6)))
    assert parity.check_adjoint(right, x).ok and not parity.check_adjoint(wrong, x).ok


def test_the_transpose_check_is_held_to_what_rounding_may_do():
    class Off(tn.Dense):
        def backward(self, dout):
            return 1.5 * super().backward(dout)

    rng = np.random.default_rng(1)
    layer, x = Off(6, 5, bias=False, rng=rng, dtype=np.float64), rng.standard_normal((3, 6))
    row = parity.check_adjoint(layer, x).rows[0]
    y = np.random.default_rng(0).standard_normal((3, 5))
    products = (np.abs(x) @ np.abs(layer.weight).T) * np.abs(y)
    bound = 2 * (6 + 5 + 30) * 2.0**-53 * products.sum()
    assert row.error / row.ratio == pytest.approx(bound, rel=1e-9, abs=0)


def test_the_oracles_leave_weights_and_cache_as_they_were():
    rng = np.random.default_rng(3)
    layer, x = tn.Conv2D(2, 3, 2, rng=rng, dtype=np.float64), rng.standard_normal((2, 2, 4, 5))
    before = layer.state_dict()
    parity.check_adjoint(layer, x)
    parity.check_gradients(layer, x)
    assert all(np.array_equal(array, before[name]) for name, array in layer.state_dict().items())


def test_central_differences_see_entries_that_are_exchanged():
    class Exchanged(tn.Dense):
        def backward(self, dout):
            return super().backward(dout)[:, ::-1]

    rng = np.random.default_rng(0)
    layer = Exchanged(4, 3, rng=rng, dtype=np.float64)
    assert [row.tensor for row in parity.check_gradients(layer, rng.standard_normal((5, 4))).mismatches] == [
        "dx"
    ]


def test_the_reports_say_what_was_checked():
    layer, x = tn.Dense(4, 3, bias=False, rng=np.random.default_rng(0), dtype=np.float64), np.ones((5, 4))
    report = parity.check_gradients(layer, x)
    assert report.title == "Dense: gradients against central differences, h = 1e-05"
    found = [(row.stage, row.tensor, row.shape) for row in report.rows]
    assert found == [("Dense", "dx", (5, 4)), ("Dense", "dweight", (3, 4))]
    assert [row.error for row in report.rows] == [row.error for row in parity.check_gradients(layer, x).rows]
    report = parity.check_adjoint(layer, x)
    assert report.title == "Dense, float64: backward is the transpose of forward"
    assert [(row.stage, row.tensor, row.shape) for row in report.rows] == [("Dense", "<f(x), y>", (5, 4))]


def test_scipys_sums_of_small_integers_are_exact_whatever_their_number():
    rng = np.random.default_rng(0)
    x, weight = (rng.integers(-9, 10, shape).astype(float) for shape in ((1, 2, 70, 60), (1, 2, 30, 30)))
    out = parity.correlate_images(x, weight, padding=(3, 2))
    assert out.shape == (1, 1, 47, 35) and np.array_equal(out, np.round(out))
