"""The doctor names what explains every number, and nothing else. Its causes are shown in test_museum.py."""

import numpy as np
import pytest

import tinycnn_numpy as tn
from parity import check
from parity.doctor.diagnose import near
from parity.doctor.known import causes_of
from parity.kinds import KINDS
from parity.report import NO_KNOWN_CAUSE


def noisy(base, method, size):
    """A class whose `method` returns noise (size 1), or the right answer with a little noise on it."""
    rng = np.random.default_rng(0)

    def wrong(self, *arguments):
        right = np.asarray(getattr(base, method)(self, *arguments))
        noise = rng.standard_normal(right.shape).astype(right.dtype)
        return noise if size == 1 else right + right.dtype.type(size) * noise

    return type(base.__name__, (base,), {method: wrong})


NOISE = [
    (tn.Conv2D, "forward"),
    (tn.Conv2D, "backward"),
    (tn.ReLU, "forward"),
    (tn.ReLU, "backward"),
    (tn.MaxPool2D, "forward"),
    (tn.MaxPool2D, "backward"),
    (tn.AvgPool2D, "backward"),
    (tn.Flatten, "backward"),
    (tn.Dense, "forward"),
    (tn.Dense, "backward"),
    (tn.CrossEntropyLoss, "forward"),
    (tn.CrossEntropyLoss, "backward"),
]


@pytest.mark.parametrize("size", [1, 1e-3])
@pytest.mark.parametrize(("base", "method"), NOISE)
def test_noise_has_no_known_cause(base, method, size):
    checkup = check(noisy(base, method, size), seed=5)
    codes = {d.code for c in checkup.checks for d in c.diagnoses}
    assert codes == {NO_KNOWN_CAUSE} and "no known cause" in str(checkup)


def test_noise_on_the_weights_of_an_optimiser_has_no_known_cause():
    class Shaky(tn.Adam):
        def step(self):
            super().step()
            for parameter in self.parameters:
                parameter.data[...] += 0.01 * np.random.default_rng(self.steps).standard_normal(
                    parameter.data.shape
                )

    codes = {d.code for c in check(Shaky).checks for d in c.diagnoses}
    assert codes == {NO_KNOWN_CAUSE}


def test_a_cause_that_explains_only_some_of_the_cases_is_not_named():
    class NegativeOrOff(tn.Dense):
        def backward(self, dout):
            dx = super().backward(dout)
            return -dx if len(dx) > 1 else dx + dx.dtype.type(1)

    codes = {d.code for c in check(NegativeOrOff).checks for d in c.diagnoses}
    assert codes == {NO_KNOWN_CAUSE}


def test_every_cause_has_a_code_and_one_sentence():
    tensors = {"CrossEntropyLoss": ("loss", "dlogits"), "SGD": ("0",), "Adam": ("0",)}
    for kind in [kind for kind in KINDS if KINDS[kind].role != "model"]:
        for tensor in tensors.get(kind, ("out", "dweight", "dbias", "dx")):
            for cause in causes_of(kind, tensor):
                assert cause.code == cause.code.lower().replace(" ", "-")
                assert cause.sentence.endswith((".", ".)")) and "\n" not in cause.sentence


def test_near_means_in_shape_in_nan_and_within_the_tolerance():
    a = np.array([1.0, np.nan])
    assert near(a, a + 0.5, 0.5) and not near(a, a + 0.5, 0.25)
    assert not near(a, a[None], 0.5) and not near(a, np.ones(2), 0.5)


def test_near_means_absolutely_near_however_large_the_numbers():
    assert near(np.array([1e6]), np.array([1e6 + 0.5]), tolerance=1.0)
    assert not near(np.array([1e6]), np.array([1e6 + 5]), tolerance=1.0)
    assert not near(np.zeros((2, 1)), np.zeros((1, 2)), tolerance=1.0)
