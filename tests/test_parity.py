"""The proof itself: weights that cross, oracles that reject, a report and a program that tell the truth."""

import copy
import json
from hashlib import sha256

import numpy as np
import pytest
import torch
from safetensors.torch import load_file as torch_load_file
from safetensors.torch import save_file as torch_save_file
from torch import nn

import parity
import parity.__main__ as program
import tinycnn_numpy as tn
import tinycnn_torch as tt
from parity.report import Report, Row, difference
from parity.tolerance import Sum

MODELS = ["TinyCNN", "MNISTCNN", "MLP"]


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


class TestWeights:
    @pytest.mark.parametrize("name", MODELS)
    def test_there_and_back_changes_nothing(self, name):
        model, module = getattr(tn, name)(rng=np.random.default_rng(0)), getattr(tt, name)()
        before = model.state_dict()
        parity.copy_weights(model, module)
        model.load_state_dict({key: np.zeros_like(array) for key, array in before.items()})
        parity.copy_weights(module, model)
        assert same(model.state_dict(), before)

    @pytest.mark.parametrize("name", MODELS)
    def test_both_sides_write_the_same_bytes_and_read_each_other(self, name, tmp_path):
        model, module = getattr(tn, name)(rng=np.random.default_rng(0)), getattr(tt, name)()
        parity.copy_weights(model, module)
        parity.save_weights(model, tmp_path / "numpy")
        parity.save_weights(module, tmp_path / "torch")
        torch_save_file(module.state_dict(), tmp_path / "torch_alone")
        digests = {sha256((tmp_path / n).read_bytes()).digest() for n in ("numpy", "torch", "torch_alone")}
        assert len(digests) == 1
        module.load_state_dict(torch_load_file(tmp_path / "numpy"))
        other = getattr(tn, name)(rng=np.random.default_rng(1))
        parity.load_weights(other, tmp_path / "torch")
        assert same(other.state_dict(), model.state_dict())

    @pytest.mark.parametrize("target", [tt.MLP(), tn.MLP(rng=np.random.default_rng(0))])
    def test_what_does_not_fit_is_named_and_nothing_is_loaded(self, target):
        before = parity.weights.numpy_state(target)
        with pytest.raises(
            ValueError, match=r"MLP: cannot load .*missing fc1.weight.*unexpected conv.weight"
        ):
            parity.copy_weights(tn.TinyCNN(rng=np.random.default_rng(0)), target)
        assert same(parity.weights.numpy_state(target), before)


class TestOracles:
    """Each is shown a gradient that is wrong by one in a thousand, or a backward that is no transpose."""

    def test_central_differences_reject_a_factor_of_1_001(self):
        class Off(tn.Dense):
            def backward(self, dout):
                return 1.001 * super().backward(dout)

        layer = Off(4, 3, rng=np.random.default_rng(0), dtype=np.float64)
        report = parity.check_gradients(layer, np.random.default_rng(1).standard_normal((5, 4)))
        assert [row.tensor for row in report.mismatches] == ["dx"]

    def test_central_differences_refuse_float32(self):
        with pytest.raises(ValueError, match="check_gradients: x has dtype float32, expected float64"):
            parity.check_gradients(tn.ReLU(), np.zeros(3, np.float32))

    def test_the_transpose_check_rejects_a_flipped_gradient(self):
        class Flipped(tn.AvgPool2D):
            def backward(self, dout):
                return super().backward(dout[:, :, ::-1])

        x = np.random.default_rng(0).standard_normal((2, 3, 6, 4))
        assert parity.check_adjoint(tn.AvgPool2D(2), x).ok and not parity.check_adjoint(Flipped(2), x).ok

    def test_lockstep_rejects_a_learning_rate_that_is_off(self):
        rng = np.random.default_rng(0)
        images, labels = rng.standard_normal((20, 1, 8, 8)), rng.integers(2, size=20)
        model = tn.TinyCNN(rng=rng, dtype=np.float64)

        class Hasty(tn.SGD):
            def step(self):
                lr, self.lr = self.lr, 1.0001 * self.lr
                super().step()
                self.lr = lr

        for cls, ok in ((tn.SGD, True), (Hasty, False)):
            student = copy.deepcopy(model)
            optimizer = cls(student.parameters(), 0.01)
            batches = [np.arange(5)] * 20
            report = parity.lockstep(student, parity.twin(model), optimizer, images, labels, batches)
            assert report.ok is ok

    def test_an_input_within_rounding_of_a_kink_is_not_smooth(self):
        layer = tn.Sequential(fc=tn.Dense(1, 1, rng=np.random.default_rng(0)), relu=tn.ReLU())
        layer.fc.weight[...], layer.fc.bias[...] = 1, 0
        assert parity.is_smooth(layer, np.array([[0.5]], np.float32))
        assert not parity.is_smooth(layer, np.array([[0.5], [1e-8]], np.float32))

    def test_a_pooling_window_within_rounding_of_a_tie_is_not_smooth(self):
        conv = tn.Conv2D(1, 1, 1, rng=np.random.default_rng(0))
        conv.weight[...], conv.bias[...] = 1, 0
        model = tn.Sequential(conv=conv, pool=tn.MaxPool2D((1, 2)))
        assert parity.is_smooth(model, np.array([[[[1, 1.1, 2, 3]]]], np.float32))
        assert not parity.is_smooth(model, np.array([[[[1, 1.1, 2, 2.0000002]]]], np.float32))


class TestBounds:
    def test_grow_with_the_root_of_n_and_never_below_4(self):
        reference, eps = np.array([-2.0, 1.0]), np.finfo(np.float64).eps
        assert Sum(9).bound(np.float64, reference) == 4 * eps * 2
        assert Sum(10_000).bound(np.float64, reference) == 100 * eps * 2
        assert Sum(0).bound(np.float64, reference) == 0
        assert Sum(9, floor=5).bound(np.float64, reference) == 4 * eps * 5

    def test_catch_one_wrong_entry_that_allclose_lets_pass(self):
        layer = tn.Conv2D(3, 4, 3, rng=np.random.default_rng(0))
        x = np.random.default_rng(1).standard_normal((2, 3, 9, 8), np.float32)
        module = parity.twin(layer)
        with torch.no_grad():
            module.weight[2, 1, 0, 2] *= 1.0001
        right, wrong = layer(x), module(torch.from_numpy(x)).detach().numpy()
        assert np.allclose(right, wrong, rtol=1e-3, atol=1e-3)
        assert not parity.compare(layer, x, module).ok

    def test_the_constants_are_these(self):
        """A change of any of them is a change of what is promised, not a repair."""
        assert {np.dtype("float32"): 2e-5, np.dtype("float64"): 1e-12} == parity.tolerance.LOCKSTEP
        rng, eps = np.random.default_rng(0), np.finfo(np.float64).eps
        layer, x = tn.Dense(50, 3, rng=rng, dtype=np.float64), rng.standard_normal((7, 50))
        row = parity.check_gradients(layer, x).rows[0]
        assert row.bound == pytest.approx(1e-7 * row.max_abs / row.max_rel)
        row = parity.check_adjoint(layer, x).rows[0]
        assert row.bound / eps == pytest.approx(200 * row.max_abs / row.max_rel)
        rows = parity.compare(layer, x).rows
        assert {row.tensor: round(row.bound / eps) for row in rows} == {
            "out": 9,
            "dweight": 38,
            "dbias": 21,
            "dx": 2,
        }
        optimizer = tn.SGD(layer.parameters(), 0.1)
        row = parity.compare_optimizers(optimizer).rows[0]  # sqrt(10 roundings * 10 steps) = 10
        assert 10 * 0.1 < row.bound / eps < 10 * 2  # of weights between 0.1 and 2

    def test_a_sum_that_cancels_is_no_mismatch(self):
        """Right code on which max|ref| alone was too small a scale, found by drawing seeds."""
        for seed in (62, 348, 454):
            layer = tn.Conv2D(1, 1, 1, rng=np.random.default_rng(seed))
            x = np.random.default_rng(1000 + seed).standard_normal((4, 1, 9, 9)).astype(np.float32)
            parity.assert_parity(layer, x, seed=seed)
        x = np.random.default_rng(1145).standard_normal((1, 1, 9, 9)).astype(np.float32)
        parity.assert_parity(tn.AvgPool2D(9), x, seed=145)


class TestReport:
    def test_difference_knows_nan_and_infinity(self):
        inf, nan = np.inf, np.nan
        assert difference(np.array([1, inf, nan, -inf]), np.array([1, inf, nan, -inf])) == 0
        for a, b in ((1, nan), (nan, 1), (inf, 1), (inf, -inf)):
            assert difference(np.array([a]), np.array([b])) == inf

    def test_a_report_without_rows_is_not_ok(self):
        assert not Report("nothing").ok and "nothing was compared" in str(Report("nothing"))

    def test_the_table_names_the_first_bad_row(self):
        good, bad = Row("conv", "out", (2, 3), 0.0, 0.0, 1e-6), Row("conv", "dx", (2, 3), 0.5, 0.2, 1e-6)
        text = str(Report("Model", [good, bad]))
        assert "MISMATCH" in text.splitlines()[3] and text.endswith("1 of 2 differ, first conv dx")

    def test_either_side_may_be_the_one_that_is_wrong(self):
        row = Row("conv", "out", (1,), 1e-7, 1e-7, 1e-6, numpy_vs_float64=1e-7, torch_vs_float64=1e-5)
        assert not row.ok

    def test_json_holds_every_row(self):
        report = parity.compare(tn.ReLU(), np.ones((2, 3)))
        loaded = json.loads(report.to_json())
        bad = Report("Model", [Row("conv", "out", (1,), np.inf, np.inf, 0.0, note="missing")]).to_json()
        assert "Infinity" not in bad and json.loads(bad)["rows"][0]["max_abs"] is None
        assert loaded["ok"] and [row["tensor"] for row in loaded["rows"]] == ["out", "dx"]


class TestCompare:
    def test_assert_parity_raises_with_the_table(self):
        class Wrong(tn.ReLU):
            def backward(self, dout):
                return dout

        with pytest.raises(
            AssertionError, match=r"(?s)stage.*Wrong *dx.*MISMATCH.*1 of 2 differ, first Wrong dx"
        ):
            parity.assert_parity(Wrong(), np.array([[-1.0, 2.0]]))

    def test_a_wrong_numpy_side_is_told_from_a_wrong_torch_side(self):
        layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
        module = parity.twin(layer)
        layer.weight[0, 0] += 1
        row = parity.compare(layer, np.ones((2, 3), np.float32), module).mismatches[0]
        assert row.numpy_vs_float64 > 0.5 and row.torch_vs_float64 < 1e-6

    def test_a_module_with_other_stages_is_refused(self):
        model = tn.TinyCNN(rng=np.random.default_rng(0))
        with pytest.raises(ValueError, match=r"has stages \['0', '1'\], expected \['conv', 'relu'"):
            parity.compare(model, np.zeros((1, 1, 8, 8), np.float32), nn.Sequential(nn.ReLU(), nn.ReLU()))

    def test_a_layer_without_a_twin_is_refused(self):
        with pytest.raises(ValueError, match="Layer has no PyTorch twin, expected one of"):
            parity.twin(tn.Layer())


class TestLockstep:
    MODEL = tn.TinyCNN(rng=np.random.default_rng(0))

    def run(self, images, batches):
        model = copy.deepcopy(self.MODEL)
        labels = np.zeros(len(images), int)
        return parity.lockstep(
            model, parity.twin(model), tn.SGD(model.parameters(), 0.1), images, labels, batches
        )

    @pytest.mark.filterwarnings("ignore:invalid value")
    def test_two_runs_that_both_end_in_nan_prove_nothing(self):
        report = self.run(np.full((2, 1, 8, 8), np.nan, np.float32), [np.arange(2)])
        assert not report.ok and report.rows[0].note == "is not finite"

    def test_no_batches_are_refused(self):
        with pytest.raises(ValueError, match="lockstep: batches is empty"):
            self.run(np.zeros((2, 1, 8, 8), np.float32), [])

    def test_flat_images_are_never_smooth_and_say_so(self):
        batches = parity.smooth_batches(
            self.MODEL, np.zeros((5, 1, 8, 8), np.float32), 1, 2, np.random.default_rng(0)
        )
        with pytest.raises(ValueError, match="batch_size 2 gave nothing smooth in 100 draws"):
            next(batches)


class TestProgram:
    def test_prints_the_table_and_exits_0(self, capsys):
        assert program.main(["--model", "TinyCNN", "--dtype", "float64", "--seed", "3"]) == 0
        out = capsys.readouterr().out
        assert (
            "conv     dweight  (4, 1, 3, 3)" in out
            and out.splitlines()[-1] == "PARITY HOLDS: 72 tensors equal"
        )

    def test_writes_json(self, capsys, tmp_path):
        arguments = ["--model", "TinyCNN", "--dtype", "float32", "--json"]
        assert program.main(arguments) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["ok"] and len(printed["reports"]) == 6
        assert program.main([*arguments, str(tmp_path / "p.json")]) == 0
        assert json.loads((tmp_path / "p.json").read_text())["reports"] == printed["reports"]

    def test_exits_1_when_something_differs(self, capsys, monkeypatch):
        monkeypatch.setattr(tn.ReLU, "backward", lambda self, dout: dout * np.float32(1.5))
        assert program.main(["--model", "TinyCNN", "--dtype", "float32"]) == 1
        assert "PARITY BROKEN" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--device", "cuda"], "error: --device cuda requested but not available: use --device cpu"),
            (["--device", "mps"], "error: --device mps requested but not available: use --device cpu"),
            (["--seed", "-1"], "error: --seed is -1, expected a whole number >= 0"),
            (["--json", "no/where"], "error: --json no/where cannot be written: there is no folder no"),
        ],
    )
    def test_says_in_one_line_what_is_wrong(self, arguments, message, capsys, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        assert program.main(arguments) == 2
        assert capsys.readouterr().err.splitlines() == [message]
