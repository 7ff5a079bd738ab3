"""The line that is wrong: found by one change of the code, said only if every case is right with it."""

import textwrap
from pathlib import Path

import numpy as np
import pytest
from some import every

import parity
from parity.report import Diagnosis
from parity.student import examine, mend
from parity.student.again import another
from parity.student.cases import cases_of
from parity.student.repair import Change, Mender, Wish, difference_of
from parity.student.run_case import run_case
from parity.student.submission import examine_file

pytestmark = pytest.mark.lines

DENSE = """
import numpy as np


class Dense:
    def __init__(self, in_features, out_features, bias=True, *, rng=None, dtype=np.float32):
        rng = rng or np.random.default_rng()
        limit = 1 / np.sqrt(in_features)
        self.weight = rng.uniform(-limit, limit, (out_features, in_features)).astype(dtype)
        self.bias = rng.uniform(-limit, limit, out_features).astype(dtype) if bias else None

    def forward(self, x):
        self.x = x
        out = x @ self.weight.T
        if self.bias is not None:
            out = out + self.bias
        return out

    def backward(self, dout):
        self.dweight = dout.T @ self.x
        if self.bias is not None:
            self.dbias = np.zeros_like(self.bias)
            for n in range(len(dout)):
                self.dbias += dout[n]
        return dout @ self.weight
"""


def written(tmp_path, text, name="student.py"):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(textwrap.dedent(text))
    return file


def said_of(file):
    """By code, the tensors and sentences of what was said."""
    mistakes = [mistake for one in examine_file(file).classes for mistake in one.mistakes]
    return {mistake.code: (mistake.tensors, mistake.sentence) for mistake in mistakes}, mistakes


@pytest.mark.parametrize(
    ("right", "wrong"),
    every(3, [
        ("dout.T @ self.x", "dout.T @ self.x * 3 / 2"),
        ("range(len(dout))", "range(1, len(dout))"),
        ("dout @ self.weight\n", "dout @ self.weight + self.x\n"),
        ("self.dbias += dout[n]", "self.dbias = dout[n]"),
        ("out = out + self.bias", "out = out - self.bias"),
        ("self.x = x\n", "self.x = x - x.mean()\n"),
        ("x @ self.weight.T", "np.tanh(x @ self.weight.T)"),
    ]),
)  # fmt: skip
def test_a_wrong_line_is_named(tmp_path, right, wrong):
    before, _, after = DENSE.partition(right)
    said, _ = said_of(written(tmp_path, before + wrong + after))
    _, sentence = said[mend.ONE_LINE]
    assert sentence.startswith(f"line {before.count(chr(10)) + 1}: ")
    assert " With that change alone every case is right" in sentence


@pytest.mark.slow
def test_of_two_mistakes_each_line_is_named(tmp_path):
    text = DENSE.replace("dout.T @ self.x", "dout.T @ self.x / 3").replace("range(len", "range(1, len")
    _, mistakes = said_of(written(tmp_path, text))
    lines = [(m.tensors, m.sentence) for m in mistakes if m.code == mend.ONE_LINE]
    assert [tensors for tensors, _ in lines] in ([["dweight"], ["dbias"]], [["dbias"], ["dweight"]])
    assert all("is right" in sentence and "every case" not in sentence for _, sentence in lines)


@pytest.mark.slow
def test_what_no_single_change_mends_has_no_line(tmp_path):
    text = DENSE.replace("return dout @ self.weight\n", "return np.cos(self.x + len(self.weight))\n")
    said, _ = said_of(written(tmp_path, text))
    assert mend.ONE_LINE not in said and "no-known-cause" in said


def test_a_file_of_a_folder_is_named_with_its_line(tmp_path):
    head = "import numpy as np\n\n\ndef product(a, b):\n    return a @ b - 1\n"
    written(tmp_path, head, "mine/products.py")
    text = DENSE.replace("import numpy as np\n", "import numpy as np\nfrom products import product\n", 1)
    written(tmp_path, text.replace("dout @ self.weight", "product(dout, self.weight)"), "mine/layers.py")
    said, _ = said_of(tmp_path / "mine")
    assert said[mend.ONE_LINE][1].startswith(
        "products.py, line 5: `return a @ b - 1` should be `return a @ b`."
    )


def test_a_changed_loop_without_end_is_left(tmp_path):
    """To put n for n + 1 would never end."""
    loop = """n = 0
            while n < len(dout):
                self.dbias += dout[n]
                n = n + 1"""
    text = DENSE.replace("for n in range(len(dout)):\n                self.dbias += dout[n]", loop)
    assert said_of(written(tmp_path, text))[0] == {}
    said, _ = said_of(written(tmp_path, text.replace("n = 0", "n = 1")))
    assert said[mend.ONE_LINE][1].startswith("line 23: `n = 1` should be `n = 0`.")


class Doubled:
    def forward(self, x):
        self.mask = x > 0
        return np.where(self.mask, x, 0)

    def backward(self, dout):
        return 2 * dout * self.mask


def test_no_change_is_told_that_is_less_likely_than_the_first(tmp_path):
    text = """
    class ReLU:
        def forward(self, x):
            self.cache = x
            return x * (x > 0)

        def backward(self, dout):
            return dout * (self.cache > 1)
    """
    said, _ = said_of(written(tmp_path, text))
    sentence = said[mend.ONE_LINE][1]
    assert "`return dout * (self.cache > 1)` should be `return dout * (self.cache > 0)`" in sentence
    assert "self.cache = x + 1" not in sentence  # right as well


def endless(self, dout):
    while True:
        pass


def test_a_change_that_has_no_end_in_another_case_ends_as_a_failure():
    mender = Mender(Doubled)
    mender.changes.append(([Doubled.backward], endless.__code__))
    mender._limit = 0.01
    case = next(iter(cases_of("ReLU", np.random.default_rng(0))))
    runs = mender.run(0, case)
    assert any(run.failure for run in runs.values()) and Doubled.backward.__code__ is not endless.__code__


def test_the_code_is_what_it_was_before():
    before = Doubled.backward.__code__
    checkup = parity.check(Doubled, "ReLU")
    assert mend.ONE_LINE in {d.code for check in checkup.checks for d in check.diagnoses}
    assert Doubled.backward.__code__ is before


def test_what_is_right_in_some_cases_alone_is_not_said():
    """A mender that finds a change which mends the smallest case and no other."""
    case, *others = list(cases_of("ReLU", np.random.default_rng(0)))[:3]
    answers = [(one, run_case(Doubled, one)) for one in (case, *others)]

    class Mends:
        def __init__(self, mended):
            self.mended, self.asked = mended, 0

        def first(self, wish: Wish):
            return Mender(Doubled).first(wish)

        def next(self, most=0.0):
            return None

        def run(self, number, one):
            self.asked += 1
            return run_case(Right if one.name in self.mended else Doubled, one)

    class Right(Doubled):
        def backward(self, dout):
            return dout * self.mask

    def judge(one, runs):
        return examine.judge(examine.WHATEVER, one, runs)

    def right(one, runs):
        trials, _ = examine.trials_of(one, runs)
        return {
            t.name or "first": {k: (e.value, e.bound) for k, e in t.exact.tensors.items()} for t in trials
        }

    rows = {one.name: judge(one, runs) for one, runs in answers}
    names = {one.name for one, _ in answers}
    assert list(mend.mended(answers, rows, Mends({case.name}), judge, right)) == []
    ((_, tensors),) = mend.mended(answers, rows, Mends(names), judge, right)
    assert tensors == {("ReLU", "dx")}


LOOP = "for i in x:\n    a = i"
INNER = "for j in y:\n    for i in x:\n        c = i"
NESTED = "for j in y:\n    for i in x:\n        b = 2\n        c = i"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a = 1\nb = 2", "a = 1\nb = 3", (["b = 2"], ["b = 3"], "")),
        ("a = 1\nb = 2", "a = 1\npass", (["b = 2"], [], "")),
        ("a = 1\nb = 2", "b = 2\na = 1", (["b = 2"], ["b = 2"], "at the beginning")),
        (f"{LOOP}\nb = 2", f"{LOOP}\n    b = 2", (["b = 2"], ["b = 2"], "inside `for i in x:`")),
        (f"{LOOP}\n    b = 2", f"{LOOP}\nb = 2", (["b = 2"], ["b = 2"], "outside of `for i in x:`")),
        (NESTED, f"{INNER}\nb = 2", (["b = 2"], ["b = 2"], "outside of `for j in y:`")),
    ],
)  # fmt: skip
def test_what_differs(before, after, expected):
    assert difference_of(before, after) == expected


@pytest.mark.parametrize("kind", ["Conv2D", "MaxPool2D", "Dense", "BatchNorm2D", "CrossEntropyLoss", "Adam"])
def test_the_same_question_again_is_larger(kind):
    for case in cases_of(kind, np.random.default_rng(3)):
        more = another(case)
        if not case.built:
            name = next(iter(case.first))
            assert np.size(more.first[name]) > np.size(case.first[name])
            assert more.settings == case.settings and set(more.runs) == set(case.runs) - {"fourth"}


RELU = """
class ReLU:
    least = 0

    def forward(self, x):
        self.cache = x
        return np.where(x > self.least, x, 0)

    def backward(self, dout):
        return dout * (self.cache > 0)
"""


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    every(2, [
        ("least = 0", "least = 1", "line 4: `least = 1` should be `least = 0`"),
        ("dout * (self.cache > 0)", "np.where(dout > 0, dout, dout * (self.cache > 0))",
         "should be `return dout * (self.cache > 0)`"),
        ("(self.cache > 0)", "(self.cache > dout)", "should be `return dout * (self.cache > 0)`"),
    ]),
)  # fmt: skip
def test_a_plain_change_is_told_before_one_that_comes_to_the_same(tmp_path, right, wrong, told):
    said, _ = said_of(written(tmp_path, "import numpy as np\n" + RELU.replace(right, wrong)))
    assert told in said[mend.ONE_LINE][1]


LOSS = """
import numpy as np


class CrossEntropyLoss:
    def __call__(self, logits, labels):
        z = logits - logits.max(axis=1, keepdims=True)
        self.p, self.labels = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), labels
        rows = np.arange(len(labels))
        return -np.mean(np.log(self.p[rows, labels])).astype(logits.dtype)

    def backward(self):
        grad = np.zeros_like(self.p)
        grad[np.arange(len(grad)), self.labels] = -1 / len(grad)
        total = grad.sum(axis=1, keepdims=True)
        return grad - self.p * total
"""


def test_a_sum_gets_its_axis_and_keepdims_at_once(tmp_path):
    """grad.min() is the same number, by chance."""
    text = LOSS.replace("total = grad.sum(axis=1, keepdims=True)", "total = grad.sum()")
    said, _ = said_of(written(tmp_path, text))
    assert "should be `total = grad.sum(axis=1, keepdims=True)`" in said[mend.ONE_LINE][1]


@pytest.mark.parametrize(
    ("mended", "moved", "cost", "worth"),
    [
        ({"dx"}, set(), 0, True),
        ({"dx"}, set(), 3, False),  # a rare one
        ({"dx"}, {"dweight"}, 1, True),
        ({"dlogits"}, {"loss"}, 1, False),  # made up for in forward
        ({"out"}, {"dx"}, 1, True),
        ({"kept", "kept again"}, set(), 0, False),  # nothing of out
        ({"kept", "out"}, set(), 0, True),
    ],
)
def test_of_what_leaves_something_wrong_not_every_change_is_told(mended, moved, cost, worth):
    keys = [{("Layer", name) for name in names} for names in (mended, moved)]
    assert mend.is_worth_saying(Change(0, "", 1, cost=cost), *keys) is worth


def test_beside_a_line_stands_what_all_that_it_made_wrong_is_called():
    def what(*said):
        all_said = [Diagnosis("Layer", tensor, code, "", cases) for tensor, code, *cases in said]
        return examine.what_agrees(all_said, {("Layer", "out"), ("Layer", "dx")})

    assert what(("out", "bias-shared"), ("dx", "bias-shared")) == {"bias-shared"}
    assert what(("out", "bias-shared"), ("dx", "bias-shared"), ("dx", "widened")) == {"bias-shared"}
    assert what(("out", "bias-shared")) == set()
    assert what(("out", "bias-shared"), ("dx", "bias-twice")) == set()
    assert what(("out", "bias-shared"), ("dx", "bias-shared", "some cases")) == set()
    assert what(("out", "extra-factor"), ("dx", "extra-factor")) == set()


def test_another_line_is_told_if_it_is_as_likely():
    first, likely, possible = (Change(0, "", line, cost=cost) for line, cost in ((1, 0), (2, 1), (3, 2)))
    assert mend.is_another(likely, [first]) and mend.is_another(first, [possible])
    assert not mend.is_another(possible, [first]) and not mend.is_another(likely, [first, likely])


def test_an_index_that_is_missing_where_an_array_is_assigned_to(tmp_path):
    loops = """out = np.zeros((len(x), len(self.weight)), x.dtype)
        for n in range(len(x)):
            for m in range(len(self.weight)):
                out[n] = x[n] @ self.weight[m]"""
    said, _ = said_of(written(tmp_path, DENSE.replace("out = x @ self.weight.T", loops)))
    assert "`out[n] = x[n] @ self.weight[m]` should be `out[n, m] = x[n] @" in said[mend.ONE_LINE][1]


@pytest.mark.parametrize(
    ("file", "right", "wrong", "told"),
    [
        (
            "conv_indices",
            "dcols.reshape(len(cols), OH * OW, N).transpose(2, 0, 1)",
            "dcols.reshape(N, len(cols), OH * OW)",
            "`dcols = dcols.reshape(len(cols), OH * OW, N).transpose(2, 0, 1)`",
        ),
        (
            "conv_im2col",
            "col.reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)",
            "col.reshape(n, c, kh, kw, oh, ow)",
            "`col = col.reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)`",
        ),
        (
            "conv_windows",
            "PH : PH + H, PW : PW + W]",
            "PH : PH + H, PH : PH + W]",
            "`return dx_pad[:, :, PH:PH + H, PW:PW + W]`",
        ),
        ("conv_loops", "g * self.weight[f]", "g * self.dweight[f]", "+= g * self.weight[f]`"),
        (
            "batch_norm",
            "x - mean.reshape(1, C, 1, 1)",
            "x - mean",
            "`x_hat = (x - mean.reshape(1, -1, 1, 1)) / std.reshape(1, C, 1, 1)`",
        ),
        ("max_pool_indices", "np.arange(OH)[:, None] * SH", "np.arange(OH)[:, None]", "[:, None] * SH +"),
    ],
)
def test_slips_of_those_who_use_im2col_and_views(tmp_path, file, right, wrong, told):
    text = (Path(__file__).parent / "unseen" / "plain" / f"{file}.py").read_text()
    assert text.count(right) == 1
    said, _ = said_of(written(tmp_path, text.replace(right, wrong)))
    assert told in said[mend.ONE_LINE][1]


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("max_pool_scalar", "best = -np.inf", "best = 0"),
        (
            "max_pool_indices",
            "best = np.full((N, C, OH, OW), -np.inf, x.dtype)",
            "best = np.zeros((N, C, OH, OW), x.dtype)",
        ),
    ],
)
def test_a_maximum_starts_at_the_least_of_numbers(tmp_path, file, right, wrong):
    text = (Path(__file__).parent / "unseen" / "plain" / f"{file}.py").read_text()
    said, _ = said_of(written(tmp_path, text.replace(right, wrong)))
    assert f"`{wrong}` should be `{right}`" in said[mend.ONE_LINE][1]


FACTORS = [
    ("dxmu2 = 2 * xmu * dsq", "dxmu2 = xmu * dsq", True),
    ("dvar = dsq.sum(axis=0)", "dvar = dsq.mean(axis=0)", True),
    ("return np.log(S) - z", "return z - np.log(S)", True),
    ("return dout @ x", "return dout @ x / len(x)", True),
    ("dx = dout * mask", "dx = dout * mask / (1 - self.p)", False),  # a term of its own
    ("dx = dx1 + dx2", "dx = dx1 - dx2", True),
    ("dx = dout", "dx = dout * mask", False),
    ("dx = 2 * a", "dx = 2 * b", False),
    ("for i in range(n):", "for i in range(n - 1):", False),
]
EXCHANGES = [
    ("SH, SW = self.stride", "SW, SH = self.stride", True),
    ("(N, F, H, W) = x.shape", "(N, F, W, H) = x.shape", True),
    ("dx = dout @ w", "dx = w @ dout", False),  # one name
    ("SH, SW = self.stride", "SH, SW = self.padding", False),
]
ORDERS = [
    ("cols = w.reshape(F, -1).T @ dout", "cols = w.transpose(0, 2, 3, 1).reshape(F, -1).T @ dout", True),
    ("dx = dout @ w.T", "dx = dout @ w", True),
    ("dx = dout @ w.T", "dx = dout @ v", False),
    ("out = x.reshape(N, F, L)", "out = x.reshape(L, N, F).transpose(1, 2, 0)", False),
]


@pytest.mark.parametrize(
    ("words", "fits", "before", "after", "is_one"),
    [
        *((mend.FACTOR, mend.is_of_a_factor, *one) for one in FACTORS),
        *((mend.EXCHANGE, mend.is_exchange, *one) for one in EXCHANGES),
        *((mend.ORDER, mend.is_of_an_order, *one) for one in ORDERS),
    ],
)
def test_what_may_as_well_be_due_elsewhere_is_said_with_doubt(words, fits, before, after, is_one):
    change = Change(0, "", 7, [before], [after])
    assert fits(change) is is_one
    assert (words in mend.sentence_of([change], ["dx"], True)) is is_one
    assert words not in mend.sentence_of([change, change], ["dx"], True)


def test_what_python_says_of_changed_code_is_not_shown(tmp_path):
    text = (Path(__file__).parent / "unseen" / "plain" / "max_pool_windows.py").read_text()
    found = examine_file(written(tmp_path, text.replace("+= mask * dout", "+= dout")))
    assert not found.ok and found.printed == ""
