"""Rows that judge, and the table that people read."""

import json

import numpy as np
import pytest

import parity
import tinycnn_numpy as tn
from parity.report import MATCH, MISMATCH, UNDECIDABLE, Report, Row, differences, judge, within
from parity.rounding import Exact


def exact(values, bound=0.1, slack=0.0):
    value = np.array(values, float)
    return Exact(value, np.full(value.shape, bound), np.full(value.shape, slack))


def test_differences_know_nan_and_infinity():
    inf, nan = np.inf, np.nan
    assert not differences(np.array([1, inf, nan, -inf]), np.array([1, inf, nan, -inf])).any()
    for a, b in ((1, nan), (nan, 1), (inf, 1), (inf, -inf)):
        assert differences(np.array([a]), np.array([b])) == inf


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


def test_nan_in_the_bound_allows_nothing():
    right = Exact(np.array([1.0]), np.array([np.nan]), np.zeros(1))
    assert judge("fc", "out", np.array([1.1]), right, np.float64).verdict == MISMATCH


def test_within_holds_one_number_to_one_bound():
    assert within("s", "t", (), 0.5, 0.5).ok and not within("s", "t", (), 0.6, 0.5).ok
    assert within("s", "t", (), 0.0, 0.0).ok and not within("s", "t", (), 0.1, 0.0).ok
    assert not within("s", "t", (), 0.0, 1.0, note="is not finite").ok


def test_a_report_without_rows_is_not_ok():
    assert not Report("nothing").ok and "nothing was compared" in str(Report("nothing"))


def test_the_table_names_the_first_bad_row():
    good = Row("conv", "out", (2, 3), 0.0, 0.0)
    bad = Row("conv", "dx", (2, 3), 0.5, 500000.0, MISMATCH, note="a note")
    text = str(Report("Model", [good, bad]))
    assert "5.0e+05      MISMATCH: a note" in text.splitlines()[3]
    assert text.endswith("1 of 2 differ, first conv dx")


def test_json_holds_every_row_and_no_infinity():
    report = parity.compare(tn.ReLU(), np.ones((2, 3)))
    loaded = json.loads(report.to_json())
    assert loaded["ok"] and [row["tensor"] for row in loaded["rows"]] == ["out", "dx"]
    bad = Report("Model", [Row("conv", "out", (1,), np.inf, np.inf, MISMATCH, ratios=np.ones(1))]).to_json()
    assert "Infinity" not in bad and json.loads(bad)["rows"][0]["error"] is None
