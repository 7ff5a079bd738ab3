"""How a checkup is shown: on a terminal, in HTML, to Gradescope; and what hints withhold."""

import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import parity
from parity.__main__ import main
from parity.record import Failure, Fault, Outcome, Remark
from parity.report import MATCH, MISMATCH, NO_KNOWN_CAUSE, Diagnosis, Report, Row
from parity.student import render
from parity.student.checkup import Check, Checkup
from parity.student.gradescope import VISIBILITIES


def row_of(tensor, ratio=0.5, remark=None, stage="Dense", run="", **more):
    verdict = MATCH if ratio <= 1 else MISMATCH
    return Row(stage, tensor, (2, 3), ratio, ratio, verdict, run=run, remark=remark, **more)


FAILED = Failure(Outcome.RAISED, "", "KeyError", "in forward, line 3: x[7]")
NOT_WRITTEN = Failure(Outcome.NOT_WRITTEN, "not written yet")
NOT_OFFERED = Failure(Outcome.NOT_OFFERED, "takes no bias")
MISSING = Remark(Fault.MISSING, "missing")
NARROW = Remark(Fault.WRONG_SHAPE, "shape is (2,), expected (2, 3)")
FINE, OFF = row_of("out"), row_of("dx", 12.0, at=(1, 2))
SAID = Diagnosis("Dense", "dx", "wrong-sign", "it is negative.")
UNKNOWN = Diagnosis("Dense", "out", NO_KNOWN_CAUSE, "wrong, no known cause")


def check(*rows, kind="Dense", case="plain", **more):
    return Check(kind, case, list(rows), kind=kind, **more)


def all_kinds_of_trouble():
    twice = row_of("dx", 5.0, run="second"), row_of("dx", 5.0, run="third")
    return [
        check(FINE, OFF, diagnoses=[SAID]),
        check(row_of("out", np.inf, MISSING), row_of("dx"), case="no answer", diagnoses=[UNKNOWN]),
        check(row_of("out", np.inf, NARROW), row_of("dx"), case="narrow"),
        check(FINE, row_of("dx"), *twice, case="again"),
        check(FINE, row_of("dx"), twice[1], case="more"),
        check(case="broken", failure=FAILED),
        check(case="no bias", failure=NOT_OFFERED),
        check(row_of("0", 12.0, stage="steps"), row_of("1", stage="steps"), kind="SGD"),
        check(row_of("out", stage="fc1"), row_of("dx", 12.0, stage="fc2"), kind="MLP"),
        check(FINE, FINE, kind="ReLU"),
        check(kind="Conv2D", failure=NOT_WRITTEN),
        check(kind="Flatten", failure=FAILED),
    ]


class TestPage:
    def test_all_of_it(self):
        page = str(Checkup("file.py", 7, all_kinds_of_trouble(), ["a remark"]))
        assert page.splitlines() == [
            "file.py, seed 7",
            "a remark",
            "",
            "Dense    WRONG        0 of 6 cases  2.67 of 7  out, dx, 1 not asked (takes no bias)",
            "SGD      WRONG        0 of 1 cases  0.5 of 1   parameter 0",
            "MLP      WRONG        0 of 1 cases  0.5 of 1   fc2 dx",
            "ReLU     right        1 of 1 cases  1 of 1",
            "Conv2D   not written                0 of 1",
            "Flatten  ERROR        0 of 1 cases  0 of 1",
            "",
            "Dense out: shape is (2,), expected (2, 3)",
            "  in 1 of 6 cases: narrow",
            "",
            "Dense dx [wrong-sign]: it is negative.",
            "  in 1 of 6 cases: plain, up to 12.00 x, worst at dx[1,2]",
            "",
            "Dense out: missing",
            "  in 1 of 6 cases: no answer",
            "",
            "Dense dx: wrong",
            "  in 2 of 6 cases: again; more, 2nd run, other N, up to 5.00 x",
            "",
            "SGD parameter 0: wrong",
            "  in all 1 cases, up to 12.00 x",
            "",
            "MLP fc2 dx: wrong",
            "  in all 1 cases, up to 12.00 x",
            "",
            "Dense: KeyError",
            "  in forward, line 3: x[7]",
            "  in 1 of 6 cases: broken",
            "",
            "Flatten: KeyError",
            "  in forward, line 3: x[7]",
            "  in all 1 cases",
            "",
            "legend",
            "  [code]  the page about a mistake: python -m parity explain CODE",
            "  x  the error in units of what rounding may do to that entry: at most 1 is right",
            "  2nd run  right at first, wrong when the same object is called again",
            "  other N  wrong after a batch of another size",
            "  WRONG  it differs by more than rounding explains, or is missing",
            "  ERROR  it ends in an exception",
            "  not asked  the class does not take what these cases need",
            "",
            "NOT RIGHT YET: 5 of 6 classes written; 1 right, 3 wrong (Dense out ..., SGD parameter 0, MLP "
            "fc2",
            "dx), 1 with an exception (Flatten); 1 not written. 4.67 of 12 points",
        ]

    def test_what_is_right_needs_no_legend(self):
        page = str(Checkup("file.py", 7, [check(FINE, kind="ReLU")]))
        assert page.splitlines() == [
            "file.py, seed 7",
            "",
            "ReLU  right  1 of 1 cases  1 of 1",
            "",
            "ALL RIGHT: 1 of 1 classes. 1 cases hold. 1 of 1 points",
        ]

    @pytest.mark.parametrize(
        "sign", ["[code]", "x  the", "2nd run", "other N", "WRONG", "ERROR", "not asked", "dtype", "shape"]
    )
    def test_a_sign_is_explained_only_where_it_occurs(self, sign):
        wide = Remark(Fault.WRONG_DTYPE, "dtype is float64, expected float32")
        checks = [*all_kinds_of_trouble(), check(FINE, row_of("dx", 2.0, wide), case="wide")]
        both = str(Checkup("file.py", 7, checks)) + render.text(Checkup("file.py", 7, checks))
        assert f"\n  {sign}" in both.partition("legend")[2]
        assert f"\n  {sign}" not in str(Checkup("file.py", 7, [check(FINE, kind="ReLU")]))

    def test_no_line_is_longer_than_a_page_is_wide(self):
        words = Diagnosis("Dense", "dx", "wrong-sign", "minus-one " * 40)
        checks = [check(OFF, diagnoses=[words], case="a case with a long name " * 5)]
        assert all(len(line) <= 100 for line in str(Checkup("f.py", 0, checks, ["r " * 99])).splitlines())

    def test_a_name_without_end_and_remarks_without_end_are_cut(self):
        name = "Dense" * 100
        checkup = Checkup("f.py", 0, [Check(name, "plain", [FINE, OFF], kind="Dense")], ["remark"] * 500)
        lines = str(checkup).splitlines()
        assert len(lines) < 30 and max(map(len, lines)) <= 100
        assert "and 488 lines more: --verbose shows them" in lines

    def test_the_template_has_a_line_a_class(self):
        names = [f"Class{i}" for i in range(13)]
        checks = [Check(n, f"case {i}", failure=NOT_WRITTEN, kind="Dense") for n in names for i in range(9)]
        page = str(Checkup("f.py", 0, checks))
        assert [page.count(f"Class{i} ") for i in range(13)] == [1] * 13 and len(page.splitlines()) < 20

    def test_only_what_comes_in_is_wrong(self):
        late = Row("fc", "dx", (2,), 5.0, 5.0, "inherited")
        assert "MLP fc dx: wrong" in str(Checkup("f.py", 0, [check(FINE, late, kind="MLP")]))

    def test_an_exception_does_not_hide_a_wrong_value_before_it(self):
        unreached = row_of("dx", np.inf, Remark(Fault.NOT_REACHED, "not reached"))
        page = str(Checkup("f.py", 0, [check(row_of("out", 3.0), unreached, failure=FAILED)]))
        assert page.index("Dense out: wrong") < page.index("Dense: KeyError") and "dx" not in page


class TestColour:
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    @pytest.mark.parametrize(
        ("environment", "terminal", "coloured"),
        [
            ({}, True, True),
            ({}, False, False),
            ({"NO_COLOR": "1"}, True, False),
            ({"NO_COLOR": ""}, True, True),
            ({"FORCE_COLOR": "1"}, False, True),
            ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
            ({"TERM": "dumb"}, True, False),
        ],
    )
    def test_on_a_terminal_alone_unless_the_environment_says_otherwise(
        self, environment, terminal, coloured, monkeypatch
    ):
        for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert render.is_coloured(self.Terminal() if terminal else io.StringIO()) is coloured

    def test_without_the_colour_every_word_is_there(self):
        checkup = Checkup("file.py", 7, all_kinds_of_trouble())
        for plain in (str(checkup), render.text(checkup)):
            painted = render.painted(plain)
            assert painted != plain and re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain
        assert "\x1b[1;31mWRONG\x1b[0m" in render.painted(str(checkup))
        assert "\x1b" not in render.painted("a WRONG word in a sentence")


class TestWholeTable:
    def test_all_of_it(self):
        text = render.text(Checkup("file.py", 7, all_kinds_of_trouble()[:-2], ["a remark"]))
        assert text.partition("\n\nlegend")[0].splitlines() == [
            "file.py, seed 7",
            "a remark",
            "",
            "Dense        out      dx",
            "  plain      ok       12.00 x",
            "  no answer  WRONG    ok",
            "  narrow     shape    ok",
            "  again      ok       2nd run",
            "  more       ok       other N",
            "  broken     error",
            "  no bias    skipped",
            "  -> dx [wrong-sign]: it is negative.",
            "  -> out: missing (no answer)",
            "  -> broken: KeyError in forward, line 3: x[7]",
            "  -> no bias: skipped, the class takes no bias",
            "",
            "SGD      parameter 0  parameter 1",
            "  plain  12.00 x      ok",
            "",
            "MLP      fc1  fc2",
            "  plain  ok   12.00 x",
            "",
            "ReLU     out",
            "  plain  ok",
        ]

    def test_a_hint_is_folded_at_110_letters_and_not_within_a_word(self):
        said = Diagnosis("Dense", "dx", "wrong-sign", "minus-one " * 20)
        lines = render.text(Checkup("file.py", 7, [check(OFF, diagnoses=[said])])).splitlines()
        words = ["minus-one"] * 20
        assert lines[4:7] == [
            f"  -> dx [wrong-sign]: {' '.join(words[:8])}",
            f"     {' '.join(words[8:18])}",
            "     minus-one minus-one",
        ]

    def test_nothing_asked_is_nothing_right(self):
        checkup = Checkup("file.py", 7, [check(case="no bias", failure=NOT_OFFERED)])
        assert not checkup.ok and checkup.summary() == "nothing was checked"
        checkup.checks.append(check(FINE))
        assert checkup.ok
        assert checkup.summary() == "ALL RIGHT: 1 of 1 classes. 1 cases hold. 1 of 2 points"


class Tags(HTMLParser):
    """Every tag with its attributes and the text in it; fails if one is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append([tag, dict(attributes), ""])
        if tag != "br":  # which has no end
            self.open.append(self.found[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open:
            self.open[-1][2] += data

    def texts(self, tag, **attributes):
        return [text for t, a, text in self.found if t == tag and attributes.items() <= a.items()]


class TestHtml:
    def test_a_checkup_is_a_table_with_heads(self):
        checks = [check(FINE, OFF, case="x < 0", diagnoses=[SAID]), check(FINE, kind="ReLU")]
        tags = Tags(Checkup("a < b", 7, checks, ["<script>"])._repr_html_())
        assert tags.texts("caption")[0] == "a < b, seed 7" and not tags.texts("script")
        assert tags.texts("th", scope="col")[:5] == [
            "class",
            "verdict",
            "cases",
            "points",
            "tensors that are wrong",
        ]
        assert tags.texts("th", scope="row")[:2] == ["Dense", "ReLU"] and "x < 0" in tags.texts("th")
        assert len(tags.texts("thead")) == len(tags.texts("tbody")) == len(tags.texts("table")) == 3
        assert any("it is negative." in text for text in tags.texts("li"))

    def test_a_verdict_is_a_word_and_a_colour_that_lets_the_page_through(self):
        tags = Tags(Checkup("f", 7, [check(OFF), check(FINE, kind="ReLU")])._repr_html_())
        styles = {text: a["style"] for t, a, text in tags.found if t == "td" and "background" in a["style"]}
        assert {"WRONG", "right"} <= set(styles) and styles["WRONG"] != styles["right"]
        assert all(re.search(r"rgba\(\d+,\d+,\d+,\.\d+\)", style) for style in styles.values())
        assert not any("color:#" in a.get("style", "") for _, a, _ in tags.found)

    def test_a_report_is_a_table_too(self):
        rows = [Row("conv", "out", (2, 3), 0.25, 0.5), Row("<conv>", "dx", (2,), 9.0, 9.0, MISMATCH)]
        said = Diagnosis("<conv>", "dx", "wrong-sign", "a < b")
        tags = Tags(Report("a & b", rows, [said])._repr_html_())
        assert tags.texts("caption") == ["a & b"] and tags.texts("th")[-1] == "verdict"
        assert "<conv>" in tags.texts("td") and "MISMATCH" in tags.texts("td")
        assert tags.texts("li") == ["<conv> dx [wrong-sign]: a < b"]
        assert tags.texts("p") == ["1 of 2 differ, first <conv> dx"]

    def test_a_picture_of_what_is_wrong_and_none_of_what_is_right(self):
        off = np.array([[0.0, 3.0, 9.0]])
        wrong = row_of("dx", 9.0, ratios=off, given=off, expected=off * 0)
        for found in (Checkup("f", 7, [check(wrong)]), Report("f", [wrong])):
            assert found._repr_png_().startswith(b"\x89PNG")
        assert Checkup("f", 7, [check(FINE)])._repr_png_() is None

    def test_without_matplotlib_there_is_no_picture_and_no_error(self, monkeypatch):
        monkeypatch.setattr("parity.render.find_spec", lambda name: None)
        wrong = row_of("dx", 9.0, ratios=np.array([9.0]))
        assert Checkup("f", 7, [check(wrong)])._repr_png_() is None


# What a file says that is wrong in one class, and what must not be read at each level.
WRONG_POOL = """
import numpy as np
import tinycnn_numpy as tn


class MaxPool2D(tn.MaxPool2D):
    def backward(self, dout):
        print("SECRET", dout.sum())
        return -super().backward(dout)


class Flatten(tn.Flatten):
    def forward(self, x):
        raise KeyError("EXCEPTION")


class ReLU(tn.ReLU):
    pass
"""
CAUSE = ["wrong-sign", "sign", "SECRET", "it printed"]
PLACE = ["dx", "padding", "EXCEPTION", "KeyError", "ties"]


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """everything(hints) -> all that is printed and written of WRONG_POOL, as one text."""
    folder = tmp_path_factory.mktemp("hints")
    (folder / "class").mkdir()
    file = folder / "class" / "student.py"
    file.write_text(WRONG_POOL)
    whole = program_checkup(file)

    def told(hints):
        checkup = whole.with_hints(hints)
        figure = parity.heat_map(checkup)
        drawn = (
            [] if figure is None else [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text"))]
        )
        from parity.student import folder as many

        rows = [many.row_of("student.py", checkup)]
        return {
            "page": str(checkup),
            "table": render.text(checkup),
            "html": checkup._repr_html_(),
            "json": json.dumps(checkup.to_dict()),
            "gradescope": json.dumps(checkup.to_gradescope()),
            "csv": many.as_csv(rows) + "\n".join([str(rows[0]), *many.common(rows)]),
            "class json": json.dumps(many.to_dict(rows)),
            "picture": " ".join(drawn),
        }

    return told


def program_checkup(file):
    from parity.student.submission import examine_file

    return examine_file(file, lines=False)  # or the line is said, and no cause


class TestHints:
    def test_why_tells_all(self, everything):
        told = everything("why")
        for name in ("page", "table", "html", "json", "gradescope", "csv", "class json"):
            assert "wrong-sign" in told[name] and "dx" in told[name], name
        assert "mine" in told["picture"] and "expected" in told["picture"]
        assert "SECRET" in told["page"] and "SECRET" in told["json"]

    def test_where_names_places_and_no_cause(self, everything):
        told = everything("where")
        for name, text in told.items():
            assert not [word for word in CAUSE if word in text], name
        for name in ("page", "table", "html", "json", "gradescope", "csv"):
            assert "dx" in text_of(told[name]) and "EXCEPTION" in told[name], name
        assert "dx" in told["picture"] and "expected" not in told["picture"] and "mine" not in told["picture"]

    def test_none_says_which_classes_are_right(self, everything):
        told = everything("none")
        for name, text in told.items():
            assert not [word for word in CAUSE + PLACE if word in text_of(text)], name
        assert told["picture"] == ""
        for name in ("page", "html", "csv"):
            assert "ReLU" in told[name] and "MaxPool2D" in told[name] and "Flatten" in told[name]
        verdicts = {c["name"]: c["verdict"] for c in json.loads(told["json"])["checks"]}
        assert verdicts == {
            "MaxPool2D: all its cases": "MISMATCH",
            "Flatten: all its cases": "MISMATCH",
            "ReLU: all its cases": "match",
        }

    def test_a_leak_would_be_seen(self, everything, monkeypatch):
        monkeypatch.setattr("parity.student.checkup._without_cause", lambda check: check)
        assert "wrong-sign" in everything("where")["gradescope"]

    def test_points_and_verdicts_are_the_same_at_every_level(self, everything):
        scores = {hints: json.loads(everything(hints)["json"]) for hints in ("why", "where", "none")}
        assert len({(found["score"], found["max_score"], found["ok"]) for found in scores.values()}) == 1

    def test_a_file_that_cannot_be_loaded_is_said_at_every_level(self, tmp_path, capsys):
        file = tmp_path / "student.py"
        file.write_text("class Conv2D(")
        for hints in ("why", "where", "none"):
            assert main(["check", str(file), "--hints", hints]) == 1
            assert "SyntaxError: '(' was never closed" in capsys.readouterr().out

    def test_no_picture_where_nothing_is_told(self, tmp_path, capsys):
        file, heat = tmp_path / "student.py", tmp_path / "heat.png"
        file.write_text(WRONG_POOL)
        assert main(["check", str(file), "--hints", "none", "--picture", str(heat)]) == 1
        assert not heat.exists() and "no picture: it would be a hint" in capsys.readouterr().out


def text_of(text):
    """Without the names of fields, which hold no result."""
    return text.replace('"tensors"', "").replace("tensors that are wrong", "")


class TestGradescope:
    FIELDS = {"name", "name_format", "number", "score", "max_score", "status", "output"}
    FIELDS |= {"output_format", "tags", "visibility"}

    def test_all_of_it(self):
        checks = [
            check(FINE, OFF, diagnoses=[SAID]),
            check(FINE, case="right"),
            check(case="no bias", failure=NOT_OFFERED),
            check(FINE, kind="ReLU"),
        ]
        found = Checkup("file.py", 7, checks, ["a < remark"], seconds=2.6).to_gradescope()
        tests = found.pop("tests")
        assert found == {
            "output": "file.py<br>\na &lt; remark<br>\nNOT RIGHT YET: 2 of 2 classes written; 1 right, "
            "1 wrong (Dense dx). 2.5 of 4 points",
            "output_format": "html",
            "test_output_format": "html",
            "test_name_format": "text",
            "execution_time": 3,
            "visibility": "visible",
            "stdout_visibility": "hidden",
        }
        assert tests[0] == {
            "name": "Dense: plain",
            "name_format": "text",
            "number": "1.1",
            "score": 0.5,
            "max_score": 1,
            "status": "failed",
            "output": "dx: it is negative.\n<table><tr><th>out</th><th>dx</th></tr>"
            "<tr><td>ok</td><td>12.00 x</td></tr></table>",
            "output_format": "html",
            "tags": ["Dense", "wrong-sign"],
            "visibility": "visible",
        }
        assert [(t["number"], t["status"], t["output"]) for t in tests[1:]] == [
            ("1.2", "passed", "match"),
            ("1.3", "failed", "takes no bias"),
            ("2.1", "passed", "match"),
        ]
        assert all(set(test) == self.FIELDS for test in tests)

    @pytest.mark.parametrize("visibility", VISIBILITIES)
    def test_what_is_not_visible_is_not_said_in_the_visible_output(self, visibility):
        checkup = Checkup("file.py", 7, [check(OFF, diagnoses=[SAID])], printed="a word")
        found = checkup.to_gradescope(visibility, "after_published")
        assert found["visibility"] == visibility and found["stdout_visibility"] == "after_published"
        assert {test["visibility"] for test in found["tests"]} == {visibility}
        assert ("NOT RIGHT YET" in found["output"]) is (visibility == "visible")
        assert ("a word" in found["output"]) is (visibility == "visible")

    def test_what_a_student_wrote_is_no_html(self):
        failure = Failure(Outcome.RAISED, "<img src=x onerror=alert(1)>", "ValueError")
        text = json.dumps(Checkup("<b>.py", 7, [check(failure=failure)]).to_gradescope())
        assert "<img" not in text and "<b>" not in text and "&lt;img" in text

    def test_flags_set_it_and_other_words_are_refused(self, tmp_path, capsys):
        file, results = tmp_path / "student.py", tmp_path / "results.json"
        file.write_text("import tinycnn_numpy as tn\n\nclass ReLU(tn.ReLU):\n    pass\n")
        flags = ["--visibility", "after_due_date", "--stdout-visibility", "visible"]
        assert main(["check", str(file), "--gradescope", str(results), *flags]) == 0
        found = json.loads(results.read_text())
        assert (found["visibility"], found["stdout_visibility"]) == ("after_due_date", "visible")
        assert found["execution_time"] >= 0
        with pytest.raises(SystemExit) as exit_:
            main(["check", str(file), "--visibility", "never"])
        assert exit_.value.code == 2 and "invalid choice: 'never'" in capsys.readouterr().err
