"""The plain edition is held to what the library's is: tests/tinycnn_numpy/test_every_layer.py draws both."""

import inspect

import numpy as np
import pytest

import parity
import tinycnn_numpy as tn
from parity import assert_parity, copy_weights
from tinycnn_numpy import plain

CLASSES = [plain.Conv2D, plain.MaxPool2D, plain.AvgPool2D]


@pytest.mark.parametrize("cls", CLASSES)
def test_is_right_in_every_case_that_students_are_asked(cls):
    checkup = parity.check(cls)
    assert checkup.ok, checkup


@pytest.mark.parametrize("cls", CLASSES)
def test_is_about_twenty_lines_besides_its_docstring(cls):
    lines = [line for line in inspect.getsource(cls).splitlines() if line.strip()]
    assert len(lines) - len((cls.__doc__ or "").splitlines()) <= 22


def model(of, dtype=np.float32):
    rng = np.random.default_rng(0)
    return tn.Sequential(
        conv=of.Conv2D(2, 3, (3, 2), stride=(1, 2), padding=(1, 0), rng=rng, dtype=dtype),
        relu=tn.ReLU(),
        pool=of.MaxPool2D(3, stride=2),
        average=of.AvgPool2D(2, stride=1),
        flatten=tn.Flatten(),
        fc=tn.Dense(3 * 2 * 2, 5, rng=rng, dtype=dtype),
    )


def test_stands_in_a_sequential_and_trains_as_pytorch_does():
    rng = np.random.default_rng(1)
    images, labels = rng.standard_normal((40, 2, 8, 16)), rng.integers(5, size=40)
    assert_parity(model(plain, np.float64), images[:7], labels=labels[:7])
    network = model(plain, np.float64)
    adam, theirs = tn.Adam(network.parameters(), 0.01), parity.twin(network)
    batches = parity.smooth_batches(network, images, 20, 10, rng)
    report = parity.lockstep(network, theirs, adam, images, labels, batches)
    assert report.ok, report


def test_weights_go_across_to_pytorch():
    ours = model(plain)
    theirs = parity.twin(ours)
    copy_weights(ours, theirs)
    assert parity.compare(
        ours, np.random.default_rng(2).standard_normal((3, 2, 8, 16), np.float32), theirs
    ).ok


def test_a_wrong_plain_convolution_is_rejected():
    class Overwritten(plain.Conv2D):
        def backward(self, dout):
            self.backward_weights(dout)
            windows, x_shape = self.cache
            dwindows = np.einsum("nfhw,fcij->nchwij", dout, self.weight)
            dx = plain.pad(np.zeros(x_shape, dout.dtype), self.padding)
            (SH, SW), (PH, PW), (H, W) = self.stride, self.padding, x_shape[2:]
            *_, OH, OW, KH, KW = windows.shape
            for i, j in np.ndindex(KH, KW):
                dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] = dwindows[..., i, j]
            return dx[:, :, PH : PH + H, PW : PW + W]

    assert {row.tensor for check in parity.check(Overwritten).checks for row in check.rows if not row.ok} == {
        "dx"
    }


def test_a_nan_in_a_window_reaches_out_and_its_gradient_goes_to_it():
    x = np.array([[[[1.0, np.nan], [2.0, np.nan]]]])
    layer = plain.MaxPool2D(2)
    assert np.isnan(layer(x)).all()
    assert layer.backward(np.ones((1, 1, 1, 1))).tolist() == [[[[0, 1], [0, 0]]]]
