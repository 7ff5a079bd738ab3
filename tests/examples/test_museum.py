"""Every bug of the museum is caught, at the right tensor and stage, and named by its right name.

The bugs were written without a look at the causes. `python -m examples.museum` prints the same as a matrix,
for other seeds and with the accuracy that a network still reaches.
"""

import inspect
import itertools
import json

import numpy as np
import pytest
from some import every

import tinycnn_numpy as tn
from examples.bugs import BUGS
from examples.museum import measure
from examples.museum.__main__ import main
from examples.museum.exercise import exercise, solution
from parity import check, compare, twin

BY_NAME = {exhibit.cls.__name__: exhibit for exhibit in BUGS}


@pytest.mark.parametrize("exhibit", every(5, BUGS), ids=lambda e: e.cls.__name__)
def test_the_bug_is_caught_located_and_named(exhibit):
    found = measure.examine(exhibit, [2])
    assert found.caught == [True]
    assert found.tensor == [True], found.said
    assert all(found.stage), "another stage is blamed"
    assert found.said == [exhibit.cause]


@pytest.mark.parametrize("kind", sorted({exhibit.replaces for exhibit in BUGS}))
def test_the_right_class_is_not_accused(kind):
    assert check(getattr(tn, kind), seed=2).ok


def test_every_bug_is_another_and_cites_where_it_was_seen():
    assert len(BY_NAME) == len(BUGS) >= 40
    assert all("\nSource: " in inspect.getdoc(exhibit.cls) for exhibit in BUGS)


def test_two_bugs_in_one_model_are_both_located():
    """All pairs of one mistake in the gradients of each kind of layer."""
    names = {
        "conv2": "StrideIgnoredInDx",
        "relu": "MaskFromDout",
        "pool1": "WinnerOverwritten",
        "fc": "LastSampleOnly",
    }
    for pair in itertools.combinations(names, 2):
        rng = np.random.default_rng(3)
        model = measure.odd_model(rng, {stage: BY_NAME[names[stage]].cls for stage in pair})
        right = measure.odd_model(rng)
        right.load_state_dict(model.state_dict())
        report = compare(model, rng.standard_normal((3, 2, 11, 9)).astype(np.float32), twin(right))
        assert {row.stage for row in report.mismatches} == set(pair)
        assert {d.code for d in report.diagnoses} == {BY_NAME[names[stage]].cause for stage in pair}


@pytest.mark.parametrize("exhibit", every(5, BUGS), ids=lambda e: e.cls.__name__)
def test_its_exercise_holds_the_bug_and_not_the_answer(exhibit):
    text = exercise(exhibit)
    assert "#" not in text and exhibit.cls.__name__ not in text and "Source:" not in text
    space: dict = {"__name__": "student"}
    exec(compile(text, "student.py", "exec"), space)
    assert not check(space[exhibit.replaces], seed=4).ok
    assert "# bug" in solution(exhibit) and "Source:" in solution(exhibit)


def test_the_program_prints_a_line_a_bug_and_writes_json(capsys, tmp_path):
    path = tmp_path / "museum.json"
    arguments = [
        "--only",
        "TiesShared",
        "NotSquared",
        "--seeds",
        "2",
        "--train",
        "--images",
        "100",
        "--dataset",
        "digits",
    ]
    assert main([*arguments, "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert (
        "2 bugs, seeds 0 to 1" in out
        and "caught: 4 of 4" in out
        and "named right by the first diagnosis: 4 of 4" in out
    )
    bugs = json.loads(path.read_text())["bugs"]
    assert [bug["bug"] for bug in bugs] == ["TiesShared", "NotSquared"]
    assert bugs[0]["by_ones"] is False and bugs[0]["source"] == "tensorflow/tensorflow#4886"
    assert all(0 <= accuracy <= 100 for bug in bugs for accuracy in bug["accuracy"].values())


def test_the_program_prints_exercises_and_solutions(capsys):
    assert main(["--exercise", "1"]) == 0 and "class Conv2D(tn.Conv2D):" in capsys.readouterr().out
    assert (
        main(["--solution", "KernelFlipped"]) == 0
        and "Source: pytorch/pytorch#117534" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--exercise", "Nope"], "there is no exhibit 'Nope', expected a name or a number from 1 to 146"),
        (["--only", "Nope"], "--only Nope names no exhibit, expected classes like KernelFlipped or Conv2D"),
        (["--json", "no/where.json"], "--json no/where.json cannot be written: there is no folder no"),
    ],
)
def test_the_program_says_in_one_line_what_is_wrong(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2 and capsys.readouterr().err == f"error: {message}\n"
