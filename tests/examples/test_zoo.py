"""The models of the chapter: counted without memory, and the verdicts on what it prints."""

import math
from dataclasses import replace

import pytest

from examples import zoo as zoo_program
from examples.common import figures
from examples.experiments import zoo
from examples.experiments.zoo import Weights, count_verdict, top1_verdict

SETS = (Weights("V1", 10, 10, 76.13), Weights("V2", 10, 10, 80.858), Weights("FEATURES", 10, 10, math.nan))


@pytest.fixture(scope="module")
def rows():
    return zoo.zoo_rows()


def test_models_have_shapes_and_no_memory():
    model = zoo.meta_model("resnet18")
    assert all(parameter.is_meta for parameter in model.parameters())
    assert zoo.count(model) == 11_689_512
    model.fc.to_empty(device="cpu")
    assert not all(parameter.is_meta for parameter in model.parameters())  # what the first line would see


def test_a_count_by_hand():
    model = zoo.meta_model("alexnet")
    assert zoo.count(model.features[0]) == 64 * 3 * 11 * 11 + 64
    assert zoo.count(model.classifier[1]) == 4096 * 256 * 6 * 6 + 4096


def test_rows_are_the_list_then_the_rest_of_the_table(rows):
    assert [row.name for row in rows] == [*zoo.PRINTED_LIST, "alexnet", "vit_b_16"]
    assert [row.printed_in_list == "" for row in rows] == [False] * 5 + [True] * 2
    assert all(count_verdict(row.printed_in_list, row.parameters) == "agrees" for row in rows[:5])


def test_every_published_count_is_ours(rows):
    sets = [each for row in rows for each in row.weights]
    assert len(sets) >= 12 and all(each.said == each.counted for each in sets)
    by_name = {(row.name, each.name): each.counted for row in rows for each in row.weights}
    larger = by_name["vit_b_16", "IMAGENET1K_SWAG_E2E_V1"] - by_name["vit_b_16", "IMAGENET1K_V1"]
    assert larger == 768 * (24**2 - 14**2)  # a position embedding for 384 x 384 pixels


@pytest.mark.parametrize(
    ("printed", "counted", "verdict"),
    [
        ("11,689,512", 11_689_512, "agrees"),
        ("11,689,513", 11_689_512, "differs by +1"),
        ("61M", 61_100_840, "agrees"),
        ("5.3M", 5_288_548, "agrees"),
        ("25M", 25_557_032, "cut off, not rounded: 26M"),
        ("5.2M", 5_288_548, "cut off, not rounded: 5.3M"),
        ("27M", 25_557_032, "differs by +1.4M"),
        ("5.4M", 5_288_548, "differs by +0.11M"),
        ("13.8M", 138_357_544, "differs by -124.56M"),
    ],
)
def test_verdicts_on_counts(printed, counted, verdict):
    assert count_verdict(printed, counted) == verdict


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [
        ("76.1", "agrees with V1"),
        ("80.9", "agrees with V2"),
        ("80.8", "differs by -0.1 from V2"),
        ("77.9", "differs by +1.8 from V1"),
    ],
)
def test_verdicts_on_accuracies(printed, verdict):
    assert top1_verdict(printed, SETS) == verdict


def test_the_program(tmp_path, capsys):
    assert zoo_program.main(["--output-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "  resnet18          11,689,512  the printed count agrees\n" in out
    assert "77.9 % differs by" in out and "76.1 % agrees with IMAGENET1K_V1" in out and "12,810" in out
    assert (tmp_path / "parameters.png").read_bytes().startswith(b"\x89PNG")


def test_the_program_calls_wrong_figures_different(rows, monkeypatch, capsys):
    row = rows[0]
    weights = (replace(row.weights[0], said=row.parameters + 1),)
    wrong = [replace(row, printed_in_list="11,689,511", weights=weights), *rows[1:]]
    monkeypatch.setattr(zoo, "zoo_rows", lambda: wrong)
    monkeypatch.setattr(figures, "save", lambda figure, path: None)
    zoo_program.main([])
    out = capsys.readouterr().out
    assert "the printed count differs by -1\n" in out and "11,689,512  differs by +1\n" in out
