"""PyTorch at the edges, row by row: the NumPy side does the same, or a difference that its docstring names.

Each test runs both sides, so that a PyTorch that changes its mind is noticed too.
"""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import tinycnn_numpy as tn
from parity import assert_parity, copy_weights, twin

NAN, INF = np.nan, np.inf
RNG = np.random.default_rng(0)


def run(layer, x, dout):
    """(out, dx) of a layer of either side."""
    if isinstance(layer, tn.Layer):
        return layer(np.array(x)), layer.backward(np.array(dout))
    tensor = torch.tensor(x, requires_grad=True)
    out = layer(tensor)
    out.backward(torch.tensor(dout))
    return out.detach().numpy(), tensor.grad.numpy()


def image(*rows):
    return np.array([[rows]], np.float64)


class TestMaxPool:
    @pytest.mark.parametrize(
        "window", [(1, 1, 1, 1), (0, 2, 2, 1), (-0.0, 0.0, -0.0, -1), (-INF, -INF, -INF, -INF)]
    )
    def test_the_first_of_equals_wins(self, window):
        x = image(window[:2], window[2:])
        for ours, theirs in zip(
            run(tn.MaxPool2D(2), x, image([3])), run(nn.MaxPool2d(2), x, image([3])), strict=True
        ):
            assert np.array_equal(ours, theirs)

    def test_channels_last_makes_no_difference_to_pytorch(self):
        x = torch.zeros(1, 2, 2, 2).to(memory_format=torch.channels_last).requires_grad_()
        nn.MaxPool2d(2)(x).sum().backward()
        assert x.grad[0, :, 0, 0].tolist() == [1, 1]

    def test_nan_makes_nan_but_no_winner_where_pytorch_takes_the_last(self):
        x = image([NAN, 5], [NAN, 1])
        out, dx = run(tn.MaxPool2D(2), x, image([3]))
        torch_out, torch_dx = run(nn.MaxPool2d(2), x, image([3]))
        assert np.isnan(out).all() and np.isnan(torch_out).all()
        assert dx.tolist() == [[[[0, 0], [0, 0]]]] and torch_dx.tolist() == [[[[0, 0], [3, 0]]]]

    def test_padding_is_minus_infinity(self):
        assert_parity(tn.MaxPool2D(3, stride=2, padding=1), -1 - RNG.random((2, 3, 5, 6)))

    def test_padding_may_win_against_minus_infinity_alone(self):
        x = image([-INF, -INF], [-INF, -INF])
        _, dx = run(tn.MaxPool2D(2, 1, 1), x, np.ones((1, 1, 3, 3)))
        _, torch_dx = run(nn.MaxPool2d(2, 1, 1), x, np.ones((1, 1, 3, 3)))
        assert dx.sum() == 4 and torch_dx.sum() == 9

    @pytest.mark.filterwarnings("ignore:invalid value")
    def test_an_infinite_gradient_reaches_the_losers_as_nan_where_pytorch_has_0(self):
        x = image([1, 2], [3, 4])
        _, dx = run(tn.MaxPool2D(2), x, image([INF]))
        _, torch_dx = run(nn.MaxPool2d(2), x, image([INF]))
        assert np.isnan(dx).sum() == 3 and torch_dx.tolist() == [[[[0, 0], [0, INF]]]]

    def test_padding_above_half_the_kernel_is_refused(self):
        with pytest.raises(RuntimeError, match="at most half"):
            nn.MaxPool2d(3, padding=2)(torch.zeros(1, 1, 4, 4))
        with pytest.raises(ValueError, match="at most half"):
            tn.MaxPool2D(3, padding=2)


class TestAvgPool:
    def test_padding_counts(self):
        assert_parity(tn.AvgPool2D(3, stride=2, padding=1), RNG.random((2, 3, 5, 6)))

    def test_nan_poisons_its_windows_only(self):
        assert_parity(tn.AvgPool2D(2), image([NAN, 1, 2, 3], [4, 5, 6, 7]))

    def test_integer_images_are_refused_where_pytorch_truncates(self):
        assert nn.AvgPool2d(2)(torch.tensor([[[[0, 1], [2, 3]]]])).item() == 1
        for layer in (tn.AvgPool2D(2), tn.MaxPool2D(2)):
            with pytest.raises(ValueError, match="x has dtype int64, expected float32 or float64"):
                layer(np.array([[[[0, 1], [2, 3]]]]))


class TestReLU:
    X, DOUT = np.array([NAN, 0.0, -0.0, -1.0, 2.0, INF, -INF]), np.array([1.0, 2, 3, 4, 5, 6, 7])

    def test_nan_passes_and_both_zeros_stop_the_gradient(self):
        (out, dx), (torch_out, torch_dx) = (
            run(tn.ReLU(), self.X, self.DOUT),
            run(nn.ReLU(), self.X, self.DOUT),
        )
        assert np.array_equal(out, torch_out, equal_nan=True) and np.array_equal(dx, torch_dx)
        assert dx.tolist() == [1, 0, 0, 0, 5, 6, 0]

    def test_a_negative_zero_is_a_zero_of_either_sign(self):
        out, torch_out = run(tn.ReLU(), self.X, self.DOUT)[0], run(nn.ReLU(), self.X, self.DOUT)[0]
        assert np.signbit(torch_out[2]) and out[2] == 0

    @pytest.mark.filterwarnings("ignore:invalid value")
    @pytest.mark.parametrize("gradient", [INF, NAN])
    def test_gradients_that_are_not_finite_differ_at_a_closed_gate(self, gradient):
        _, dx = run(tn.ReLU(), np.array([-1.0]), np.array([gradient]))
        assert np.isnan(dx[0]) and run(nn.ReLU(), np.array([-1.0]), np.array([gradient]))[1][0] == 0


class TestConv:
    @pytest.mark.parametrize(
        ("settings", "shape"),
        [
            ((1, 1, 3), (1, 1, 2, 5)),
            ((1, 1, 1, 0), (1, 1, 2, 2)),
            ((1, 1, 1, 1, -1), (1, 1, 2, 2)),
            ((2, 1, 1), (1, 1, 2, 2)),
        ],
        ids=["kernel too large", "stride 0", "negative padding", "wrong channels"],
    )
    def test_both_refuse(self, settings, shape):
        with pytest.raises((RuntimeError, ValueError)):
            nn.Conv2d(*settings)(torch.zeros(shape))
        with pytest.raises(ValueError, match=r"^Conv2D: "):
            tn.Conv2D(*settings, rng=RNG)(np.zeros(shape, np.float32))

    @pytest.mark.parametrize("dtype", ["int64", "float64"])
    def test_mixed_dtypes_are_refused_and_not_widened(self, dtype):
        with pytest.raises(RuntimeError):
            nn.Conv2d(1, 1, 1)(torch.zeros(1, 1, 2, 2, dtype=getattr(torch, dtype)))
        with pytest.raises(ValueError, match=f"x has dtype {dtype}, expected float32"):
            tn.Conv2D(1, 1, 1, rng=RNG)(np.zeros((1, 1, 2, 2), dtype))

    def test_float16_is_refused_where_pytorch_computes(self):
        assert nn.Conv2d(1, 1, 1).half()(torch.zeros(1, 1, 2, 2).half()).dtype == torch.float16
        with pytest.raises(ValueError, match="dtype is float16"):
            tn.Conv2D(1, 1, 1, rng=RNG, dtype=np.float16)

    @pytest.mark.parametrize(
        "layer", [tn.Conv2D(2, 3, 2, rng=RNG), tn.MaxPool2D(2), tn.AvgPool2D(2), tn.ReLU(), tn.Flatten()]
    )
    def test_a_batch_of_0(self, layer):
        assert_parity(layer, np.zeros((0, 2, 4, 5), np.float32))

    def test_a_dense_batch_of_0(self):
        assert_parity(tn.Dense(4, 3, rng=RNG), np.zeros((0, 4), np.float32))


class TestCrossEntropy:
    @staticmethod
    def both(logits, labels):
        logits, labels = np.array(logits, np.float64), np.array(labels)
        theirs = nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels)).item()
        return float(tn.CrossEntropyLoss()(logits, labels)), theirs

    @pytest.mark.parametrize("label", [3, -1])
    def test_a_label_that_is_no_class(self, label):
        with pytest.raises(IndexError):
            nn.functional.cross_entropy(torch.zeros(1, 3), torch.tensor([label]))
        with pytest.raises(IndexError, match=f"label {label}, expected 0 to 2"):
            tn.CrossEntropyLoss()(np.zeros((1, 3)), np.array([label]))

    def test_minus_100_is_an_error_where_pytorch_ignores_the_row(self):
        assert nn.functional.cross_entropy(
            torch.zeros(2, 2), torch.tensor([0, -100])
        ).item() == pytest.approx(np.log(2))
        with pytest.raises(IndexError, match="label -100"):
            tn.CrossEntropyLoss()(np.zeros((2, 2)), np.array([0, -100]))

    def test_an_empty_batch_has_loss_nan(self):
        loss_fn = tn.CrossEntropyLoss()
        loss = loss_fn(np.zeros((0, 3), np.float32), np.zeros(0, int))
        assert np.isnan(loss) and loss.dtype == np.float32 and loss_fn.backward().shape == (0, 3)
        assert nn.functional.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)).isnan()

    @pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
    def test_labels_of_any_integer_dtype_are_read(self, dtype):
        assert tn.CrossEntropyLoss()(np.zeros((2, 2)), np.array([0, 1], dtype)) == pytest.approx(np.log(2))
        if dtype == "int32":  # PyTorch reads uint8 and int64 only
            with pytest.raises(RuntimeError):
                nn.functional.cross_entropy(torch.zeros(2, 2), torch.tensor([0, 1], dtype=torch.int32))

    @pytest.mark.parametrize(
        ("logits", "label", "loss"), [([1e4, -1e4], 1, 20000), ([1.0, -INF], 0, 0), ([1.0, -INF], 1, INF)]
    )
    def test_huge_and_infinite_logits(self, logits, label, loss):
        ours, theirs = self.both([logits], [label])
        assert ours == theirs == loss

    @pytest.mark.parametrize("logits", [[INF, 1.0], [-INF, -INF]])
    def test_infinite_logits_that_mean_nothing(self, logits):
        with pytest.warns(RuntimeWarning, match="invalid value"):
            ours, theirs = self.both([logits], [0])
        assert np.isnan(ours) and np.isnan(theirs)


@pytest.mark.parametrize(
    "array",
    [
        np.ones((3, 1), ">f4"),
        np.ones((2, 3), np.float32).T[::-1],
        np.frombuffer(np.ones((3, 2), np.float32).tobytes(), np.float32).reshape(3, 2),
    ],
    ids=["big-endian", "negative stride", "read-only"],
)
def test_weights_that_from_numpy_dislikes_go_across(array):
    layer = tn.Dense(array.shape[1], array.shape[0], bias=False, rng=RNG)
    module = twin(layer)
    layer.weight = array
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy_weights(layer, module)
    assert np.array_equal(module.weight.detach().numpy(), array)


def test_weights_that_went_across_share_no_memory():
    layer = tn.Dense(2, 2, rng=RNG)
    module = twin(layer)
    layer.weight[...] = 7
    assert not (module.weight == 7).any()


@pytest.mark.parametrize(
    "settings", [{"betas": (1.0, 0.9)}, {"betas": (0.9, 1.0)}, {"lr": -1.0}, {"eps": -1.0}]
)
def test_both_adams_refuse(settings):
    layer = tn.Dense(2, 2, rng=RNG)
    with pytest.raises(ValueError):
        torch.optim.Adam(twin(layer).parameters(), **settings)
    with pytest.raises(ValueError, match=r"^Adam: "):
        tn.Adam(layer.parameters(), **settings)
