"""Each of these mistakes passes all questions but one kind: it is there for them."""

import numpy as np
import pytest

import parity
import tinycnn_numpy as tn
from parity.doctor import plain


def wrong_in(checkup):
    """{(case, run, tensor)} of all that is wrong."""
    assert not checkup.ok, checkup
    return {(check.case, row.run, row.tensor) for check in checkup.checks for row in check.rows if not row.ok}


def codes(checkup):
    return {d.code for check in checkup.checks for d in check.diagnoses}


class ReLU6(plain.ReLU):
    def forward(self, x):
        return super().forward(x).clip(max=x.dtype.type(6))


class MaskOnTheClass(plain.ReLU):
    def forward(self, x):
        MaskOnTheClass.mask = x > 0
        return np.maximum(x, 0)

    def backward(self, dout):
        return dout * self.mask


class MaskOfItsType(MaskOnTheClass):
    """Where stages are watched their class is another one: only a run that nobody watches shows it."""

    def forward(self, x):
        type(self).mask = x > 0
        return np.maximum(x, 0)


class OneBuffer(plain.ReLU):
    def forward(self, x):
        self.cache = x
        if "buffer" not in vars(self) or self.buffer.shape != x.shape:
            self.buffer = np.empty_like(x)
        return np.maximum(x, 0, out=self.buffer)


class SidesOfTheFirstImage(plain.Conv2D):
    def forward(self, x):
        vars(self).setdefault("sides", x.shape[2:])
        return super().forward(x[:, :, : self.sides[0], : self.sides[1]])


class Squeezes(plain.AvgPool2D):
    def backward(self, dout):
        return super().backward(dout).squeeze()


class PadsWithMinus1000(tn.MaxPool2D):
    def least(self, x):
        return -1000

    def forward(self, x):
        (PH, PW), self.inner = self.padding, tn.MaxPool2D(self.kernel_size, self.stride)
        padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], constant_values=self.least(x))
        return self.inner.forward(padded)

    def backward(self, dout):
        (PH, PW), dx = self.padding, self.inner.backward(dout)
        return dx[:, :, PH : dx.shape[2] - PH, PW : dx.shape[3] - PW]


class PadsWithTheLeast(PadsWithMinus1000):
    def least(self, x):
        return x.min()


class DropsByTheGlobalGenerator(plain.Dropout):
    def forward(self, x):
        self.rng = np.random.default_rng()  # a seed nobody knows, as of the global one
        return super().forward(x)


class DropsByAGeneratorOfItsOwn(plain.Dropout):
    def __init__(self, p=0.5, *, rng=None):
        super().__init__(p, rng=np.random.default_rng(3))


@pytest.mark.parametrize(
    "cls, cases, runs",
    [
        (ReLU6, {"numbers from 0.001 to 2000"}, None),
        (MaskOnTheClass, None, {"beside"}),
        (MaskOfItsType, None, {"beside"}),
        (OneBuffer, None, {"beside"}),
        (SidesOfTheFirstImage, None, {"fourth"}),
        (Squeezes, {"one image of one channel", "batch of one"}, None),
        (PadsWithMinus1000, {"padding around negative numbers"}, None),
        (PadsWithTheLeast, {"padding around negative numbers"}, None),
        (DropsByTheGlobalGenerator, {"as it is built in float64"}, None),
        (DropsByAGeneratorOfItsOwn, {"as it is built in float64"}, None),
    ],
)
def test_one_question_alone_finds_it(cls, cases, runs):
    found = wrong_in(parity.check(cls))
    assert cases is None or {case for case, _, _ in found} == cases
    assert runs is None or {run for _, run, _ in found} == runs


def test_what_objects_share_is_named():
    assert codes(parity.check(MaskOnTheClass)) == {"shared-arrays"}
    assert codes(parity.check(OneBuffer)) == {"output-reused"}


def test_what_a_max_pool_should_be_padded_with_is_said():
    assert "the padding is the smallest number: it should be -inf" in str(parity.check(PadsWithTheLeast))


def test_a_mask_that_no_seed_repeats_is_named_and_one_that_drops_nothing_is_not_called_so():
    assert codes(parity.check(DropsByTheGlobalGenerator)) == {"rng-ignored"}
    assert codes(parity.check(DropsByAGeneratorOfItsOwn)) == {"rng-ignored"}
    assert codes(parity.check(tn.ReLU, "Dropout")).isdisjoint({"rng-ignored", "no known cause"})


class Changes(plain.Sequential):
    def forward(self, x):
        return super().forward(x - x.mean())


class ReturnsNothing(plain.Sequential):
    def backward(self, dout):
        super().backward(dout)


class ReturnsAnother(plain.Sequential):
    def backward(self, dout):
        return 2 * super().backward(dout)


class NeedsToBeWatched(plain.Sequential):
    def backward(self, dout):
        scale = 1 if type(self.fc) is not tn.Dense else 2
        return super().backward(scale * dout)


@pytest.mark.parametrize(
    "cls, code, sentence",
    [
        (Changes, "changed-in-between", "x was changed by the model before the first stage"),
        (ReturnsNothing, "changed-in-between", "result is not returned by backward of the model"),
        (ReturnsAnother, "changed-in-between", "result was changed by the model after the last stage"),
        (NeedsToBeWatched, "shared-arrays", "dweight is another one when nobody watches the stages"),
    ],
)
def test_what_a_model_is_asked(cls, code, sentence):
    checkup = parity.check(cls, "Sequential")
    wrong_in(checkup)
    assert code in codes(checkup) and sentence in " ".join(str(checkup).split())


def test_a_constructor_is_asked_for_what_it_takes_alone():
    class TakesNeither(plain.Dense):
        def __init__(self, in_features, out_features, bias=True):
            tn.Dense.__init__(self, in_features, out_features, bias, rng=np.random.default_rng(3))

    checkup = parity.check(TakesNeither)
    assert checkup.ok and [c.case for c in checkup.checks if c.skipped] == ["as it is built in float64"]


class AddsToTheWeight(plain.Dense):
    def backward(self, dout):
        self.dweight, self.dbias = self.weight, dout.sum(axis=0)
        self.dweight += dout.T @ self.cache
        return dout @ self.weight


@pytest.mark.lines
def test_a_gradient_that_is_the_weight_is_told_so_and_nothing_is_concluded_from_its_numbers():
    checkup = parity.check(AddsToTheWeight, "Dense")
    said = {(d.tensor, d.code) for check in checkup.checks for d in check.diagnoses}
    told = {("weight", "updated-too-early"), ("dweight", "shared-arrays")}
    assert told <= said and {code for tensor, code in said if tensor == "dweight"} == {"shared-arrays"}
    assert "one-line" not in codes(checkup)
    assert "dweight is the array of weight itself: make a new one in every" in " ".join(str(checkup).split())


class DropsInPlace(plain.Dropout):
    def forward(self, x):
        x *= super().forward(np.ones_like(x))
        return x


@pytest.mark.lines
def test_a_mask_that_is_put_on_x_itself_does_not_accuse_the_generator():
    assert codes(parity.check(DropsInPlace, "Dropout")) == {"input-modified"}


def test_an_exception_that_tells_an_address_is_told_once():
    class Tells(plain.ReLU):
        def forward(self, x):
            raise ValueError(f"not for {object()}")

    text = str(parity.check(Tells))
    assert text.count("ValueError: not for <object object>") == 1, text
