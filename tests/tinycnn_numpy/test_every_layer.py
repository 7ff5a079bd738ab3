"""What every layer must do, over random shapes, settings, dtypes and seeds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, image_cases, image_shapes, seeds

import tinycnn_numpy as tn
from parity import assert_parity, check_adjoint, check_gradients
from tinycnn_numpy import plain


@st.composite
def conv2d(draw, cls=tn.Conv2D):
    shape, kernel, stride, padding, dtype, seed = draw(image_cases())
    rng = np.random.default_rng(seed)
    filters, bias = draw(st.integers(1, 4)), draw(st.booleans())
    return (
        cls(shape[1], filters, kernel, stride, padding, bias, rng=rng, dtype=dtype),
        shape,
        dtype,
        rng,
    )


@st.composite
def pool(draw, cls):
    shape, kernel, stride, padding, dtype, seed = draw(image_cases(max_padding=1, half_kernel=True))
    return cls(kernel, stride, padding), shape, dtype, np.random.default_rng(seed)


@st.composite
def dense(draw):
    dtype, rng = draw(dtypes), np.random.default_rng(draw(seeds))
    n, k, m = draw(st.integers(1, 5)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    return tn.Dense(k, m, draw(st.booleans()), rng=rng, dtype=dtype), (n, k), dtype, rng


@st.composite
def without_settings(draw, cls):
    return cls(), draw(image_shapes()), draw(dtypes), np.random.default_rng(draw(seeds))


@st.composite
def batch_norm(draw):
    """In evaluation, where images do not influence each other."""
    (N, C, H, W), dtype, rng = draw(image_shapes()), draw(dtypes), np.random.default_rng(draw(seeds))
    layer = tn.BatchNorm2D(C, dtype=dtype)
    layer.weight[...], layer.running_mean[...] = rng.standard_normal(C), rng.standard_normal(C)
    layer.running_var[...] = rng.uniform(0.5, 2, C)
    return layer.eval(), (N, C, H, W), dtype, rng


plain_linear = st.one_of(conv2d(plain.Conv2D), pool(plain.AvgPool2D))
linear = st.one_of(conv2d(), dense(), pool(tn.AvgPool2D), without_settings(tn.Flatten), plain_linear)
largest = st.one_of(pool(tn.MaxPool2D), pool(plain.MaxPool2D))
layers = st.one_of(linear, largest, without_settings(tn.ReLU), batch_norm())


def distinct(shape, dtype, rng):
    """Numbers 0.1 apart and 0.05 from 0: nothing ties, no ReLU or max changes its mind within h."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) - size // 2) / 10 + 0.05).reshape(shape).astype(dtype)


@given(layers)
def test_every_tensor_equals_pytorch(case):
    layer, shape, dtype, rng = case
    assert_parity(layer, rng.standard_normal(shape).astype(dtype), seed=int(rng.integers(2**32)))


@given(st.one_of(conv2d(), conv2d(plain.Conv2D), dense(), largest, without_settings(tn.ReLU)))
def test_small_integers_agree_to_the_last_bit(case):
    """Sums of small integers are exact in any order, ties and zeros are everywhere: no tolerance at all."""
    layer, shape, dtype, rng = case
    for parameter in layer.parameters():
        parameter.data[...] = rng.integers(-4, 5, parameter.data.shape)
    x = rng.integers(-4, 5, shape).astype(dtype)
    report = assert_parity(layer, x, dout=rng.integers(-4, 5, layer(x).shape).astype(dtype))
    assert all(row.error == 0 for row in report.rows)


@given(layers)
def test_gradients_equal_central_differences(case):
    layer, shape, _, rng = case
    for parameter in layer.parameters():
        setattr(layer, parameter.name, parameter.data.astype(np.float64))
    report = check_gradients(layer, distinct(shape, np.float64, rng))
    assert report.ok, report


@given(linear)
def test_backward_is_the_transpose_of_a_linear_forward(case):
    layer, shape, dtype, rng = case
    report = check_adjoint(layer, rng.standard_normal(shape).astype(dtype))
    assert report.ok, report


@given(layers, st.sampled_from(["fortran", "strided", "reversed", "read-only"]))
def test_any_memory_order_is_read_and_none_is_written(case, order):
    layer, shape, dtype, rng = case
    x = rng.standard_normal(shape).astype(dtype)
    match order:
        case "fortran":
            x = np.asfortranarray(x)
        case "strided":
            x = np.repeat(x, 2, axis=-1)[..., ::2]
        case "reversed":
            x = x[::-1]
        case "read-only":
            x.setflags(write=False)
    before = x.copy()
    assert_parity(layer, x)
    out = layer(x)
    np.testing.assert_allclose(out, layer(np.array(x, order="C")), rtol=1e-5, atol=1e-5)
    out = layer(x)
    dout = np.asfortranarray(rng.standard_normal(out.shape).astype(dtype))
    dout.setflags(write=False)
    layer.backward(dout)
    assert np.array_equal(x, before)


@given(layers)
def test_an_empty_batch_gives_empty_results_and_zero_weight_gradients(case):
    layer, shape, dtype, _ = case
    report = assert_parity(layer, np.empty((0, *shape[1:]), dtype))
    assert all(row.shape[0] == 0 for row in report.rows if row.tensor in ("out", "dx"))
    assert all(not parameter.grad.any() for parameter in layer.parameters())


@given(layers)
def test_images_do_not_influence_each_other(case):
    layer, shape, dtype, rng = case
    x = rng.standard_normal((3, *shape[1:])).astype(dtype)
    one_by_one = np.concatenate([layer(x[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(layer(x), one_by_one, rtol=1e-5, atol=1e-5)


@given(layers)
def test_backward_twice_gives_the_same_and_zero_gives_zero(case):
    layer, shape, dtype, rng = case
    out = layer(rng.standard_normal(shape).astype(dtype))
    dout = rng.standard_normal(out.shape).astype(dtype)
    dx = layer.backward(dout)
    first = [dx, *(parameter.grad for parameter in layer.parameters())]
    again = [layer.backward(dout), *(parameter.grad for parameter in layer.parameters())]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    zeros = [layer.backward(np.zeros_like(dout)), *(parameter.grad for parameter in layer.parameters())]
    assert not any(array.any() for array in zeros)


def test_a_layer_of_ones_own_needs_a_forward_and_a_backward_only():
    class Scale(tn.Layer):
        weight = np.array([2.0, 3.0])

        def forward(self, x):
            self.cache = x
            return x * self.weight

        def backward(self, dout):
            self.dweight = (dout * self.cache).sum(axis=0)
            return dout * self.weight

    layer = Scale()
    layer(np.array([[1.0, 10], [2, 20]]))
    assert layer.backward_weights(np.array([[1.0, 2], [3, 4]])) is None
    assert layer.dweight.tolist() == [7, 100]
    for call in (tn.Layer().forward, tn.Layer().backward):
        with pytest.raises(NotImplementedError):
            call(np.zeros(1))


@pytest.mark.parametrize(
    ("cls", "settings", "shape"), [(tn.Dense, (3, 2), (2, 3)), (tn.Conv2D, (1, 2, 1), (2, 1, 3, 2))]
)
def test_without_a_bias_there_is_no_gradient_of_one(cls, settings, shape):
    layer = cls(*settings, bias=False, rng=np.random.default_rng(0))
    layer.backward(layer(np.ones(shape, np.float32)))
    assert layer.dweight.any() and layer.dbias is None and list(layer.state_dict()) == ["weight"]


@pytest.mark.parametrize(
    "layer",
    [
        tn.ReLU(),
        tn.Flatten(),
        tn.MaxPool2D(2),
        tn.AvgPool2D(2),
        tn.Dense(2, 2, rng=np.random.default_rng(0)),
        tn.Conv2D(1, 1, 1, rng=np.random.default_rng(0)),
        tn.BatchNorm2D(1),
        tn.Dropout(rng=np.random.default_rng(0)),
        plain.MaxPool2D(2),
        plain.AvgPool2D(2),
        plain.Conv2D(1, 1, 1, rng=np.random.default_rng(0)),
    ],
    ids=str,
)
class TestRefusals:
    def test_backward_before_forward(self, layer):
        with pytest.raises(RuntimeError, match=f"{layer}: backward was called before forward"):
            layer.backward(np.zeros((1, 2), np.float32))

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            ([[1.0]], "is a list, expected a NumPy array"),
            (np.zeros((2, 1, 4, 4), int), "has "),
            (np.zeros((2, 1, 4, 4), np.float16), "has "),
            (None, "is a NoneType, expected a NumPy array"),
            (np.matrix([[1.0]]), "is a matrix, expected a NumPy array"),
            (np.ma.masked_array(np.ones((2, 1, 4, 4))), "is a MaskedArray, expected a NumPy array"),
        ],
    )
    def test_an_x_that_is_no_float_array(self, layer, x, message):
        with pytest.raises(ValueError, match=f"^{layer}: x {message}"):
            layer.forward(x)


@pytest.mark.parametrize(
    "layer",
    [
        tn.ReLU(),
        tn.MaxPool2D(1),
        tn.AvgPool2D(1),
        tn.Flatten(),
        tn.Conv2D(1, 1, 1, rng=np.random.default_rng(0)),
        plain.MaxPool2D(1),
        plain.AvgPool2D(1),
        plain.Conv2D(1, 1, 1, rng=np.random.default_rng(0)),
        tn.Sequential(flatten=tn.Flatten(), fc=tn.Dense(4, 3, rng=np.random.default_rng(0))),
    ],
    ids=str,
)
def test_a_dout_of_the_wrong_shape_or_dtype_is_refused(layer):
    out = layer.forward(np.zeros((2, 1, 2, 2), np.float32))
    last = getattr(layer, "fc", layer)
    for wrong in (np.zeros((*out.shape[:-1], 9), np.float32), out.astype(np.float64)):
        with pytest.raises(ValueError, match=rf"^{last}: dout has (shape|dtype) .*, expected "):
            layer.backward(wrong)
