"""The doctor names what explains every number, and nothing else. Its causes are shown in test_museum.py."""

import copy
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tinycnn_numpy as tn
from parity import check
from parity.doctor.diagnose import explain
from parity.doctor.evidence import KNOWN, Evidence
from parity.doctor.known import causes_of
from parity.doctor.search import near
from parity.kinds import KINDS
from parity.report import NO_KNOWN_CAUSE
from parity.student.examine import check_class


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


@pytest.mark.parametrize("size", [1, pytest.param(1e-3, marks=pytest.mark.slow)])
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


def test_a_cause_that_explains_most_of_the_cases_is_named_for_them_alone():
    class NegativeOrOff(tn.Dense):
        def backward(self, dout):
            dx = super().backward(dout)
            noise = np.random.default_rng(len(dx)).standard_normal(dx.shape).astype(dx.dtype)
            return -dx if len(dx) > 1 else dx + noise

    codes = {c.case: {d.code for d in c.diagnoses} for c in check(NegativeOrOff).checks}
    alone = codes.pop("batch of one")
    assert alone == {"wrong-sign", NO_KNOWN_CAUSE}  # its third run has two images
    assert set().union(*codes.values()) == {"wrong-sign"}


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


CHANNEL = (0, 2, 3)


def tensors(arrays, names):
    return {name: torch.from_numpy(arrays[name].copy()) for name in names if name in arrays}


def a_run(kind, stage, inputs, training, planted=None):
    """Evidence of one run in float64: `inputs` as arrays, right in every tensor but the one planted."""
    stage = stage.double().train(training)
    stage.load_state_dict({**stage.state_dict(), **tensors(inputs, stage.state_dict())})
    x = torch.from_numpy(inputs["x"]).requires_grad_()
    e = Evidence(kind, tensors(inputs, inputs), {}, {}, set())
    e.stage, e.precision = copy.deepcopy(stage), 8
    if kind == "Dropout":
        mask = e.mask / (1 - stage.p) if training else torch.ones_like(x)
        shares = {"kept": np.array(1 - stage.p), "kept again": np.array((1 - stage.p) ** 2)}
        out, exact = x * mask, shares if training else {}
        e.before, e.run = Evidence(kind, dict(e.inputs), {}, {}, set()), "second"
    else:
        out = stage(x)
        exact = {name: getattr(stage, name).numpy() for name in ("running_mean", "running_var")}
    out.backward(torch.from_numpy(inputs["dout"]))
    exact |= {"out": out.detach().numpy(), "dx": x.grad.numpy()}
    exact |= {f"d{name}": p.grad.numpy() for name, p in stage.named_parameters()}
    e.exact, e.given, e.wrong = exact, exact | (planted or {}), set(planted or {})
    return e


def batch_norm(training=True, planted=None):
    rng = np.random.default_rng(2)
    inputs = {name: rng.standard_normal((4, 3, 2, 5)) for name in ("x", "dout")}
    inputs |= {name: rng.uniform(0.5, 2, 3) for name in ("weight", "bias", "running_mean", "running_var")}
    return a_run("BatchNorm2D", nn.BatchNorm2d(3, eps=0.05, momentum=0.3), inputs, training, planted)


def mistakes_in_batch_norm():
    """(code, training, {tensor: planted numbers}), in NumPy and without a look at the causes."""
    e = batch_norm()
    x, dout, eps, momentum, M = e.x.numpy(), e.dout.numpy(), 0.05, 0.3, 40
    weight, bias, old_mean, old_var = (
        e.inputs[name].numpy()[:, None, None] for name in ("weight", "bias", "running_mean", "running_var")
    )

    def sums(array, axes=CHANNEL):
        return array.sum(axis=axes, keepdims=True)

    def spoilt(x_hat, root, axes=CHANNEL, training=True):
        g = weight * dout
        count = sums(np.ones_like(x), axes)
        through = sums(g, axes) / count + x_hat * sums(g * x_hat, axes) / count if training else 0
        return {
            "out": weight * x_hat + bias,
            "dweight": sums(dout * x_hat).ravel(),
            "dx": (g - through) / root,
        }

    mean, var = x.mean(axis=CHANNEL, keepdims=True), x.var(axis=CHANNEL, keepdims=True)
    root = np.sqrt(var + eps)
    x_hat = (x - mean) / root
    unbiased = var * M / (M - 1)
    new_mean = (1 - momentum) * old_mean + momentum * mean
    new_var = (1 - momentum) * old_var + momentum * unbiased
    for m, v in ((old_mean, old_var), (new_mean, new_var)):
        wrong = np.sqrt(v + eps)
        yield "running-in-training", True, spoilt((x - m) / wrong, wrong)
        yield "running-in-training", True, {"dx": weight / wrong * dout}
    yield "batch-in-evaluation", False, spoilt(x_hat, root)
    yield "batch-in-evaluation", False, {"dx": weight / root * dout}
    wrong = np.sqrt(unbiased + eps)
    yield "ddof", True, spoilt((x - mean) / wrong, wrong)
    for training, (m, v) in ((True, (mean, var)), (False, (old_mean, old_var))):
        for code, wrong in (
            ("eps-outside-root", np.sqrt(v) + eps),
            ("eps-missing", np.sqrt(v)),
            ("root-missing", v + eps),
        ):
            yield code, training, spoilt((x - m) / wrong, wrong, training=training)
    for axes in ((0,), (2, 3), (0, 1, 2, 3)):
        wrong = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
        x_off = (x - x.mean(axis=axes, keepdims=True)) / wrong
        yield "wrong-axes", True, spoilt(x_off, wrong, axes)
        yield "wrong-axes", True, {"dx": spoilt(x_off, wrong)["dx"]}
    for out in (x_hat, weight * x_hat, x_hat + bias):
        yield "not-scaled", True, {"out": out}
    yield "not-centred", True, spoilt(x / root, root)
    for m, v in ((old_mean, var), (mean, old_var)):
        half = (x - m) / np.sqrt(v + eps)
        out = {"out": weight * half + bias, "dweight": sums(dout * half).ravel()}
        yield "batch-in-evaluation", False, out

    through_mean, through_var = sums(dout) / M, x_hat * sums(dout * x_hat) / M
    yield "statistics-constant", True, {"dx": weight / root * dout}
    yield "mean-constant", True, {"dx": weight / root * (dout - through_var)}
    yield "variance-constant", True, {"dx": weight / root * (dout - through_mean)}
    off = np.sqrt(old_var + eps)
    x_off = (x - old_mean) / off
    through = sums(dout) / M + x_off * sums(dout * x_off) / M
    yield "statistics-not-constant", False, {"dx": weight / off * (dout - through)}
    yield "images-counted", True, {"dx": weight / root * (dout - (through_mean + through_var) * M / 4)}
    yield "weight-missing", True, {"dx": (dout - through_mean - through_var) / root}
    yield "root-missing", True, {"dx": weight / root**2 * (dout - through_mean - through_var)}
    for wrong in (x, x - mean, weight * x_hat + bias):
        through_wrong = x_hat * (weight * sums(dout * wrong)) / (weight * M)
        dx = weight / root * (dout - through_mean - through_wrong)
        yield "not-normalised", True, {"dweight": sums(dout * wrong).ravel(), "dx": dx}
    yield "summed-over-all", True, {"dbias": dout.sum()}

    for name, old, now in (("running_mean", old_mean, mean), ("running_var", old_var, unbiased)):
        moved = (1 - momentum) * old + momentum * now
        yield "running-not-updated", True, {name: old.ravel()}
        yield "running-in-evaluation", False, {name: moved.ravel()}
        yield "momentum-reversed", True, {name: (momentum * old + (1 - momentum) * now).ravel()}
        yield "momentum-ignored", True, {name: now.ravel()}
    all_of_it = {"running_mean": (old_mean, x.mean()), "running_var": (old_var, x.var() * M / (M - 1))}
    for name, (old, now) in all_of_it.items():
        yield "wrong-axes", True, {name: ((1 - momentum) * old + momentum * now).ravel()}
    of_var = [("running-variance-biased", var), ("ddof", unbiased * M / (M - 1))]
    of_var += [("root-of-variance", np.sqrt(unbiased)), ("root-of-variance", np.sqrt(var))]
    for code, now in of_var:
        yield code, True, {"running_var": ((1 - momentum) * old_var + momentum * now).ravel()}


def dropout(training=True, planted=None, mask=None, p=0.3):
    rng = np.random.default_rng(3)
    inputs = {name: rng.standard_normal((4, 3, 2, 5)) for name in ("x", "dout")}
    inputs["mask"] = rng.integers(0, 2, inputs["x"].shape).astype(float) if mask is None else mask
    return a_run("Dropout", nn.Dropout(p), inputs, training, planted)


def mistakes_in_dropout():
    """(code, training, {tensor: planted numbers}, mask)"""
    e = dropout()
    mask, rng = e.mask.numpy(), np.random.default_rng(4)
    other = rng.integers(0, 2, mask.shape)
    for tensor, array in (("out", e.x.numpy()), ("dx", e.dout.numpy())):
        kept = array * mask
        yield "scale-missing", True, {tensor: kept}, mask
        yield "scaled-twice", True, {tensor: kept / 0.49}, mask
        yield "scaled-by-p", True, {tensor: kept / 0.3}, mask
        yield "scaled-down", True, {tensor: kept * 0.7}, mask
        yield "active-in-evaluation", False, {tensor: array * other / 0.7}, mask
        yield "scaled-in-evaluation", False, {tensor: array * 0.7}, mask
        yield "scaled-in-evaluation", False, {tensor: array / 0.7}, mask
        yield "scaled-by-p", True, {tensor: np.inf * array}, np.ones_like(mask), 0.0
    yield "setting-ignored", True, {"kept": np.array(0.5)}, mask
    yield "setting-ignored", True, both(0.5), mask
    yield "mask-missing", True, {"dx": e.dout.numpy()}, mask
    yield "mask-missing", True, {"dx": e.dout.numpy() / 0.7}, mask
    yield "mask-drawn-again", True, {"dx": e.dout.numpy() * other / 0.7}, mask
    yield "nothing-dropped", True, {"kept": np.ones(())}, np.ones_like(mask)
    yield "probability-reversed", True, {"kept": np.array(0.31)}, mask
    for one in (mask[:, :1, :1, :1], mask[:, :, :1, :1], mask[:1]):
        yield "mask-shared", True, {"kept": np.array(0.4)}, np.ones_like(mask) * one
        yield "mask-shared", True, both(0.4), np.ones_like(mask) * one
    yield "nothing-dropped", True, both(1.0), np.ones_like(mask)
    yield "probability-reversed", True, both(0.31), mask
    yield "mask-drawn-once", True, {"kept again": np.array(0.7)}, mask


def codes(tensor, *runs):
    return [said.code for said in explain("stage", tensor, list(runs))]


class TestSharesOfDropout:
    mask = np.random.default_rng(4).integers(0, 2, (4, 3, 2, 5)).astype(float)

    def test_what_is_dropped_to_another_number_than_0_is_not_kept(self):
        e = dropout(planted={"kept": np.ones(()), "out": np.ones((4, 3, 2, 5))}, mask=np.ones((4, 3, 2, 5)))
        assert codes("kept", e) == [NO_KNOWN_CAUSE]

    def test_no_mask_is_that_of_the_run_before_if_all_is_dropped(self):
        e = dropout(planted={"kept again": np.array(0.0)}, mask=np.zeros((4, 3, 2, 5)))
        assert codes("kept again", e) == [NO_KNOWN_CAUSE]

    def test_one_draw_a_column_is_not_one_mask_for_all_images(self):
        e = dropout(planted={"kept": np.array(0.9)}, mask=np.ones((4, 3, 2, 1)) * [1, 0, 1, 0, 1])
        assert codes("kept", e) == [NO_KNOWN_CAUSE]

    def test_a_mask_is_not_drawn_again_where_out_is_wrong(self):
        planted = {"out": np.ones((4, 3, 2, 5)), "dx": dropout().dout.numpy() * self.mask / 0.7}
        assert "mask-drawn-again" not in codes("dx", dropout(planted=planted, mask=1 - self.mask))

    def test_a_share_that_fits_in_one_case_is_chance(self):
        half, other = (
            dropout(planted={"kept": np.array(s)}, mask=self.mask, p=p) for s, p in ((0.5, 0.3), (0.9, 0.4))
        )
        half.case, other.case = "a", "b"
        assert codes("kept", half, other) == [NO_KNOWN_CAUSE]
        other.given["kept"] = np.array(0.5)
        assert codes("kept", half, other) == ["setting-ignored"]


def test_what_fits_float32_and_not_float64_does_not_explain():
    class SquareOfEps(tn.Dense):
        def forward(self, x):
            out = super().forward(x)
            off = 0 if x.dtype == np.float32 else 1e-3 * np.cos(np.arange(out.size)).reshape(out.shape)
            return (2 * out + off).astype(x.dtype)

    said = {d.code for c in check(SquareOfEps).checks for d in c.diagnoses if d.tensor == "out"}
    assert said == {NO_KNOWN_CAUSE}


def both(share):
    """Wrong by itself, and then also beside the run before."""
    return {"kept": np.array(share), "kept again": np.array(share)}


@functools.cache
def named():
    """[(kind, the code that should be named, the tensor, the diagnosis)] of all planted mistakes."""
    runs = [("BatchNorm2D", code, batch_norm(*case)) for code, *case in mistakes_in_batch_norm()]
    runs += [("Dropout", code, dropout(*case)) for code, *case in mistakes_in_dropout()]
    return [(kind, code, t, explain("stage", t, [e])[0]) for kind, code, e in runs for t in sorted(e.wrong)]


class TestNumbersPlantedInBatchNormAndDropout:
    def test_each_is_named(self):
        assert [(code, tensor) for _, code, tensor, said in named() if said.code != code] == []

    def test_every_cause_of_the_two_has_been_planted(self):
        known = {
            (kind, tensor, cause.code, cause.sentence)
            for kind, tensor in KNOWN if kind in ("BatchNorm2D", "Dropout")
            for function in KNOWN[kind, tensor] for cause in function()
        }  # fmt: skip
        assert known == {(kind, tensor, said.code, said.sentence) for kind, _, tensor, said in named()}

    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("run", [batch_norm, dropout])
    def test_what_is_right_is_given_no_name(self, run, training):
        e = run(training)
        e.wrong = set(e.given)
        codes = {tensor: explain("stage", tensor, [e])[0].code for tensor in e.given}
        assert codes == dict.fromkeys(e.given, NO_KNOWN_CAUSE)


def test_of_dx_nothing_is_said_that_would_show_in_dweight():
    """A power of the root that is wrong in dx alone looks as if dout met x - mean there: dweight is right."""
    text = (Path(__file__).parent / "unseen" / "plain" / "batch_norm_chain.py").read_text()
    right, wrong = "inverse**3", "inverse**2"
    assert text.count(right) == 1
    space: dict = {}
    exec(compile(text.replace(right, wrong), "student.py", "exec"), space)
    checks = check_class(space["BatchNorm2D"], "BatchNorm2D", lines=False).checks
    assert {row.tensor for check in checks for row in check.rows if not row.ok} == {"dx"}
    assert "not-normalised" not in {d.code for check in checks for d in check.diagnoses}
