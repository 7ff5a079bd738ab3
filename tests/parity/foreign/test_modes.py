"""Batch normalisation and dropout in people's own interfaces, right and with a mistake planted."""

import pytest

from parity.foreign.names import state_named
from parity.kinds import STATES
from parity.student.submission import examine_file

FUNCTIONS = """
import numpy as np

def batchnorm_forward(x, gamma, beta, bn_param):
    mode = bn_param["mode"]
    eps = bn_param.get("eps", 1e-5)
    momentum = bn_param.get("momentum", 0.9)
    N, D = x.shape
    running_mean = bn_param.get("running_mean", np.zeros(D, dtype=x.dtype))
    running_var = bn_param.get("running_var", np.zeros(D, dtype=x.dtype))
    cache = None
    if mode == "train":
        mu, var = x.mean(axis=0), x.var(axis=0)
        std = np.sqrt(var + eps)
        x_hat = (x - mu) / std
        out = gamma * x_hat + beta
        running_mean = momentum * running_mean + (1 - momentum) * mu
        running_var = momentum * running_var + (1 - momentum) * var
        cache = x_hat, gamma, std
    elif mode == "test":
        out = gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
    else:
        raise ValueError(mode)
    bn_param["running_mean"], bn_param["running_var"] = running_mean, running_var
    return out, cache

def batchnorm_backward(dout, cache):
    x_hat, gamma, std = cache
    N = len(dout)
    dbeta, dgamma = dout.sum(axis=0), (dout * x_hat).sum(axis=0)
    dx = gamma / std * (dout - dbeta / N - x_hat * dgamma / N)
    return dx, dgamma, dbeta

def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask, out = None, x
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p
        out = x * mask
    return out.astype(x.dtype, copy=False), (dropout_param, mask)

def dropout_backward(dout, cache):
    dropout_param, mask = cache
    return dout * mask if dropout_param["mode"] == "train" else dout
"""
CHANNELS_LAST = """
import numpy as np

class BatchNormalization:
    def __init__(self, decay=0.99, epsilon=1e-3):
        self.decay, self.epsilon = decay, epsilon
        self.gamma = None

    def build(self, shape):
        self.gamma, self.beta = np.ones(shape[-1]), np.zeros(shape[-1])
        self.moving_mean, self.moving_variance = np.zeros(shape[-1]), np.ones(shape[-1])

    def forward(self, inputs, training=True):
        if self.gamma is None:
            self.build(inputs.shape)
        if not training:
            scale = self.gamma / np.sqrt(self.moving_variance + self.epsilon)
            return (inputs - self.moving_mean) * scale + self.beta
        axes = tuple(range(inputs.ndim - 1))
        mean, variance = inputs.mean(axis=axes), inputs.var(axis=axes)
        self.moving_mean = self.decay * self.moving_mean + (1 - self.decay) * mean
        self.moving_variance = self.decay * self.moving_variance + (1 - self.decay) * variance
        self.inv = 1 / np.sqrt(variance + self.epsilon)
        self.normed = (inputs - mean) * self.inv
        return self.gamma * self.normed + self.beta

    def backward(self, grad):
        axes, M = tuple(range(grad.ndim - 1)), grad.size // grad.shape[-1]
        self.grad_beta = grad.sum(axis=axes)
        self.grad_gamma = (grad * self.normed).sum(axis=axes)
        return self.gamma * self.inv / M * (M * grad - self.grad_beta - self.normed * self.grad_gamma)

class Dropout:
    def __init__(self, rate):
        self.rate = rate

    def forward(self, inputs, training=True):
        if not training:
            return inputs
        self.mask = np.random.binomial(1, 1 - self.rate, size=inputs.shape) / (1 - self.rate)
        return inputs * self.mask

    def backward(self, grad):
        return grad * self.mask
"""
A_MODE = """
import numpy as np

class BatchNorm:
    def __init__(self, num_features, momentum=0.1):
        self.params = {"gamma": np.ones((1, num_features, 1, 1)), "beta": np.zeros((1, num_features, 1, 1))}
        self.grads = {}
        self.running_mean = np.zeros((1, num_features, 1, 1))
        self.running_var = np.ones((1, num_features, 1, 1))
        self.momentum = momentum
        self.mode = "train"

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.mode == "train":
            mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
            unbiased = x.var((0, 2, 3), ddof=1, keepdims=True)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * unbiased
        self.root = np.sqrt(var + 1e-8)
        self.x_hat = (x - mean) / self.root
        return self.params["gamma"] * self.x_hat + self.params["beta"]

    def backward(self, dout):
        total = dict(axis=(0, 2, 3), keepdims=True)
        self.grads["gamma"], self.grads["beta"] = (dout * self.x_hat).sum(**total), dout.sum(**total)
        dx_hat = dout * self.params["gamma"]
        if self.mode != "train":
            return dx_hat / self.root
        return (dx_hat - dx_hat.mean(**total) - self.x_hat * (dx_hat * self.x_hat).mean(**total)) / self.root

class Dropout:
    def __init__(self, keep_prob):
        self.keep_prob, self.mode = keep_prob, "train"

    def forward(self, x):
        if self.mode == "test":
            return x
        self.keep = np.random.random_sample(x.shape) < self.keep_prob
        return x * self.keep / self.keep_prob

    def backward(self, dout):
        return dout * self.keep / self.keep_prob
"""
NO_STATISTICS = """
import numpy as np

class BatchNorm1d:
    def __init__(self, dim):
        self.gamma, self.beta = np.ones(dim), np.zeros(dim)

    def forward(self, x):
        self.centred = x - x.mean(axis=0)
        self.std = np.sqrt((self.centred**2).mean(axis=0) + 1e-5)
        return self.gamma * (self.centred / self.std) + self.beta

    def backward(self, dout):
        self.dgamma = (dout * self.centred / self.std).sum(axis=0)
        self.dbeta = dout.sum(axis=0)
        d = dout * self.gamma
        dvar = (d * self.centred).sum(axis=0) * -0.5 / self.std**3
        dmean = -d.sum(axis=0) / self.std
        return d / self.std + dvar * 2 * self.centred / len(d) + dmean / len(d)

class Dropout:
    def __init__(self, p=0.5):
        self.p = p

    def forward(self, x, is_test=False):
        if is_test:
            return x * (1 - self.p)
        self.mask = np.random.uniform(size=x.shape) >= self.p
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask
"""
FILES = {
    "functions": (FUNCTIONS, "momentum is the share of the old statistics", "p is the probability to keep"),
    "channels last": (CHANNELS_LAST, "x (N, H, W, C)", "Dropout"),
    "a mode": (A_MODE, "eps 1e-08", "p is the probability to keep"),
    "no statistics": (NO_STATISTICS, "no running statistics", "evaluation multiplies by 1 - p"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_right_file_is_right_and_fully_asked(name, tmp_path):
    text, *told = FILES[name]
    (tmp_path / "student.py").write_text(text)
    checkup = examine_file(tmp_path / "student.py")
    assert checkup.ok and len(checkup.by_owner()) == 2
    assert all(any(words in remark for remark in checkup.remarks) for words in told), checkup.remarks
    tensors = {row.tensor for check in checkup.checks for row in check.rows}
    assert {"out", "dx", "dweight", "dbias"} <= tensors
    assert ("running_var" in tensors) is (name != "no statistics")
    assert any("evaluation" in check.case and check.rows for check in checkup.checks)
    assert checkup.score == checkup.max_score


PLANTED = [
    ("functions", "gamma * (x - running_mean)", "(x - running_mean)", {"out"}),
    ("functions", "momentum * running_mean + (1 - momentum) * mu", "mu", {"running_mean"}),
    ("functions", "+ (1 - momentum) * var", "+ momentum * var", {"running_var"}),
    ("functions", " - x_hat * dgamma / N", "", {"dx"}),
    ("functions", "dout.sum(axis=0), (dout", "dout.mean(axis=0), (dout", {"dbias", "dx"}),
    ("functions", "return dx, dgamma, dbeta", "return dx, dbeta, dgamma", {"dweight", "dbias"}),
    ("functions", "np.sqrt(var + eps)", "(np.sqrt(var) + eps)", {"out", "dx", "dweight"}),
    ("functions", "< p) / p", "< p)", {"out", "dx"}),
    ("functions", "return dout * mask if", "return dout if", {"dx"}),
    ("channels last", "if not training:\n            scale", "if 0:\n            scale", {"out", *STATES}),
    ("channels last", "self.normed).sum(axis=axes)", "self.normed).sum(axis=0)", {"dx", "dweight"}),
    ("channels last", "size=inputs.shape) / (1 - self.rate)", "size=inputs.shape)", {"out", "dx"}),
    ("channels last", "binomial(1, 1 - self.rate", "binomial(1, self.rate", {"kept", "kept again"}),
    ("a mode", "ddof=1, keepdims=True)", "ddof=1, keepdims=True) * 2", {"running_var"}),
    ("a mode", '"test":\n            return x', '"test":\n            return x * self.keep_prob', {"out"}),
    ("a mode", "return dout * self.keep / self.keep_prob", "return dout * self.keep", {"dx"}),
    ("a mode", "dx_hat - dx_hat.mean(**total)", "dx_hat", {"dx"}),
    ("no statistics", "+ dmean / len(d)", "+ dmean", {"dx"}),
    ("no statistics", "return x * (1 - self.p)", "return x", {"out", "dx"}),
    ("no statistics", ">= self.p", "< self.p", {"out", "dx"}),
]  # fmt: skip


@pytest.mark.parametrize("name, old, new, tensors", PLANTED)
def test_a_planted_mistake_is_found_in_its_tensors(name, old, new, tensors, tmp_path):
    text = FILES[name][0]
    assert text.count(old) == 1
    (tmp_path / "student.py").write_text(text.replace(old, new))
    checkup = examine_file(tmp_path / "student.py")
    assert not checkup.ok
    wrong = {row.tensor for check in checkup.checks for row in check.rows if not row.ok}
    assert wrong & tensors and wrong <= tensors, (wrong, checkup)


@pytest.mark.parametrize(
    "word, state",
    [
        ("running_mean", "running_mean"),
        ("moving_variance", "running_var"),
        ("mean_running", "running_mean"),
        ("running_avg_var", "running_var"),
        ("mu_avg", "running_mean"),
        ("momentum", None),
        ("mean", None),
    ],
)
def test_what_people_call_the_running_statistics(word, state):
    assert state_named(word) == state


@pytest.mark.lines
def test_of_exchanged_gradients_the_neighbours_are_named(tmp_path):
    text = FUNCTIONS.replace("return dx, dgamma, dbeta", "return dx, dbeta, dgamma")
    (tmp_path / "student.py").write_text(text)
    said = [d.sentence for check in examine_file(tmp_path / "student.py").checks for d in check.diagnoses]
    assert said and all("should be `return (dx, dgamma, dbeta)`" in sentence for sentence in said)
