"""Where no cause is known the case is shrunk until a person can compute it."""

import numpy as np
import pytest

import parity
from parity.doctor import plain
from parity.foreign.subject import WHATEVER, Offer
from parity.student.cases import cases_of
from parity.student.smallest import case_of, few_numbers, sizes_of


class SineInDweight(plain.Conv2D):
    def backward(self, dout):
        dx = super().backward(dout)
        self.dweight = self.dweight + np.sin(self.dweight)
        return dx


class WrongWithPadding(plain.Conv2D):
    def forward(self, x):
        out = super().forward(x)
        return out + np.cos(out) * (self.padding[0] > 0) * (self.padding[1] > 1)


class WrongForTwoImages(plain.Dense):
    def forward(self, x):
        out = super().forward(x)
        return out + np.sin(out) * (len(x) > 1)


class CosineInLoss(plain.CrossEntropyLoss):
    def backward(self):
        return super().backward() * np.cos(super().backward())


class WrongAgain(plain.ReLU):
    def backward(self, dout):
        self.calls = getattr(self, "calls", 0) + 1
        return super().backward(dout) * (1 if self.calls == 1 else np.cos(dout))


@pytest.mark.parametrize(
    "cls, sentence",
    [
        (SineInDweight, "Conv2D(1, 1, 1), x = [[[[1]]]], dout = [[[[-1]]]], weight = [[[[1]]]], bias = [1]"),
        (WrongWithPadding, "Conv2D(1, 1, 1, padding=(1, 2)), x = [[[[1]]]], weight = [[[[1]]]], bias = [1]"),
        (WrongForTwoImages, "Dense(1, 1), x = [[-1], [-2]], weight = [[1]], bias = [1]: out is"),
        (CosineInLoss, "CrossEntropyLoss(), logits = [[1, 2]], labels = [0]: dlogits is [[-0.5442, 0.5442]]"),
        (WrongAgain, "called a second time: dx is"),
    ],
)  # fmt: skip
def test_the_smallest_case_is_told_with_its_numbers(cls, sentence):
    said = {d.sentence for check in parity.check(cls).checks for d in check.diagnoses}
    assert any("Smallest case that fails: " in text and sentence in text for text in said), said


@pytest.mark.parametrize("kind", ["Conv2D", "MaxPool2D", "Dense", "ReLU", "Flatten", "BatchNorm2D"])
def test_a_case_in_its_own_sizes_and_numbers_is_the_case(kind):
    for case in cases_of(kind, np.random.default_rng(1)):
        if sizes := sizes_of(case):
            again = case_of(case, sizes, few_numbers(whole=False, all_runs=False), all_runs=False)
            assert again.positional == case.positional and again.settings == case.settings
            for name, array in case.first.items():
                np.testing.assert_array_equal(again.first[name], array)
            assert all(smaller != sizes for smaller in sizes.smaller())


def test_it_keeps_to_what_a_class_takes():
    (case, *_) = cases_of("MaxPool2D", np.random.default_rng(1))
    sizes = sizes_of(case)
    assert any(s.KH != s.KW and s.is_possible("MaxPool2D", WHATEVER) for s in sizes.smaller())
    square = Offer(numbers=("kernel_size", "stride", "padding"))
    assert not any(s.KH != s.KW and s.is_possible("MaxPool2D", square) for s in sizes.smaller())
