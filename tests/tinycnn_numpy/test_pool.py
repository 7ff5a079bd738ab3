"""Both poolings by hand, and the ways in which a maximum can tie."""

import numpy as np
import pytest
from hypothesis import given
from strategies import seeds

import tinycnn_numpy as tn


def test_max_by_hand_with_overlapping_windows():
    x = np.array([[[[1.0, 5, 2], [3, 4, 0]]]])
    layer = tn.MaxPool2D((2, 2), stride=1)
    assert layer(x).tolist() == [[[[5, 5]]]]
    assert layer.backward(np.array([[[[10.0, 1]]]])).tolist() == [
        [[[0, 11, 0], [0, 0, 0]]]
    ]  # both windows' winner


def test_max_gives_a_tie_to_the_first():
    x = np.full((1, 1, 4, 2), 7.0)
    layer = tn.MaxPool2D(2)
    layer(x)
    dx = layer.backward(np.array([[[[1.0], [2.0]]]]))
    assert dx[0, 0].tolist() == [[1, 0], [0, 0], [2, 0], [0, 0]]


def test_max_pads_with_minus_infinity():
    x = np.full((1, 1, 2, 2), -3.0)
    assert (tn.MaxPool2D(2, stride=1, padding=1)(x) == -3).all()


def test_max_drops_rows_and_columns_that_fill_no_window():
    layer = tn.MaxPool2D(2)
    assert layer(np.arange(15.0).reshape(1, 1, 3, 5)).shape == (1, 1, 1, 2)
    assert not layer.backward(np.ones((1, 1, 1, 2)))[:, :, 2, :].any()


def test_mean_by_hand_with_padding_in_the_count():
    x = np.array([[[[4.0, 8]]]])
    layer = tn.AvgPool2D((1, 2), stride=(1, 2), padding=(0, 1))
    assert layer(x).tolist() == [[[[2, 4]]]]  # (0 + 4) / 2, (8 + 0) / 2
    assert layer.backward(np.array([[[[1.0, 3]]]])).tolist() == [[[[0.5, 1.5]]]]


@given(seeds)
def test_max_of_minus_x_is_minus_the_minimum(seed):
    x = np.random.default_rng(seed).standard_normal((2, 3, 6, 4))
    minima = x.reshape(2, 3, 3, 2, 2, 2).min(axis=(3, 5))
    assert np.array_equal(tn.MaxPool2D(2)(-x), -minima)


@given(seeds)
def test_the_mean_of_pooled_is_the_mean_of_all(seed):
    x = np.random.default_rng(seed).standard_normal((2, 3, 6, 4))
    np.testing.assert_allclose(tn.AvgPool2D((3, 2))(x).mean(), x.mean(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("cls", [tn.MaxPool2D, tn.AvgPool2D])
class TestRefusals:
    def test_padding_above_half_the_kernel(self, cls):
        with pytest.raises(
            ValueError, match=f"{cls.__name__}: padding is 2, expected at most half of kernel_size 3"
        ):
            cls(3, padding=2)

    def test_a_kernel_of_0(self, cls):
        with pytest.raises(ValueError, match=f"^{cls.__name__}: kernel_size is 0, expected an int >= 1"):
            cls(0)

    def test_negative_padding(self, cls):
        with pytest.raises(ValueError, match=f"^{cls.__name__}: padding is -1, expected an int >= 0"):
            cls(2, padding=-1)

    def test_a_stride_of_0(self, cls):
        with pytest.raises(ValueError, match=f"{cls.__name__}: stride is 0, expected an int >= 1"):
            cls(2, stride=0)

    def test_a_kernel_larger_than_the_image(self, cls):
        with pytest.raises(
            ValueError, match=rf"^{cls.__name__}: x has 2 x 5 pixels, expected at least kernel_size \(3, 3\)"
        ):
            cls(3)(np.zeros((1, 1, 2, 5)))

    def test_an_image_without_a_batch(self, cls):
        with pytest.raises(
            ValueError, match=rf"{cls.__name__}: x has shape \(1, 4, 4\), expected \(N, C, H, W\)"
        ):
            cls(2)(np.zeros((1, 4, 4)))
