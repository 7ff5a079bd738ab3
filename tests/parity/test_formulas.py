"""A slip of the pen in a formula is found by its numbers, and numbers of nothing by none."""

import ast

import numpy as np
import pytest

import tinycnn_numpy as tn
from parity import check
from parity.doctor import adam, batch_norm_lines, loss_lines, plain, sgd
from parity.doctor.formulas import (
    Vocabulary,
    combined,
    computed,
    is_contradicted,
    needed_for,
    slips,
    too_late,
    with_lines,
)
from parity.report import NO_KNOWN_CAUSE

LINES = ("a = x + 2 * y", "b = sqrt(a) / (a - 1)")
WORDS = Vocabulary(names=(("x", "y"),), factors=("n",))


def texts(lines, vocabulary=WORDS):
    return {line for slip in slips(lines, vocabulary) for line in slip.lines if line not in lines}


class TestSlips:
    def test_each_changes_one_line(self):
        for slip in slips(LINES, WORDS):
            assert len(slip.lines) == 2 and sum(map(str.__eq__, slip.lines, LINES)) == 1

    @pytest.mark.parametrize(
        "wrong",
        [
            "a = y + 2 * y", "a = x + 1 * y", "a = x - 2 * y", "a = x + 2 / y", "a = x", "a = x + y",
            "a = (x + 2) * y", "a = n * x + 2 * y", "b = a / (a - 1)", "b = sqrt(a) / a - 1",
            "b = sqrt(a) / (1 - a)", "b = sqrt(a) * (a - 1)", "b = (a - 1) / sqrt(a)", "b = sqrt(a)",
        ],
    )  # fmt: skip
    def test_the_slips_that_people_make_are_among_them(self, wrong):
        assert ast.unparse(ast.parse(wrong)) in texts(LINES)

    def test_the_sentence_shows_both_lines(self):
        slip = next(slip for slip in slips(LINES, WORDS) if slip.lines[0] == "a = y + 2 * y")
        assert slip.code == "other-name"
        assert slip.sentence == "y for x, as by a = y + 2 * y in place of a = x + 2 * y."

    def test_a_line_moved_down(self):
        assert [slip.lines for slip in too_late(LINES)] == [(LINES[1], LINES[0])]

    def test_lines_compute_as_python_does(self):
        x, y = np.array([3.0, 5.0]), 1.5
        found = computed(with_lines(LINES, b="a ** 2"), {"x": x, "y": y})
        assert np.array_equal(found["b"], (x + 3) ** 2)

    def test_a_line_that_reads_what_is_not_there(self):
        with pytest.raises(ValueError, match="name 'y' is not defined"):
            computed(LINES, {"x": 1.0})

    def test_the_lines_that_a_name_needs(self):
        assert needed_for("b", (*LINES, "c = a")) == LINES
        assert needed_for("c", (*LINES, "c = a")) == (LINES[0], "c = a")


class TestCombinations:
    rng = np.random.default_rng(0)
    terms = rng.standard_normal((2, 3, 4))

    def test_one_is_found(self):
        given = 0.5 * self.terms[0] - 3 * self.terms[1]
        assert np.allclose(combined(given, self.terms), given)

    def test_noise_is_none(self):
        given = self.rng.standard_normal((3, 4))
        assert not np.allclose(combined(given, self.terms), given, atol=0.1)

    def test_few_numbers_tell_nothing(self):
        assert combined(np.ones(3), np.ones((2, 3))) is None


@pytest.mark.parametrize(
    "lines",
    [sgd.LINES, adam.LINES, loss_lines.LINES, loss_lines.IN_ONE_LINE, loss_lines.OF_PROBABILITIES,
     batch_norm_lines.BY_SUMS, batch_norm_lines.BY_MEANS, batch_norm_lines.BY_CHAIN_RULE],
)  # fmt: skip
def test_lines_are_written_as_python_writes_them(lines):
    assert "\n".join(lines) == ast.unparse(ast.parse("\n".join(lines)))


def codes_of(cls):
    return {d.code for c in check(cls).checks for d in c.diagnoses}


class EpsOutside(tn.Adam):
    """eps is added to the mean, not to the root."""

    def step(self):
        self.steps += 1
        t, (beta1, beta2) = self.steps, self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            change = m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t)) + self.eps
            parameter.data[...] -= self.lr * change


class TwiceWrong(tn.SGD):
    """Weight decay has the wrong sign, and lr falls by itself."""

    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            g = parameter.grad - self.weight_decay * parameter.data
            b[...] = self.momentum * b + g
            parameter.data[...] -= self.lr / self.steps * (g + self.momentum * b if self.nesterov else b)


class DecayBySeven(tn.SGD):
    """A seventh of the decay: no number of the vocabulary."""

    def step(self):
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            b[...] = self.momentum * b + parameter.grad + self.weight_decay / 7 * parameter.data
            parameter.data[...] -= self.lr * (
                parameter.grad + self.weight_decay / 7 * parameter.data + self.momentum * b
                if self.nesterov else b
            )  # fmt: skip


class HalfThroughVariance(plain.BatchNorm2D):
    def backward(self, dout):
        x, x_hat, root = self.cache
        right = super().backward(dout)
        if not self.training:
            return right
        scale = (self.weight / root)[:, None, None]
        return right + scale * x_hat * self.dweight[:, None, None] / (x.size // x.shape[1]) * x.dtype.type(
            0.3
        )


class TestWholeClasses:
    @pytest.mark.slow
    def test_a_slip_is_named(self):
        assert codes_of(EpsOutside) == {"parentheses"}

    def test_two_mistakes_in_two_lines_are_named(self):
        assert codes_of(TwiceWrong) == {"decay-sign", "extra-factor"}

    def test_a_number_that_nobody_writes_is_not(self):
        assert codes_of(DecayBySeven) == {NO_KNOWN_CAUSE}

    def test_a_slip_that_would_show_in_another_tensor_is_not_named(self):
        """dbias is right: the minus stands where dx takes the sum."""

        class BatchNorm2D(plain.BatchNorm2D):
            def backward(self, dout):
                right, (_, _, root) = super().backward(dout), self.cache
                mean = dout.mean(axis=(0, 2, 3))[:, None, None]
                return right + 2 * (self.weight / root)[:, None, None] * mean if self.training else right

        said = {d.sentence for c in check(BatchNorm2D).checks for d in c.diagnoses}
        assert not any("dbias = -1 * " in sentence for sentence in said)

    def test_a_slip_of_the_loss_is_one_of_the_gradient_too(self):
        right, wrong = {"loss": 2.0, "dlogits": np.ones(3)}, {"loss": 1.0, "dlogits": np.zeros(3)}
        assert is_contradicted({"loss": 2.0}, right, wrong) and is_contradicted({"loss": 3.0}, right, wrong)
        assert not is_contradicted({"loss": 1.0}, right, wrong)
        assert not is_contradicted({"loss": 3.0}, right, wrong | {"loss": 2.0})

    def test_sums_that_are_not_divided(self):
        class BatchNorm2D(plain.BatchNorm2D):
            def backward(self, dout):
                right, (x, x_hat, root) = super().backward(dout), self.cache
                if not self.training:
                    return right
                M = x.size // x.shape[1]
                sums = (self.dbias[:, None, None] + x_hat * self.dweight[:, None, None]) * ((M - 1) / M)
                return (right - (self.weight / root)[:, None, None] * sums).astype(x.dtype)

        said = {d.sentence for c in check(BatchNorm2D).checks for d in c.diagnoses}
        assert len(said) == 1 and said.pop().startswith("the sums in dx are not divided by M")

    def test_terms_with_other_factors(self):
        assert codes_of(HalfThroughVariance) == {"extra-factor"}

    @pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.slow), 1e-3])
    def test_noise_on_the_weights_of_sgd_has_no_name(self, size):
        class SGD(tn.SGD):
            def step(self):
                super().step()
                for parameter in self.parameters:
                    noise = np.random.default_rng(self.steps).standard_normal(parameter.data.shape)
                    parameter.data[...] += size * noise

        assert codes_of(SGD) == {NO_KNOWN_CAUSE}

    @pytest.mark.slow
    @pytest.mark.parametrize(("method", "size"), [("forward", 1.0), ("backward", 1e-3)])
    def test_noise_in_batch_normalisation_has_no_name(self, method, size):
        class BatchNorm2D(tn.BatchNorm2D):
            pass

        def noisy(self, array):
            right = getattr(tn.BatchNorm2D, method)(self, array)
            noise = np.random.default_rng(0).standard_normal(right.shape)
            return (right + size * noise).astype(right.dtype)

        setattr(BatchNorm2D, method, noisy)
        assert codes_of(BatchNorm2D) == {NO_KNOWN_CAUSE}
