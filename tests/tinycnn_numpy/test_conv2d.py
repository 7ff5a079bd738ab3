"""Conv2D by hand, against SciPy, and by what a convolution must do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import image_cases, seeds

import tinycnn_numpy as tn
from parity import assert_parity, correlate_images
from tinycnn_numpy.windows import blocks_of_rows, windows_of


def conv(weight, bias, **options):
    weight = np.asarray(weight, np.float64)
    layer = tn.Conv2D(
        weight.shape[1],
        weight.shape[0],
        weight.shape[2:],
        rng=np.random.default_rng(0),
        dtype=np.float64,
        **options,
    )
    layer.load_state_dict({"weight": weight, "bias": np.asarray(bias)})
    return layer


def test_by_hand():
    """A 2x3 image, a 2x2 kernel: two windows, every number small enough to check on paper."""
    x = np.array([[[[1.0, 2, 3], [4, 5, 6]]]])
    layer = conv([[[[1, 10], [100, 1000]]]], [0.5])
    assert layer(x).tolist() == [[[[5421.5, 6532.5]]]]  # 1 + 20 + 400 + 5000, 2 + 30 + 500 + 6000
    dx = layer.backward(np.array([[[[1.0, 2]]]]))
    assert layer.dbias.tolist() == [3]
    assert layer.dweight.tolist() == [[[[1 + 2 * 2, 2 + 2 * 3], [4 + 2 * 5, 5 + 2 * 6]]]]
    assert dx.tolist() == [[[[1, 10 + 2, 20], [100, 1000 + 200, 2000]]]]


@given(image_cases(), st.integers(1, 3))
def test_forward_equals_scipy(case, filters):
    shape, kernel, stride, padding, _, seed = case
    rng = np.random.default_rng(seed)
    layer = tn.Conv2D(shape[1], filters, kernel, stride, padding, rng=rng, dtype=np.float64)
    x = rng.standard_normal(shape)
    expected = correlate_images(x, layer.weight, layer.bias, stride, padding)
    np.testing.assert_allclose(layer(x), expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_scipy_rejects_a_flipped_kernel():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1, 2, 5, 4)), rng.standard_normal((3, 2, 2, 3))
    flipped = conv(weight[:, :, ::-1, ::-1], np.zeros(3))
    assert np.abs(flipped(x) - correlate_images(x, weight)).max() > 1


@given(seeds)
def test_a_kernel_with_a_single_1_in_its_centre_changes_nothing(seed):
    x = np.random.default_rng(seed).standard_normal((2, 1, 5, 7))
    delta = np.zeros((1, 1, 3, 3))
    delta[0, 0, 1, 1] = 1
    assert np.array_equal(conv(delta, [0.0], padding=1)(x), x)


@given(seeds)
def test_a_shifted_image_gives_a_shifted_result(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 2, 8, 9))
    layer = tn.Conv2D(2, 3, 3, rng=rng, dtype=np.float64)
    np.testing.assert_allclose(layer(x[:, :, 2:, 1:]), layer(x)[:, :, 2:, 1:], atol=1e-14)


def test_a_batch_of_several_blocks_equals_pytorch():
    """Eight rows of windows, three of which make a megabyte: blocks of 3, 3 and 2 rows."""
    rng = np.random.default_rng(0)
    layer = tn.Conv2D(4, 3, 3, rng=rng)
    x = rng.standard_normal((100, 4, 10, 22), dtype=np.float32)
    assert len(blocks_of_rows(windows_of(x, (3, 3), (1, 1), (0, 0)))) == 3
    assert_parity(layer, x)


def test_first_weights_are_uniform_within_one_over_the_root_of_fan_in():
    layer = tn.Conv2D(4, 500, (3, 2), rng=np.random.default_rng(0))
    bound = 1 / np.sqrt(4 * 3 * 2)
    for values in (layer.weight, layer.bias):
        assert 0.98 * bound < np.abs(values).max() <= bound
        assert abs(values.mean()) < 0.1 * bound and values.dtype == np.float32


def test_backward_weights_is_backward_without_dx():
    rng = np.random.default_rng(0)
    layer = tn.Conv2D(2, 3, 2, rng=rng)
    out = layer(rng.standard_normal((2, 2, 5, 4), dtype=np.float32))
    dout = rng.standard_normal(out.shape, dtype=np.float32)
    layer.backward(dout)
    dweight, dbias = layer.dweight, layer.dbias
    assert layer.backward_weights(dout) is None
    assert np.array_equal(layer.dweight, dweight) and np.array_equal(layer.dbias, dbias)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 3), "Conv2D: in_channels is 0, expected an int >= 1"),
        ((1, 1.5, 3), "Conv2D: out_channels is 1.5, expected an int >= 1"),
        ((1, 1, 0), "Conv2D: kernel_size is 0, expected an int >= 1 or a (height, width) pair of them"),
        ((1, 1, (3, 3, 3)), "Conv2D: kernel_size is (3, 3, 3), expected"),
        ((1, 1, 3, 0), "Conv2D: stride is 0, expected"),
        ((1, 1, 3, 1, -1), "Conv2D: padding is -1, expected an int >= 0"),
        ((1, 1, 3, 1, "same"), "Conv2D: padding is 'same', expected"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError) as error:
        tn.Conv2D(*arguments, rng=np.random.default_rng(0))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 3, 8, 8), np.float32), "Conv2D: x has shape (2, 3, 8, 8), expected (N, 1, H, W)"),
        (np.zeros((1, 8, 8), np.float32), "Conv2D: x has shape (1, 8, 8), expected (N, 1, H, W)"),
        (np.zeros((2, 1, 8, 8)), "Conv2D: x has dtype float64, expected float32"),
        (
            np.zeros((2, 1, 2, 8), np.float32),
            "Conv2D: x has 2 x 8 pixels, expected at least kernel_size (3, 3) after padding (0, 0)",
        ),
    ],
)
def test_wrong_images_are_named(x, message):
    with pytest.raises(ValueError) as error:
        tn.Conv2D(1, 2, 3, rng=np.random.default_rng(0))(x)
    assert str(error.value) == message


def test_padding_counts_twice_when_the_kernel_must_fit():
    layer = tn.Conv2D(1, 1, (5, 4), padding=1, rng=np.random.default_rng(0))
    assert layer(np.zeros((1, 1, 3, 2), np.float32)).shape == (1, 1, 1, 1)
    for height, width in [(2, 2), (3, 1)]:
        with pytest.raises(ValueError, match=f"Conv2D: x has {height} x {width} pixels, expected at least"):
            layer(np.zeros((1, 1, height, width), np.float32))


def test_only_float32_and_float64_are_promised():
    with pytest.raises(ValueError, match="Conv2D: dtype is float16, expected float32 or float64"):
        tn.Conv2D(1, 1, 1, rng=np.random.default_rng(0), dtype=np.float16)


def test_weights_need_a_generator_and_a_dtype():
    with pytest.raises(ValueError, match=r"Conv2D: rng is 42, expected a numpy.random.Generator"):
        tn.Conv2D(1, 1, 3, rng=42)
    with pytest.raises(ValueError, match="Conv2D: dtype is None, expected float32 or float64"):
        tn.Conv2D(1, 1, 3, rng=np.random.default_rng(0), dtype=None)
