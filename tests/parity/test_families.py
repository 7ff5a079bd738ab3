"""Families of causes: numbers planted in NumPy are named with the right words, and noise is not."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import tinycnn_numpy as tn
from parity import check
from parity.doctor.diagnose import explain
from parity.doctor.evidence import Evidence
from parity.report import NO_KNOWN_CAUSE

LAYERS = {
    "Conv2D": [
        (nn.Conv2d(3, 2, (3, 2), stride=(2, 1), padding=(1, 0)), (3, 3, 8, 5)),
        (nn.Conv2d(2, 4, (2, 3), stride=(1, 2), padding=(0, 1)), (2, 2, 6, 7)),
        (nn.Conv2d(2, 3, (3, 3), stride=2, padding=1), (4, 2, 6, 8)),
    ],
    "MaxPool2D": [
        (nn.MaxPool2d((2, 3), stride=(2, 1), padding=(1, 0)), (2, 3, 7, 6)),
        (nn.MaxPool2d((3, 2), stride=(1, 2), padding=(0, 1)), (3, 2, 6, 8)),
    ],
    "AvgPool2D": [
        (nn.AvgPool2d((2, 3), stride=(2, 1), padding=(1, 0)), (2, 3, 7, 6)),
        (nn.AvgPool2d((3, 2), stride=(1, 2), padding=(0, 1)), (3, 2, 6, 8)),
    ],
    "Dense": [(nn.Linear(4, 3), (5, 4)), (nn.Linear(2, 6), (3, 2))],
    "ReLU": [(nn.ReLU(), (3, 2, 4, 5)), (nn.ReLU(), (4, 7))],
}


def runs_of(kind, tensor, wrong):
    """Evidence of a layer on several shapes in float64; `wrong`, a function of it, is planted in a tensor."""
    rng, runs = np.random.default_rng(7), []
    for number, (module, shape) in enumerate(LAYERS[kind]):
        stage = module.double()
        inputs = {
            name: torch.from_numpy(rng.standard_normal(p.shape)) for name, p in stage.named_parameters()
        }
        stage.load_state_dict(inputs)
        x = torch.from_numpy(rng.standard_normal(shape)).requires_grad_()
        out = stage(x)
        dout = torch.from_numpy(rng.standard_normal(out.shape))
        out.backward(dout)
        exact = {"out": out.detach().numpy(), "dx": x.grad.numpy()}
        exact |= {f"d{name}": p.grad.numpy().copy() for name, p in stage.named_parameters()}
        stage.zero_grad()
        e = Evidence(kind, inputs | {"x": x.detach(), "dout": dout}, dict(exact), exact, {tensor})
        e.stage, e.precision, e.case = stage, 8, f"case {number}"
        e.given[tensor] = np.asarray(wrong(e))
        if np.array_equal(e.given[tensor], exact[tensor]):
            e.wrong = set()
        runs.append(e)
    return runs


def named(kind, tensor, wrong):
    """[(code, sentence)]"""
    runs = runs_of(kind, tensor, wrong)
    return [(said.code, said.sentence) for said in explain("stage", tensor, runs)]


def arrays(e):
    names = ("x", "dout", "weight", "bias")
    return [e.inputs[name].numpy() if name in e.inputs else None for name in names]


def products(e):
    x, _, weight, _ = arrays(e)
    return x @ weight.T


def sums_apart(e):
    x, dout, _, _ = arrays(e)
    return np.outer(dout.sum(axis=0), x.sum(axis=0))


def not_dilated(e):
    x, dout = e.x, e.dout
    PH, PW = e.stage.padding
    padded = nn.functional.pad(x, (PW, PW, PH, PH))
    rows, columns = (p - o + 1 for p, o in zip(padded.shape[2:], dout.shape[2:], strict=True))
    found = np.zeros((dout.shape[1], x.shape[1], rows, columns))
    for i, j in np.ndindex(rows, columns):
        part = padded[:, :, i : i + dout.shape[2], j : j + dout.shape[3]].numpy()
        found[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout.numpy(), part)
    return found


def shifted(e):
    """dx one row too far down and two columns too far to the left, seen in the padded image."""
    (PH, PW), (H, W) = e.stage.padding, e.x.shape[2:]
    stage = copy.deepcopy(e.stage)
    stage.padding = (0, 0)
    padded = nn.functional.pad(e.x, (PW, PW, PH, PH)).requires_grad_()
    stage(padded).backward(e.dout)
    wide = np.pad(padded.grad.numpy(), [(0, 0), (0, 0), (2, 2), (2, 2)])
    return wide[:, :, PH + 1 : PH + 1 + H, PW + 4 : PW + 4 + W]


def of_other_kernel(e):
    """As many columns as follow from KH in place of KW, with any numbers."""
    KH, SW, PW = e.stage.kernel_size[0], e.stage.stride[1], e.stage.padding[1]
    columns = (e.x.shape[3] + 2 * PW - KH) // SW + 1
    if columns == e.exact["out"].shape[3]:
        return e.exact["out"]
    return np.random.default_rng(1).standard_normal((*e.exact["out"].shape[:3], columns))


PLANTED = [  # kind, tensor, what is planted, the code, words of the sentence
    ("Dense", "dweight", sums_apart, "summed-apart", "over the image"),
    ("Dense", "out", lambda e: products(e) - e.bias.numpy(), "bias-scaled", "counts -1 times"),
    ("Dense", "out", lambda e: products(e) / np.sqrt(e.x.shape[1]) + e.bias.numpy(), "wrong-factor",
     "the root of the number of inputs"),
    ("Dense", "out", lambda e: 0.3 * products(e) + e.bias.numpy(), "wrong-factor", "count 0.3 times"),
    ("Dense", "dweight", lambda e: 0.01 * e.exact["dweight"], "wrong-factor", "0.01 times"),
    ("Dense", "dbias", lambda e: e.dout.numpy().sum(axis=1), "over-other-axes", "over axis 1"),
    ("Dense", "dx", lambda e: np.broadcast_to(e.exact["dx"].sum(axis=0), e.exact["dx"].shape),
     "over-other-axes", "the sum over axis 0"),
    ("Conv2D", "dweight", lambda e: e.exact["dweight"].sum(axis=1), "over-other-axes", "over axis 1"),
    ("Conv2D", "dweight", not_dilated, "stride-ignored", "not dilated"),
    ("Conv2D", "out", of_other_kernel, "wrong-size", "the number of columns of out is"),
    ("Conv2D", "dx", lambda e: e.exact["dx"][:, :, : -1 or None], NO_KNOWN_CAUSE, "has shape"),
    ("Conv2D", "dx", shifted, "moved", "by 1 rows down and -2 columns"),
    ("AvgPool2D", "dx", shifted, "moved", "by 1 rows down and -2 columns"),
    ("AvgPool2D", "out", of_other_kernel, "wrong-size", "the number of columns of out is"),
    ("AvgPool2D", "out", lambda e: np.trunc(e.exact["out"]), "rounded-down", "cut off behind the point"),
    ("MaxPool2D", "out", lambda e: e.exact["out"].max(axis=(0, 1), keepdims=True) + 0 * e.exact["out"],
     "over-other-axes", "the largest over axes 0, 1"),
    ("ReLU", "out", lambda e: e.x / (1 + torch.exp(-e.x)), "another-activation", "swish"),
    ("ReLU", "out", lambda e: np.where(e.x > 0, e.x, 0.2 * e.x), "leaky", "0.2 times each negative"),
    ("ReLU", "out", lambda e: e.x.clamp(min=0.25), "another-activation", "max(x, 0.25)"),
    ("ReLU", "dx", lambda e: e.dout * (1 - torch.tanh(e.x) ** 2), "another-activation", "derivative of tanh"),
    ("ReLU", "dx", lambda e: e.dout * (e.x > e.x.mean()), "mask-elsewhere", "above its mean"),
    ("ReLU", "dx", lambda e: np.where(e.x > 0, e.dout, e.x), "shut-not-zero", "dx is x where"),
    ("ReLU", "dx", lambda e: e.dout[e.x > 0], "wrong-shape", "dout[x > 0]"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "tensor", "wrong", "code", "words"), PLANTED)
def test_what_is_planted_is_named(kind, tensor, wrong, code, words):
    said = named(kind, tensor, wrong)
    assert [found for found, _ in said] == [code]
    assert words in said[0][1]


@pytest.mark.parametrize("size", [1.0, 1e-3])
@pytest.mark.parametrize("kind", LAYERS)
def test_noise_on_any_tensor_is_not_named(kind, size):
    rng = np.random.default_rng(11)
    for tensor in ("out", "dx", "dweight", "dbias"):
        if tensor in runs_of(kind, "out", lambda e: 0)[0].exact:
            said = named(
                kind, tensor, lambda e, t=tensor: e.exact[t] + size * rng.normal(size=e.exact[t].shape)
            )
            assert [code for code, _ in said] == [NO_KNOWN_CAUSE], (tensor, said)


def test_a_number_that_differs_from_run_to_run_is_no_factor_of_the_products():
    said = named("Dense", "out", lambda e: (len(e.x) + 0.37) * products(e) + e.bias.numpy())
    assert {code for code, _ in said} == {NO_KNOWN_CAUSE}


def codes_of(cls):
    return {(d.tensor, d.code): d.sentence for c in check(cls).checks for d in c.diagnoses}


class TestExceptions:
    def test_calls_without_a_bias(self):
        class NeedsBias(tn.Dense):
            def forward(self, x):
                return super().forward(x) + 0 * self.bias.sum()

        said = codes_of(NeedsBias)
        assert list(said) == [("forward", "bias-required")]
        assert "fails where bias=False is given, and only there" in said["forward", "bias-required"]
        assert "The smallest: x (" in said["forward", "bias-required"]

    def test_a_shape_that_is_kept_from_the_first_call(self):
        class Keeps(tn.Flatten):
            def backward(self, dout):
                self.first = getattr(self, "first", super().backward(dout).shape)
                return dout.reshape(self.first)

        said = codes_of(Keeps)
        assert list(said) == [("backward", "stale-cache")]

    def test_facts_that_cannot_be_told_apart_are_all_said(self):
        class UnitStride(tn.Conv2D):
            def backward(self, dout):
                if self.stride != (1, 1):
                    raise ValueError("stride")
                return super().backward(dout)

        said = codes_of(UnitStride)["backward", "raises-where"]
        assert "the strides differ" in said and "a stride is not 1" in said

    def test_an_exception_by_chance_is_not_named(self):
        class Moody(tn.ReLU):
            def forward(self, x):
                if int(1e6 * abs(x.sum())) % 3 == 0:
                    raise ValueError("moody")
                return super().forward(x)

        assert not any(tensor == "forward" for tensor, _ in codes_of(Moody))

    def test_an_exception_in_every_call_is_not_named(self):
        class Never(tn.ReLU):
            def forward(self, x):
                raise ValueError("never")

        assert codes_of(Never) == {}

    def test_gradients_of_an_earlier_call_are_not_taken_for_those_of_the_call_that_raised(self):
        class Raises(tn.Dense):
            def forward(self, x):
                if len(x) != getattr(self, "size", len(x)):
                    raise ValueError("size")
                self.size = len(x)
                return super().forward(x)

        checks = check(Raises).checks
        assert {d.code for c in checks for d in c.diagnoses} == {"stale-cache"}
        notes = {row.note for c in checks for row in c.rows if row.run == "third" and row.tensor == "dweight"}
        assert notes and all("not reached" in note or "ended" in note for note in notes), notes
