"""Rows that judge, and the table that people read."""

import json

import numpy as np
import pytest

import parity
import tinycnn_numpy as tn
from parity.bounds import Exact
from parity.record import Fault, Remark
from parity.render import number, table
from parity.report import (
    INHERITED,
    MATCH,
    MISMATCH,
    TOO_LARGE,
    UNDECIDABLE,
    Diagnosis,
    Report,
    Row,
    differences,
    judge,
    within,
)

A_REMARK = Remark(Fault.WRONG_SHAPE, "a note")


def exact(values, bound=0.1, slack=0.0):
    value = np.array(values, float)
    return Exact(value, np.full(value.shape, bound), np.full(value.shape, slack))


def test_differences_know_nan_and_infinity():
    inf, nan = np.inf, np.nan
    assert not differences(np.array([1, inf, nan, -inf]), np.array([1, inf, nan, -inf])).any()
    for a, b in ((1, nan), (nan, 1), (inf, 1), (inf, -inf)):
        assert differences(np.array([a]), np.array([b])) == inf
    assert differences(np.array([1.7e308]), np.array([-1.7e308])) == inf


def test_every_entry_is_held_to_its_own_bound():
    right = Exact(np.array([1.0, 2.0]), np.array([0.1, 0.001]), np.zeros(2))
    row = judge("fc", "out", np.array([1.09, 2.0]), right, np.float64)
    assert row.verdict == MATCH and row.at == (0,) and row.ratio == pytest.approx(0.9)
    row = judge("fc", "out", np.array([1.0, 2.01]), right, np.float64)
    assert row.verdict == MISMATCH and row.at == (1,) and row.ratio == pytest.approx(10)


def test_a_bound_of_0_means_equal():
    assert judge("relu", "out", np.array([1.0]), exact([1.0], 0.0), np.float64).ratio == 0
    assert judge("relu", "out", np.array([1.0 + 1e-16 * 4]), exact([1.0], 0.0), np.float64).ratio == np.inf


def test_slack_makes_undecidable_and_not_right():
    row = judge("relu", "dx", np.array([1.5]), exact([1.0], slack=0.5), np.float64, witness="relu: x[0]")
    assert row.verdict == UNDECIDABLE and row.note == "relu: x[0]"
    assert judge("relu", "dx", np.array([1.7]), exact([1.0], slack=0.5), np.float64).verdict == MISMATCH


def test_the_bound_itself_and_bound_and_slack_together_are_still_allowed():
    right = exact([1.0, 3.0], bound=0.5, slack=0.25)
    row = judge("fc", "dx", np.array([1.5, 3.0]), right, np.float64)
    assert (row.verdict, row.error, row.ratio) == (MATCH, 0.5, 1)
    row = judge("fc", "dx", np.array([1.75, 3.0]), right, np.float64)
    assert (row.verdict, row.error, row.ratio, row.note) == (UNDECIDABLE, 0.75, 1.5, "")


def test_only_a_wrong_row_keeps_the_ratio_of_every_entry():
    right = exact([1.0, 3.0], bound=0.5)
    assert judge("fc", "dx", np.array([1.25, 3.0]), right, np.float64).ratios is None
    assert judge("fc", "dx", np.array([2.0, 2.75]), right, np.float64).ratios.tolist() == [2, 0.5]


def test_what_is_missing_is_infinitely_far_off_in_the_shape_that_was_due():
    row = judge("fc", "dx", None, exact([[1.0, 3.0]]), np.float64)
    assert (row.shape, row.error, row.ratio, row.at) == ((1, 2), np.inf, np.inf, ())


@pytest.mark.parametrize(
    ("value", "note"),
    [
        (None, "missing"),
        (np.zeros(3), r"shape is (3,), expected (1,)"),
        (np.ones(1, np.float32), "dtype is float32, expected float64"),
        (np.array([np.nan]), ""),
        (np.array([np.inf]), ""),
    ],
)
def test_what_is_no_answer_is_a_mismatch(value, note):
    row = judge("fc", "out", value, exact([1.0]), np.dtype(np.float64))
    assert row.verdict == MISMATCH and row.note == note


def test_the_dtype_that_was_due_is_named():
    row = judge("fc", "out", np.ones((1, 1)), exact([[1.0]]), np.float32)
    assert (row.verdict, row.note, row.shape) == (MISMATCH, "dtype is float64, expected float32", (1, 1))


def test_nan_in_the_bound_allows_nothing():
    right = Exact(np.array([1.0]), np.array([np.nan]), np.zeros(1))
    assert judge("fc", "out", np.array([1.1]), right, np.float64).verdict == MISMATCH


def test_a_bound_that_has_overflowed_decides_nothing_but_an_infinity_must_be_one():
    right = Exact(np.array([1e200, 1.0]), np.array([np.inf, 0.5]), np.zeros(2))
    row = judge("fc", "out", np.array([1.1e200, 1.0]), right, np.float64)
    assert (row.verdict, row.ratio, row.note) == (UNDECIDABLE, np.inf, TOO_LARGE)
    assert judge("fc", "out", np.array([1e200, 1.0]), right, np.float64).verdict == MATCH
    assert judge("fc", "out", np.array([1e200, 2.0]), right, np.float64).verdict == MISMATCH
    infinite = Exact(np.array([np.inf, 1.0]), np.array([np.inf, 0.5]), np.zeros(2))
    assert judge("fc", "out", np.array([1e200, 1.0]), infinite, np.float64).verdict == MISMATCH


def test_within_holds_one_number_to_one_bound():
    assert within("s", "t", (), 0.5, 0.5).ok and not within("s", "t", (), 0.6, 0.5).ok
    assert within("s", "t", (), 0.0, 0.0).ok and not within("s", "t", (), 0.1, 0.0).ok
    assert not within("s", "t", (), 0.0, 1.0, remark=Remark(Fault.NOT_FINITE, "is not finite")).ok
    row = within("s", "t", (2, 3), 0.0, 1.0)
    assert (row.shape, row.ratio) == ((2, 3), 0) and within("s", "t", (), 0.5, 2.0).ratio == 0.25


def test_numbers_of_middle_size_have_two_digits_and_others_an_exponent():
    values = {None: "-", 0: "0", 0.01: "0.01", 0.5: "0.50", 0.0099: "9.9e-03", 100: "1.0e+02", 99: "99.00"}
    assert {value: number(value) for value in values} == values


def test_columns_are_as_wide_as_their_widest_cell_and_no_line_ends_in_blanks():
    assert table([["  a", "b", ""], ["c", "ddd", "e"]]) == ["  a  b", "c    ddd  e"]
    with pytest.raises(ValueError):
        table([["a", "b"], ["c"]])


def test_a_report_without_rows_is_not_ok():
    assert not Report("nothing").ok and Report("nothing").summary() == "nothing was compared"


def test_the_table_names_the_first_bad_row():
    good = Row("conv", "out", (2, 3), 0.0, 0.0)
    bad = Row("conv", "dx", (2, 3), 0.5, 500000.0, MISMATCH, remark=A_REMARK)
    text = str(Report("Model", [good, bad]))
    assert "5.0e+05      MISMATCH: a note" in text.splitlines()[3]
    assert text.endswith("1 of 2 differ, first conv dx")


def test_json_holds_every_row_and_no_infinity():
    report = parity.compare(tn.ReLU(), np.ones((2, 3)))
    loaded = json.loads(report.to_json())
    assert loaded["ok"] and [row["tensor"] for row in loaded["rows"]] == ["out", "dx"]
    bad = Report("Model", [Row("conv", "out", (1,), np.inf, np.inf, MISMATCH, ratios=np.ones(1))]).to_json()
    assert "Infinity" not in bad and json.loads(bad)["rows"][0]["error"] is None


def test_the_whole_table():
    rows = [
        Row("conv", "out", (2, 3), 0.25, 0.5, isolated=0.125, torch=0.75),
        Row("conv", "dx", (2, 3), 3.0, 12.0, MISMATCH, remark=A_REMARK, isolated=6.0, torch=0.0),
    ]
    said = Diagnosis("conv", "dx", "wrong-sign", "it is negative.")
    assert str(Report("Title", rows, [said], divergence="diverged")).splitlines() == [
        "Title",
        "stage  tensor  shape   error  error/bound  isolated  torch  verdict",
        "conv   out     (2, 3)  0.25   0.50         0.12      0.75   match",
        "conv   dx      (2, 3)  3.00   12.00        6.00      0      MISMATCH: a note",
        "conv dx [wrong-sign]: it is negative.",
        "diverged",
        "1 of 2 differ, first conv dx",
    ]
    assert str(Report("Title", rows[:1])).splitlines()[2:] == [
        "conv   out     (2, 3)  0.25   0.50         0.12      0.75   match",
        "1 of 1 equal within their bounds",
    ]


def test_the_summary_counts_the_undecidable_apart_and_names_a_mismatch_before_what_it_caused():
    good, open_ = Row("a", "out", (), 0.0, 0.0), Row("a", "dx", (), 9.0, 9.0, UNDECIDABLE)
    caused, bad = Row("b", "dx", (), 9.0, 9.0, INHERITED), Row("c", "dx", (), 9.0, 9.0, MISMATCH)
    assert Report("", [good, good, open_]).summary() == "2 of 3 equal within their bounds, 1 undecidable"
    assert Report("", [good, caused, open_, bad]).summary() == "2 of 4 differ, first c dx"
    assert Report("", [good, caused]).summary() == "1 of 2 differ, first b dx"


def test_json_is_indented_by_two():
    assert Report("Title").to_json().startswith('{\n  "title": "Title",\n')


def test_json_has_these_keys():
    said = Diagnosis("conv", "dx", "wrong-sign", "it is negative.")
    row = Row("conv", "dx", (2, 3), 3.0, 12.0, MISMATCH, (1, 2), "second", A_REMARK, "", 6.0, 0.0)
    assert Report("Title", [row], [said], divergence=("step", 1)).to_dict() == {
        "title": "Title",
        "ok": False,
        "rows": [
            {
                "stage": "conv",
                "tensor": "dx",
                "shape": (2, 3),
                "error": 3.0,
                "ratio": 12.0,
                "verdict": "MISMATCH",
                "at": (1, 2),
                "run": "second",
                "remark": "wrong shape",
                "note": "a note",
                "isolated": 6.0,
                "torch": 0.0,
                "ok": False,
            }
        ],
        "diagnoses": [
            {
                "stage": "conv",
                "tensor": "dx",
                "code": "wrong-sign",
                "sentence": "it is negative.",
                "cases": (),
            }
        ],
        "divergence": "('step', 1)",
    }
    assert Report("Title").to_dict()["divergence"] is None
