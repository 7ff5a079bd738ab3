"""Cross-entropy by hand, against PyTorch, and by what a softmax must do."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, seeds

import tinycnn_numpy as tn
from parity import compare_loss
from parity.oracles import directional_derivative

sizes = st.tuples(st.integers(1, 6), st.integers(1, 8))


def draw(size, dtype, seed):
    rng = np.random.default_rng(seed)
    return 3 * rng.standard_normal(size).astype(dtype), rng.integers(size[1], size=size[0])


def test_by_hand():
    loss_fn = tn.CrossEntropyLoss()
    loss = loss_fn(np.log(np.array([[1.0, 3], [2.0, 2]])), np.array([1, 0]))
    assert loss == pytest.approx((-math.log(3 / 4) - math.log(1 / 2)) / 2)
    np.testing.assert_allclose(loss_fn.backward(), [[1 / 8, -1 / 8], [-1 / 4, 1 / 4]])


smoothings = st.sampled_from([0.0, 0.1, 0.6])


@given(sizes, dtypes, smoothings, seeds)
def test_equals_pytorch(size, dtype, smoothing, seed):
    report = compare_loss(tn.CrossEntropyLoss(smoothing), *draw(size, dtype, seed))
    assert report.ok, report


class SmoothedForwardOnly(tn.CrossEntropyLoss):
    def backward(self):
        log_probs, labels = self.cache
        return (np.exp(log_probs) - np.eye(log_probs.shape[1], dtype=log_probs.dtype)[labels]) / len(labels)


class SharedAmongTheOthers(tn.CrossEntropyLoss):
    """The label keeps 1 - s, and only the other classes share s: another definition, not PyTorch's."""

    def backward(self):
        log_probs, labels = self.cache
        target = np.full_like(log_probs, self.label_smoothing / (log_probs.shape[1] - 1))
        target[np.arange(len(labels)), labels] = 1 - self.label_smoothing
        return (np.exp(log_probs) - target) / len(labels)


@pytest.mark.parametrize("wrong", [SmoothedForwardOnly, SharedAmongTheOthers])
def test_a_wrong_smoothing_is_rejected(wrong):
    report = compare_loss(wrong(0.1), *draw((3, 5), "float32", 0))
    assert [row.tensor for row in report.mismatches] == ["dlogits"]


@pytest.mark.parametrize("smoothing", [-0.1, 1, "0.1", float("nan")])
def test_smoothing_is_a_part(smoothing):
    with pytest.raises(ValueError, match=r"CrossEntropyLoss: label_smoothing is .*, expected 0 <= "):
        tn.CrossEntropyLoss(smoothing)


@given(sizes, smoothings, seeds)
def test_gradient_equals_central_difference(size, smoothing, seed):
    logits, labels = draw(size, "float64", seed)
    loss_fn = tn.CrossEntropyLoss(smoothing)
    loss_fn(logits, labels)
    dlogits = loss_fn.backward()
    v = np.random.default_rng(seed).standard_normal(size)
    numeric = directional_derivative(lambda: float(loss_fn(logits, labels)), logits, v, 1e-5)
    assert numeric == pytest.approx(float((dlogits * v).sum()), abs=1e-9)


@given(sizes, seeds, st.floats(-50, 50))
def test_a_constant_added_to_all_logits_changes_nothing(size, seed, constant):
    logits, labels = draw(size, "float64", seed)
    loss_fn = tn.CrossEntropyLoss()
    assert loss_fn(logits + constant, labels) == pytest.approx(loss_fn(logits, labels), abs=1e-12)
    np.testing.assert_allclose(loss_fn.backward().sum(axis=1), 0, atol=1e-15)


def test_a_batch_counts_as_the_mean_of_its_images():
    logits, labels = draw((4, 3), "float64", 0)
    one_by_one = [tn.CrossEntropyLoss()(logits[i : i + 1], labels[i : i + 1]) for i in range(4)]
    assert tn.CrossEntropyLoss()(logits, labels) == pytest.approx(np.mean(one_by_one))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.array([0, 3]), IndexError, "CrossEntropyLoss: label 3, expected 0 to 2"),
        (np.array([-1, 0]), IndexError, "CrossEntropyLoss: label -1, expected 0 to 2"),
        (np.array([True, False]), ValueError, "CrossEntropyLoss: labels have dtype bool, expected integers"),
        (np.array([0.0, 1]), ValueError, "CrossEntropyLoss: labels have dtype float64, expected integers"),
        (np.array([[0], [1]]), ValueError, "CrossEntropyLoss: labels have shape (2, 1), expected (2,)"),
        ([0, 1], ValueError, "CrossEntropyLoss: labels are a list, expected a NumPy array"),
        (
            np.ma.masked_array([0, 1], [True, False]),
            ValueError,
            "CrossEntropyLoss: labels are a MaskedArray, expected a NumPy array",
        ),
    ],
)
def test_wrong_labels_are_named(labels, error, message):
    with pytest.raises(error) as caught:
        tn.CrossEntropyLoss()(np.zeros((2, 3)), labels)
    assert str(caught.value) == message


def test_wrong_logits_are_named():
    with pytest.raises(
        ValueError, match=r"CrossEntropyLoss: logits has shape \(3,\), expected \(N, classes\)"
    ):
        tn.CrossEntropyLoss()(np.zeros(3), np.array([0]))


def test_backward_before_forward_is_refused():
    with pytest.raises(RuntimeError, match="CrossEntropyLoss: backward was called before forward"):
        tn.CrossEntropyLoss().backward()
