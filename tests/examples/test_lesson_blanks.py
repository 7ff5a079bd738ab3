"""Every blank of the lessons: its solution is right; empty, or with a classic mistake, it is rejected."""

import ast
import re

import numpy as np
import pytest
from some import every

NEEDS = "the lessons need the extra notebooks: pip install -e '.[notebooks]'"
pytest.importorskip("nbformat", reason=NEEDS)
pytest.importorskip("IPython", reason=NEEDS)
making = pytest.importorskip("examples.lessons.making", reason=NEEDS)

from examples.lessons import marking  # noqa: E402
from examples.lessons.answers import EXERCISES, SENTENCES  # noqa: E402

# lesson, blank, a line of its solution, the mistake in its place, what the second hint says
MISTAKES = [
    ("01", "weight_counts", "(H - K + 1) * (W - K + 1)", "H * W", "a place for each pixel"),
    (
        "01",
        "weight_counts",
        "F * places * K * K, F * K * K",
        "places * K * K, K * K",
        "none of|filters are missing",
    ),
    ("02", "by_loops", "h * S + i, w * S + j", "h + i, w + j", "stride is ignored"),
    ("02", "by_loops", "out[n, f, h, w] = bias[f]", "pass", "bias is missing"),
    ("02", "by_loops", "weight[f, c, i, j]", "weight[f, c, -1 - i, -1 - j]", "180 degrees"),
    ("02", "by_windows", " + bias[:, None, None]", "", "bias is missing"),
    ("02", "by_matmul", "transpose(0, 2, 3, 1, 4, 5)", "transpose(0, 1, 2, 3, 4, 5)", "none of the known"),
    ("02", "by_matmul", ".reshape(N, OH, OW, F).transpose(0, 3, 1, 2)", ".reshape(N, F, OH, OW)", "none of"),
    ("02", "shift_left", "[0, 0, 1]", "[1, 0, 0]", "to the right"),
    ("02", "one_by_one", " + bias[:, None, None]", "", "bias is missing"),
    ("02", "multiplications", " * C", "", "channels are missing"),
    ("03", "dweight_of", '", dout,', '", dout[:, :, ::-1, ::-1],', "180 degrees"),
    ("03", "dweight_of", "->fcij", "->fcji", "none of|i and j are exchanged"),
    ("03", "dbias_of", 'np.einsum("nfhw->f", dout)', "dout.mean(axis=(0, 2, 3))", "mean where a sum"),
    ("03", "dx_of", "+= dwindows", "= dwindows", "= where \\+= belongs"),
    ("03", "dx_of", "dout, weight)", "dout, weight[:, :, ::-1, ::-1])", "the filter is turned"),
    ("03", "Conv2D", "+= dwindows", "= dwindows", r"dx \["),
    (
        "03",
        "Conv2D",
        "padded[:, :, PH : PH + H, PW : PW + W]",
        "padded[:, :, PH : PH + H, PH : PH + W]",
        "dx",
    ),
    ("03", "Conv2D", "dout.sum(axis=(0, 2, 3))", "dout.mean(axis=(0, 2, 3))", r"dbias \["),
    ("03", "Conv2D", ", dout, windows, optimize", ", dout / len(dout), windows, optimize", r"dweight \["),
    ("03", "Dense", '"nm,nk->mk", dout, x', '"nm,nk->mk", dout, x * 2', r"dweight \["),
    ("03", "Dense", "dout.sum(axis=0)", "dout.mean(axis=0)", r"dbias \["),
    ("03", "hidden_mistake", "dout[::-1] if len(dout) > 1 else dout[:, ::-1]", "dout", "no mistake"),
    ("03", "hidden_mistake", "shuffled, windows", "2 * shuffled, windows", "under ones it is seen"),
    ("04", "ReLU", "dout * (x > 0)", "dout", "mask-missing"),
    ("04", "ReLU", "dout * (x > 0)", "dout * (x >= 0)", r"dx \["),
    ("04", "ReLU", "dout * (x > 0)", "dout * (dout > 0)", r"dx \["),
    ("04", "MaxPool2D", "pixels +=", "pixels[...] =", r"dx"),
    ("04", "MaxPool2D", "windows.max(axis=(4, 5))", "windows.mean(axis=(4, 5))", r"out"),
    ("04", "MaxPool2D", "(winner == i * KW + j)", "(windows.max((4, 5)) == windows[..., i, j])", r"dx \["),
    ("04", "CrossEntropyLoss", "dlogits / len(labels)", "dlogits", r"dlogits \["),
    ("04", "CrossEntropyLoss", "].mean()", "].sum()", r"loss \["),
    ("04", "CrossEntropyLoss", "logits - logits.max(axis=1, keepdims=True)", "logits * 1", "loss"),
    ("04", "SGD", "g = parameter.grad + self.weight_decay * parameter.data", "g = parameter.grad", r"\["),
    ("04", "SGD", "self.momentum * b + g", "self.momentum * b + (1 - self.momentum) * g", r"\["),
    ("04", "SGD", "(g + self.momentum * b if self.nesterov else b)", "b", r"\["),
    ("04", "Adam", "v / (1 - beta2**self.steps)", "v", r"\["),
    ("04", "Adam", "(np.sqrt(v_hat) + self.eps)", "np.sqrt(v_hat + self.eps)", r"\["),
    ("04", "Adam", "m / (1 - beta1**self.steps)", "m / (1 - beta1)", r"\["),
    ("04", "AvgPool2D", "dout / (KH * KW)", "dout", r"dx \["),
    ("04", "AvgPool2D", "windows.mean(axis=(4, 5))", "windows.sum(axis=(4, 5))", r"out \["),
    ("05", "TinyCNN", "Dense(4 * 3 * 3, 2", "Dense(4 * 3 * 3, 3", "it ends with ValueError"),
    ("05", "TinyCNN", "relu=ReLU(),", "relu=tn.Flatten(),", "it ends with"),
    ("05", "Sequential", "dout = layer.backward(dout)", "layer.backward(dout)", "it ends with ValueError"),
    ("05", "Sequential", "reversed(self.stages.values())", "self.stages.values()", "it ends with"),
    ("05", "MendedMaxPool2D", "reached[winner] += dout", "reached[winner] = dout", "window-overwritten"),
    ("06", "Conv2D", "PW : PW + W", "PH : PH + W", "padding-cropped|dx"),
    ("07", "in_memory_order", "x.transpose(2, 3, 1, 0)", "x.T", "H and W are exchanged"),
    (
        "07",
        "in_memory_order",
        "x.transpose(2, 3, 1, 0)",
        "x.reshape(*x.shape[2:], x.shape[1], len(x))",
        "moves no axis",
    ),
    ("07", "as_matrix", "weight.transpose(0, 2, 3, 1)", "weight", "own order c, i, j"),
    ("07", "RepairedConv2D", "self.weight.transpose(0, 2, 3, 1)", "self.weight", r"out \["),
    (
        "08",
        "split",
        "images[kept:], labels[kept:]",
        "images[kept:], labels[:kept]",
        "labels|an image is in both",
    ),
    ("08", "split", "images[:kept], labels[:kept]", "images, labels", "images are kept|in both parts"),
    ("08", "third_convolution", "nn.Linear(64, 10)", "nn.Linear(256, 10)", "fc.weight"),
    ("08", "third_convolution", "nn.Conv2d(32, 64, 3)", "nn.Conv2d(32, 64, 3, padding=1)", "forward fails"),
    (
        "08",
        "count_parameters",
        "model.named_parameters():",
        "list(model.named_parameters())[::2]:",
        "the biases are missing",
    ),
    ("09", "receptive_field", "(kernel - 1) * step", "(kernel - 1)", "the strides are missing"),
    ("09", "average_pooling", "nn.AvgPool2d(2)", "nn.MaxPool2d(2)", "other logits"),
    ("09", "maps_behind_conv2", '"conv2", "relu2"', '"conv2"', "the ReLU is missing"),
    ("09", "maps_behind_conv2", "return x[0]", "return x", "shape"),
    ("10", "repaired_snippet", 'padding="VALID"', 'padding="SAME"', "pads"),
    ("10", "claim", "number > 50", "number > 50 or number <= 50", "no number can refute it"),
]


def blanks_of(source):
    """The solved and the blank text of every function and class that a lesson leaves open, by its name."""
    found = {}
    for cell in making.jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells:
        if cell.cell_type == "code" and making.START in cell.source:
            texts = making.solved(cell.source), making.blank(cell.source)
            named = [
                {n.name: ast.get_source_segment(text, n) for n in ast.parse(text).body if hasattr(n, "name")}
                for text in texts
            ]
            found |= {name: (s, named[1][name]) for name, s in named[0].items() if s != named[1][name]}
    return found


def imports_of(source):
    """The imports of a lesson, and its `Conv2D, ReLU = plain.Conv2D, tn.ReLU`."""

    def is_a_name(node):
        return isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in ("tn", "plain")

    def brings_a_name(node):
        names = isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and node.value.elts
        return isinstance(node, ast.Import | ast.ImportFrom) or (names and all(map(is_a_name, names)))

    tree = ast.parse(source.read_text(encoding="utf-8"))
    return "\n".join(ast.unparse(node) for node in tree.body if brings_a_name(node))


BLANKS = {
    (source.stem.split("_")[1], name): (source, *texts)
    for source in making.SOURCES
    for name, texts in blanks_of(source).items()
}


@pytest.fixture(autouse=True)
def nothing_checked_yet():
    marking.CHECKS.clear()
    marking.PREDICTIONS.clear()
    yield
    marking.CHECKS.clear()
    marking.PREDICTIONS.clear()


def checked(lesson, name, text):
    """The lesson's check of a function or class with this text; nothing but the lesson's imports is there."""
    namespace = {"__name__": "__main__"}
    exec(compile(imports_of(BLANKS[lesson, name][0]) + "\n" + text, f"<{name}>", "exec"), namespace)
    with np.errstate(all="ignore"):
        marking.check(namespace[name])
    return marking.CHECKS[name]


def test_every_blank_is_filled_with_a_mistake():
    assert set(BLANKS) == {(lesson, name) for lesson, name, *_ in MISTAKES}


@pytest.mark.parametrize(("lesson", "name"), BLANKS)
class TestBlank:
    def test_its_solution_is_right(self, lesson, name):
        assert checked(lesson, name, BLANKS[lesson, name][1]).ok

    def test_empty_it_is_not_right(self, lesson, name, capsys):
        found = checked(lesson, name, BLANKS[lesson, name][2])
        assert not found.ok and found.verdict == marking.NOT_WRITTEN
        marking.hint()
        assert capsys.readouterr().out.endswith("nothing to hint at: no check has failed\n")


@pytest.mark.parametrize(("lesson", "name", "line", "mistake", "told"), every(2, MISTAKES))
def test_a_classic_mistake_is_rejected_and_told_on_request(lesson, name, line, mistake, told, capsys):
    right = BLANKS[lesson, name][1]
    wrong = right.replace(line, mistake)
    assert wrong != right, right
    found = checked(lesson, name, wrong)
    sealed = capsys.readouterr().out
    assert not found.ok and found.verdict.startswith("not right yet")
    marking.hint()
    where = capsys.readouterr().out
    marking.hint()
    why = capsys.readouterr().out
    assert re.search(told, why) or ("it ends with" in told and re.search(told, sealed)), sealed + why
    assert f"{name}, where:" in where and f"{name}, why:" in why
    assert not any(line.strip() and line in sealed + where for line in why.splitlines()[1:])


class TestExercises:
    @pytest.mark.parametrize("name", EXERCISES)
    def test_what_is_right_is_right_and_each_mistake_is_named(self, name):
        exercise = EXERCISES[name]
        right = exercise.right
        assert marking._tried(right, name, exercise).ok
        for sentence, mistake in exercise.mistakes.items():
            found = marking._tried(mistake, name, exercise)
            assert not found.ok and found.why == sentence

    def test_a_function_that_nobody_asked_for_is_refused(self):
        def something():
            return 1

        with pytest.raises(
            ValueError, match="check: code is something, expected a class or one of weight_counts"
        ):
            marking.check(something)

    @pytest.mark.parametrize("name", [*EXERCISES, *SENTENCES])
    def test_a_function_that_raises_or_gives_nothing_is_not_right(self, name):
        for answer, said in (
            (lambda *given: 1 / 0, "ZeroDivisionError: division by zero"),
            (lambda *given: None, ""),
        ):
            answer.__name__ = name
            marking.check(answer)
            assert not marking.CHECKS[name].ok and said in marking.CHECKS[name].verdict


class TestPredict:
    def test_records_then_reveals_and_scores(self, capsys):
        first = marking.predict("How many?", 18)
        assert capsys.readouterr().out == "How many?\n  recorded: 18\n"
        first.reveal(18)
        assert capsys.readouterr().out == "How many?\n  you: 18, it is: 18 -> right\n"
        marking.predict("How large?", 3).reveal(4)
        assert capsys.readouterr().out.endswith("you: 3, it is: 4 -> another answer\n")
        marking.predict("And this?", ...)
        capsys.readouterr()
        marking.score()
        assert capsys.readouterr().out.startswith("predictions: 1 of 3 right, 1 open\n")

    def test_tells_nothing_before_there_is_a_prediction(self, capsys):
        marking.predict("How many?", ...).reveal(18)
        assert "18" not in capsys.readouterr().out
        marking.predict("How many?", 18).reveal(18)
        assert "right" in capsys.readouterr().out

    def test_counts_what_was_said_before_the_reveal(self, capsys):
        marking.predict("How many?", 3).reveal(18)
        again = marking.predict("How many?", 18)
        assert "revealed already: 3 counts" in capsys.readouterr().out and again.right is False

    @pytest.mark.parametrize(
        ("answer", "truth", "factor", "right"),
        [
            (1, 1.0, 1, True),
            (1, 1.001, 1, False),
            (2, 4, 2, True),
            (2, 4.01, 2, False),
            (-2, 2, 2, False),
            (0, 2, 2, False),
            ("YES ", "yes", 1, True),
            ("no", "yes", 1, False),
            (1, "yes", 1, False),
            ("yes", 1, 1, False),
            ({"dx"}, {"dx"}, 1, True),
            ("dx", {"dx"}, 1, True),
            ({"dx", "dbias"}, {"dx"}, 1, False),
            (set(), {"dx"}, 1, False),
            ("none", set(), 1, False),
            ((1, 2), (1, 2), 1, True),
        ],
    )
    def test_what_counts_as_the_same(self, answer, truth, factor, right):
        prediction = marking.predict("?", answer)
        prediction.reveal(truth, factor)
        assert prediction.right is right

    @pytest.mark.parametrize("factor", [0.5, float("nan")])
    def test_refuses_a_factor_below_1(self, factor):
        with pytest.raises(ValueError, match=f"reveal: factor is {factor}, expected a number >= 1"):
            marking.predict("?", 1).reveal(1, factor)


class TestBlankNotebook:
    def test_solutions_and_predictions_are_taken_out(self):
        solution = "    # solution\n    return x\n    # end\n"
        code = f'a = predict("one?", 1)\n\n\ndef f():\n    x = 1\n{solution}\n\ncheck(f)'
        assert making.blank(code) == (
            'a = predict("one?", ...)\n\n\ndef f():\n    x = 1\n'
            "    raise NotImplementedError  # your code here\n\n\ncheck(f)"
        )
        assert making.solved(code + "  # type: ignore[misc]") == code

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("x = 1\n# end", "stray '# end': x = 1"),
            ("x = 1\n# solution\n# solution", "stray '# solution': x = 1"),
            ("x = 1\n# solution\ny = 2", "no '# end': x = 1"),
        ],
    )
    def test_a_stray_marker_is_refused(self, code, said):
        with pytest.raises(ValueError, match=said):
            making.blank(code)

    @pytest.mark.parametrize("source", making.SOURCES, ids=lambda source: source.stem)
    def test_holds_no_answer(self, source):
        blank, solved = (making.Lesson(source, solved).notebook() for solved in (False, True))
        for cell, answered in zip(blank.cells, solved.cells, strict=True):
            if cell.cell_type == "code":
                assert making.START not in cell.source
                assert (making.BLANK in cell.source) == (making.START in answered.source)
                assert all(ast.unparse(a) == "..." for a in making.calls_of_predict(cell.source))
                assert "..." not in [ast.unparse(a) for a in making.calls_of_predict(answered.source)]

    @pytest.mark.parametrize("source", making.SOURCES, ids=lambda source: source.stem)
    def test_every_prediction_is_revealed_and_every_blank_is_checked(self, source):
        code = "\n".join(c.source for c in making.Lesson(source).notebook().cells if c.cell_type == "code")
        names = re.findall(r"^ *(?:(\w+) = )?predict\(", code, re.MULTILINE)
        assert all(names) and all(len(re.findall(rf"\b{name}\b", code)) > 1 for name in names)
        for lesson, name in BLANKS:
            if BLANKS[lesson, name][0] == source:
                assert f"check({name})" in code
        assert code.rstrip().endswith("score()")
