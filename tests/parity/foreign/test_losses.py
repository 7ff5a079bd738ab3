"""Softmax cross-entropies in people's own interfaces, right and with a mistake planted."""

from types import SimpleNamespace

import pytest

from parity.foreign.losses import gradient_of, stem
from parity.foreign.names import kinds_named
from parity.student.submission import examine_file

GRAD_OF = """
import numpy as np

def softmax_crossentropy_with_logits(logits, reference_answers):
    logits_for_answers = logits[np.arange(len(logits)), reference_answers]
    return -logits_for_answers + np.log(np.sum(np.exp(logits), axis=-1))

def grad_softmax_crossentropy_with_logits(logits, reference_answers):
    ones = np.zeros_like(logits)
    ones[np.arange(len(logits)), reference_answers] = 1
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return (-ones + p) / logits.shape[0]
"""
OF_THE_SOFTMAX = """
import numpy as np

def cross_entropy(probs, label):
    return -np.log(probs[label])

def cross_entropy_softmax_grad(probs, label):
    g = probs.copy()
    g[label] -= 1
    return g
"""
CALLED = """
import numpy as np

class CrossEntropySoftmaxError:
    def __call__(self, outputs, targets):
        log_prob = outputs - np.log(np.exp(outputs).sum(-1, keepdims=True))
        return -np.mean(np.sum(targets * log_prob, axis=1))

    def grad(self, outputs, targets):
        p = np.exp(outputs)
        p /= p.sum(-1, keepdims=True)
        return (p - targets) / outputs.shape[0]
"""
STATIC = """
import numpy as np

class CategoricalCrossentropy:
    @staticmethod
    def loss(y_true, y_pred):
        z = y_pred - y_pred.max(-1, keepdims=True)
        return np.mean(np.log(np.exp(z).sum(-1)) - (z * y_true).sum(-1))

    @staticmethod
    def loss_prime(y_true, y_pred):
        e = np.exp(y_pred - y_pred.max(-1, keepdims=True))
        return (e / e.sum(-1, keepdims=True) - y_true) / len(y_true)
"""
PROBABILITIES_BACK = """
import numpy as np

def softmax_loss(scores, y):
    e = np.exp(scores - scores.max(1, keepdims=True))
    probs = e / e.sum(1, keepdims=True)
    return -np.log(probs[np.arange(len(y)), y]).mean(), probs

def softmax_loss_gradient(probs, y):
    d = probs.copy()
    d[np.arange(len(y)), y] -= 1
    return d / len(y)
"""
LABELS_IN_BACKWARD = """
import numpy as np

class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        return self.p

    def backward(self, labels):
        d = self.p.copy()
        d[np.arange(len(labels)), labels] -= 1
        return d / len(labels)
"""
SUMMED = """
import numpy as np

class Softmax:
    def cal_loss(self, prediction, label):
        self.label = label
        e = np.exp(prediction)
        self.softmax = e / e.sum(axis=1, keepdims=True)
        return sum(-np.log(self.softmax[i, label[i]]) for i in range(len(label)))

    def gradient(self):
        eta = self.softmax.copy()
        for i in range(len(eta)):
            eta[i, self.label[i]] -= 1
        return eta
"""
TRAINING_SOFTMAX = """
import numpy as np

class Activation_Softmax:
    def forward(self, inputs, training):
        e = np.exp(inputs - inputs.max(axis=1, keepdims=True))
        self.output = e / e.sum(axis=1, keepdims=True)

    def backward(self, dvalues):
        self.dinputs = self.output * (dvalues - (dvalues * self.output).sum(axis=1, keepdims=True))

class Loss:
    def calculate(self, output, y):
        return np.mean(self.forward(output, y))

class Loss_CategoricalCrossentropy(Loss):
    def forward(self, y_pred, y_true):
        p = np.clip(y_pred, 1e-7, 1 - 1e-7)
        return -np.log((p[range(len(p)), y_true] if y_true.ndim == 1 else (p * y_true).sum(axis=1)))

    def backward(self, dvalues, y_true):
        if y_true.ndim == 1:
            y_true = np.eye(len(dvalues[0]))[y_true]
        self.dinputs = -y_true / dvalues
        self.dinputs = self.dinputs / len(dvalues)
"""
COLUMNS = """
import numpy as np

class LogLikelihoodCost:
    @staticmethod
    def fn(a, y):
        return -np.sum(y * np.log(a))

    @staticmethod
    def delta(z, a, y):
        return a - y
"""
TWO_CALLS = """
import numpy as np

class SoftmaxCrossEntropy:
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.probs = e / e.sum(axis=1, keepdims=True)
        return self.probs

    def loss(self, targets):
        self.targets = targets
        return -np.sum(targets * np.log(self.probs)) / len(targets)

    def backward(self):
        return (self.probs - self.targets) / len(self.targets)
"""
GRADIENT_FIRST = """
import numpy as np

def xent(scores, y):
    n = len(y)
    lse = np.log(np.exp(scores).sum(1))
    loss = (lse - scores[np.arange(n), y]).mean()
    d = np.exp(scores - lse[:, None])
    d[np.arange(n), y] -= 1
    return d / n, loss
"""
IN_SPANISH = """
import numpy as np

class PerdidaEntropiaCruzada:
    def calcular(self, salida, etiquetas):
        self.p = np.exp(salida) / np.exp(salida).sum(axis=1, keepdims=True)
        self.etiquetas = etiquetas
        return -(etiquetas * np.log(self.p)).sum() / len(salida)

    def gradiente(self):
        return (self.p - self.etiquetas) / len(self.p)
"""
OVER_TIME = """
import numpy as np

def temporal_softmax_loss(x, y, mask):
    N, T, V = x.shape
    flat, labels = x.reshape(N * T, V), y.reshape(N * T)
    probs = np.exp(flat - flat.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    loss = -np.sum(mask.reshape(N * T) * np.log(probs[np.arange(N * T), labels])) / N
    d = probs.copy()
    d[np.arange(N * T), labels] -= 1
    d /= N
    return loss, (d * mask.reshape(N * T)[:, None]).reshape(N, T, V)
"""
EACH_CLASS = """
import numpy as np

class CategoricalCrossEntropy:
    def __call__(self, y_true, y_pred):
        return -y_true * np.log(y_pred)

    def derivative(self, y_true, y_pred):
        return -y_true / y_pred
"""
MISTAKES = {  # what is exchanged for what, the tensor that is wrong then, and the code that names it
    "grad_of": (GRAD_OF, [
        (") / logits.shape[0]", ") / logits.size", "dlogits", "wrong-factor"),
        ("-ones + p", "ones + p", "dlogits", "label-not-subtracted"),
        ("np.exp(logits), axis=-1", "np.exp(logits)", "loss", "softmax-over-batch"),
    ]),
    "of_the_softmax": (OF_THE_SOFTMAX, [
        ("g[label] -= 1", "g[label] += 1", "dlogits", "label-not-subtracted"),
        ("-np.log", "np.log", "loss", "wrong-sign"),
    ]),
    "called": (CALLED, [
        (" / outputs.shape[0]", "", "dlogits", "wrong-factor"),
        ("(p - targets)", "(outputs - targets)", "dlogits", ""),
        ("(p - targets)", "(targets - p)", "dlogits", "wrong-sign"),
    ]),
    "static": (STATIC, [
        (" / len(y_true)", " / y_true.size", "dlogits", "wrong-factor"),
        (" - y_true)", ")", "dlogits", "label-not-subtracted"),
        ("e / e.sum(-1, keepdims=True)", "y_pred", "dlogits", ""),
    ]),
    "probabilities_back": (PROBABILITIES_BACK, [
        ("d[np.arange(len(y)), y] -= 1", "pass", "dlogits", "label-not-subtracted"),
        ("return d / len(y)", "return d", "dlogits", "wrong-factor"),
        ("e.sum(1, keepdims=True)", "e.sum()", "loss", "softmax-over-batch"),
    ]),
    "labels_in_backward": (LABELS_IN_BACKWARD, [
        ("return d / len(labels)", "return d", "dlogits", "wrong-factor"),
        ("e.sum(axis=1, keepdims=True)", "e.sum(axis=0)", "loss", "softmax-over-batch"),
    ]),
    "summed": (SUMMED, [
        ("return eta", "return eta / len(eta)", "dlogits", "wrong-factor"),
        ("-= 1", "-= 0", "dlogits", "label-not-subtracted"),
    ]),
    "training_softmax": (TRAINING_SOFTMAX, [
        ("self.dinputs / len(dvalues)", "self.dinputs", "dlogits", "wrong-factor"),
        ("-y_true / dvalues", "-y_true", "dlogits", ""),
        ("(dvalues - (dvalues * self.output).sum(axis=1, keepdims=True))", "dvalues * (1 - self.output)",
         "dlogits", ""),
        ("e.sum(axis=1, keepdims=True)", "e.sum()", "loss", "softmax-over-batch"),
    ]),
    "columns": (COLUMNS, [
        ("a - y", "y - a", "dlogits", "wrong-sign"),
        ("a - y", "z - y", "dlogits", ""),
    ]),
    "two_calls": (TWO_CALLS, [
        (") / len(self.targets)", ") / self.targets.size", "dlogits", "wrong-factor"),
        ("targets * np.log(self.probs)", "targets * self.probs", "loss", ""),
    ]),
    "gradient_first": (GRADIENT_FIRST, [
        ("return d / n", "return d", "dlogits", "wrong-factor"),
        (".mean()", ".sum()", "dlogits", "wrong-factor"),
    ]),
    "in_spanish": (IN_SPANISH, [(") / len(self.p)", ")", "dlogits", "wrong-factor")]),
    "over_time": (OVER_TIME, [
        ("d /= N\n", "d /= N * T\n", "dlogits", ""),
        ("-= 1", "-= 0", "dlogits", "label-not-subtracted"),
    ]),
    "each_class": (EACH_CLASS, [("-y_true / y_pred", "y_true / y_pred", "dlogits", "")]),
}  # fmt: skip
LOSSES = {name: source for name, (source, _) in MISTAKES.items()}
WRONG = [(name, *mistake) for name, (_, mistakes) in MISTAKES.items() for mistake in mistakes]


def examined(path, source):
    (path / "losses.py").write_text(source, encoding="utf-8")
    checkup = examine_file(path / "losses.py", seconds=60)
    checks = [check for check in checkup.checks if not check.skipped and check.owner != "losses.py"]
    return SimpleNamespace(
        remarks=" ".join(map(str, checkup.remarks)),
        checks=checks,
        wrong={row.tensor for check in checks for row in check.rows if not row.ok},
        codes={d.code for check in checks for d in check.diagnoses},
        ok=all(check.ok for check in checks),
    )


@pytest.mark.parametrize("name", LOSSES)
def test_right_losses_are_accepted(name, tmp_path):
    found = examined(tmp_path, LOSSES[name])
    assert found.checks, found.remarks
    assert found.ok, found.codes


@pytest.mark.parametrize(("name", "right", "wrong", "tensor", "code"), WRONG)
def test_a_mistake_is_caught_and_named(name, right, wrong, tensor, code, tmp_path):
    source = LOSSES[name]
    assert right in source
    found = examined(tmp_path, source.replace(right, wrong))
    assert not found.ok, found.remarks
    assert tensor in found.wrong, found.wrong
    assert not code or code in found.codes, found.codes


EACH_IMAGE = """
import numpy as np

def softmax_cross_entropy(scores, y):
    e = np.exp(scores - scores.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    return -(y * np.log(p)).sum(axis=1), p - y
"""


def test_losses_and_gradients_of_each_image_are_accepted(tmp_path):
    found = examined(tmp_path, EACH_IMAGE)
    assert found.ok
    assert "of each image" in found.remarks
    assert (
        "dlogits" in examined(tmp_path, EACH_IMAGE.replace("(axis=1), p - y", "(axis=1).mean(), p - y")).wrong
    )


BINARY = """
import numpy as np

class CrossEntropyLoss:
    def loss(self, y, p):
        return -y * np.log(p) - (1 - y) * np.log(1 - p)

    def gradient(self, y, p):
        return -(y / p) + (1 - y) / (1 - p)
"""
SIGMOID = """
import numpy as np

def cross_entropy(z, y):
    a = 1 / (1 + np.exp(-z))
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a)), (a - y) / y.size
"""
NO_GRADIENT = """
import numpy as np

def cross_entropy(y_hat, y):
    return -np.log(y_hat[range(len(y_hat)), y])

def numerical_gradient(f, x):
    return x
"""
PROBABILITIES_ALONE = PROBABILITIES_BACK[: PROBABILITIES_BACK.index("def softmax_loss_gradient")]
SOFTMAX_ALONE = TRAINING_SOFTMAX[: TRAINING_SOFTMAX.index("class Loss")]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (BINARY, "binary cross-entropy"),
        (SIGMOID, "binary cross-entropy"),
        (NO_GRADIENT, "cross_entropy: it has no gradient"),
        (PROBABILITIES_ALONE, "no gradient that the check can find"),
        (SOFTMAX_ALONE, "Activation_Softmax"),
    ],
    ids=["binary", "sigmoid", "no gradient", "probabilities alone", "softmax alone"],
)
def test_what_is_no_such_loss_is_left_alone_with_a_reason(source, reason, tmp_path):
    found = examined(tmp_path, source)
    assert not found.checks
    assert reason in found.remarks


def test_a_binary_loss_of_probabilities_of_its_own_is_wrong(tmp_path):
    """It takes softmax, so it is not another loss."""
    source = CALLED.replace(
        "np.sum(targets * log_prob, axis=1)",
        "np.sum(targets * log_prob + (1 - targets) * np.log(1 - np.exp(log_prob)), axis=1)",
    )
    found = examined(tmp_path, source)
    assert "loss" in found.wrong


@pytest.mark.parametrize(
    "name",
    ["xent", "softmax_xent", "cross_entropy_softmax", "multi_class_cross_entropy_loss",
     "CategoricalCrossentropy", "SparseCategoricalCrossentropy", "CrossEntropySoftmaxError",
     "log_likelihood_softmax", "temporal_softmax_loss", "softmax_kreuzentropie", "EntropiaCruzada",
     "entropie_croisee", "compute_cross_entropy", "CELoss", "LogLikelihoodCost"],
)  # fmt: skip
def test_names_of_the_loss(name):
    assert kinds_named(name) == ("CrossEntropyLoss",)


@pytest.mark.parametrize(
    "name",
    ["BinaryCrossEntropy", "sigmoid_cross_entropy", "cross_entropy_grad", "Softmax", "log_softmax", "loss",
     "log_likelihood", "MSELoss", "focal_cross_entropy", "NLLLoss", "error"],
)  # fmt: skip
def test_names_of_others(name):
    assert "CrossEntropyLoss" not in kinds_named(name)


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("cross_entropy_prime", "crossentropy"), ("d_softmax_loss", "softmaxloss"),
        ("dCrossEntropy", "crossentropy"), ("crossEntropyDerivative", "crossentropy"),
        ("xent_delta", "xent"), ("softmax_loss", ""), ("download", ""),
    ],
)  # fmt: skip
def test_what_a_function_is_the_gradient_of(name, of):
    assert stem(name) == of


def test_a_gradient_of_another_loss_is_not_taken():
    def function():
        pass

    space = dict.fromkeys(["cross_entropy", "softmax_loss", "softmax_loss_grad"], function)
    assert gradient_of("cross_entropy", space, loosely=True) is None
    assert gradient_of("softmax_loss", space, loosely=False) is function
    space = dict.fromkeys(["cross_entropy", "cross_entropy_softmax_grad"], function)
    assert gradient_of("cross_entropy", space, loosely=False) is None
    assert gradient_of("cross_entropy", space, loosely=True) is function


EPSILON = """
import numpy as np

class CrossEntropy:
    def forward(self, z, labels):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        self.p, self.labels = e / e.sum(axis=1, keepdims=True), labels
        return -np.mean(np.log(self.p[np.arange(len(z)), labels] + 1e-15))
    def backward(self):
        d = self.p.copy()
        d[np.arange(len(d)), self.labels] -= 1
        return d / len(d)
"""


@pytest.mark.parametrize("epsilon, right", [("1e-15", True), ("1e-9", True), ("0.1", False)])
def test_an_epsilon_in_the_logarithm_is_recognised_however_small(epsilon, right, tmp_path):
    (tmp_path / "student.py").write_text(EPSILON.replace("1e-15", epsilon))
    assert examine_file(tmp_path / "student.py").ok is right
