"""The audit: every verdict is computed, and each kind of comparison rejects a planted wrong answer."""

import dataclasses
import importlib
import importlib.util
import json
import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import tinycnn_torch as tt
from examples.audit import __main__ as program
from examples.audit import exercises, filters, networks, training
from examples.audit import summary as audit
from examples.audit import zoo as audit_zoo
from examples.audit.claim import (
    ANSWERED,
    CLAIMS,
    CONDITIONS,
    CONFIRMED,
    NOT_CHECKED,
    NOT_SHOWN,
    WRONG,
    Claim,
    NotHereError,
    exactly,
    judge,
    rounded,
)
from examples.audit.lab import Lab
from examples.audit.training import ACCURACIES, LOSSES, every_epoch, placed, shifted
from examples.audit.zoo import in_words
from examples.common import data
from examples.experiments import edges as edges_module
from examples.experiments import zoo

NAMES = {claim.name: claim for claim in CLAIMS}


@pytest.fixture(scope="module")
def digits():
    whole = data.load_digits()
    few = {"train_images": whole.train_images[:130], "train_labels": whole.train_labels[:130]}
    return dataclasses.replace(whole, **few)


@pytest.fixture
def lab(digits, tmp_path):
    """Not MNIST, and nothing trained."""
    return Lab(digits, tmp_path / "seeds.jsonl", seeds=3, epochs=1)


def planted(digits, tmp_path, **last):
    """A Lab that calls its images MNIST and has these accuracies after epoch 5, of each model's seeds."""
    lab = Lab(dataclasses.replace(digits, name="mnist"), tmp_path / "seeds.jsonl", seeds=4)
    lab.logs = lambda model, backend="torch": [
        [
            {"train_loss": loss + spread, "test_accuracy": accuracy}
            for loss, accuracy in zip(LOSSES, (*ACCURACIES[:4], accuracy), strict=True)
        ]
        for spread, accuracy in zip((-0.001, 0, 0, 0.001), last[model], strict=True)
    ]
    lab.correct = lambda model: np.array([np.arange(10_000) < 100 * accuracy for accuracy in last[model]])
    return lab


def runs_as_a_program(name):
    spec = importlib.util.find_spec(name)
    if spec.submodule_search_locations:
        return importlib.util.find_spec(f"{name}.__main__") is not None
    return hasattr(importlib.import_module(name), "main")


def test_forty_statements_of_every_section_each_with_what_computes_it():
    assert len(CLAIMS) >= 40 and len(NAMES) == len(CLAIMS)
    stored = json.loads((audit.HOUSE / "examples" / "results" / "audit_digits.json").read_text("utf-8"))
    assert stored["values"]["statements"] == len(CLAIMS), "python -m examples.results --measure audit_digits"
    sections = {"31.1", "31.2", "31.3", "31.4", "31.5", *(f"exercise 31.{i}" for i in (1, 2, 3, 4))}
    assert sections <= {claim.section for claim in CLAIMS}
    for claim in CLAIMS:
        assert not claim.by or runs_as_a_program(claim.by.split()[0]), claim
        file, line = re.fullmatch(r"(examples/audit/\w+\.py):(\d+)", claim.source).groups()
        code = (audit.page.Path(__file__).parents[2] / file).read_text("utf-8").splitlines()
        assert code[int(line) - 1].lstrip().startswith("@claim")


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (exactly(12_810, 12_810), CONFIRMED),
        (exactly(12_811, 12_810), WRONG),
        (exactly((16, 26, 26), (16, 28, 28)), WRONG),
        (rounded(0.1307, 0.13066, 4), CONFIRMED),
        (rounded(25, 25.557, 0), CONDITIONS),
        (rounded(24, 25.557, 0), WRONG),
        (in_words(zoo.count_verdict("11,689,513", 11_689_512), ""), WRONG),
        (in_words(zoo.count_verdict("25M", 25_557_032), ""), CONDITIONS),
        (placed(98.75, np.array([98.6, 98.7, 98.9])), CONFIRMED),
        (placed(99.75, np.array([98.6, 98.7, 98.9])), WRONG),
        (audit_zoo.dated(2014, "https://arxiv.org/abs/1404.5997"), CONFIRMED),
        (audit_zoo.dated(2012, "https://arxiv.org/abs/1404.5997", 2012), CONDITIONS),
        (audit_zoo.dated(2013, "https://arxiv.org/abs/1404.5997", 2012), WRONG),
        (audit_zoo.dated(2014, "no paper"), NOT_SHOWN),
        (networks.printed_alike("A(\n(b): C()\n)", "A(\n  (b): C()\n)"), CONFIRMED),
        (networks.printed_alike("A(\n(b): C()\n)", "A(\n  (b): D()\n)"), WRONG),
        (networks.printed_alike("A(\n)", "A(\n  (b): C()\n)"), WRONG),
        (training.mean_of_batches([2.0, 1.0, 0.5], [64, 64, 64]), CONFIRMED),
        (training.mean_of_batches([0.2] * 937 + [0.1], [64] * 937 + [32]), CONDITIONS),
        (training.mean_of_batches([2.0, 1.0, 0.5], [64, 64, 2]), WRONG),
        (networks.millions_of_images(300_000, 4000), CONDITIONS),
        (networks.millions_of_images(3_000_000, 4000), CONFIRMED),
        (networks.millions_of_images(300_000, 400), NOT_SHOWN),
        (filters.exactly_warned("so", ["so"], 0), CONFIRMED),
        (filters.exactly_warned("so", ["other"], 0), WRONG),
        (filters.exactly_warned("so", [], 0), WRONG),
        (every_epoch((1, 2), np.array([[1.1, 2.1], [0.9, 2.0]]), 1), CONFIRMED),
        (every_epoch((1, 9), np.array([[1.1, 2.1], [0.9, 2.0]]), 1), CONDITIONS),
        (every_epoch((8, 9), np.array([[1.1, 2.1], [0.9, 2.0]]), 1), WRONG),
    ],
)
def test_a_comparison_gives_the_verdict_that_it_should(found, verdict):
    assert found.verdict == verdict


EXPECTED = {
    CONFIRMED: "tinycnn relu pooling dense convolution same_mathematics after_conv1 after_fc parameters "
    "one_image weight_sharing fewer_parameters filter_shape first_maps thirteen_thousand "
    "parameters_of_resnet50 millions_of_vgg16 top1_of_alexnet third_convolution second_maps "
    "tight_layout test_set printed_model year_of_vgg16 year_of_resnet50 year_of_efficientnet_b0 "
    "year_of_vit_b_16",
    CONDITIONS: "one_line flatten correlation update millions_of_resnet50 top1_of_resnet50 "
    "millions_of_vit_b_16 equivariance year_of_alexnet top1_of_efficientnet_b0 top1_of_vit_b_16",
    ANSWERED: "third_convolution_parameters",
    NOT_CHECKED: "minutes lines_of_a_layer lines_of_backward epoch_loss filter_range "
    "accuracy_torch edges optimal translation locality more_abstract",
}


@pytest.mark.parametrize("verdict", EXPECTED)
def test_what_needs_no_training_comes_out_as_we_say(verdict, lab):
    found = {name: judge(NAMES[name], lab) for name in EXPECTED[verdict].split()}
    assert {name for name, finding in found.items() if finding.verdict != verdict} == set()


@pytest.mark.parametrize(
    ("stage", "module", "rejects"),
    [
        ("conv1", nn.Conv2d(1, 16, 3, padding=1), "after_conv1 after_pool1 after_conv2"),
        ("conv1", nn.Conv2d(1, 16, 3, bias=False), "parameters"),
        ("pool2", nn.MaxPool2d(2, ceil_mode=True), "after_pool2 after_flatten"),
        ("fc", nn.Linear(800, 11), "after_fc parameters one_image"),
    ],
)
def test_another_network_is_not_confirmed(stage, module, rejects, lab, monkeypatch):
    def another():
        model = tt.MNISTCNN()
        model._modules[stage] = module
        if (stage == "conv1" and module.padding != (0, 0)) or stage == "pool2":
            model.fc = nn.Linear(32 * 6 * 6, 10)
        return model

    class Networks:
        MNISTCNN = staticmethod(another)

    monkeypatch.setattr(networks, "tt", Networks)
    for name in rejects.split():
        assert judge(NAMES[name], lab).verdict == WRONG, name


def test_what_the_chapter_says_of_mnist_is_not_asked_of_other_digits(lab):
    for name in ("mnist_images", "training_batches", "mean", "accuracy_torch", "cnn_beats_mlp", "seed_42"):
        found = judge(NAMES[name], lab)
        assert (found.verdict, found.computed) == (
            NOT_CHECKED,
            "needs MNIST, and here is digits: give --data-dir",
        )
    assert judge(NAMES["mnist_images"], Lab(dataclasses.replace(lab.dataset, name="mnist"), lab.results)) == (
        exactly((60_000, 28, 28), (130, 28, 28))
    )


@pytest.mark.parametrize(
    ("name", "cnn", "verdict"),
    [
        ("accuracy_torch", (98.6, 98.7, 98.8, 98.9), CONFIRMED),
        ("accuracy_torch", (97.6, 97.7, 97.8, 97.9), WRONG),
        ("between_98_and_99", (98.6, 98.7, 98.8, 98.9), CONFIRMED),
        ("between_98_and_99", (98.6, 98.7, 98.8, 99.1), CONDITIONS),
        ("between_98_and_99", (97.6, 97.7, 99.8, 99.1), WRONG),
        ("target", (98.6, 98.7, 98.8, 98.1), CONFIRMED),
        ("target", (98.6, 98.7, 98.8, 97.9), WRONG),
        ("cnn_beats_mlp", (98.6, 98.7, 98.8, 98.9), CONFIRMED),
        ("cnn_beats_mlp", (97.1, 96.9, 97.0, 97.1), WRONG),
        ("losses", (98.6, 98.7, 98.8, 98.9), CONFIRMED),
        ("seed_42", (98.6, 98.7, 98.8, 98.9), CONFIRMED),
        ("third_convolution_helps", (98.6, 98.7, 98.8, 98.9), "no, it is worse: -0."),
        ("third_convolution_helps", (97.0, 97.2, 97.4, 97.3), "yes: +0."),
        ("third_convolution_helps", (98.3, 98.1, 98.2, 98.2), NOT_SHOWN),
        ("average_pooling", (98.6, 98.7, 98.8, 98.9), NOT_SHOWN),
        ("mlp", (98.6, 98.7, 98.8, 98.9), CONFIRMED),
        ("average_pooling", (99.6, 99.7, 99.6, 99.7), "max pooling is better; average - max: -0."),
        ("average_pooling", (97.6, 97.8, 97.6, 97.8), "average pooling is better; average - max: +1."),
        ("parameter_efficiency", (98.6, 98.7, 98.8, 98.9), "the CNN: 12,810"),
        ("parameter_efficiency", (93.6, 93.7, 93.8, 93.9), "the MLP: 12,810"),
    ],
)
def test_a_verdict_follows_the_accuracies(name, cnn, verdict, digits, tmp_path, monkeypatch):
    as_printed = [{"train_loss": a, "test_accuracy": b} for a, b in zip(LOSSES, ACCURACIES, strict=True)]
    monkeypatch.setattr("examples.experiments.seeds.logs", lambda *_: [as_printed])
    others = {
        "MLP": (97.0, 97.1, 96.9, 97.0),
        "ThirdConvolution": (98.2, 98.2, 98.1, 98.3),
        "AveragePooling": (98.6, 98.8, 98.7, 98.9),
        "SmallMLP": (94.0, 94.2, 94.1, 94.3),
    }
    found = judge(NAMES[name], planted(digits, tmp_path, MNISTCNN=cnn, **others))
    answer = found.verdict == ANSWERED and found.computed.startswith(verdict)
    assert answer or found.verdict == verdict, found


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("by", [-2, 0, 3])
def test_a_moved_image_leaves_background_behind(axis, by):
    image = np.random.default_rng(0).random((1, 5, 6))
    moved = np.moveaxis(shifted(image, by, axis, -1.0), axis, 0)
    still = np.moveaxis(image, axis, 0)
    for row in range(len(moved)):
        inside = 0 <= row - by < len(moved)
        assert (moved[row] == (still[row - by] if inside else -1.0)).all()


def test_the_network_has_no_edges_before_training(digits, tmp_path):
    """The check of the edges calls untrained filters what they are."""
    lab = planted(digits, tmp_path)
    torch.manual_seed(0)
    lab.networks = [tt.MNISTCNN() for _ in range(3)]
    assert judge(NAMES["edges"], lab).verdict == NOT_SHOWN
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    for network in lab.networks:
        network.conv1.weight.data[:] = sobel
    assert judge(NAMES["edges"], lab).verdict == CONFIRMED


@pytest.mark.parametrize(
    ("edges", "verdict"),
    [((98.5, 98.6, 98.7), CONFIRMED), ((98.1, 98.3, 98.2), NOT_SHOWN), ((97.1, 97.2, 97.3), WRONG)],
)
def test_optimal_is_what_beats_the_others_on_every_seed(edges, verdict, digits, tmp_path, monkeypatch):
    lab = planted(digits, tmp_path)
    lab.networks = [tt.MNISTCNN()] * 3
    others = {"random": np.array([98.0, 98.2, 98.3]), "learned": np.array([98.1, 98.2, 98.2])}
    found = {"edges": np.array(edges)} | others
    monkeypatch.setattr(filters, "fixed_accuracies", lambda *_: found)
    assert judge(NAMES["optimal"], lab).verdict == verdict


@pytest.mark.parametrize(
    ("frozen", "verdict"),
    [((96.0, 96.5, 96.1), CONFIRMED), ((93.0, 93.6, 93.0), NOT_SHOWN), ((90.0, 90.5, 90.1), WRONG)],
)
def test_transfer_helps_if_the_trained_body_does(frozen, verdict, lab, monkeypatch):
    found = {
        "frozen body": frozen,
        "from scratch": (93.1, 93.5, 93.2),
        "frozen untrained body": (93, 93.6, 93.1),
    }
    monkeypatch.setattr(audit_zoo, "train_body", lambda *_: (None, 0.0))
    rows = {way: np.array([accuracies]) for way, accuracies in found.items()}
    monkeypatch.setattr(audit_zoo, "transfer_accuracies", lambda *_: rows)
    assert judge(NAMES["transfer"], lab).verdict == verdict


@pytest.mark.parametrize(
    ("cnn", "verdict"),
    [((98, 95, 60), CONDITIONS), ((98, 97.9, 97.5), CONFIRMED), ((98, 70, 10), WRONG)],
)
def test_translation_is_judged_by_what_moving_costs(cnn, verdict, digits, tmp_path, monkeypatch):
    """Three networks of each kind; the MLP loses 65 points, the CNN as many as planted."""
    lab = planted(digits, tmp_path)
    lab.networks, lab.trained = ["CNN"] * 3, lambda model: [model] * 3
    accuracies = {
        "CNN": [a + i / 10 for a in cnn for i in range(3)],
        "MLP": [97, 97.1, 97.3, 80, 81, 82, 32, 33, 32],
    }
    found = {kind: iter(numbers) for kind, numbers in accuracies.items()}
    monkeypatch.setattr(training, "evaluate", lambda network, images, labels: next(found[network]))
    assert judge(NAMES["translation"], lab).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.702, 0.590, CONFIRMED), (-0.6, 0.7, CONDITIONS), (-0.3, 0.7, WRONG), (0.1, 0.7, WRONG)],
)
def test_a_range_of_weights_is_that_of_the_chapters_loop(low, high, verdict, digits, tmp_path, monkeypatch):
    lab = planted(digits, tmp_path)
    asked = []

    def logs(results, dataset, model, backend, seed, epochs):
        asked.append((model, backend, seed, epochs))
        return [[{"filters": [-0.702, 0.59]}, {"filters": [low, high]}]]  # the last epoch counts

    monkeypatch.setattr("examples.experiments.seeds.logs", logs)
    assert judge(NAMES["filter_range"], lab).verdict == verdict
    assert asked == [("MNISTCNN", "chapter", [42], 5)]


def test_a_test_image_that_was_trained_on_is_found(lab):
    tests = lab.dataset.test_images.copy()
    tests[7] = lab.dataset.train_images[5]
    lab.dataset = dataclasses.replace(lab.dataset, test_images=tests)
    found = judge(NAMES["test_set"], lab)
    assert found.verdict == WRONG and found.computed.startswith("1 of 360 test images")


def test_an_uneven_last_batch_is_seen(digits, tmp_path):
    """130 images: the last batch has 2 of them, and counts a third."""
    found = judge(NAMES["epoch_loss"], planted(digits, tmp_path))
    assert found.verdict == WRONG and "the last batch has 2 images" in found.computed


def test_a_convolution_flips_its_kernel():
    rng = np.random.default_rng(0)
    image, kernel = rng.standard_normal((7, 5)), rng.standard_normal((3, 2))
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    outs = (np.einsum("hwij,ij->hw", windows, k) for k in (kernel[::-1, ::-1], kernel, kernel[::-1]))
    found = [networks.convolution_or_correlation(image, kernel, out).verdict for out in outs]
    assert found == [CONFIRMED, CONDITIONS, WRONG]


class Built:
    def __init__(self, shape=(None, 26, 26, 16), warns=False):
        self.output_shape = shape
        if warns:
            warnings.warn("use Input", UserWarning, stacklevel=2)


def test_what_begins_a_keras_model_is_built_with_the_right_shape():
    from examples.audit.frameworks import begins

    makes = [Built, lambda: Built(warns=True), lambda: Built((None, 28, 28, 16)), lambda: object()]
    assert [begins(make).verdict for make in makes] == [CONFIRMED, CONDITIONS, WRONG, WRONG]


@pytest.mark.parametrize(
    ("keras", "verdict"),
    [
        (lambda gradient: gradient / (gradient + 1e-8), CONFIRMED),
        (lambda gradient: gradient / (gradient + 3e-7), CONDITIONS),
        (lambda gradient: 0.9 * gradient / (gradient + 1e-8), WRONG),
    ],
)
def test_adams_steps_are_compared_with_and_without_epsilon(keras, verdict, lab, monkeypatch):
    from examples.audit import frameworks

    by_torch = frameworks.adam_updates

    def updates(name, gradient, steps):
        return by_torch(name, gradient, steps) if name == "torch" else np.array([keras(gradient)])

    monkeypatch.setattr(frameworks, "needs", lambda *modules: None)
    monkeypatch.setattr(frameworks, "adam_updates", updates)
    assert judge(NAMES["adam_epsilon"], lab).verdict == verdict


def test_frameworks_that_agree_or_do_not(lab, monkeypatch):
    for module in ("keras_model", "flax_model"):
        pytest.importorskip(
            f"examples.frameworks.{module}", reason="the extra frameworks", exc_type=ImportError
        )
    from examples.audit import frameworks
    from examples.frameworks import printed

    assert judge(NAMES["flax_network"], lab).verdict == WRONG
    assert judge(NAMES["all_three"], lab).verdict == judge(NAMES["keras_network"], lab).verdict == CONDITIONS
    assert judge(NAMES["adam_epsilon"], lab).verdict == CONDITIONS
    monkeypatch.setattr(printed, "printed_flax_parameters", lambda: 12_810)
    assert judge(NAMES["flax_network"], lab).verdict == judge(NAMES["all_three"], lab).verdict == CONFIRMED
    monkeypatch.setattr(frameworks, "adam_updates", lambda name, gradient, steps: np.array([0.99]))
    assert judge(NAMES["adam_epsilon"], lab).verdict == CONFIRMED
    right = frameworks.parity_of("flax")
    broken = dataclasses.replace(right.rows[0], verdict="MISMATCH", ratio=9.0)
    report = dataclasses.replace(right, rows=[broken, *right.rows[1:]])
    monkeypatch.setattr(frameworks, "parity_of", lambda framework: report)
    assert judge(NAMES["keras_network"], lab).verdict == judge(NAMES["all_three"], lab).verdict == WRONG


def test_runs_of_other_epochs_are_not_held_against_the_chapters(digits, tmp_path):
    lab = planted(digits, tmp_path, MNISTCNN=(98.6, 98.7, 98.8, 98.9))
    lab.epochs = 1
    for name in ("losses", "accuracies", "accuracy_torch", "target", "mlp"):
        found = judge(NAMES[name], lab)
        assert found.verdict == NOT_CHECKED and "trains for 5 epochs, here: 1" in found.computed


def test_without_the_extra_the_reason_is_given(lab, monkeypatch):
    from examples.audit import frameworks

    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(frameworks.importlib, "import_module", missing)
    found = judge(NAMES["keras_network"], lab)
    assert found.verdict == NOT_CHECKED and "pip install -e '.[frameworks]'" in found.computed


def test_a_mistake_of_ours_is_no_finding(lab):
    def broken(lab):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        judge(Claim("31", "says", "", "broken", 0, broken), lab)
    assert judge(Claim("31", "says", "", "absent", 0, lambda lab: lab.mnist()), lab).verdict == NOT_CHECKED
    with pytest.raises(NotHereError):
        lab.mnist()


def test_the_page_shows_every_statement(digits, monkeypatch, tmp_path, capsys):
    """Only what needs no training, so that it is fast."""
    chosen = [NAMES[name] for name in ["tinycnn", "parameters", "lines_of_a_layer", "flatten", "mean"]]
    monkeypatch.setattr("examples.audit.claim.CLAIMS", chosen)
    monkeypatch.setattr(data, "load_digits", lambda: digits)
    assert program.main(["--dataset", "digits", "--seeds", "2", "--output-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    summary = "5 statements: 2 confirmed, 1 confirmed with conditions, 2 not checked here"
    assert summary in out
    page = (tmp_path / "audit.html").read_text("utf-8")
    assert summary in page and "digits (130 training and 360 test images)" in page
    for claim in chosen:
        file, line = claim.source.split(":")
        assert audit.page.escape(claim.says) in page and claim.command in page and f"line {line}" in page
        [link] = set(re.findall(rf'href="([^"]*{re.escape(file)})"', page))
        assert (tmp_path / link).resolve() == (audit.HOUSE / file)


def test_an_unknown_check_is_one_line(capsys):
    with pytest.raises(SystemExit) as exit_:
        program.main(["--only", "nonsense"])
    assert exit_.value.code == 2 and "--only nonsense names no check" in capsys.readouterr().err


class Moves(nn.Sequential):
    """Stages named as MNISTCNN's, of which conv1 is given."""

    def __init__(self, conv1, fc):
        super().__init__()
        self.conv1, self.pool1, self.flatten, self.fc = conv1, nn.MaxPool2d(2), nn.Flatten(), fc


class PlaceMatters(nn.Conv2d):
    def forward(self, x):
        out = super().forward(x)
        return out * torch.arange(out.shape[3])


def test_a_layer_that_knows_the_place_is_not_equivariant():
    class Anywhere(nn.Module):
        def forward(self, x):
            return x.sum(dim=1) * 0 + 1

    head = nn.Linear(2 * 13 * 13, 3)
    kinds = [(nn.Conv2d(1, 2, 3), Anywhere()), (nn.Conv2d(1, 2, 3), head), (PlaceMatters(1, 2, 3), head)]
    found = [networks.moves_with(Moves(*parts).double()).verdict for parts in kinds]
    assert found == [CONFIRMED, CONDITIONS, WRONG]


@pytest.mark.parametrize(
    ("cnn", "mlp", "verdict"),
    [
        ((99, 97), (98, 98), CONFIRMED),
        ((99, 98.5), (98, 98), CONDITIONS),
        ((99, 99), (98, 98), NOT_SHOWN),
        ((99, 99), (98, 97), WRONG),
        ((97, 95), (98, 98), WRONG),
    ],
)
def test_locality_is_what_a_permutation_of_the_pixels_costs(cnn, mlp, verdict):
    luck = np.array([[0.1, 0.0, -0.1], [0.0, 0.05, 0.02]])
    cnn, mlp = (np.array(pair)[:, None] + noise for pair, noise in ((cnn, luck), (mlp, luck[::-1] / 2)))
    assert training.lost_by_permutation(tuple(cnn), tuple(mlp)).verdict == verdict


def test_a_permutation_moves_whole_pixels(digits, tmp_path, monkeypatch):
    images = digits.test_images[:4]
    order = np.random.default_rng(0).permutation(784)
    moved = training.permuted(images, order)
    assert moved.shape == images.shape and (moved != images).any()
    np.testing.assert_array_equal(moved[2].ravel(), images[2].ravel()[order])
    lab = planted(digits, tmp_path, MNISTCNN=(98.6, 98.7, 98.8, 98.9), MLP=(97.0, 97.1, 96.9, 97.0))
    seen = []

    def trained_on(self, model, dataset):
        seen.append(dataset)
        return np.array({"MNISTCNN": (95.0, 95.2, 95.1, 95.0), "MLP": (97.0, 97.1, 96.9, 97.1)}[model])

    monkeypatch.setattr(Lab, "trained_on", trained_on)
    monkeypatch.setattr(Lab, "logs", lambda self, model, backend: lab.logs(model))
    assert judge(NAMES["locality"], lab).verdict == CONFIRMED
    for dataset in seen:  # one permutation for all images
        np.testing.assert_array_equal(dataset.train_images, training.permuted(digits.train_images, order))
        np.testing.assert_array_equal(dataset.test_images, training.permuted(digits.test_images, order))


def test_filters_become_edges_or_lines_or_neither():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((6, 4, 3, 3))
    edge, line = filters_of(edges_module.SOBEL), filters_of(edges_module.LINE)
    found = [filters.edges_or_lines(noise, noise + 10 * shape).verdict for shape in (edge, line, edge + line)]
    assert found == [CONFIRMED, WRONG, CONDITIONS]
    assert filters.edges_or_lines(noise, rng.standard_normal(noise.shape)).verdict == NOT_SHOWN


def filters_of(shape):
    return shape / np.linalg.norm(shape)


def test_abstract_is_what_classes_explain():
    class Brightness(nn.Sequential):
        """relu1 answers by class alone, relu2 by chance."""

        def __init__(self):
            super().__init__()
            self.relu1, self.relu2 = nn.ReLU(), Chance()

    class Chance(nn.Module):
        def forward(self, x):
            return torch.rand(x.shape, generator=torch.Generator().manual_seed(0))

    labels = np.arange(200) % 4
    images = torch.from_numpy(labels.astype(float))[:, None, None, None].expand(200, 1, 2, 2)
    shares = exercises.told_apart(Brightness(), images, labels)
    assert shares[0] == pytest.approx(1) and shares[1] < 0.1
    luck, flat = np.array([[0.0], [0.01], [0.02]]), np.full((3, 2), 0.2)
    up, none = np.array([0.2, 0.4]) + luck * [1, 2], np.array([0.2, 0.2]) + luck * [[1, 2], [2, 1], [1, 0]]
    assert exercises.abstraction(up, flat + luck).verdict == CONDITIONS
    assert "without training" in exercises.abstraction(up, up + luck).computed
    assert "without training" not in exercises.abstraction(up, flat + luck).computed
    assert exercises.abstraction(up[:, ::-1], flat).verdict == WRONG
    assert exercises.abstraction(none, flat).verdict == NOT_SHOWN


def test_a_fit_that_does_not_fall_is_refuted():
    from examples.audit.frameworks import falls

    assert [falls(losses).verdict for losses in ([2.3, 0.4], [2.3, 2.3], [2.3, float("nan")])] == [
        CONFIRMED,
        WRONG,
        WRONG,
    ]
