"""compare: what it tells apart. That it finds mistakes at all is shown in test_museum.py."""

import numpy as np
import pytest
from torch import nn

import parity
import parity.comparison
import tinycnn_numpy as tn
from parity.bounds import Exact, Witness
from parity.comparison import LossTrial, Trial, compare_loss, diagnoses_of, rows_of
from parity.exact import ExactRun
from parity.record import Failure, Fault, Outcome, Remark, Run, run_loss, run_optimizer
from parity.report import INHERITED, MATCH, MISMATCH, UNDECIDABLE, Diagnosis, Row


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
    class Off(tn.Dense):
        def forward(self, x):
            return super().forward(x) + self.weight.dtype.type(1)

    rng = np.random.default_rng(0)
    one, x = Off(5, 4, rng=rng), rng.standard_normal((3, 5)).astype(np.float32)
    assert all(row.isolated is None for row in parity.compare(one, x).rows)
    rows = parity.compare(tn.Sequential(one=one, two=tn.Dense(4, 3, rng=rng)), x).rows
    assert all(row.isolated is not None for row in rows)
    assert [(row.stage, row.verdict) for row in rows[:2]] == [("one", MISMATCH), ("two", INHERITED)]


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
            self.dweight, self.dbias = self.dweight / 2, self.dbias / 2
            return dx

        def backward_weights(self, dout):
            super().backward_weights(dout)
            self.dweight, self.dbias = self.dweight * 2, self.dbias * 2

    layer = ShortWayWrong(1, 3, (3, 2), rng=np.random.default_rng(0))
    report = parity.compare(layer, X)
    wrong = [row.tensor for row in report.mismatches]
    assert wrong == ["dweight of backward_weights", "dbias of backward_weights"]


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
    table = (
        r"(?s)^\nMaskForgotten, float64.*stage.*dx.*MISMATCH.*mask-missing.*1 of 2 differ, first Mask.* dx$"
    )
    with pytest.raises(AssertionError, match=table):
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


RIGHT, WRONG = np.array([1.25]), np.array([9.0])  # within half and at 16 times the bound


FAILED = Failure(Outcome.RAISED, "", "KeyError")
IS_NONE = Remark(Fault.MISSING, "is None")


class Given(Trial):
    """A run, and an exact run that is given."""

    dtype = np.dtype(np.float64)

    def __init__(self, run, exact):
        super().__init__(run)
        self.exact = exact


class TestRows:
    """rows_of on tensors of one number, 1, whose bound is 0.5."""

    def exact(self, *keys, slack=0.0):
        known = Exact(np.array([1.0]), np.array([0.5]), np.array([slack]))
        return ExactRun(dict.fromkeys(keys, known))

    def test_a_run_that_ended_has_its_error_before_the_first_tensor_that_is_missing(self):
        exact = self.exact(("a", "out"), ("b", "out"), ("c", "out"), ("c", "dx"))
        run = Run({("a", "out"): RIGHT}, {("b", "out"): IS_NONE}, FAILED)
        rows = rows_of(Given(run, exact))
        assert [(row.stage, row.tensor, row.verdict, row.note) for row in rows] == [
            ("a", "out", MATCH, ""),
            ("b", "out", MISMATCH, "is None"),
            ("c", "(ended)", MISMATCH, "KeyError"),
            ("c", "out", MISMATCH, "not reached"),
            ("c", "dx", MISMATCH, "not reached"),
        ]
        assert (rows[2].shape, rows[2].error, rows[2].ratio) == ((), np.inf, np.inf)

    def test_an_error_after_the_last_tensor_is_a_row_too(self):
        rows = rows_of(Given(Run({("a", "out"): RIGHT}, failure=FAILED), self.exact(("a", "out"))))
        assert [(row.stage, row.tensor, row.verdict, row.note) for row in rows] == [
            ("a", "out", MATCH, ""),
            ("run", "(ended)", MISMATCH, "KeyError"),
        ]

    @pytest.mark.parametrize(
        ("in_the_run", "alone", "first", "after_a_mistake"),
        [
            (RIGHT, RIGHT, (MATCH, ""), (MATCH, "")),
            (WRONG, RIGHT, (MISMATCH, "right by itself"), (INHERITED, "")),
            (None, RIGHT, (MISMATCH, "missing"), (INHERITED, "")),
            (RIGHT, WRONG, (MISMATCH, ""), (MISMATCH, "")),
            (RIGHT, None, (MISMATCH, "is None"), (MISMATCH, "is None")),
            (None, WRONG, (MISMATCH, "missing"), (MISMATCH, "missing")),
        ],
    )
    def test_a_stage_is_weighed_by_what_it_gave_alone_and_what_went_before(
        self, in_the_run, alone, first, after_a_mistake
    ):
        before, key = ("a", "out"), ("b", "out")
        exact = self.exact(before, key)
        by_itself = Run({before: RIGHT}) if alone is None else Run({before: RIGHT, key: alone})
        by_itself.remarks = {key: IS_NONE} if alone is None else {}
        for earlier, expected in ((RIGHT, first), (WRONG, after_a_mistake)):
            run = Run({before: earlier, key: in_the_run})
            row = rows_of(Given(run, exact), Given(by_itself, exact))[1]
            assert (row.verdict, row.note) == expected
            assert row.isolated == (np.inf if alone is None else 0.5 if alone is RIGHT else 16)

    @pytest.mark.parametrize(
        ("earlier", "loss", "verdict"),
        [(RIGHT, WRONG, MISMATCH), (WRONG, WRONG, INHERITED), (WRONG, RIGHT, MATCH)],
    )
    def test_the_loss_which_never_runs_alone_inherits_what_went_before(self, earlier, loss, verdict):
        first, last = ("a", "out"), ("loss", "loss")
        alone = Given(Run({first: RIGHT}), self.exact(first))
        row = rows_of(Given(Run({first: earlier, last: loss}), self.exact(first, last)), alone)[1]
        assert (row.verdict, row.isolated) == (verdict, None)

    def test_pytorchs_own_ratio_stands_beside(self):
        key = ("a", "out")
        (row,) = rows_of(Given(Run({key: RIGHT}), self.exact(key)), theirs={key: np.array([1.125])})
        assert (row.verdict, row.ratio, row.torch) == (MATCH, 0.5, 0.25)

    def test_a_gradient_names_the_witness_that_it_has_passed(self):
        exact = self.exact(*((stage, "out") for stage in "abc"), *((stage, "dx") for stage in "cba"), slack=9)
        exact.witnesses.append(Witness("b", (0,), 0.0, 0.5))
        run = Run({key: WRONG if key[1] == "dx" else RIGHT for key in exact.tensors})
        notes = {row.stage: row.note for row in rows_of(Given(run, exact)) if row.verdict == UNDECIDABLE}
        assert notes == {"c": "", "b": str(exact.witnesses[0]), "a": str(exact.witnesses[0])}


MISSING = "was never computed: forward skips this stage"
WIDER = "dtype is float64, expected float32"
BETWEEN = "was changed on the way from fc, by the model"


class TestDiagnosesOfRows:
    """What the note of a row says already, nobody needs to guess from the numbers."""

    @pytest.mark.parametrize(
        ("tensor", "fault", "note", "ratio", "code", "sentence"),
        [
            (
                "weight",
                Fault.MODIFIED,
                "was modified by backward",
                np.inf,
                "updated-too-early",
                "weight was modified by backward: weights change in step, when all gradients are known.",
            ),
            (
                "bias",
                Fault.MODIFIED,
                "was modified by forward",
                np.inf,
                "updated-too-early",
                "bias was modified by forward: weights change in step, when all gradients are known.",
            ),
            (
                "x",
                Fault.MODIFIED,
                "was modified by forward",
                np.inf,
                "input-modified",
                "x was modified by forward: it belongs to the caller, work on a copy.",
            ),
            (
                "dx",
                Fault.WRONG_DTYPE,
                WIDER,
                1.0,
                "widened",
                f"{WIDER}: an array of float64 or int, or np.sqrt of a Python number, got in; "
                "float32 stays float32.",
            ),
            ("out", Fault.STAGE_SKIPPED, MISSING, np.inf, "stage-skipped", f"out {MISSING}."),
            (
                "x",
                Fault.CHANGED_BETWEEN,
                BETWEEN,
                np.inf,
                "changed-in-between",
                f"x {BETWEEN}: each stage takes what the one before it returned, unchanged.",
            ),
            (
                "dx",
                Fault.RIGHT_ALONE,
                "right by itself",
                9.0,
                "shared-arrays",
                "right alone, wrong in this run: look for what an earlier call or another stage has changed.",
            ),
            (
                "dx",
                Fault.MISSING,
                "missing",
                np.inf,
                "gradient-missing",
                "never assigned, or a return is missing.",
            ),
        ],
    )
    def test_by_the_note(self, tensor, fault, note, ratio, code, sentence):
        row = Row("fc", tensor, (), ratio, ratio, MISMATCH, remark=Remark(fault, note))
        assert diagnoses_of([row], {}) == [Diagnosis("fc", tensor, code, sentence)]

    @pytest.mark.parametrize(("note", "ratio"), [(WIDER, 1.5), ("", 0.5)])
    def test_a_wider_dtype_explains_right_numbers_only_and_is_named_only_where_it_was_seen(self, note, ratio):
        remark = Remark(Fault.WRONG_DTYPE, note) if note else None
        row = Row("fc", "dx", (), ratio, ratio, MISMATCH, remark=remark)
        assert [d.code for d in diagnoses_of([row], {})] == ["no-known-cause"]

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_the_doctor_sees_float64_and_how_precise_the_run_was(self, dtype):
        rng = np.random.default_rng(0)
        data = {"logits": rng.standard_normal((3, 5)).astype(dtype), "labels": LABELS}
        trial = LossTrial(run_loss(tn.CrossEntropyLoss(), **data), data=data)
        exact, rows = trial.exact.tensors, [Row("loss", "dlogits", (), 9.0, 9.0, MISMATCH)]
        earlier = trial.evidence([], {})["loss"]
        seen = trial.evidence(rows, {"loss": earlier})["loss"]
        assert (str(seen.logits.dtype), str(seen.labels.dtype)) == ("torch.float64", "torch.int64")
        assert seen.precision == np.dtype(dtype).itemsize and seen.before is earlier
        assert seen.bound == {key: exact["loss", key].bound.max() for key in ("loss", "dlogits")}
        assert (earlier.wrong, seen.wrong) == (set(), {"dlogits"})


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

    def test_a_known_mistake_is_named(self):
        class Frozen(tn.SGD):
            def step(self):
                pass

        report = parity.compare_optimizers(Frozen(self.weights(), lr=0.1))
        assert {d.code for d in report.diagnoses} == {"not-in-place"}

    def test_ten_steps_of_seed_0_in_the_dtype_of_the_weights_unless_others_are_asked_for(self):
        class Sees(tn.SGD):
            def step(self):
                assert all(p.grad.dtype == p.data.dtype for p in self.parameters)
                super().step()

        def errors(**options):
            weights = tn.TinyCNN(rng=np.random.default_rng(1), dtype=np.float32).parameters()
            return [row.error for row in parity.compare_optimizers(Sees(weights, lr=0.1), **options).rows]

        assert errors() == errors(steps=10, seed=0)
        assert errors() != errors(seed=1) and errors() != errors(steps=11)

    def test_the_title_says_what_was_compared_and_how(self):
        report = parity.compare_optimizers(tn.SGD(self.weights(), lr=0.1), steps=3)
        assert report.title == "SGD, float64, 3 steps on random gradients: NumPy against PyTorch"


def test_a_layer_with_one_weight_is_compared():
    layer = tn.Dense(3, 2, bias=False, rng=np.random.default_rng(0))
    assert parity.compare(layer, np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)).ok


def test_a_wrong_loss_is_put_before_the_doctor():
    class Negative(tn.CrossEntropyLoss):
        def backward(self):
            return -super().backward()

    logits = np.random.default_rng(0).standard_normal((3, 5))
    report = compare_loss(Negative(), logits, LABELS)
    assert report.title == "Negative, float64: NumPy against PyTorch"
    assert [(d.stage, d.tensor, d.code) for d in report.diagnoses] == [("loss", "dlogits", "wrong-sign")]


def test_the_module_of_the_caller_is_left_alone():
    layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
    module = parity.twin(layer)
    layer.weight[...] = -layer.weight
    parity.compare(layer, np.ones((2, 3), np.float32), module)
    assert {str(p.dtype) for p in module.parameters()} == {"torch.float32"}


def test_a_nan_that_was_given_is_not_called_modified():
    logits, labels = np.array([[1.0, np.nan, 2.0], [3.0, 4.0, 5.0]]), np.array([0, 1])
    assert compare_loss(tn.CrossEntropyLoss(), logits, labels).ok
    model = tn.Dense(2, 2, rng=np.random.default_rng(0))
    grads = {
        str(i): np.full((1, *p.data.shape), np.nan, np.float32) for i, p in enumerate(model.parameters())
    }
    optimizer = tn.SGD(model.parameters(), lr=0.1)
    assert run_optimizer(optimizer, optimizer.parameters, grads).remarks == {}


@pytest.mark.parametrize("size", [1e100, 1e150, 1e200, 1e300])
def test_right_code_is_not_accused_at_any_size(size):
    rng = np.random.default_rng(0)
    images, rows = size * rng.standard_normal((4, 3, 5, 5)), size * rng.standard_normal((4, 5))
    float64 = {"rng": rng, "dtype": np.float64}
    for layer in (tn.Conv2D(3, 2, 3, **float64), tn.AvgPool2D(2), tn.MaxPool2D(3, 2), tn.ReLU()):
        assert parity.compare(layer, images).ok
    assert parity.compare(tn.BatchNorm2D(3, dtype=np.float64), images).ok
    dense = tn.Sequential(tn.Dense(5, 4, **float64), tn.ReLU(), tn.Dense(4, 3, **float64))
    assert parity.compare(dense, rows).ok
    assert parity.compare(dense, rows, labels=np.array([0, 1, 2, 0])).ok
    assert compare_loss(tn.CrossEntropyLoss(), rows, np.array([0, 1, 2, 0])).ok
    assert not parity.compare(MaskForgotten(), images).ok
