"""parity.check and python -m parity check: tables, scores, files, and what they refuse."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import parity
import tinycnn_numpy as tn
from parity.__main__ import main
from parity.kinds import KINDS
from parity.record import Failure, Outcome
from parity.report import MATCH, MISMATCH, Diagnosis, Row
from parity.student import program
from parity.student.checkup import Check

GOOD = """
import tinycnn_numpy as tn

class ReLU(tn.ReLU):
    pass

class Dense(tn.Dense):
    pass
"""
BAD = """
import numpy as np
import tinycnn_numpy as tn

class ReLU:
    def forward(self, x):
        self.mask = x >= 0
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask

class Dense(tn.Dense):
    def backward_weights(self, dout):
        super().backward_weights(dout)
        self.dweight = self.dweight / len(dout)

class Flatten:
    def forward(self, x):
        return x.reshap(len(x), -1)

class AvgPool2D(tn.AvgPool2D):
    backward = None

class CrossEntropyLoss:
    def forward(self, logits, labels):
        raise NotImplementedError

class Helper:
    pass
"""


class WithoutPadding:
    """A convolution that takes a kernel and nothing else."""

    def __init__(self, in_channels, out_channels, kernel_size):
        self.layer = tn.Conv2D(in_channels, out_channels, kernel_size, rng=np.random.default_rng(0))
        self.weight, self.bias = self.layer.weight, self.layer.bias

    def forward(self, x):
        self.layer.weight, self.layer.bias = self.weight, self.bias
        return self.layer.forward(x)

    def backward(self, dout):
        dx = self.layer.backward(dout)
        self.dweight, self.dbias = self.layer.dweight, self.layer.dbias
        return dx


class NoGradient(tn.Dense):
    def backward_weights(self, dout):
        pass


class TestCheck:
    def test_a_class_is_known_by_an_ancestor(self):
        class Mine(tn.MaxPool2D):
            pass

        checkup = parity.check(Mine)
        assert checkup.ok and "ALL RIGHT: 1 of 1 classes. 17 cases hold. " in str(checkup)

    @pytest.mark.parametrize("reference", ["Conv2D", tn.Conv2D, nn.Conv2d])
    def test_a_class_of_any_name_needs_a_reference(self, reference):
        checkup = parity.check(WithoutPadding, reference)
        skipped = [check.case for check in checkup.checks if check.skipped]
        assert checkup.ok and "padding" in skipped and "nothing square" not in skipped
        assert "takes no padding" in {check.sentence for check in checkup.checks}

    def test_an_object_is_compared_with_a_module_whose_weights_it_gets(self):
        module = nn.Conv2d(2, 3, (3, 2), stride=2, padding=1)
        layer = tn.Conv2D(2, 3, (3, 2), stride=2, padding=1, rng=np.random.default_rng(0))
        assert parity.check(layer, module).ok
        layer.stride = (1, 1)
        assert not parity.check(layer, module).ok

    def test_other_seeds_ask_other_questions(self):
        shapes = {
            tuple(row.shape for check in parity.check(tn.Dense, seed=seed).checks for row in check.rows)
            for seed in range(5)
        }
        assert len(shapes) > 2

    @pytest.mark.parametrize(
        ("code", "reference", "message"),
        [
            (WithoutPadding, None, "WithoutPadding has no PyTorch twin, expected one of"),
            (WithoutPadding, "Conv3D", "check: reference is 'Conv3D', expected one of"),
            (WithoutPadding, nn.Tanh, "check: WithoutPadding needs in_channels, which Tanh does not have"),
        ],
    )
    def test_what_is_unclear_is_refused(self, code, reference, message):
        with pytest.raises(ValueError, match=message):
            parity.check(code, reference)

    def test_jupyter_shows_a_table(self):
        html = parity.check(NoGradient)._repr_html_()
        assert "dweight</th>" in html and "gradient-missing" in html and ">ok</td>" in html
        assert "background" in html and html.count("<table>") == 2

    def test_a_gradient_that_is_never_assigned_is_named(self):
        checkup = parity.check(NoGradient)
        assert {d.code for check in checkup.checks for d in check.diagnoses} == {"gradient-missing"}

    def test_only_the_second_run_is_wrong_where_something_is_remembered(self):
        class Adds(tn.Dense):
            def backward_weights(self, dout):
                before = self.dweight
                super().backward_weights(dout)
                self.dweight = self.dweight if before is None else self.dweight + before

        text = str(parity.check(Adds))
        assert "2nd run" in text and "[accumulated]" in text


class TestProgram:
    @pytest.fixture
    def file(self, tmp_path):
        def write(text):
            path = tmp_path / "student.py"
            path.write_text(text)
            return str(path)

        return write

    def test_a_right_file_exits_0(self, file, capsys):
        assert main(["check", file(GOOD)]) == 0
        assert capsys.readouterr().out.endswith("ALL RIGHT: 2 of 2 classes. 14 cases hold. 20 of 20 points\n")

    def test_a_wrong_file_exits_1_and_says_what_why_and_where(self, file, capsys):
        assert main(["check", file(BAD), "--seed", "3", "--verbose"]) == 1
        out = " ".join(capsys.readouterr().out.split())  # hints are wrapped
        for hint in (
            "zeros among the inputs ok WRONG",
            "-> dx [mask-includes-zero]: dout passes where x is 0",
            "-> dweight [wrong-factor]: dweight is divided by N",
            "'numpy.ndarray' object has no attribute 'reshap'",
            "in forward, line 20: return x.reshap(len(x), -1)",
            "TypeError: 'NoneType' object is not callable",
            "not written yet",
            "NOT RIGHT YET:",
        ):
            assert hint in out
        assert "Helper" not in out

    def test_only_asks_for_some(self, file, capsys):
        assert main(["check", file(BAD), "--only", "ReLU", "Nope"]) == 1
        out = capsys.readouterr().out
        assert "Dense" not in out and "student.py defines no class Nope" in out

    def test_writes_json_gradescope_and_a_picture(self, file, tmp_path, capsys):
        names = {"--json": "all.json", "--gradescope": "results.json", "--picture": "heat.png"}
        options = [text for option, name in names.items() for text in (option, str(tmp_path / name))]
        assert main(["check", file(BAD), *options]) == 1
        result = json.loads((tmp_path / "all.json").read_text())
        relu = [check for check in result["checks"] if check["name"].startswith("ReLU")]
        assert not result["ok"] and [check["verdict"] for check in relu].count(MISMATCH) == 1
        (wrong,) = (check for check in relu if check["verdict"] != MATCH)
        assert wrong["name"] == "ReLU: zeros among the inputs" and wrong["diagnosis"] == "mask-includes-zero"
        of_ten = pytest.approx(wrong["max_score"] / 2, abs=1e-3)  # out is right
        assert wrong["score"] == of_ten and wrong["sentence"].startswith("dx: dout passes")
        graded = json.loads((tmp_path / "results.json").read_text())
        total = sum(test["score"] for test in graded["tests"])
        assert total == pytest.approx(result["score"], abs=0.01) and total < result["max_score"]
        assert result["seed"] == 0 and "seed" not in (tmp_path / "results.json").read_text()
        assert {test["status"] for test in graded["tests"]} == {"passed", "failed"}
        assert (tmp_path / "heat.png").read_bytes().startswith(b"\x89PNG")
        assert f"picture: {tmp_path / 'heat.png'}" in capsys.readouterr().out

    def test_nothing_wrong_gives_no_picture(self, file, tmp_path, capsys):
        assert main(["check", file(GOOD), "--picture", str(tmp_path / "heat.svg")]) == 0
        assert "no picture: nothing to draw" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("class Conv2D(", "NOT RIGHT YET: nothing was examined. 0 of 1 points"),
            ("class Conv2D(", "SyntaxError: '(' was never closed"),
            ("x = 1", "defines no class to check, expected one of Conv2D, ReLU"),
            (
                "import tinycnn_numpy as tn\nclass Net(tn.Sequential):\n    def __init__(self): pass",
                "no class to check",
            ),
        ],
    )
    def test_a_file_with_nothing_to_check_exits_1(self, text, message, file, capsys, tmp_path):
        assert main(["check", file(text), "--gradescope", str(tmp_path / "g.json")]) == 1
        assert message in capsys.readouterr().out
        assert json.loads((tmp_path / "g.json").read_text())["tests"][0]["status"] == "failed"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nowhere.py"], "there is no file nowhere.py"),
            ([], "the following arguments are required: file (see --help)"),
            ([__file__, "--seed", "-1"], "--seed is -1, expected a whole number >= 0"),
            (
                [__file__, "--seconds", "0"],
                "--seconds is 0, --total 600 and --memory 2048, expected numbers > 0",
            ),
            ([__file__, "--json", "no/where"], "--json no/where cannot be written: there is no folder no"),
            (
                [__file__, "--picture", "a.gif"],
                "--picture is a.gif, expected a name that ends in .png or .svg",
            ),
        ],
    )
    def test_says_in_one_line_what_is_wrong(self, arguments, message, capsys):
        try:
            code = main(["check", *arguments])
        except SystemExit as exit_:
            code = exit_.code
        assert code == 2 and capsys.readouterr().err == f"error: {message}\n"

    def test_the_template_is_loaded_and_not_written_yet(self, file, capsys):
        assert main(["template"]) == 0
        text = capsys.readouterr().out
        assert main(["check", file(text)]) == 1
        out = capsys.readouterr().out
        assert "0 of 11 classes written; 0 right; 11 not written. 0 of 110 points" in out
        assert "WRONG" not in out and "ERROR" not in out and "legend" not in out

    def test_the_template_of_one_class(self, capsys):
        assert main(["template", "ReLU"]) == 0
        assert "class ReLU(Layer):" in capsys.readouterr().out
        assert main(["template", "Conv3D"]) == 2
        assert "error: template: names is Conv3D, expected some of" in capsys.readouterr().err


class TestWhatABlindTestFound:
    """Wrong classes that were named wrongly or passed, and right ones that were accused."""

    def codes(self, cls, kind):
        return {d.code for check in parity.check(cls, kind).checks for d in check.diagnoses}

    def test_the_logarithm_of_softmax_is_not_called_a_wrong_shift(self):
        class LogOfSoftmax(tn.CrossEntropyLoss):
            def forward(self, logits, labels):
                super().forward(logits, labels)
                e = np.exp(logits - logits.max(axis=1, keepdims=True))
                probs = e / e.sum(axis=1, keepdims=True)
                return -np.log(probs[np.arange(len(labels)), labels]).mean()

        assert self.codes(LogOfSoftmax, "CrossEntropyLoss") == {"log-of-softmax"}

    def test_clipped_logits_are_named(self):
        class Clipped(tn.CrossEntropyLoss):
            def forward(self, logits, labels):
                return super().forward(logits.clip(-500, 500), labels)

        assert self.codes(Clipped, "CrossEntropyLoss") == {"clipped"}

    def test_a_parameter_that_is_forgotten_is_told_from_weights_that_never_change(self):
        class FirstOnly(tn.SGD):
            def __init__(self, parameters, **settings):
                super().__init__(parameters[:1], **settings)

        assert self.codes(FirstOnly, "SGD") == {"parameter-forgotten"}

    def test_a_model_whose_backward_skips_a_stage(self):
        class Skips(tn.TinyCNN):
            def backward(self, dout):
                return self.conv.backward(self.pool.backward(self.flatten.backward(self.fc.backward(dout))))

        diagnoses = [d for check in parity.check(Skips, "TinyCNN").checks for d in check.diagnoses]
        assert ("relu", "stage-skipped") in {(d.stage, d.code) for d in diagnoses}

    def test_a_model_that_changes_arrays_between_its_stages_is_accused_and_not_the_loss(self):
        class Softmax(tn.TinyCNN):
            def forward(self, x):
                e = np.exp(super().forward(x))
                return e / e.sum(axis=1, keepdims=True)

        first = parity.check(Softmax, "TinyCNN").checks[0]
        assert first.diagnoses[0].code == "changed-in-between" and first.diagnoses[0].stage == "fc"
        assert not any(d.stage == "loss" for d in first.diagnoses)

    def test_one_object_in_two_places_is_said_to_be_that(self):
        class Shared(tn.MNISTCNN):
            def __init__(self, *, rng, dtype):
                super().__init__(rng=rng, dtype=dtype)
                self.stages["relu2"] = self.stages["relu1"]

        (error,) = {check.error for check in parity.check(Shared, "MNISTCNN").checks}
        assert "Shared: relu1 and relu2 are one object, expected two" in error

    def test_a_right_class_with_slots_is_not_accused(self):
        class Slots:
            __slots__ = ("mask",)

            def forward(self, x):
                self.mask = x > 0
                return x * self.mask

            def backward(self, dout):
                return dout * self.mask

        assert parity.check(Slots, "ReLU").ok

    def test_the_shape_of_the_first_batch_kept_for_ever_is_found(self):
        class Keeps(tn.Flatten):
            shape = None

            def forward(self, x):
                self.shape = self.shape or x.shape
                return super().forward(x)

            def backward(self, dout):
                return dout.reshape(self.shape)

        checkup = parity.check(Keeps)
        assert not checkup.ok and "cannot reshape array" in str(checkup)

    def test_names_of_its_own_for_the_weights_are_said_to_be_that(self):
        class OwnNames:
            def __init__(self, in_features, out_features, bias=True):
                self.W = np.zeros((out_features, in_features))

        error, *_ = (check.error for check in parity.check(OwnNames, "Dense").checks)
        assert "OwnNames has no attribute 'weight' after __init__" in error

    def test_right_numbers_in_a_wrong_shape_are_said_to_be_that(self):
        class KeepDims(tn.Dense):
            def backward_weights(self, dout):
                super().backward_weights(dout)
                if self.bias is not None:
                    self.dbias = dout.sum(axis=0, keepdims=True)

        assert self.codes(KeepDims, "Dense") == {"wrong-shape"}

    def test_the_update_that_everyone_knows_from_pytorch_is_right(self):
        class Plain(tn.SGD):
            def step(self):
                for p, b in zip(self.parameters, self.momentum_buffer, strict=True):
                    g = p.grad + self.weight_decay * p.data
                    b[...] = self.momentum * b + g
                    p.data -= self.lr * (g + self.momentum * b if self.nesterov else b)

        class Assigned(Plain):
            def step(self):
                for p, b in zip(self.parameters, self.momentum_buffer, strict=True):
                    g = p.grad + self.weight_decay * p.data
                    b[...] = self.momentum * b + g
                    p.data = p.data - self.lr * (g + self.momentum * b if self.nesterov else b)

        assert parity.check(Plain, "SGD").ok and parity.check(Assigned, "SGD").ok

    def test_a_backward_that_skips_everything_the_second_time(self):
        class Exhausted(tn.TinyCNN):
            def __init__(self, *, rng, dtype):
                super().__init__(rng=rng, dtype=dtype)
                self.backwards = iter(reversed(list(self.stages.values())))

            def backward(self, dout):
                for layer in self.backwards:
                    dout = layer.backward(dout)
                return dout

        first = parity.check(Exhausted, "TinyCNN").checks[0]
        assert first.diagnoses[0].code == "stage-skipped"


class TestWhatMutantsFound:
    def test_a_skipped_check_scores_nothing(self):
        checkup = parity.check(WithoutPadding, "Conv2D")
        (skipped,) = {
            (c["score"], c["max_score"]) for c in checkup.to_dict()["checks"] if c["verdict"] == "skipped"
        }
        assert skipped == (0, 1)

    def test_what_the_json_holds(self):
        result = parity.check(tn.ReLU, seed=3).to_dict()
        assert result["title"] == "ReLU against PyTorch" and result["seed"] == 3
        rows = result["checks"][0]["tensors"]
        assert [(row["tensor"], row["run"]) for row in rows][:3] == [
            ("out", ""),
            ("dx", ""),
            ("out", "second"),
        ]

    def test_gradescope_shows_the_verdict_of_a_passed_test(self):
        tests = parity.check(tn.ReLU).to_gradescope()["tests"]
        assert {test["output"] for test in tests} == {"match"}

    def test_a_list_is_called_a_list(self):
        class Lists(tn.Flatten):
            def forward(self, x):
                return super().forward(x).tolist()

        assert "out is a list, expected a NumPy array" in str(parity.check(Lists))


def row_of(tensor, ratio=0.5, remark=None, stage="fc", run=""):
    verdict = MATCH if ratio <= 1 else MISMATCH
    return Row(stage, tensor, (2, 3), ratio, ratio, verdict, run=run, remark=remark)


FAILED = Failure(Outcome.RAISED, "", "KeyError")
NOT_WRITTEN = Failure(Outcome.NOT_WRITTEN, "not written yet")
NOT_OFFERED = Failure(Outcome.NOT_OFFERED, "takes no bias")
FINE, OFF = row_of("out"), row_of("dx", 12.0)
SAID = Diagnosis("fc", "dx", "wrong-sign", "it is negative.")


class TestChecks:
    """Of rows that are made by hand."""

    @pytest.mark.parametrize(
        ("check", "verdict", "score", "max_score", "sentence"),
        [
            (Check("Dense", "plain", [FINE, FINE]), "match", 1, 1, ""),
            (
                Check("Dense", "plain", [FINE, OFF], diagnoses=[SAID]),
                "MISMATCH",
                0.5,
                1,
                "dx: it is negative.",
            ),
            (Check("Dense", "plain", [FINE, OFF], failure=FAILED), "error", 0, 1, "KeyError"),
            (Check("Dense", "plain", failure=FAILED), "error", 0, 1, "KeyError"),
            (Check("Dense", "plain", failure=NOT_WRITTEN), "not written yet", 0, 1, "not written yet"),
            (Check("Dense", "plain", failure=NOT_OFFERED), "skipped", 0, 1, "takes no bias"),
        ],
    )
    def test_the_share_of_right_tensors_and_none_after_an_exception(
        self, check, verdict, score, max_score, sentence
    ):
        found = check.to_dict()
        assert found.pop("tensors") == parity.Report("", check.rows).to_dict()["rows"]
        assert found == {
            "name": "Dense: plain",
            "verdict": verdict,
            "score": score,
            "max_score": max_score,
            "diagnosis": check.diagnoses[0].code if check.diagnoses else None,
            "sentence": sentence,
        }


RIGHT = "import tinycnn_numpy as tn\n\nclass ReLU(tn.ReLU):\n    pass\n"


@pytest.fixture
def checked(tmp_path, capsys):
    """checked(source, *flags) -> exit code, the JSON or None, what was printed."""

    def run(source, *flags):
        file, results = tmp_path / "student.py", tmp_path / "results.json"
        file.write_text(source)
        code = main(["check", str(file), "--json", str(results), *flags])
        return code, json.loads(results.read_text()) if results.is_file() else None, capsys.readouterr()

    return run


WORKING_RELU = """
class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask
    def backward(self, dout):
        return dout * self.mask
"""


class TestPoints:
    def test_subclasses_earn_nothing(self, checked):
        many = RIGHT + "".join(f"\nclass Relu{i}(ReLU):\n    pass\n" for i in range(30))
        code, result, _ = checked(many)
        assert code == 0 and (result["score"], result["max_score"]) == (10, 10)
        assert "not examined: Relu29: extends ReLU under another name" in result["remarks"]

    def test_another_layer_under_another_name_is_not_accused(self, checked):
        leaky = "\nclass LeakyReLU(ReLU):\n    def forward(self, x):\n        return x.clip(0.1 * x)\n"
        assert checked(RIGHT + leaky)[0] == 0
        code, result, _ = checked(RIGHT + leaky, "--only", "LeakyReLU")
        assert code == 1 and {check["name"].split(":")[0] for check in result["checks"]} == {"LeakyReLU"}

    def test_of_two_classes_of_a_kind_the_best_counts(self, checked):
        both = "import tinycnn_numpy as tn\n\nclass Linear(tn.Dense):\n    pass\n"
        both += "\nclass Dense(tn.Dense):\n    def forward(self, x):\n        return -super().forward(x)\n"
        code, result, _ = checked(both)
        assert code == 1 and (result["score"], result["max_score"]) == (10, 10)

    def test_what_is_required_and_missing_scores_nothing(self, checked):
        code, result, _ = checked(RIGHT, "--require", "ReLU", "Dense")
        assert code == 1 and (result["score"], result["max_score"]) == (10, 20)

    def test_a_crash_at_the_start_and_an_empty_class_score_nothing(self, checked):
        crash = "class ReLU:\n    def __init__(self):\n        raise KeyError\n"
        empty = "class Flatten:\n    def forward(self, x):\n        raise NotImplementedError\n"
        code, result, _ = checked(crash + empty)
        assert code == 1 and (result["score"], result["max_score"]) == (0, 20)

    def test_a_class_that_fails_however_it_is_called_is_worth_its_points(self, checked):
        broken = "class Affine:\n    def __init__(self, W, b): pass\n"
        broken += "    def forward(self, x): return x.nothing\n    def backward(self, dout): return dout\n"
        code, result, _ = checked(broken)
        assert code == 1 and (result["score"], result["max_score"]) == (0, 10)

    def test_points_from_a_file(self, checked, tmp_path):
        points = tmp_path / "points.json"
        points.write_text('{"ReLU": 3, "Dense": 4.5}')
        code, result, _ = checked(RIGHT, "--points", str(points))
        assert code == 1 and (result["score"], result["max_score"]) == (3, 7.5)
        for wrong in ('{"ReLU": -1}', '{"ReLU": "3"}', "[3]", "{", '{"Relu": 3}'):
            points.write_text(wrong)
            code, result, printed = checked(RIGHT, "--points", str(points))
            assert code == 2 and printed.err.startswith("error: --") and printed.err.count("\n") == 1

    def test_a_file_cannot_say_that_a_case_is_not_asked(self, checked):
        source = "from parity.record import NotOfferedError\n" + RIGHT
        source += "    def forward(self, x):\n        raise NotOfferedError('takes no x')\n"
        code, result, _ = checked(source)
        assert code == 1 and {check["verdict"] for check in result["checks"]} == {"error"}


class TestResults:
    def test_those_of_the_file_before_are_gone(self, tmp_path, capsys, monkeypatch):
        file, results = tmp_path / "student.py", tmp_path / "results.json"
        file.write_text(RIGHT)
        results.write_text('{"score": 30}')
        monkeypatch.setattr(program, "examine_file", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main(["check", str(file), "--json", str(results)])
        assert not results.exists()

    def test_a_folder_that_cannot_be_written_is_one_line_and_an_exit_code_of_its_own(
        self, tmp_path, capsys, monkeypatch
    ):
        def full(*_, **__):
            raise OSError(28, "No space left on device")

        file = tmp_path / "student.py"
        file.write_text(RIGHT)
        monkeypatch.setattr(program, "write_whole", full)
        assert main(["check", str(file), "--json", str(tmp_path / "results.json")]) == 3
        error = capsys.readouterr().err
        assert error.startswith("error: the results cannot be written") and error.count("\n") == 1

    def test_neither_the_file_itself_nor_a_pipe_is_overwritten(self, tmp_path, capsys):
        file, pipe = tmp_path / "student.py", tmp_path / "pipe"
        file.write_text(RIGHT)
        os.mkfifo(pipe)
        for path in (file, pipe, tmp_path):
            assert main(["check", str(file), "--json", str(path)]) == 2
            assert capsys.readouterr().err.count("\n") == 1
        assert file.read_text() == RIGHT

    def test_any_locale_and_any_name(self, tmp_path):
        file = os.fsencode(tmp_path) + b"/caf\xe9.py"
        with open(file, "w") as out:
            out.write(RIGHT)
        results = tmp_path / "results.json"
        command = [sys.executable, "-m", "parity", "check", file, "--json", str(results)]
        environment = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
        done = subprocess.run(command, env=environment, capture_output=True)
        assert done.returncode == 0 and json.loads(results.read_text())["ok"], done.stderr.decode()

    def test_seconds_without_end_are_refused(self, tmp_path, capsys):
        file = tmp_path / "student.py"
        file.write_text(RIGHT)
        assert main(["check", str(file), "--seconds", "inf"]) == 2
        assert "--seconds is inf" in capsys.readouterr().err


class TestTheDtypeHidesNoValue:
    def test_a_mask_that_is_float64_and_wrong_is_named_for_both(self):
        class ReLU(tn.ReLU):
            def backward(self, dout):
                return dout * np.where(self.cache >= 0, 1.0, 0.0)

            def forward(self, x):
                self.cache = x
                return np.maximum(x, 0)

        codes = {d.code for check in parity.check(ReLU).checks for d in check.diagnoses}
        assert codes == {"mask-includes-zero", "widened"}

    def test_a_gradient_of_nan_is_no_multiple_of_the_right_one(self):
        class Dense(tn.Dense):
            def backward(self, dout):
                return super().backward(dout) * np.float32(np.nan)

        codes = {d.code for check in parity.check(Dense).checks for d in check.diagnoses}
        assert codes == {"no-known-cause"}


class TestOtherInterfaces:
    """What the command line and the file say of a class; tests/parity/foreign has the interfaces."""

    AFFINE = """
import numpy as np
class Thing:
    def __init__(self, W, b):
        self.W, self.b = W, b
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T
"""

    def test_a_right_loss_arrives_in_its_shape(self, checked):
        code, result, _ = checked(
            "import tinycnn_numpy as tn\n\nclass CrossEntropyLoss(tn.CrossEntropyLoss):\n    pass\n"
        )
        assert code == 0 and result["score"] == 10

    def test_the_command_line_says_what_a_class_is(self, checked):
        assert checked(self.AFFINE)[0] == 1
        code, result, _ = checked(self.AFFINE, "--as", "Thing=Dense")
        assert (
            code == 0
            and "Thing is taken for Dense: W (in, out), b (M), x (N, K), dW, db" in result["remarks"]
        )
        wrong = self.AFFINE.replace("dout.sum(axis=0)", "dout[0]")
        code, result, _ = checked(wrong, "--as", "Thing=Dense")
        assert code == 1 and {c["diagnosis"] for c in result["checks"]} <= {
            "first-only",
            "last-skipped",
            None,
        }

    def test_a_line_of_the_file_says_it_too(self, checked):
        assert checked("# parity: Thing = Dense\n" + self.AFFINE)[0] == 0
        affine = self.AFFINE.replace("Thing", "Affine")
        assert checked(affine)[0] == 0
        code, result, _ = checked("# parity: Affine = nothing\n" + affine)
        assert code == 1 and "not examined: Affine: left alone, as told" in result["remarks"]

    @pytest.mark.parametrize("said", ["Thing", "Thing=Dance", "=Dense"])
    def test_what_it_says_must_be_a_kind(self, said, tmp_path, capsys):
        (tmp_path / "student.py").write_text(self.AFFINE)
        with pytest.raises(SystemExit) as exit_:
            main(["check", str(tmp_path / "student.py"), "--as", said])
        assert exit_.value.code == 2
        assert f"'{said}', expected NAME=CLASS with one of nothing, Conv2D" in capsys.readouterr().err

    def test_a_pool_that_steps_by_1_if_nobody_says_otherwise_is_told(self, checked):
        pool = """
import numpy as np
class MaxPooling:
    def __init__(self, size, stride=1):
        self.k, self.s = size, stride
    def forward(self, x):
        self.x = x
        v = np.lib.stride_tricks.sliding_window_view(x, (self.k, self.k), axis=(2, 3))
        self.v = v[:, :, :: self.s, :: self.s].reshape(*v[:, :, :: self.s, :: self.s].shape[:4], -1)
        return self.v.max(axis=4)
    def backward(self, dout):
        dx = np.zeros_like(self.x)
        for n, c, h, w in np.ndindex(*dout.shape):
            i, j = divmod(int(self.v[n, c, h, w].argmax()), self.k)
            dx[n, c, h * self.s + i, w * self.s + j] += dout[n, c, h, w]
        return dx
"""
        assert checked(pool)[0] == 0
        assert checked(pool.replace("dx[n, c, h * self.s + i,", "dx[n, c, h + i,"))[0] == 1

    def test_a_class_that_fails_however_it_is_called_is_an_error(self, checked):
        broken = "class Affine:\n    def __init__(self, W, b): pass\n"
        broken += "    def forward(self, x): return x.nothing\n    def backward(self, dout): return dout\n"
        code, result, _ = checked(broken)
        assert code == 1 and "'nothing'" in result["checks"][0]["sentence"]

    def test_a_stride_of_the_wrong_shape_is_judged_and_not_left_out(self, checked):
        text = """
import numpy as np
class Conv:
    def __init__(self, c_in, c_out, k, stride=1):
        self.W, self.b, self.k, self.s = np.zeros((c_out, c_in, k, k)), np.zeros(c_out), k, stride
    def forward(self, x):
        self.v = np.lib.stride_tricks.sliding_window_view(x, (self.k, self.k), axis=(2, 3))
        return np.einsum("nchwij,fcij->nfhw", self.v, self.W) + self.b[:, None, None]
    def backward(self, dout):
        self.dW, self.db = np.einsum("nchwij,nfhw->fcij", self.v, dout), dout.sum((0, 2, 3))
"""
        code, result, _ = checked(text)
        wrong = {c["name"] for c in result["checks"] if c["verdict"] != "match"}
        assert (
            code == 1
            and {"Conv: stride that does not divide", "Conv: stride larger than the kernel"} <= wrong
        )


class TestHonesty:
    """Where an answer comes from. What a file does to its examiner: test_hostile.py."""

    def test_inherited_methods_are_said(self, checked):
        code, result, _ = checked("import tinycnn_numpy as tn\n\nclass ReLU(tn.ReLU):\n    pass\n")
        assert code == 0 and "it imports tinycnn_numpy" in result["remarks"]
        assert "forward and backward of ReLU are those of tinycnn_numpy" in result["remarks"]

    def test_code_of_another_file_is_said(self, checked, tmp_path):
        (tmp_path / "alice.py").write_text(WORKING_RELU)
        code, result, _ = checked("from alice import *\n")
        assert code == 0 and "forward and backward of ReLU are those of alice.py" in result["remarks"]

    @pytest.mark.parametrize(
        "text",
        [
            "import tinycnn_numpy as tn\n\nclass ReLU(tn.ReLU):\n    pass\n",
            "import torch\n" + "class ReLU:\n    def forward(self, x):\n        self.x = x\n"
            "        return torch.relu(torch.from_numpy(x)).numpy()\n"
            "    def backward(self, dout):\n        return dout * (self.x > 0)\n",
        ],
    )
    def test_own_gives_no_points_for_it(self, text, checked):
        assert checked(text)[0] == 0
        code, result, _ = checked(text, "--own")
        assert code == 1 and result["score"] == 0 and "not judged" in result["checks"][0]["sentence"]

    def test_the_files_of_a_folder_belong_together(self, tmp_path, capsys):
        home = tmp_path / "anna"
        home.mkdir()
        (home / "layers.py").write_text(WORKING_RELU)
        (home / "main.py").write_text("from layers import ReLU\n")
        assert main(["check", str(home), "--own"]) == 0
        assert "are those of" not in capsys.readouterr().out
        (tmp_path / "bert.py").write_text(WORKING_RELU)
        (home / "layers.py").write_text(
            f"import sys\nsys.path.append({str(tmp_path)!r})\nfrom bert import *\n"
        )
        (home / "main.py").write_text("import bert\nclass ReLU(bert.ReLU):\n    pass\n")
        assert main(["check", str(home), "--own"]) == 1
        assert "are those of bert.py" in capsys.readouterr().out

    def test_own_takes_the_template_s_imports(self, checked):
        text = (
            "from tinycnn_numpy.checks import Array\nfrom tinycnn_numpy.layer import Layer\n" + WORKING_RELU
        )
        code, result, _ = checked(text, "--own")
        assert code == 0 and result["score"] == 10 and result["remarks"] == []

    def test_the_whole_file_has_a_limit_too(self, checked):
        slow = WORKING_RELU.replace("return x", "import time; time.sleep(0.7); return x")
        code, result, _ = checked(slow, "--total", "1")
        said = {check["sentence"] for check in result["checks"]}
        assert code == 1 and "not tried: the 1 s for the whole file are over" in said

    def test_a_name_without_end_is_cut(self, checked):
        code, result, out = checked(WORKING_RELU.replace("ReLU", "Relu_" + "9" * 5000))
        assert code == 0 and len(result["checks"][0]["name"]) < 700 and "more characters" in out.out


class TestTheStart:
    """What is slow to import is imported late, beside other work, or not at all."""

    def modules_after(self, program):
        command = [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, done.stderr
        return set(done.stdout.splitlines()[-1].split())

    def test_the_command_line_is_read_without_pytorch(self):
        loaded = self.modules_after("import parity.student.program")
        assert "parity.student.submission" in loaded and not {"torch", "scipy", "matplotlib"} & loaded

    @pytest.mark.slow
    def test_neither_pytorch_s_compiler_nor_sympy_is_needed(self, tmp_path):
        kinds = [name for name in KINDS if name not in ("Sequential", "MLP")]
        classes = "\n".join(f"class {kind}(tn.{kind}):\n    pass\n" for kind in kinds)
        (tmp_path / "student.py").write_text("import tinycnn_numpy as tn\n\n" + classes)
        program = "from pathlib import Path\nfrom parity.student.submission import examine_file\n"
        program += f"assert examine_file(Path({str(tmp_path / 'student.py')!r})).ok"
        loaded = self.modules_after(program)
        assert "torch" in loaded and not {"torch._dynamo", "sympy"} & loaded
        assert "torch._dynamo" in self.modules_after(
            "import torch\ntorch.optim.SGD([torch.zeros(1)], lr=1.0).step()"
        )
