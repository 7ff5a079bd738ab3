"""compare: what it tells apart. That it finds mistakes at all is shown in test_museum.py."""

import numpy as np
import pytest
from torch import nn

import parity
import parity.comparison
import tinycnn_numpy as tn
from parity.comparison import compare_loss
from parity.report import INHERITED, MATCH, MISMATCH
from parity.running import Run, build, describe, run_each, run_stages, set_weights


def model_with(**wrong):
    model = tn.MNISTCNN(rng=np.random.default_rng(0))
    for stage, cls in wrong.items():
        model.stages[stage].__class__ = cls
    return model


class Negative(tn.Conv2D):
    def backward(self, dout):
        return -super().backward(dout)


class MaskForgotten(tn.ReLU):
    def backward(self, dout):
        return dout


class Remembers(tn.ReLU):
    """Right by itself, wrong once it has run before."""

    def forward(self, x):
        first = self.__dict__.get("cache")
        out = super().forward(x)
        self.cache = out if first is None else first
        return out


X = np.random.default_rng(1).standard_normal((3, 1, 28, 28)).astype(np.float32)
LABELS = np.array([3, 1, 4])


def test_two_mistakes_at_once_are_both_located_and_named():
    report = parity.compare(model_with(conv2=Negative, relu1=MaskForgotten), X, labels=LABELS)
    assert [(row.stage, row.tensor) for row in report.mismatches] == [("conv2", "dx"), ("relu1", "dx")]
    assert [d.code for d in report.diagnoses] == ["wrong-sign", "mask-missing"]
    inherited = [(row.stage, row.tensor) for row in report.rows if row.verdict == INHERITED]
    assert inherited == [("pool1", "dx"), ("conv1", "dweight"), ("conv1", "dbias"), ("conv1", "dx")]


def test_all_right_is_all_match():
    report = parity.compare(model_with(), X, labels=LABELS)
    assert report.ok and all(row.verdict == MATCH for row in report.rows) and not report.diagnoses


def test_the_title_says_what_was_compared_and_how():
    layer, x = tn.Dense(5, 3, rng=np.random.default_rng(0)), np.ones((3, 5), np.float32)
    assert str(parity.compare(layer, x)).startswith(
        "Dense, float32, under a random upstream gradient: NumPy against PyTorch\n"
    )
    assert parity.compare(layer, x, labels=np.array([0, 1, 2])).title == (
        "Dense, float32, through the loss: NumPy against PyTorch"
    )


def test_a_single_layer_is_compared_and_diagnosed_through_the_loss():
    class Flipped(tn.Dense):
        def backward_weights(self, dout):
            super().backward_weights(-dout)

    rng = np.random.default_rng(0)
    layer, x = Flipped(5, 3, rng=rng), rng.standard_normal((3, 5)).astype(np.float32)
    report = parity.compare(layer, x, labels=np.array([0, 1, 2]))
    assert [(d.tensor, d.code) for d in report.diagnoses] == [
        ("dweight", "wrong-sign"),
        ("dbias", "wrong-sign"),
    ]


def test_the_upstream_gradient_is_that_of_seed_0_unless_another_is_asked_for():
    layer, x = tn.Dense(50, 30, rng=np.random.default_rng(0)), np.ones((3, 50), np.float32)
    errors = [[row.error for row in parity.compare(layer, x, **seed).rows] for seed in ({}, {"seed": 0})]
    assert errors[0] == errors[1]
    assert errors[0] != [row.error for row in parity.compare(layer, x, seed=1).rows]


def test_a_stage_runs_by_itself_only_where_there_are_others():
    rng = np.random.default_rng(0)
    one, x = tn.Dense(5, 4, rng=rng), rng.standard_normal((3, 5)).astype(np.float32)
    assert all(row.fed is None for row in parity.compare(one, x).rows)
    two = tn.Sequential(one=one, two=tn.Dense(4, 3, rng=rng))
    assert all(row.fed is not None for row in parity.compare(two, x).rows)


def test_a_mistake_of_memory_shows_in_the_run():
    report = parity.compare(Remembers(), X)
    assert [d.code for d in report.diagnoses] == ["stale-cache"]


def test_a_stage_that_writes_into_the_memory_of_another_is_found():
    class Meddling(tn.Flatten):
        """Right in itself; on the way forward it wipes what pool2 remembers of its windows."""

        def forward(self, x):
            x.base[...] = 0
            return super().forward(x)

    report = parity.compare(model_with(flatten=Meddling), X, labels=LABELS)
    assert report.mismatches[0].stage == "flatten" and report.diagnoses[0].code == "input-modified"


def test_two_objects_that_share_one_memory_are_found():
    class ClassWideMask(tn.ReLU):
        def forward(self, x):
            ClassWideMask.mask = x > 0
            return super().forward(x)

        def backward(self, dout):
            return dout * ClassWideMask.mask

    rng = np.random.default_rng(0)
    model = tn.Sequential(
        fc1=tn.Dense(5, 6, rng=rng), relu1=ClassWideMask(), fc2=tn.Dense(6, 6, rng=rng), relu2=ClassWideMask()
    )
    report = parity.compare(model, rng.standard_normal((4, 5)).astype(np.float32))
    assert [(row.stage, row.tensor, row.note) for row in report.mismatches] == [
        ("relu1", "dx", "right by itself")
    ]
    assert [d.code for d in report.diagnoses] == ["shared-arrays"]


def test_the_short_way_round_must_find_the_same():
    class ShortWayWrong(tn.Conv2D):
        """backward is right and backward_weights, which training calls, is not."""

        def backward(self, dout):
            dx = super().backward(dout)
            self.dweight = self.dweight / 2
            return dx

        def backward_weights(self, dout):
            super().backward_weights(dout)
            self.dweight = self.dweight * 2

    layer = ShortWayWrong(1, 3, (3, 2), rng=np.random.default_rng(0))
    report = parity.compare(layer, X)
    assert [row.tensor for row in report.mismatches] == ["dweight of backward_weights"]


def test_a_short_way_round_that_raises_is_a_row():
    class NoShortWay(tn.Dense):
        def backward(self, dout):
            super().backward_weights(dout)
            return dout @ self.weight

        def backward_weights(self, dout):
            raise ValueError("no short way")

    layer = NoShortWay(5, 3, rng=np.random.default_rng(0))
    report = parity.compare(layer, np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32))
    assert [row.tensor for row in report.rows] == ["out", "dweight", "dbias", "dx", "(ended)"]
    (row,) = report.mismatches
    assert row.stage == "backward_weights" and not report.diagnoses
    assert row.note.startswith("ValueError: no short way in backward_weights, line")


def test_a_gradient_that_is_added_to_that_of_the_run_before_is_seen():
    class Accumulates(tn.Dense):
        def backward_weights(self, dout):
            before = self.dweight
            super().backward_weights(dout)
            self.dweight = self.dweight if before is None else before + self.dweight

    layer = Accumulates(5, 3, rng=np.random.default_rng(0))
    report = parity.compare(layer, np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32))
    assert [row.tensor for row in report.mismatches] == ["dweight"]


def test_a_gradient_that_is_wiped_out_is_seen():
    class Wiping(tn.Conv2D):
        def backward(self, dout):
            dx = super().backward(dout)
            dout[...] = 0
            return dx

    report = parity.compare(Wiping(1, 3, (3, 2), rng=np.random.default_rng(0)), X)
    assert report.mismatches[0].note == "was modified by backward"
    assert report.diagnoses[0].code == "input-modified"


def test_an_exception_ends_the_run_where_it_was_raised():
    class Fails(tn.ReLU):
        def backward(self, dout):
            raise KeyError("mask")

    report = parity.compare(model_with(relu2=Fails), X, labels=LABELS)
    first = report.mismatches[0]
    assert (first.stage, first.tensor) == ("relu2", "(ended)")
    assert "KeyError: 'mask' in backward, line" in first.note
    assert not report.ok and parity.compare(model_with(), X, labels=LABELS).ok


def test_assert_parity_raises_with_the_table():
    with pytest.raises(
        AssertionError, match=r"(?s)stage.*dx.*MISMATCH.*mask-missing.*1 of 2 differ, first MaskForgotten dx"
    ):
        parity.assert_parity(MaskForgotten(), np.array([[-1.0, 2.0]]))


def test_a_wrong_torch_side_is_told_from_a_wrong_numpy_side(monkeypatch):
    layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
    x, right = np.ones((2, 3), np.float32), parity.comparison.trace_torch
    monkeypatch.setattr(
        parity.comparison, "trace_torch", lambda *a, **k: {key: 2 * v for key, v in right(*a, **k).items()}
    )
    report = parity.compare(layer, x)
    assert {row.verdict for row in report.rows} == {MISMATCH}
    assert {row.note for row in report.rows} == {"PyTorch itself is off, NumPy is right"}
    assert not report.diagnoses


def test_an_object_of_any_class_is_compared_with_a_module():
    class Anything:
        def forward(self, x):
            self.shape = x.shape
            return x.reshape(len(x), -1)

        def backward(self, dout):
            return dout.reshape(self.shape)

    assert parity.compare(Anything(), X, nn.Flatten()).ok


def test_the_upstream_gradient_that_is_given_is_the_one_that_is_used():
    x = np.random.default_rng(2).standard_normal((3, 5))
    dout = np.zeros((3, 5))
    dout[1, 2] = x[1, 2] = 7.0
    assert not parity.compare(MaskForgotten(), x).ok
    assert parity.compare(MaskForgotten(), x, dout=dout).ok


def test_a_stage_that_forward_skips_is_named():
    class Skips(tn.Sequential):
        def forward(self, x):
            return self.fc2.forward(self.fc1.forward(x))

        def backward(self, dout):
            return self.fc1.backward(self.fc2.backward(dout))

    rng = np.random.default_rng(0)
    model = Skips(fc1=tn.Dense(5, 4, rng=rng), relu=tn.ReLU(), fc2=tn.Dense(4, 3, rng=rng))
    report = parity.compare(model, rng.standard_normal((2, 5)).astype(np.float32))
    notes = {(row.stage, row.tensor): row.note for row in report.rows if row.note}
    assert notes["relu", "out"] == "was never computed: forward skips this stage"


def test_a_module_with_other_stages_is_refused():
    with pytest.raises(ValueError, match=r"has stages \['0', '1'\], expected \['conv1', 'relu1'"):
        parity.compare(model_with(), X, nn.Sequential(nn.ReLU(), nn.ReLU()))


def test_a_layer_without_a_twin_is_refused():
    with pytest.raises(ValueError, match="Layer has no PyTorch twin, expected one of"):
        parity.twin(tn.Layer())


def test_a_sum_that_cancels_is_no_mismatch():
    """Right code on which the largest entry was too small a scale, found by drawing seeds."""
    for seed in (62, 348, 454):
        layer = tn.Conv2D(1, 1, 1, rng=np.random.default_rng(seed))
        x = np.random.default_rng(1000 + seed).standard_normal((4, 1, 9, 9)).astype(np.float32)
        parity.assert_parity(layer, x, seed=seed)
    x = np.random.default_rng(1145).standard_normal((1, 1, 9, 9)).astype(np.float32)
    parity.assert_parity(tn.AvgPool2D(9), x, seed=145)


class TestOptimizers:
    def weights(self):
        return tn.TinyCNN(rng=np.random.default_rng(1), dtype=np.float64).parameters()

    def test_the_state_is_compared_as_well(self):
        class Forgets(tn.Adam):
            def step(self):
                super().step()
                self.exp_avg_sq[1] *= 1 + 1e-12

        report = parity.compare_optimizers(Forgets(self.weights(), lr=0.1), steps=1)
        assert {row.stage for row in report.rows} == {"steps"}
        assert [row.tensor for row in report.mismatches] == ["1 exp_avg_sq"]

    @pytest.mark.parametrize("cls", [tn.SGD, tn.Adam])
    def test_a_learning_rate_that_is_off_in_its_12th_digit_is_seen(self, cls):
        class Hasty(cls):
            def step(self):
                self.lr, lr = self.lr * (1 + 1e-12), self.lr
                super().step()
                self.lr = lr

        assert parity.compare_optimizers(cls(self.weights(), lr=0.1)).ok
        report = parity.compare_optimizers(Hasty(self.weights(), lr=0.1))
        assert report.mismatches and report.diagnoses[0].code == "no-known-cause"


def test_a_layer_with_one_weight_is_compared():
    layer = tn.Dense(3, 2, bias=False, rng=np.random.default_rng(0))
    assert parity.compare(layer, np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)).ok


def test_a_wrong_loss_is_put_before_the_doctor():
    class Negative(tn.CrossEntropyLoss):
        def backward(self):
            return -super().backward()

    logits = np.random.default_rng(0).standard_normal((3, 5))
    report = compare_loss(Negative(), logits, LABELS)
    assert [(d.stage, d.tensor, d.code) for d in report.diagnoses] == [("loss", "dlogits", "wrong-sign")]


class TestRunning:
    def test_an_exception_is_located_in_the_last_line_that_is_not_numpy(self):
        def deep(n):
            return deep(n - 1) if n else bottom()

        def bottom():
            return np.linalg.inv(np.zeros((2, 2)))

        with pytest.raises(np.linalg.LinAlgError) as error:
            deep(60)
        assert "LinAlgError: Singular matrix in bottom, line" in describe(error.value)

    def test_weights_are_written_in_place_where_they_fit_and_copied_where_they_do_not(self):
        layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
        weight, bias = np.ones((2, 3), np.float32), np.ones(2)
        own = layer.weight
        set_weights(layer, {"weight": weight, "bias": bias})
        assert layer.weight is own and own.all() and own is not weight
        assert layer.bias.dtype == np.float64 and layer.bias is not bias

    def test_a_class_that_takes_a_dtype_gets_it(self):
        assert build(tn.Dense, (3, 2), {}, np.float64).weight.dtype == np.float64

    def test_a_stage_by_itself_that_fails_says_so_at_its_tensor(self):
        class Fails(tn.ReLU):
            def backward(self, dout):
                raise KeyError("mask")

        run = run_each({"relu": Fails()}, {"relu": {"x": X, "dout": X}})
        assert isinstance(run, Run) and run.notes["relu", "dx"].startswith("KeyError: 'mask' in backward")


class Doubles:
    def forward(self, x):
        return 2 * x

    def backward(self, dout):
        return 2 * dout


class WithSlots:
    __slots__ = ("factor",)

    def forward(self, x):
        self.factor = 2
        return self.factor * x

    def backward(self, dout):
        return self.factor * dout


class CallIsForward(WithSlots):
    __slots__ = ()
    __call__ = WithSlots.forward


class CallCallsForward(Doubles):
    def __call__(self, x):
        return self.forward(x)


class WithoutSelf:
    @staticmethod
    def forward(x):
        return 2 * x

    @staticmethod
    def backward(dout):
        return 2 * dout


class InTheObject:
    def __init__(self):
        self.forward = self.backward = lambda array: 2 * array


class Delegates:
    def __init__(self):
        self.inner = Doubles()

    def __getattr__(self, name):
        return getattr(self.inner, name)


class InARow:
    """A model of stages that it calls as its author would."""

    def __init__(self, *stages):
        self.stages = stages

    def forward(self, x):
        for stage in self.stages:
            x = stage(x) if callable(stage) else stage.forward(x)
        return x

    def backward(self, dout):
        for stage in reversed(self.stages):
            dout = stage.backward(dout)
        return dout


class TestWatching:
    x, dout = np.random.default_rng(0).standard_normal((2, 3, 5))

    @pytest.mark.parametrize(
        "cls", [Doubles, WithSlots, CallIsForward, CallCallsForward, WithoutSelf, InTheObject, Delegates]
    )
    def test_a_stage_is_watched_however_it_is_written_and_its_class_is_given_back(self, cls):
        for stage in (cls(), cls()):
            for model in (stage, InARow(stage)):
                run = run_stages(model, {"double": stage}, self.x, dout=self.dout)
                assert not run.error and not run.notes and type(stage) is cls
                assert np.array_equal(run.arrays["double", "out"], 2 * self.x)
                assert np.array_equal(run.arrays["double", "dx"], 2 * self.dout)

    def test_two_stages_of_one_class_are_told_apart(self):
        stages = {"first": CallIsForward(), "second": CallIsForward()}
        run = run_stages(InARow(*stages.values()), stages, self.x, dout=self.dout)
        factors = {"first": (2, 4), "second": (4, 2)}
        for name, (forward, backward) in factors.items():
            assert np.array_equal(run.arrays[name, "out"], forward * self.x)
            assert np.array_equal(run.arrays[name, "dx"], backward * self.dout)

    @pytest.mark.parametrize("method", ["forward", "backward"])
    def test_the_classes_are_given_back_after_an_exception(self, method):
        def fails(self, array):
            assert type(self) is not cls
            raise KeyError("mask")

        cls = type("Fails", (Doubles,), {method: fails})
        stages = {"first": Doubles(), "second": cls()}
        run = run_stages(InARow(*stages.values()), stages, self.x, dout=self.dout)
        assert run.error.startswith("KeyError: 'mask' in fails, line")
        assert [type(stage) for stage in stages.values()] == [Doubles, cls]


def test_the_module_of_the_caller_is_left_alone():
    layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
    module = parity.twin(layer)
    layer.weight[...] = -layer.weight
    parity.compare(layer, np.ones((2, 3), np.float32), module)
    assert {str(p.dtype) for p in module.parameters()} == {"torch.float32"}
