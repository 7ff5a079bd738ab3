"""Accuracies over seeds: what is kept, what is trained, and what is said about it."""

import dataclasses
import json
import re

import numpy as np
import pytest

from examples import seeds as seeds_program
from examples.common import data
from examples.common.data import Dataset
from examples.common.models import MODELS, start
from examples.experiments import seeds
from parity import numpy_state


@pytest.fixture
def results(tmp_path):
    return tmp_path / "runs" / "seeds.jsonl"


IMAGE, LABEL = np.zeros((1, 1, 28, 28), np.float32), np.zeros(1, np.int64)
TESTS = 10_000
IMAGES = Dataset("mnist", IMAGE, LABEL, np.broadcast_to(IMAGE, (TESTS, 1, 28, 28)), LABEL.repeat(TESTS))


@pytest.fixture
def mnist():
    """MNIST by name, with no images to speak of: whoever trains on it has missed the planted runs."""
    return IMAGES


def seeds_in(results):
    return [json.loads(key)["seed"] for key in seeds.finished(results)]


def plant(results, accuracies, model="MNISTCNN", backend="torch", name="mnist", epochs=5, **other):
    """Finished runs of seeds 0, 1, ... with these last accuracies, of the images of the fixture mnist."""
    results.parent.mkdir(exist_ok=True, parents=True)
    with open(results, "a") as file:
        for seed, accuracy in enumerate(accuracies):
            log = [
                {"epoch": epoch, "train_loss": 1 / epoch, "test_accuracy": accuracy - epochs + epoch}
                for epoch in range(1, epochs + 1)
            ]
            images = other.get("images", [1, TESTS])[1]
            log[-1]["wrong"] = list(range(round(images * (1 - accuracy / 100))))
            facts = seeds.facts_of(IMAGES, model, backend, seed, epochs) | {"dataset": name, "log": log}
            file.write(json.dumps(facts | other) + "\n")


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("trained what was finished")

    monkeypatch.setattr(seeds, "train", refuse)


def fails(capsys, arguments, code=2):
    with pytest.raises(SystemExit) as exit_:
        arguments()
    lines = capsys.readouterr().err.splitlines()
    assert exit_.value.code == code and len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("model", list(MODELS))
def test_one_seed_gives_both_sides_the_same_first_weights(model):
    ours, theirs = (numpy_state(start(model, backend, 3)) for backend in ("numpy", "torch"))
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])
    another = numpy_state(start(model, "torch", 4))
    assert all(np.any(array != another[name]) for name, array in ours.items())


def test_a_finished_run_is_returned_and_not_trained_again(results, mnist, no_training):
    plant(results, [98.5, 98.9])
    runs = seeds.logs(results, mnist, "MNISTCNN", "torch", [1, 0], 5)
    assert seeds.last_accuracies(runs).tolist() == [98.9, 98.5] and len(runs[0]) == 5


OTHER_VERSION = seeds.of_training() | {"numpy": "1.0"}
OTHER_RECIPE = {"optimizer": "Adam", "lr": 0.01, "batch_size": 64}


@pytest.mark.parametrize(
    "other",
    [
        {"model": "MLP"},
        {"backend": "numpy"},
        {"name": "digits"},
        {"epochs": 4},
        {"images": [60_000, 100]},
        {"images": [1, 20_000]},
        {"recipe": OTHER_RECIPE},
        {"machine": OTHER_VERSION},
        {"machine": {}},
    ],
    ids=str,
)
def test_another_run_does_not_count(other, results, mnist, no_training):
    plant(results, [98.5], **other)
    with pytest.raises(AssertionError, match="trained what was finished"):
        seeds.logs(results, mnist, "MNISTCNN", "torch", [0], 5)


def test_what_is_trained_is_kept_as_json_that_any_reader_takes(results, few_digits):
    trained = seeds.logs(results, few_digits, "SmallMLP", "torch", range(2), 1)

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    lines = [json.loads(line, parse_constant=refuse) for line in results.read_text().splitlines()]
    assert [line["log"] for line in lines] == trained and [line["seed"] for line in lines] == [0, 1]
    assert all(line["machine"]["numpy"] == np.__version__ for line in lines)
    assert list(seeds.finished(results).values()) == trained


def test_a_run_of_another_batch_size_does_not_count(results, mnist, no_training, monkeypatch):
    plant(results, [98.5])
    monkeypatch.setattr("examples.common.training.BATCH_SIZE", 32)
    with pytest.raises(AssertionError, match="trained what was finished"):
        seeds.logs(results, mnist, "MNISTCNN", "torch", [0], 5)


def test_other_frameworks_than_those_that_train_here_do_not_matter(results, mnist, no_training, monkeypatch):
    plant(results, [98.5])
    here = seeds.machine()
    monkeypatch.setattr(seeds, "machine", lambda: here | {"jax": "9.9"})
    assert len(seeds.logs(results, mnist, "MNISTCNN", "torch", [0], 5)) == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seed": True}, "seed is true, expected a whole number >= 0"),
        ({"seed": 2.0}, "seed is 2.0, expected a whole number >= 0"),
        ({"seed": []}, "seed is [], expected a whole number >= 0"),
        ({"seed": -1}, "seed is -1, expected a whole number >= 0"),
        ({"epochs": 4}, "log has 5 epochs, expected 4"),
        ({"epochs": 0, "log": []}, "epochs is 0, expected a whole number >= 1"),
        ({"log": []}, "log has 0 epochs, expected 5"),
        ({"log": "none"}, 'log is "none", expected a list'),
        ({"model": None}, "model is missing, expected a name"),
        ({"images": [60000]}, "images is [60000], expected [training, test], two whole numbers"),
        ({"recipe": None}, "recipe is missing, expected settings by name"),
        ({"machine": "mine"}, 'machine is "mine", expected facts by name'),
        ({"test_accuracy": 998.7}, "epoch 5: test_accuracy is 998.7, expected 0 to 100"),
        ({"test_accuracy": -0.1}, "epoch 5: test_accuracy is -0.1, expected 0 to 100"),
        ({"test_accuracy": True}, "epoch 5: test_accuracy is true, expected 0 to 100"),
        ({"test_accuracy": "98"}, 'epoch 5: test_accuracy is "98", expected 0 to 100'),
        ({"train_loss": float("nan")}, "epoch 5: train_loss is NaN, expected a finite number >= 0"),
        ({"train_loss": -1}, "epoch 5: train_loss is -1, expected a finite number >= 0"),
        ({"epoch": 7}, "epoch is 7 in the log, expected 5"),
    ],
    ids=str,
)
def test_a_line_that_cannot_be_a_run_is_left_out_and_named(values, said, results, capsys):
    plant(results, [98.5, 98.9, 98.7])
    lines = results.read_text().splitlines()
    entry = json.loads(lines[1])
    in_the_log = {name: value for name, value in values.items() if name in entry["log"][-1]}
    entry["log"][-1] |= in_the_log
    lines[1] = json.dumps(entry | {name: value for name, value in values.items() if name not in in_the_log})
    results.write_text("\n".join(lines) + "\n")
    assert seeds_in(results) == [0, 2]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"note: {results}, line 2, is left out: {said}")
    assert seeds_in(results) == [0, 2] and capsys.readouterr().err == ""  # said once


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ('{"dataset": "mnist", "model": "MNISTCNN", "log": [{"ep', "no whole line of JSON"),
        ("[" * 100_000, "no whole line of JSON"),
        ('{"seed": 2}', "dataset is missing, expected a name"),
        ("[]", "it is [], expected the facts of a run by name"),
        ("\udcff\udcfe", "no whole line of JSON"),
    ],
    ids=["torn", "deep", "short", "list", "bytes"],
)
def test_a_broken_last_line_is_left_out_and_the_next_run_still_kept(
    broken, said, results, few_digits, capsys
):
    plant(results, [98.5, 98.9])
    with open(results, "a", errors="surrogateescape") as file:
        file.write(broken)
    assert seeds_in(results) == [0, 1]
    assert capsys.readouterr().err == f"note: {results}, line 3, is left out: {said}\n"
    seeds.logs(results, few_digits, "SmallMLP", "torch", [0], 1)
    assert [json.loads(key)["model"] for key in seeds.finished(results)][2:] == ["SmallMLP"]


def test_many_lines_with_one_fault_are_one_note(results, capsys):
    plant(results, [98.5, 98.9, 98.7], recipe=None)
    assert seeds_in(results) == []
    expected = "recipe is missing, expected settings by name"
    assert capsys.readouterr().err == f"note: {results}, line 1, 2, 3, is left out: {expected}\n"


def test_a_run_that_another_program_finished_meanwhile_is_taken_from_there(results, few_digits, monkeypatch):
    def train(*_, **__):
        plant(results, [1.0, 2.0], "SmallMLP", "torch", "digits", epochs=1, images=[130, 360])
        return [{"epoch": 1, "train_loss": 1.0, "test_accuracy": 3.0, "wrong": []}]

    monkeypatch.setattr(seeds, "train", train)
    runs = seeds.logs(results, few_digits, "SmallMLP", "torch", range(2), 1)
    assert seeds.last_accuracies(runs).tolist() == [3.0, 2.0]


def test_ctrl_c_loses_the_run_under_way_alone(results, few_digits, monkeypatch):
    def train(model, dataset, seed, epochs, each_epoch):
        if seed == 2:
            raise KeyboardInterrupt
        return [{"epoch": 1, "train_loss": 1.0, "test_accuracy": 50.0 + seed, "wrong": [0, 359]}]

    monkeypatch.setattr(seeds, "train", train)
    with pytest.raises(KeyboardInterrupt):
        seeds.logs(results, few_digits, "SmallMLP", "torch", range(3), 1)
    assert seeds_in(results) == [0, 1]


def test_results_that_cannot_be_written_are_one_line_before_any_training(
    tmp_path, few_digits, no_training, capsys
):
    (tmp_path / "file").write_text("")
    flags = ["--dataset", "digits", "--seeds", "2", "--epochs", "1", "--results"]
    line = fails(capsys, lambda: seeds_program.main([*flags, str(tmp_path / "file" / "seeds.jsonl")]))
    assert "--results" in line and line.endswith("Not a directory")
    assert "Is a directory" in fails(capsys, lambda: seeds_program.main([*flags, str(tmp_path)]))


def test_a_loss_that_is_not_finite_ends_the_program_and_is_not_kept(results, few_digits, monkeypatch, capsys):
    log = [{"epoch": 1, "train_loss": np.nan, "test_accuracy": 9.8}]
    monkeypatch.setattr(seeds, "train", lambda *_, **__: log)
    line = fails(capsys, lambda: seeds.logs(results, few_digits, "MLP", "numpy", [0], 1), code=3)
    assert "MLP, numpy, seed 0: the training loss is not finite" in line
    assert seeds.finished(results) == {}


def mistaken(accuracies):
    """(seeds, images): the mistakes that `plant` writes."""
    return np.array([np.arange(TESTS) < round(TESTS * (1 - accuracy / 100)) for accuracy in accuracies])


def error_by_mean_squares(wrong, others):
    """In points: (MS of seeds + MS of images - MS of the rest) / (S n), as textbooks have it."""
    d = 100.0 * (others.astype(float) - wrong)
    S, n = d.shape
    of_seeds = n * ((d.mean(axis=1) - d.mean()) ** 2).sum()
    of_images = S * ((d.mean(axis=0) - d.mean()) ** 2).sum()
    rest = ((d - d.mean()) ** 2).sum() - of_seeds - of_images
    squares = of_seeds / (S - 1), of_images / (n - 1), rest / ((S - 1) * (n - 1))
    return np.sqrt(max(squares[0] + squares[1] - squares[2], squares[0], squares[1]) / (S * n))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [([1, 0], "[1, 0]"), ([0, 0], "[0, 0]"), ([10_000], "[10000]"), ([True], "[true]"), (None, "missing")],
)
def test_a_run_without_its_mistakes_is_left_out_and_named(wrong, said, results, capsys):
    plant(results, [98.5])
    entry = json.loads(results.read_text())
    entry["log"][-1]["wrong"] = wrong
    results.write_text(json.dumps(entry) + "\n")
    expected = "expected test images in ascending order, below 10000"
    assert seeds_in(results) == [] and f"wrong is {said}, {expected}" in capsys.readouterr().err


def test_a_run_of_the_chapters_loop_has_the_range_of_its_filters(results, capsys):
    plant(results, [98.5], backend="chapter")
    assert seeds_in(results) == [] and "filters is missing, expected the smallest" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_kept_mistakes_are_those_that_the_accuracy_counts(backend, results, few_digits):
    [log] = seeds.logs(results, few_digits, "SmallMLP", backend, [0], 2)
    right = seeds.correct([log], 360)
    assert right.shape == (1, 360) and 100 * right.mean() == pytest.approx(log[-1]["test_accuracy"])
    model = start("SmallMLP", backend, 0)
    seeds.train(model, few_digits, 0, 2)
    state = numpy_state(model)
    hidden = few_digits.test_images.reshape(360, -1) @ state["fc1.weight"].T + state["fc1.bias"]
    answers = (np.maximum(0, hidden) @ state["fc2.weight"].T + state["fc2.bias"]).argmax(axis=1)
    np.testing.assert_array_equal(right[0], answers == few_digits.test_labels)


def test_the_program_prints_what_numpy_computes_from_the_planted_runs(
    results, mnist, no_training, monkeypatch, tmp_path, capsys
):
    torch, by_hand, mlp = [98.5, 98.75, 98.92, 99.01], [98.6, 98.75, 98.9, 98.99], [97.5, 97.7, 97.6, 98.0]
    plant(results, torch)
    plant(results, by_hand, backend="numpy")
    plant(results, mlp, model="MLP")
    plant(results, mlp, model="MLP", backend="numpy")
    monkeypatch.setattr(data, "load", lambda *_: (mnist, ""))
    flags = f"--dataset mnist --seeds 4 --results {results} --output-dir {tmp_path}"
    assert seeds_program.main(flags.split()) == 0
    out = capsys.readouterr().out
    for model, backend, values in (("MNISTCNN", "numpy", by_hand), ("MNISTCNN", "torch", torch)):
        numbers = re.search(rf"{model} +{backend} +([\d. ]+)", out).group(1).split()[:4]
        assert numbers == [f"{f(values):.2f}" for f in (np.mean, lambda v: np.std(v, ddof=1), min, max)]
    assert out.count("98.75 or more: 3 of 4 seeds") == 2
    differences = np.subtract(by_hand, torch)
    error = error_by_mean_squares(*map(mistaken, (by_hand, torch)))
    assert f"MNISTCNN, NumPy - PyTorch: {differences.mean():+.3f} +- {error:.3f} points" in out
    assert "MLP, NumPy - PyTorch: +0.000 +- 0.000 points, the same with all 4 seeds" in out
    assert out.startswith("mnist (1 training and 10,000 test images)") and (tmp_path / "seeds.png").exists()


@pytest.mark.parametrize(
    ("last", "says"),
    [
        ([98.75, 98.74, 98.76, 98.75], "98.75 or more: 3 of 4 seeds; 98.75 is +0.0 std from the mean"),
        ([98.85, 98.95, 99.05], "98.75 or more: 3 of 3 seeds; 98.75 is -2.0 std from the mean"),
        ([98.5, 98.6], "98.75 or more: 0 of 2 seeds; 98.75 is +2.8 std from the mean"),
        ([98.8, 98.8], "98.75 or more: 2 of 2 seeds"),
    ],
)
def test_where_the_chapters_accuracy_stands(last, says):
    assert seeds.placed(np.array(last)) == says


@pytest.mark.parametrize(("name", "epochs"), [("mnist", 1), ("mnist", 4), ("digits", 5)])
def test_the_chapters_accuracy_is_held_against_its_own_recipe_alone(
    name, epochs, results, mnist, no_training, monkeypatch, tmp_path, capsys
):
    plant(results, [98.5, 98.9], name=name, epochs=epochs)
    monkeypatch.setattr(data, "load", lambda *_: (dataclasses.replace(mnist, name=name), ""))
    flags = f"--seeds 2 --epochs {epochs} --models MNISTCNN --backends torch --results {results}"
    seeds_program.main([*flags.split(), "--output-dir", str(tmp_path)])
    assert "98.75" not in capsys.readouterr().out


def test_the_picture_shows_every_seed_and_the_mean():
    last = {
        ("MLP", "numpy"): np.array([97.0, 98.0, 97.6]),
        ("MNISTCNN", "torch"): np.array([98.5, 98.9, 99.0]),
    }
    axes = seeds.dots(last, "mnist", printed=98.75).axes[0]
    for line, values in zip(axes.get_lines(), last.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
        assert line.get_linestyle() == "None"
    bars = [collection.get_segments()[0] for collection in axes.collections]
    assert [bar[0, 1] for bar in bars] == pytest.approx([97.533333, 98.8, 98.75])
    assert bars[2][:, 0].tolist() == [0.55, 1.45]  # under MNISTCNN alone
    assert [label.get_text() for label in axes.get_xticklabels()] == ["MLP\nNumPy", "MNISTCNN\nPyTorch"]
    assert axes.get_ylabel() == "test accuracy (%)" and axes.get_xlabel()


def test_the_smallest_run(results, few_digits, tmp_path, capsys):
    flags = f"--dataset digits --seeds 2 --epochs 1 --models SmallMLP --results {results}"
    seeds_program.main([*flags.split(), "--output-dir", str(tmp_path)])
    out = capsys.readouterr().out
    assert "\ndigits (130 training" in out and "SmallMLP, NumPy - PyTorch" in out
    assert (tmp_path / "seeds.png").read_bytes().startswith(b"\x89PNG")


def test_the_test_images_are_a_sample_too(mnist):
    assert "the same 10,000 test images" in seeds.sampling(90.0, mnist) and "by 0.30" in seeds.sampling(
        90.0, mnist
    )


def test_help_and_a_mistyped_flag(capsys):
    with pytest.raises(SystemExit) as exit_:
        seeds_program.main(["--help"])
    assert exit_.value.code == 0 and "--results" in capsys.readouterr().out
    assert "expected a whole number >= 2" in fails(capsys, lambda: seeds_program.main(["--seeds", "1"]))
