"""The material in this folder is what it says it is: truth.json, bugs.jsonl, right/, held against PyTorch."""

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


@pytest.mark.slow
def test_every_bug_is_one_and_what_is_called_right_is_right(capsys):
    assert not verify_bugs.main(), capsys.readouterr().out
