"""What people call things."""

import numpy as np
import pytest

from parity.foreign.layouts import BIASES, IMAGES, KERNELS, back, moved
from parity.foreign.names import argument_named, arguments_named, array_named, kinds_named


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("Conv3x3", ("Conv2D",)),
        ("ConvolutionalLayer", ("Conv2D",)),
        ("conv_naive", ("Conv2D",)),
        ("Layer_Dense", ("Dense",)),
        ("Affine", ("Dense",)),
        ("Activation_ReLU", ("ReLU",)),
        ("MaxPool2", ("MaxPool2D",)),
        ("Pooling", ("MaxPool2D", "AvgPool2D")),
        ("SoftmaxWithLoss", ("CrossEntropyLoss",)),
        ("Activation_Softmax_Loss_CategoricalCrossentropy", ("CrossEntropyLoss",)),
        ("Optimizer_Adam", ("Adam",)),
        ("Momentum", ("SGD",)),
        *[(name, ()) for name in ("LeakyReLU", "ConvTranspose2D", "Conv1D", "Softmax", "BinaryCrossEntropy")],
    ],
)  # fmt: skip
def test_the_kinds_that_a_name_may_mean(name, kinds):
    assert kinds_named(name) == kinds


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("W", "weight"), ("filterWeights", "weight"), ("kernels", "weight"),
        ("biases", "bias"), ("B", "bias"),
        ("dW", "dweight"), ("dweights", "dweight"), ("grad_W", "dweight"),
        ("w_gradient", "dweight"), ("d_b", "dbias"), ("bias_grad", "dbias"), ("dinputs", "dx"),
        ("dA_prev", "dx"), ("output", "out"), ("velocity", None), ("last_input", None),
    ],
)  # fmt: skip
def test_the_role_of_an_array(name, role):
    assert array_named(name) == role


def test_one_letter_means_what_the_others_leave():
    assert argument_named("Conv2D", "F") == "kernel_size"
    assert arguments_named("Conv2D", ["C", "F", "K"]) == {
        "C": "in_channels", "F": "out_channels", "K": "kernel_size",
    }  # fmt: skip
    assert arguments_named("Conv2D", ["kh", "kw", "c", "f"])["f"] == "out_channels"
    assert arguments_named("AvgPool2D", ["p", "s"]) == {"p": "kernel_size", "s": "stride"}


@pytest.mark.parametrize("layout", IMAGES)
def test_images_come_back_from_every_layout(layout):
    N, C = (1 if layout.single else 2), (3 if "C" in layout.given else 1)
    x = np.random.default_rng(0).standard_normal((N, C, 4, 5))
    theirs = moved(x, "NCHW", layout.given)
    assert theirs.ndim == len(layout.given)
    np.testing.assert_array_equal(back(theirs, layout.given, "NCHW"), x)


def test_weights_come_back_from_every_order():
    weight = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    shapes = set()
    for order in KERNELS:
        if set("FCHW") <= set(order.order):
            theirs = order.theirs(weight, "FCHW")
            shapes.add(theirs.shape)
            np.testing.assert_array_equal(order.ours(theirs, "FCHW", weight.shape), weight)
    assert {(4, 5, 3, 2), (2, 60), (60, 2)} <= shapes
    with pytest.raises(ValueError, match="expected"):
        KERNELS[0].ours(weight.transpose(1, 0, 2, 3), "FCHW", weight.shape)
    bias = np.arange(3.0)
    assert [order.theirs(bias, "M").shape for order in BIASES[:4]] == [(3,), (1, 3), (3, 1), (1, 1, 1, 3)]
