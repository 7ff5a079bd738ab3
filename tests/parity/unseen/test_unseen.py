"""The material in this folder is what it says it is: truth.json, the bugs and the right classes."""

import json

import pytest
import verify_bugs
import verify_wild


def test_every_class_in_wild_is_right_or_wrong_as_truth_says():
    truth = json.loads((verify_wild.WILD / "truth.json").read_text())
    for file, names in verify_wild.found().items():
        for name, wrong in names.items():
            entry = truth[file][name]
            assert wrong == sorted(entry["tensors"]), f"{file} {name}"
            assert entry["right"] == (not wrong) == (entry["mistake"] is None), f"{file} {name}"


def test_a_bug_that_is_none_or_names_other_tensors_is_a_problem():
    bug = next(b for b in verify_bugs.read_bugs(["bugs2.jsonl"]) if b["kind"] == "ReLU")
    assert verify_bugs.problem(bug) is None
    assert verify_bugs.problem(bug | {"new": bug["old"]})
    assert verify_bugs.problem(bug | {"tensors": ["dx"]})
    assert verify_bugs.problem(bug | {"follow": ["dx"]})
    assert verify_bugs.problem(bug | {"old": "x"})


def test_the_second_set_is_large_enough_and_repeats_no_bug_of_the_first():
    first, second = (verify_bugs.read_bugs([file]) for file in ("bugs.jsonl", "bugs2.jsonl"))
    kinds = [bug["kind"] for bug in second]
    assert len(second) >= 240 and min(map(kinds.count, verify_bugs.CHECKS)) >= 15
    assert sum(bug["mistakes"] == 2 for bug in second) >= 30
    assert not {(b["plain"], b["old"], b["new"]) for b in first} & {
        (b["plain"], b["old"], b["new"]) for b in second
    }
    assert not {(b["kind"], b["truth"]) for b in first} & {(b["kind"], b["truth"]) for b in second}


def test_the_third_set_is_large_enough_and_most_of_it_is_about_a_plain_cnn():
    bugs = verify_bugs.read_bugs(["bugs3.jsonl"])
    rest = sum(bug["kind"] in ("BatchNorm2D", "Dropout", "Flatten") for bug in bugs)
    assert len(bugs) >= 220 and len(bugs) / 5 < rest < len(bugs) / 2.5
    assert sum(bug["mistakes"] == 2 for bug in bugs) >= 25


def test_the_fourth_set_is_large_enough_and_about_half_of_it_is_on_files_of_its_own():
    *before, bugs, _, _, _, _, _ = (verify_bugs.read_bugs([file]) for file in verify_bugs.FILES)
    kinds = [bug["kind"] for bug in bugs]
    older = {bug["plain"] for file in before for bug in file}
    assert len(bugs) >= 300 and min(map(kinds.count, verify_bugs.CHECKS)) >= 8
    assert sum(bug["mistakes"] == 2 for bug in bugs) >= 30
    assert 0.4 < sum(bug["plain"] not in older for bug in bugs) / len(bugs) < 0.6


def test_the_fifth_set_is_large_enough():
    bugs = verify_bugs.read_bugs(["bugs5.jsonl"])
    assert len(bugs) >= 240 and sum(bug["mistakes"] == 2 for bug in bugs) >= 24
    names = [(b["kind"], b["plain"], b["name"]) for b in verify_bugs.read_bugs()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("file", verify_bugs.MAY_REPEAT)
def test_a_set_of_typical_mistakes_is_large_enough(file):
    bugs = verify_bugs.read_bugs([file])
    kinds = [bug["kind"] for bug in bugs]
    assert len(bugs) >= 200 and min(map(kinds.count, verify_bugs.CHECKS)) >= 4
    assert sum(bug["mistakes"] == 2 for bug in bugs) >= 20


def test_a_bug_that_does_what_one_before_it_does_is_found_in_whatever_words():
    bugs = [b for b in verify_bugs.read_bugs(["bugs3.jsonl"]) if b["kind"] == "Dense"][:3]
    again = bugs[0] | {"name": "again", "new": f"{bugs[0]['new']} + 0"}
    effects = [verify_bugs.effect(bug) for bug in (*bugs, again)]
    assert not list(verify_bugs.repeats(bugs, effects[:3], 0))
    (line,) = verify_bugs.repeats([*bugs, again], effects, 3)
    assert line == f"{again['plain']} again repeats {bugs[0]['plain']} {bugs[0]['name']}"


@pytest.mark.slow
def test_bugs_are_bugs_and_what_is_called_right_is_right(capsys):
    """Every fifth; `python tests/parity/unseen/verify_bugs.py` runs all of them, and finds repetitions."""
    assert not verify_bugs.main(step=5), capsys.readouterr().out
