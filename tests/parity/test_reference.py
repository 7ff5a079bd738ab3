"""Any layer against any PyTorch module or function."""

import numpy as np
import pytest
import torch
from torch import nn

import parity


class Tanh:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out**2)


class TanhWithoutSquare(Tanh):
    def backward(self, dout):
        return dout * (1 - self.out)


class TanhOfTheFirstBatch(Tanh):
    def forward(self, x):
        out = np.tanh(x)
        vars(self).setdefault("out", out)
        return out


class LeakyReLU:
    def __init__(self, negative_slope=0.01):
        self.slope = negative_slope

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.slope * x)

    def backward(self, dout):
        return dout * np.where(self.x > 0, 1, self.slope)


class BatchNorm1D:
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)

    def forward(self, x):
        mean, var, N = x.mean(axis=0), x.var(axis=0), len(x)
        self.root = np.sqrt(var + self.eps)
        self.x_hat = (x - mean) / self.root
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (var * N / (N - 1) - self.running_var)
        return self.weight * self.x_hat + self.bias

    def backward(self, dout):
        self.dweight, self.dbias = (dout * self.x_hat).sum(axis=0), dout.sum(axis=0)
        g = dout * self.weight
        return (g - g.mean(axis=0) - self.x_hat * (g * self.x_hat).mean(axis=0)) / self.root


class WithoutTermOfTheVariance(BatchNorm1D):
    def backward(self, dout):
        super().backward(dout)
        g = dout * self.weight
        return (g - g.mean(axis=0)) / self.root


class BiasedRunningVariance(BatchNorm1D):
    def forward(self, x):
        old = self.running_var.copy()
        out = super().forward(x)
        self.running_var = old + self.momentum * (x.var(axis=0) - old)
        return out


def norm():
    module = nn.BatchNorm1d(4, eps=0.01, momentum=0.3)
    with torch.no_grad():
        module.weight.uniform_(0.5, 2)
        module.bias.normal_()
    return module


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "code, reference",
    [
        (Tanh, torch.tanh),
        (Tanh, nn.Tanh),
        (Tanh(), nn.Tanh()),
        (LeakyReLU, nn.LeakyReLU(0.2)),
        (LeakyReLU(0.3), lambda x: nn.functional.leaky_relu(x, 0.3)),
        (BatchNorm1D, norm()),
    ],
)
def test_right_layers_are_right(code, reference, seed):
    x = np.random.default_rng(seed).standard_normal((7, 4)) if code is BatchNorm1D else None
    report = parity.check(code, reference, x=x, seed=seed)
    assert report.ok, report
    assert max(row.ratio for row in report.rows if row.tensor in ("out", "dx")) < 0.3


@pytest.mark.parametrize(
    "code, reference, wrong",
    [
        (TanhWithoutSquare, torch.tanh, {"dx", "dx of its own forward"}),
        (TanhOfTheFirstBatch, torch.tanh, {"dx", "(ended)"}),  # a smaller batch does not fit
        (LeakyReLU, nn.LeakyReLU, set()),
        (LeakyReLU(0.02), nn.LeakyReLU(), {"out", "dx"}),  # another function, and its own derivative
        (WithoutTermOfTheVariance, norm(), {"dx", "dx of its own forward"}),
        (BiasedRunningVariance, norm(), {"running_var"}),
    ],
)
def test_wrong_tensors_are_found(code, reference, wrong):
    x = np.random.default_rng(0).standard_normal((7, 4)) if isinstance(reference, nn.BatchNorm1d) else None
    report = parity.check(code, reference, x=x)
    assert {row.tensor for row in report.rows if not row.ok} == wrong, report


def test_general_causes_are_named():
    class Adds(BatchNorm1D):
        def backward(self, dout):
            before = getattr(self, "dbias", 0)
            dx = super().backward(dout)
            self.dbias = before + self.dbias
            return dx

    x = np.random.default_rng(0).standard_normal((7, 4))
    assert {d.code for d in parity.check(Adds, norm(), x=x).diagnoses} == {"accumulated"}


@pytest.mark.parametrize(
    "code, reference, message",
    [
        (Tanh, nn.Dropout(0.5), "reference is random, two calls differ"),
        (BatchNorm1D, torch.tanh, "BatchNorm1D needs num_features, which Function does not have"),
        (Tanh, 3, "reference is 3, expected an nn.Module or a function of one tensor"),
        (Tanh, nn.BatchNorm1d, "reference is BatchNorm1d: .*num_features.*; give an object"),
        (Tanh, nn.Embedding(3, 2), "reference takes none of the inputs that were tried"),
    ],
)
def test_what_cannot_be_a_reference_is_refused(code, reference, message):
    with pytest.raises(ValueError, match=f"check: {message}"):
        parity.check(code, reference)
