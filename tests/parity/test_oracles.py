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


def test_central_differences_are_held_to_1e_7_of_the_gradient():
    rng = np.random.default_rng(0)
    layer, x = tn.Dense(50, 3, rng=rng, dtype=np.float64), rng.standard_normal((7, 50))
    row = parity.check_gradients(layer, x).rows[0]
    layer.forward(x)
    size = np.linalg.norm(layer.backward(np.random.default_rng(0).standard_normal((7, 3))))
    assert 1e-7 * size <= row.error / row.ratio < 5e-7 * size


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


def test_the_transpose_check_is_held_to_200_eps_of_the_norms():
    class Off(tn.Dense):
        def backward(self, dout):
            return 1.5 * super().backward(dout)

    rng = np.random.default_rng(1)
    layer, x = Off(6, 5, bias=False, rng=rng, dtype=np.float64), rng.standard_normal((3, 6))
    row = parity.check_adjoint(layer, x).rows[0]
    y, norm = np.random.default_rng(0).standard_normal((3, 5)), np.linalg.norm
    scale = norm(layer.forward(x)) * norm(y) + norm(x) * norm(layer.backward(y))
    assert row.error / row.ratio == pytest.approx(200 * np.finfo(np.float64).eps * scale / 2, rel=1e-9, abs=0)


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
