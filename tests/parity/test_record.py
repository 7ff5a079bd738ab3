"""Running anybody's code: every stage is watched, whatever it is, and what goes wrong is written down."""

import dataclasses
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinycnn_numpy as tn
from parity import record
from parity.record import (
    Run,
    describe,
    is_of_ours,
    run_each,
    run_loss,
    run_stages,
    set_arrays,
    stages_by_name,
)
from parity.student.examine import questions
from parity.student.run_case import build, run_case


def texts(run):
    return {key: str(remark) for key, remark in run.remarks.items()}


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


class SetsInItsOwnWay(CallCallsForward):
    """What is set goes into a dict, as some keep their weights."""

    def __setattr__(self, name, value):
        self.__dict__[name] = value


@dataclasses.dataclass(frozen=True)
class Frozen(Doubles):
    pass


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
        "cls",
        [
            Doubles,
            WithSlots,
            CallIsForward,
            CallCallsForward,
            WithoutSelf,
            InTheObject,
            Delegates,
            SetsInItsOwnWay,
            Frozen,
        ],
    )
    def test_a_stage_is_watched_however_it_is_written_and_its_class_is_given_back(self, cls):
        for stage in (cls(), cls()):
            for model in (stage, InARow(stage)):
                run = run_stages(model, {"double": stage}, self.x, dout=self.dout)
                assert not run.failure and not texts(run) and type(stage) is cls
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
        assert str(run.failure).startswith("KeyError: 'mask' in fails, line")
        assert [type(stage) for stage in stages.values()] == [Doubles, cls]

    def test_a_call_that_does_more_than_forward_still_does(self):
        class Counts(Doubles):
            calls = 0

            def __call__(self, x):
                self.calls += 1
                return self.forward(x)

        stage = Counts()
        run = run_stages(InARow(stage), {"double": stage}, self.x, dout=self.dout)
        assert stage.calls == 1 and np.array_equal(run.arrays["double", "out"], 2 * self.x)

    def test_what_else_a_stage_is_given_reaches_it(self):
        class Times(Doubles):
            def forward(self, x, factor, plus=0):
                return factor * x + plus

        class Model(InARow):
            def forward(self, x):
                return self.stages[0].forward(x, 3, plus=1)

        stage = Times()
        run = run_stages(Model(stage), {"times": stage}, self.x, dout=self.dout)
        assert np.array_equal(run.arrays["times", "out"], 3 * self.x + 1)

    def test_what_is_given_keeps_its_order_in_memory(self):
        class Sees(Doubles):
            def forward(self, x):
                assert x.flags.f_contiguous and x is not given
                return 2 * x

            def backward(self, dout):
                assert dout.flags.f_contiguous and dout is not given
                return 2 * dout

        given, stage = np.asfortranarray(self.x), Sees()
        assert not run_stages(stage, {"s": stage}, given, dout=given).failure

    def test_what_a_stage_modifies_is_noted(self):
        class Vandal(Doubles):
            weight, bias = np.ones((2, 3))

            def forward(self, x):
                x += 1
                self.weight, self.bias = self.weight + 1, self.bias + 1
                return x

            def backward(self, dout):
                dout += 1
                return dout

        stage = Vandal()
        run = run_stages(stage, {"s": stage}, self.x, dout=self.dout)
        assert texts(run) == {
            ("s", "x"): "was modified by forward",
            ("s", "weight"): "was modified by forward",
            ("s", "bias"): "was modified by forward",
            ("s", "dout"): "was modified by backward",
            ("s", "dweight"): "is None, expected a NumPy array",
            ("s", "dbias"): "is None, expected a NumPy array",
        }

    def test_what_a_model_does_between_its_stages_is_noted(self):
        class Meddles(InARow):
            def forward(self, x):
                first, second = self.stages
                return second.forward(first.forward(x) + 1) + 1

            def backward(self, dout):
                first, second = self.stages
                return first.backward(second.backward(dout) + 1)

        stages = {"first": Doubles(), "second": Doubles()}
        run = run_stages(Meddles(*stages.values()), stages, self.x, dout=self.dout)
        assert texts(run) == {
            ("second", "x"): "was changed on the way from first, by the model",
            ("second", "result"): "was changed by the model after the last stage",
            ("first", "dout"): "was changed on the way from second, by the model",
        }

    def test_what_a_model_skips_is_noted(self):
        stages = {"first": Doubles(), "second": Doubles()}
        run = run_stages(InARow(stages["first"]), stages, self.x, dout=self.dout)
        assert texts(run) == {
            ("second", "out"): "was never computed: forward skips this stage",
            ("second", "dx"): "was never computed: backward skips this stage",
            ("second", "dweight"): "was never computed: backward skips this stage",
            ("second", "dbias"): "was never computed: backward skips this stage",
        }

    def test_what_only_forward_skips_has_gradients_all_the_same(self):
        class Skips(InARow):
            def forward(self, x):
                return self.stages[0].forward(x)

        stages = {"first": Doubles(), "second": Doubles()}
        run = run_stages(Skips(*stages.values()), stages, self.x, dout=self.dout)
        assert texts(run) == {("second", "out"): "was never computed: forward skips this stage"}

    def test_gradients_that_were_assigned_before_an_exception_are_kept_and_the_others_not_missed(self):
        class Stops(tn.Dense):
            def backward(self, dout):
                self.dweight = dout.T @ self.cache
                raise KeyError("bias")

        stage = Stops(5, 5, rng=np.random.default_rng(0), dtype=np.float64)
        run = run_stages(stage, {"fc": stage}, self.x, dout=self.dout)
        assert list(run.arrays) == [("fc", "out"), ("fc", "dweight")] and not texts(run)

    def test_a_loss_that_is_a_python_number_is_read_in_the_dtype_of_the_run(self):
        class Plain(tn.CrossEntropyLoss):
            def forward(self, logits, labels):
                return float(super().forward(logits, labels))

        data = {"logits": self.x.astype(np.float32), "labels": np.array([0, 1, 2])}
        layer = tn.ReLU()
        runs = (
            run_stages(layer, {"relu": layer}, data["logits"], labels=data["labels"], loss_fn=Plain()),
            run_loss(Plain(), **data),
        )
        assert [run.arrays["loss", "loss"].dtype for run in runs] == [np.float32] * 2


def singular():
    return np.linalg.inv(np.zeros((2, 2)))


def unreadable():
    return json.loads("{")


def absent():
    return importlib.import_module("not.there")


def too_narrow():
    return tn.Dense(3, 2, rng=np.random.default_rng(0)).forward(np.zeros((1, 4), np.float32))


class TestDescribe:
    @pytest.mark.parametrize(
        ("wrong", "text"),
        [
            (singular, "LinAlgError: Singular matrix in singular, line"),
            (unreadable, "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 "),
            (absent, "ModuleNotFoundError: No module named 'not' in absent, line"),
            (too_narrow, "ValueError: Dense: x has shape (1, 4), expected (N, 3) in too_narrow, line"),
        ],
    )
    def test_an_exception_is_located_in_the_last_line_that_the_author_wrote(self, wrong, text):
        def deep(n):
            return deep(n - 1) if n else wrong()

        with pytest.raises(Exception) as error:
            deep(60)
        assert str(describe(error.value)).startswith(text)
        assert f" in {wrong.__name__}, line" in str(describe(error.value))

    @pytest.mark.parametrize(
        ("place", "ours"),
        [
            ("{library}/json/decoder.py", True),
            ("{library}/site-packages/students/relu.py", False),
            ("{library}/site-packages/numpy/linalg/_linalg.py", True),
            ("<__array_function__ internals>", True),
            ("<frozen importlib._bootstrap>", True),
            ("relu.py", False),
        ],
    )
    def test_whose_file_it_is(self, place, ours):
        place = place.format(library=os.path.dirname(os.__file__)).replace("/", os.sep)
        assert is_of_ours(place) == ours

    def test_what_is_not_written_yet_is_no_exception(self):
        assert str(describe(NotImplementedError("TODO"))) == "not written yet"

    def test_without_a_text_or_a_line_there_is_none(self):
        assert str(describe(KeyError())) == "KeyError"

    def test_a_syntax_error_has_its_own_line(self):
        with pytest.raises(SyntaxError) as error:
            compile("x = 1\nx = = 2\n", "relu.py", "exec")
        assert str(describe(error.value)) == "SyntaxError: invalid syntax (relu.py, line 2) at line 2"

    def test_one_line_of_400_letters_is_enough(self):
        assert str(describe(ValueError("many\n  words " * 100))) == f"ValueError: {'many words ' * 100}"[:400]


class TestRunning:
    def test_weights_are_written_in_place_where_they_fit_and_copied_where_they_do_not(self):
        layer = tn.Dense(3, 2, rng=np.random.default_rng(0))
        weight, bias = np.ones((2, 3), np.float32), np.ones(2)
        own = layer.weight
        set_arrays(layer, {"weight": weight, "bias": bias})
        assert layer.weight is own and own.all() and own is not weight
        assert layer.bias.dtype == np.float64 and layer.bias is not bias

    def test_a_class_that_takes_a_dtype_gets_it(self):
        assert build(tn.Dense, (3, 2), {}, np.float64).weight.dtype == np.float64

    def test_a_stage_by_itself_that_fails_says_so_at_its_tensor(self):
        class Fails(tn.ReLU):
            def backward(self, dout):
                raise KeyError("mask")

        x = np.ones((2, 3))
        run = run_each({"relu": Fails()}, {"relu": {"x": x, "dout": x}})
        assert isinstance(run, Run) and texts(run)["relu", "dx"].startswith("KeyError: 'mask' in backward")

    def test_stages_by_themselves_each_keep_their_notes(self):
        class Fails(tn.ReLU):
            def forward(self, x):
                raise KeyError("mask")

        class Silent:
            def forward(self, x):
                return None

            backward = forward

        x = np.ones((2, 3))
        stages = {"a": Silent(), "b": Fails(), "c": Silent()}
        run = run_each(stages, {name: {"x": x, "dout": x} for name in stages})
        assert [key for key in texts(run) if key[1] == "out"] == [("a", "out"), ("b", "out"), ("c", "out")]
        assert texts(run)["b", "out"].startswith("KeyError: 'mask' in forward")

    def test_weights_are_set_where_there_were_none(self):
        stage, weight = Doubles(), np.ones(3)
        set_arrays(stage, {"weight": weight})
        assert stage.weight.all() and stage.weight is not weight

    def test_what_is_built_is_drawn_from_seed_0(self):
        drawn = tn.Dense(3, 2, rng=np.random.default_rng(0)).weight
        assert np.array_equal(build(tn.Dense, (3, 2), {}, np.float32).weight, drawn)

    @pytest.mark.parametrize(
        ("value", "number", "dtype", "note"),
        [
            (0.5, np.float32, np.float32, None),
            (0.5, None, None, "is a float, expected a NumPy array"),
            (np.float64(0.5), np.float32, np.float64, None),
            (np.full(2, 0.5), np.float32, np.float64, None),
            (np.array(["0.5"], object), None, None, "is an array of dtype object, expected a NumPy array"),
            ([0.5], None, None, "is a list, expected a NumPy array"),
            (None, None, None, "is None, expected a NumPy array"),
        ],
    )
    def test_arrays_are_kept_and_a_number_where_one_is_due(self, value, number, dtype, note):
        run, key = Run(), ("fc", "out")
        run.keep(key, value, number)
        assert texts(run).get(key) == note
        assert note or (run.arrays[key].dtype == dtype and (run.arrays[key] == 0.5).all())

    def test_a_loss_may_be_called_fail_and_modify(self):
        class Called:
            def __call__(self, logits, labels):
                logits[...] = 0
                return logits.sum()

            def backward(self):
                raise KeyError("labels")

        run = run_loss(Called(), np.ones((2, 3)), np.array([0, 1]))
        assert run.arrays["loss", "loss"] == 0 and texts(run) == {("loss", "logits"): "was modified"}
        assert str(run.failure).startswith("KeyError: 'labels' in backward, line")

    def test_a_loss_need_not_be_called(self):
        class OnlyForward:
            def forward(self, logits, labels):
                return logits.sum()

        assert run_loss(OnlyForward(), np.ones((2, 3)), np.array([0, 1])).arrays == {("loss", "loss"): 6}

    def test_an_optimiser_may_fail_and_modify(self):
        class Clears(tn.SGD):
            def step(self):
                super().step()
                for parameter in self.parameters:
                    parameter.grad[...] = 0
                if self.steps == 2:
                    raise KeyError("step")

        run = run_case(Clears, questions("SGD", 0)[0])["first"]
        assert texts(run) == {("steps", f"gradient {i}"): "was modified by step" for i in range(2)}
        assert str(run.failure).startswith("KeyError: 'step' in step, line")

    def test_a_class_that_cannot_be_built_has_failed_its_first_run(self):
        class Fails(tn.ReLU):
            def __init__(self):
                raise KeyError("mask")

        runs = run_case(Fails, questions("ReLU", 0)[0])
        assert list(runs) == ["first"] and str(runs["first"].failure).startswith("KeyError: 'mask' in __in")

    def test_a_sequential_is_given_stages_and_weights(self):
        for case in questions("Sequential", 0):
            runs = run_case(tn.Sequential, case)
            assert not any(run.failure or run.remarks for run in runs.values())
            same = run_case(tn.TinyCNN, dataclasses.replace(case, kind="TinyCNN"))
            for name in ("first", "isolated"):
                ours, theirs = runs[name].arrays, same[name].arrays
                assert ours.keys() == theirs.keys()
                assert all(np.array_equal(ours[key], theirs[key]) for key in ours)

    def test_a_model_without_a_stage_says_which_and_what_it_should_have(self):
        message = "TinyCNN has no attribute 'relu1', expected its layers as conv, relu1"
        with pytest.raises(ValueError, match=f"^{message}$"):
            stages_by_name(tn.TinyCNN(rng=np.random.default_rng(0)), ["conv", "relu1"])


class TestWhereAMistakeSits:
    """Of an exception the student's own line is named, whatever library it passed through."""

    def test_a_line_of_an_installed_library_is_not_named(self, tmp_path):
        home = tmp_path / "site-packages" / "helper"
        home.mkdir(parents=True)
        namespace = {}
        library = "def call(f):\n    raise KeyError(f)\n"
        exec(compile(library, str(home / "helper.py"), "exec"), namespace)
        student = tmp_path / "student.py"
        student.write_text("def forward(call):\n    return call('x')\n")
        exec(compile(student.read_text(), str(student), "exec"), namespace)
        with pytest.raises(KeyError) as raised:
            namespace["forward"](namespace["call"])
        assert describe(raised.value).where == "in forward, line 2: return call('x')"

    def test_where_the_project_is_installed_a_setting_that_is_not_taken_is_no_error(self, tmp_path):
        installed = tmp_path / "site-packages"
        for package in ("parity", "tinycnn_numpy"):
            source = Path(record.__file__).parents[1] / package
            shutil.copytree(source, installed / package, ignore=shutil.ignore_patterns("__pycache__"))
        program = (
            "import numpy as np, parity, tinycnn_numpy\n"
            "from parity.student.cases import cases_of\n"
            "from parity.student.run_case import run_case\n"
            "class NoEval:\n"
            "    def __init__(self, num_features): self.weight = self.bias = 0\n"
            "    running_mean = running_var = 0\n"
            "cases = cases_of('BatchNorm2D', np.random.default_rng(0))\n"
            "run = run_case(NoEval, next(c for c in cases if not c.training))['first']\n"
            "print(parity.__file__, run.failure.outcome.value)\n"
        )
        command = [sys.executable, "-c", program]
        environment = os.environ | {"PYTHONPATH": str(installed)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
        assert done.stdout.split(maxsplit=1) == [
            str(installed / "parity" / "__init__.py"),
            "not offered\n",
        ], done.stderr
