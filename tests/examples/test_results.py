"""A figure in a document is the stored one; a wrong figure, in the text or in the store, is found."""

import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from examples.common import data
from examples.experiments import seeds
from examples.results import __main__ as program
from examples.results import measurements, stored, training_runs
from examples.results.documents import BLOCK, HOUSE, differing, documents, filled
from examples.results.measurements import MEASUREMENTS, Where, measured
from examples.results.stored import as_names, results

NAMES = [path.relative_to(HOUSE).as_posix() for path in documents()]
WITH_FIGURES = [name for name in NAMES if BLOCK.search((HOUSE / name).read_text("utf-8"))]


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_the_stored_one(name):
    assert differing((HOUSE / name).read_text("utf-8"), results()) == []


@pytest.mark.parametrize("name", WITH_FIGURES)
def test_any_digit_that_is_altered_is_found(name):
    text = (HOUSE / name).read_text("utf-8")
    for block in BLOCK.finditer(text):
        for digit in list(re.finditer(r"\d", block[3]))[::7]:
            place = block.start(3) + digit.start()
            planted = f"{text[:place]}{(int(digit[0]) + 1) % 10}{text[place + 1 :]}"
            assert differing(planted, results())


def altered(value):
    """Every number and every text in nested dictionaries and lists, another one."""
    if isinstance(value, dict):
        return {name: altered(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [altered(inner) for inner in value]
    return f"{value}0" if isinstance(value, str) else value + 1


@pytest.mark.parametrize("name", sorted(vars(results())))
def test_results_that_are_altered_are_found_in_a_document(name):
    """So every stored result stands in one."""
    theirs = json.loads(json.dumps(vars(results())[name], default=vars))
    planted = SimpleNamespace(**vars(results()) | {name: as_names(altered(theirs))})
    assert any(differing((HOUSE / document).read_text("utf-8"), planted) for document in WITH_FIGURES)


@pytest.mark.parametrize("path", sorted(stored.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_result_says_how_it_was_made_and_is_small(path):
    facts = json.loads(path.read_text("utf-8"))
    assert tuple(facts) == stored.FACTS and facts["values"] and facts["command"] and facts["seeds"]
    assert {"machine", "cores", "Python", "numpy", "torch"} <= facts["machine"].keys()
    assert path.stat().st_size < 50_000 and path.stem in {*MEASUREMENTS, "unseen_first"}


def test_the_programs_names_are_those_of_the_measurements():
    assert list(MEASUREMENTS) == program.NAMES


def test_the_training_runs_are_small_and_of_one_kind():
    runs = stored.FOLDER / "runs.jsonl"
    assert runs.stat().st_size < 200_000
    assert training_runs.of_runs(runs)["MNISTCNN_torch"]["count"] >= 3


def test_a_digit_of_one_training_run_changes_an_interval(tmp_path):
    """What a run labels wrong decides the differences: they are computed, not copied."""
    lines = (stored.FOLDER / "runs.jsonl").read_text("utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if json.loads(line)["model"] == "MLP")
    entry = json.loads(lines[at])
    entry["log"][-1]["wrong"] = entry["log"][-1]["wrong"][1:]
    planted = tmp_path / "runs.jsonl"
    planted.write_text("\n".join([*lines[:at], json.dumps(entry), *lines[at + 1 :]]))
    found, right = (
        training_runs.of_runs(path)["cnn_mlp"] for path in (planted, stored.FOLDER / "runs.jsonl")
    )
    assert found["mean"] != right["mean"] and found["margin"] != right["margin"]


@pytest.mark.parametrize(
    ("planted", "says"),
    [
        ({"epochs": 1}, "expected 1"),
        ({"machine": {"cores": 64}}, "machine is {'cores': 64}"),
        ({"seed": 77}, "seeds"),
        ({"dataset": "digits"}, "dataset is digits, expected mnist"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(planted, says, tmp_path):
    lines = (stored.FOLDER / "runs.jsonl").read_text("utf-8").splitlines()
    at = next(i for i, line in reversed([*enumerate(lines)]) if json.loads(line)["model"] == "MLP")
    lines[at] = json.dumps(json.loads(lines[at]) | planted)
    (tmp_path / "runs.jsonl").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=says):
        training_runs.of_runs(tmp_path / "runs.jsonl")


BLOCKS = """Text.

<!-- figures
{a.b:.2f} of {{x}} by {a.c[1]:,}
-->
anything
<!-- end of figures -->
"""


def test_a_block_is_filled_again_and_again_to_the_same():
    found = filled(BLOCKS, as_names({"a": {"b": 1.005, "c": [0, 1234]}}))
    assert "-->\n\n1.00 of {x} by 1,234\n\n<!-- end of figures -->" in found
    assert filled(found, as_names({"a": {"b": 1.005, "c": [0, 1234]}})) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BLOCKS.replace("{a.b:.2f}", "{a.z}"), "no result for a figure: .*'z'"),
        (BLOCKS.replace("{a.b:.2f}", "{z.b}"), "no result for a figure: 'z'"),
        (BLOCKS.replace("{a.c[1]:,}", "{a.c[9]}"), "no result for a figure"),
        (BLOCKS.replace("<!-- end of figures -->", ""), "expected <!-- figures, a template"),
        (BLOCKS.replace("\n-->", ""), "expected <!-- figures, a template"),
    ],
)
def test_a_block_that_cannot_be_filled_is_an_error(text, says):
    with pytest.raises(ValueError, match=says):
        filled(text, as_names({"a": {"b": 1.0, "c": [0, 1]}}))


def test_the_program_mends_a_figure_and_only_reports_it_with_check(tmp_path, monkeypatch, capsys):
    document = tmp_path / "figures.md"
    shutil.copy(HOUSE / "docs" / "reference" / "figures.md", document)
    right = document.read_text("utf-8")
    place = right.rindex("<!-- end of figures -->") - 40
    wrong = right[:place] + "#" + right[place + 1 :]
    document.write_text(wrong, "utf-8")
    monkeypatch.setattr("examples.results.documents.documents", lambda: [document])
    monkeypatch.setattr("examples.results.documents.HOUSE", tmp_path)
    assert program.main(["--check"]) == 1 and document.read_text("utf-8") == wrong
    assert "figures.md: " in capsys.readouterr().out
    assert program.main([]) == 0 and document.read_text("utf-8") == right
    assert program.main(["--check"]) == 0


def test_a_measurement_is_stored_with_its_facts(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    monkeypatch.setattr(measurements, "MEASUREMENTS", {})

    @measured("python -m examples.nothing", "0")
    def nothing(where):
        return {"seen": where.seeds, "list": [1.5, {"deep": "text"}]}

    path = measurements.MEASUREMENTS["nothing"].make(Where(tmp_path, 4))
    facts = json.loads(path.read_text("utf-8"))
    assert path == tmp_path / "nothing.json" and facts["command"] == "python -m examples.nothing"
    assert facts["values"] == {"seen": 4, "list": [1.5, {"deep": "text"}]} and facts["machine"]["cores"] >= 1


def test_what_the_programs_say_of_the_embedded_digits_was_measured():
    assert "there the MLP beats the CNN" in data.REMARK
    assert results().digits.says == "worse" and results().digits.mean + results().digits.margin < 0


def test_a_spread_is_that_of_the_seeds():
    found = training_runs.spread_of(np.array([98.5, 98.75, 99.0]))
    assert found["mean"] == 98.75 == seeds.PRINTED and found["std"] == 0.25 and found["away"] == 0
