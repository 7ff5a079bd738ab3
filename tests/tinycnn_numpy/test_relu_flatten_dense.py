"""The layers that need no windows, by hand."""

import numpy as np
import pytest

import tinycnn_numpy as tn


def test_relu_by_hand():
    layer = tn.ReLU()
    assert layer(np.array([-2.0, 0, 3])).tolist() == [0, 0, 3]
    assert layer.backward(np.array([10.0, 20, 30])).tolist() == [0, 0, 30]


def test_flatten_runs_through_channels_first():
    x = np.arange(12.0).reshape(1, 3, 2, 2)
    layer = tn.Flatten()
    assert layer(x).tolist() == [list(range(12))]
    assert np.array_equal(layer.backward(layer(x)), x)


def test_dense_by_hand():
    layer = tn.Dense(3, 2, rng=np.random.default_rng(0), dtype=np.float64)
    layer.load_state_dict({"weight": np.array([[1.0, 2, 3], [4, 5, 6]]), "bias": np.array([0.5, -0.5])})
    assert layer(np.array([[1.0, 10, 100]])).tolist() == [[321.5, 653.5]]
    assert layer.backward(np.array([[1.0, 2]])).tolist() == [[9, 12, 15]]
    assert layer.dweight.tolist() == [[1, 10, 100], [2, 20, 200]]
    assert layer.dbias.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_features": 0}, "Dense: in_features is 0, expected an int >= 1"),
        ({"out_features": 1.5}, "Dense: out_features is 1.5, expected an int >= 1"),
        ({"dtype": np.float16}, "Dense: dtype is float16, expected float32 or float64"),
        ({"rng": 42}, "Dense: rng is 42, expected a numpy.random.Generator"),
    ],
)
def test_dense_names_wrong_arguments(arguments, message):
    with pytest.raises(ValueError) as error:
        tn.Dense(**{"in_features": 3, "out_features": 2, "rng": np.random.default_rng(0)} | arguments)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 4), np.float32), "Dense: x has shape (2, 4), expected (N, 3)"),
        (np.zeros((2, 1, 3), np.float32), "Dense: x has shape (2, 1, 3), expected (N, 3)"),
        (np.zeros((2, 3)), "Dense: x has dtype float64, expected float32"),
    ],
)
def test_dense_names_a_wrong_x(x, message):
    with pytest.raises(ValueError) as error:
        tn.Dense(3, 2, rng=np.random.default_rng(0))(x)
    assert str(error.value) == message
