"""The solutions of the exercises are right on both sides, and wrong ones are found out."""

import re
from collections import OrderedDict
from importlib import import_module

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.models import MODELS, TorchAveragePooling, TorchThirdConvolution, start
from examples.common.statistics import Paired, paired
from examples.exercises import average_pooling, parameters, second_layer_maps
from examples.exercises.__main__ import EXERCISES, main
from examples.exercises.answers import wrong
from examples.exercises.third_convolution import parameter_changes
from examples.experiments import benchmark_steps
from examples.experiments.shapes import outputs, trace
from parity import compare, copy_weights

NEW = ["ThirdConvolution", "AveragePooling", "SmallMLP"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", NEW)
def test_both_sides_of_a_network_are_one(model, dtype):
    by_hand, with_torch = MODELS[model]
    ours, theirs = by_hand(rng=np.random.default_rng(0), dtype=dtype), with_torch()
    theirs = theirs.double() if dtype == np.float64 else theirs
    copy_weights(ours, theirs)
    x = np.random.default_rng(1).standard_normal((3, 1, 28, 28)).astype(dtype)
    report = compare(ours, x, theirs, labels=np.array([3, 0, 9]))
    assert report.ok, report


def test_networks_that_are_not_one_are_told_apart():
    ours, theirs = (start("AveragePooling", backend, 0) for backend in ("numpy", "torch"))
    theirs.pool2 = nn.MaxPool2d(2)  # an answer to 31.2 that leaves one of the two
    x = np.random.default_rng(1).standard_normal((2, 1, 28, 28)).astype(np.float32)
    assert not compare(ours, x, theirs).ok


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_31_1_shapes_and_parameters(backend):
    before, after = (trace(start(name, backend, 0)) for name in ("MNISTCNN", "ThirdConvolution"))
    shapes = {row.stage: row.shape[1:] for row in after}
    assert shapes["relu2"] == (32, 11, 11) and shapes["pool2"] == (32, 5, 5)
    assert shapes["conv3"] == shapes["relu3"] == (64, 3, 3) and shapes["pool3"] == (64, 1, 1)
    assert shapes["flatten"] == (64,) and shapes["fc"] == (10,)
    changes = {"conv3": (0, 18496), "fc": (8010, 650), "total": (12810, 23946)}
    assert parameter_changes(before, after) == changes and 23946 - 12810 == 11136


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_31_4_multiply_adds(backend):
    of = trace(start("MNISTCNN", backend, 0))
    uses = {row.stage: (row.weights, row.uses) for row in of if row.weights}
    assert uses == {"conv1": (144, 26 * 26), "conv2": (4608, 11 * 11), "fc": (8000, 1)}
    forward = parameters.multiply_adds(of)
    assert forward == 97344 + 557568 + 8000
    # benchmark_steps counts a training step: backward takes two such products, but no dx of the images
    assert benchmark_steps.multiply_adds_an_image() == 3 * forward - 97344
    mlp = trace(start("MLP", backend, 0))
    assert parameters.multiply_adds(mlp) == parameters.weights(mlp) == 101632


@pytest.mark.parametrize(
    ("model", "total"),
    [("MLP", 101770), ("MNISTCNN", 12810), ("SmallMLP", 12730), ("ThirdConvolution", 23946)],
)
def test_31_4_count_parameters_prints_the_same_for_both_packages(model, total):
    ours, theirs = (parameters.counted(start(model, backend, 0)) for backend in ("numpy", "torch"))
    assert ours == theirs and ours[0] == total and ours[1].endswith(f"{total:,}\n")
    assert "the same" in parameters.agreement(model)


def test_31_4_the_answer_prints_a_row_for_each_parameter():
    _, printed = parameters.counted(tn.TinyCNN(rng=np.random.default_rng(0)))
    rows = [(line.split()[0], line.split()[-1]) for line in printed.splitlines()]
    assert rows == [
        ("conv.weight", "36"), ("conv.bias", "4"), ("fc.weight", "72"), ("fc.bias", "2"), ("total", "114"),
    ]  # fmt: skip


class AsInTheChapter(nn.Module):
    """Exercise 31.1 in the chapter's style: one pooling for all, and here in front of the ReLU."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(1, 16, 3), nn.Conv2d(16, 32, 3), nn.Conv2d(32, 64, 3)
        self.pool, self.fc = nn.MaxPool2d(2, 2), nn.Linear(64, 10)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = nn.functional.relu(self.pool(conv(x)))
        return self.fc(x.flatten(1))


def third(**other) -> nn.Sequential:
    """Exercise 31.1 with some stages put in the place of the right ones; None leaves one out."""
    right = OrderedDict(TorchThirdConvolution().named_children())
    return nn.Sequential(OrderedDict((k, v) for k, v in (right | other).items() if v is not None))


def average(**other) -> nn.Sequential:
    right = OrderedDict(TorchAveragePooling().named_children())
    return nn.Sequential(OrderedDict((k, v) for k, v in (right | other).items() if v is not None))


def test_right_answers_are_accepted():
    assert wrong("31.1", TorchThirdConvolution()) == wrong("31.1", AsInTheChapter()) == ""
    assert wrong("31.1", third()) == wrong("31.2", average()) == wrong("31.2", TorchAveragePooling()) == ""
    assert wrong("31.4", parameters.count_parameters) == ""
    answer = AsInTheChapter()
    before = answer.conv3.weight.clone()
    wrong("31.1", answer)
    assert torch.equal(answer.conv3.weight, before) and before.dtype == torch.float32


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (third(fc=nn.Linear(64 * 3 * 3, 10)), "fc.weight"),
        (third(pool3=None, fc=nn.Linear(64 * 3 * 3, 10)), "fc.weight"),
        (third(conv3=nn.Conv2d(32, 64, 3, bias=False)), "conv3.bias"),
        (third(conv3=nn.Conv2d(32, 64, 5)), "conv3.weight"),
        (tt.MNISTCNN(), "conv3.weight"),
        (third(pool3=nn.MaxPool2d(2, padding=1)), "forward fails"),
        (third(conv3=nn.Conv2d(32, 64, 3, padding=1), pool3=nn.MaxPool2d(4)), "other logits"),
        (third(relu3=None), "other logits"),
        (third(pool3=nn.AvgPool2d(2)), "other logits"),
        (third(softmax=nn.Softmax(1)), "other logits"),
        (third(fc=nn.Linear(64, 10, bias=False)), "fc.bias"),
        (third(last=nn.Unflatten(1, (2, 5))), "expected (5, 10)"),
    ],
)
def test_31_1_wrong_answers_are_found_out(answer, says):
    assert says in wrong("31.1", answer)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (tt.MNISTCNN(), "other logits"),
        (average(pool2=nn.MaxPool2d(2)), "other logits"),
        (average(pool1=nn.AvgPool2d(2, padding=1), pool2=nn.AvgPool2d(2)), "forward fails"),
        (average(relu1=nn.AvgPool2d(2), pool1=nn.ReLU()), "other logits"),  # averaging comes after the ReLU
        (TorchThirdConvolution(), "conv3.weight"),
    ],
)
def test_31_2_wrong_answers_are_found_out(answer, says):
    assert says in wrong("31.2", answer)


def without_biases(model):
    return sum(p.numel() for name, p in model.named_parameters() if not name.endswith("bias"))


def prints_nothing(model):
    return sum(p.numel() for p in model.parameters())


def counts_twice(model):
    return sum(p.numel() for module in model.modules() for p in module.parameters())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (without_biases, "returns 108, expected 114: the biases are missing"),
        (prints_nothing, "does not print conv.weight"),
        (counts_twice, "returns 228, expected 114"),
        (lambda model: len(list(model.parameters())), "returns 4, expected 114"),
        (lambda model: None, "returns None, expected 114"),
    ],
)
def test_31_4_wrong_answers_are_found_out(answer, says):
    assert says in wrong("31.4", answer)


def test_there_is_no_answer_to_compare_with_elsewhere():
    with pytest.raises(ValueError, match=r"exercise is '31\.3', expected 31\.1, 31\.2 or 31\.4"):
        wrong("31.3", tt.MNISTCNN())


def test_31_2_what_is_measured_on_maps_that_are_known():
    network = nn.Sequential(
        OrderedDict(relu1=nn.ReLU(), pool1=nn.AvgPool2d(2), pool2=nn.MaxPool2d(2), flatten=nn.Flatten())
    )
    images = torch.zeros(2, 1, 28, 28)
    images[0, 0, ::2, ::4] = 1.0  # in every second window, one pixel of four
    labels = torch.tensor([0, 0])
    found = average_pooling.measure(network, images, labels)
    assert found.zeros_before == pytest.approx(100 * (1 - 14 * 7 / (2 * 784)))
    assert found.zeros_behind == pytest.approx(75) and found.passed_on == pytest.approx(25)
    assert found.change == 0 and found.accuracy == 100
    images[0, 0] = 0
    images[0, 0, :, 3::4] = 1.0  # one pixel to the right is another window of pool2
    assert average_pooling.measure(network, images, labels).change > 30


def test_31_2_an_image_moves_to_the_right():
    image = torch.arange(1, 29.0).expand(1, 1, 28, 28)
    moved = average_pooling.move(image, 2)
    assert moved[0, 0, 5].tolist() == [1, 1, *range(1, 27)] and image[0, 0, 0, 0] == 1


def test_31_3_the_share_of_the_classes():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 3], 500)
    noise = rng.standard_normal(2000)
    values = np.stack(
        [labels * 2.0, noise, np.ones(2000), labels + noise * labels.std() / noise.std()], axis=1
    )
    shares = second_layer_maps.share_between(values.astype(np.float32), labels)
    assert len(shares) == 3  # the constant column says nothing and is left out
    assert shares[0] == pytest.approx(100) and shares[1] < 1 and shares[2] == pytest.approx(50, abs=3)


@pytest.mark.parametrize("model", ["ThirdConvolution", "SmallMLP"])
def test_outputs_are_those_of_the_whole_model(model):
    ours, theirs = (start(model, backend, 0) for backend in ("numpy", "torch"))
    x = np.random.default_rng(0).standard_normal((2, 1, 28, 28)).astype(np.float32)
    by_stage = outputs(ours, x), outputs(theirs, torch.from_numpy(x))
    assert list(by_stage[0]) == list(by_stage[1])
    np.testing.assert_array_equal(list(by_stage[0].values())[-1], ours(x))
    assert torch.equal(list(by_stage[1].values())[-1], theirs(torch.from_numpy(x)))


def test_paired_is_scipys():
    rng = np.random.default_rng(0)
    first = 98 + rng.standard_normal(7) / 10
    second = first - 0.05 + rng.standard_normal(7) / 20
    expected = stats.ttest_rel(first, second)
    found, interval = paired(first, second), expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-6)
    assert found.mean / found.error == pytest.approx(expected.statistic, rel=1e-6)
    wins = int((first > second).sum())
    assert found.sign_p == stats.binomtest(wins, 7).pvalue and f"with {wins} of 7 seeds" in str(found)
    swapped = paired(second, first)
    assert swapped.winner == -found.winner and swapped.mean == pytest.approx(-found.mean)


def test_pairing_sees_what_two_means_do_not():
    luck = np.linspace(-1, 1, 10)
    better = luck + 0.1 + 0.01 * np.sin(np.arange(10.0))
    assert paired(better, luck).winner == 1
    assert stats.ttest_ind(better, luck).pvalue > 0.5
    assert paired(better, luck[::-1]).winner == 0  # planted: the seeds do not belong together


@pytest.mark.parametrize("differences", [[0.0, 0.0], [0.3, 0.3, 0.3]])
def test_without_any_spread_nothing_is_claimed(differences):
    found = Paired(np.array(differences))
    assert found.winner == 0 and found.p == 1 and found.interval == (-np.inf, np.inf)
    assert found.without_interval in str(found)


def labelled(rng, seeds, images, of_seed, of_image):
    """(seeds, images) right or wrong: luck of the seed and hardness of the image decide."""
    luck, hardness = of_seed * rng.standard_normal((seeds, 1)), of_image * rng.standard_normal(images)
    return luck + hardness + rng.standard_normal((seeds, images)) > -1


def test_the_two_way_error_is_what_new_seeds_and_new_images_change():
    """The mean squared error of many experiments, each with seeds and images of its own."""
    rng = np.random.default_rng(0)
    pairs = [
        paired(labelled(rng, 5, 200, 0.1, 1), labelled(rng, 5, 200, 0.0, 1)) for _ in range(400)
    ]  # both of the same kind, but for the luck
    spread = np.std([pair.mean for pair in pairs])
    error = np.sqrt(np.mean([pair.error**2 for pair in pairs]))
    alone = np.sqrt(np.mean([pair.seed_error**2 for pair in pairs]))
    assert error == pytest.approx(spread, rel=0.2)
    assert alone < 0.8 * spread  # planted: the error of the seeds alone is too small


def test_images_alone_can_leave_a_difference_open():
    first = np.ones((5, 40), bool)
    second = first.copy()
    second[:, :2] = False  # the same two images with every seed, and one more by luck
    second[0, 5] = second[1, 6] = False
    found, seeds_alone = paired(first, second), paired(100 * first.mean(axis=1), 100 * second.mean(axis=1))
    assert seeds_alone.winner == 1 and found.winner == 0 and found.mean == pytest.approx(seeds_alone.mean)
    assert "of seeds and 40 images" in str(found) and "of seeds alone" in str(seeds_alone)


def test_two_seeds_give_no_interval():
    found = paired([98.5, 98.6], [97.5, 97.5])
    assert found.winner == 0 and found.p == 1
    assert found.rounded(1) == "+1.1 (no interval from 2 seeds)" and "no interval from 2 seeds" in str(found)
    three = paired([98.5, 98.6, 98.7], [97.5, 97.5, 97.8])
    assert three.winner == 1 and three.rounded(2) == "+1.00 +-0.25"


def test_rounding_makes_no_difference():
    assert paired([100 * 0.57, 100 * 0.58], [57.0, 58.0]).differences.tolist() == [0, 0]


def test_paired_refuses_what_are_no_pairs():
    with pytest.raises(ValueError, match="expected as many"):
        paired([98.5, 98.6], [98.5])
    with pytest.raises(ValueError, match=r"shape \(1,\), expected \(>= 2,\)"):
        paired([98.5], [98.6])


@pytest.fixture
def smallest(few_digits, tmp_path, capsys):
    """Run an exercise at its smallest size; return what it prints."""

    def run(exercise, backend="torch"):
        flags = f"{exercise} --dataset digits --seeds 2 --epochs 1 --backend {backend}"
        files = f"--results {tmp_path}/seeds.jsonl --output-dir {tmp_path}"
        assert main([*flags.split(), *files.split()]) == 0
        out = capsys.readouterr().out
        question = import_module(f"examples.exercises.{EXERCISES[exercise]}").QUESTION
        assert out.startswith(f"Exercise {exercise}. {question}\n")
        assert "digits (130 training and 360 test images)" in out
        return out

    return run


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_31_1_in_full(smallest, backend, tmp_path):
    out = smallest("31.1", backend)
    assert "conv3 0 -> 18,496 (+18,496), fc 8,010 -> 650 (-7,360), total 12,810 -> 23,946 (+11,136)" in out
    assert re.search(r"pool3 .*\(1, 64, 1, 1\)", out) and "The flattened image has 64 numbers" in out
    assert "On digits, after 1 epoch, " in out and "ThirdConvolution - MNISTCNN, seed by seed: " in out
    assert (tmp_path / "third_convolution.png").read_bytes().startswith(b"\x89PNG")


def test_31_2_in_full(smallest, tmp_path):
    out = smallest("31.2")
    row = re.search(r"what pool1 passes on.* ([\d.]+) +([\d.]+)\n", out)
    assert float(row.group(1)) == 100 and 25 < float(row.group(2)) < 100
    assert "On digits, after 1 epoch, " in out and "AveragePooling - MNISTCNN, seed by seed: " in out
    assert (tmp_path / "average_pooling.png").read_bytes().startswith(b"\x89PNG")


def test_31_3_in_full(smallest, tmp_path):
    out = smallest("31.3")
    assert "before training" in out and "On digits a map behind conv2" in out
    assert (tmp_path / "maps2.png").read_bytes().startswith(b"\x89PNG")


def test_31_4_in_full(smallest, tmp_path):
    out = smallest("31.4")
    assert out.count("the PyTorch model gives the same") == 2
    assert re.search(r"MNISTCNN +total +12,752 +52\.0 +662,912", out)
    assert "MNISTCNN - SmallMLP, seed by seed: " in out and "with equally many parameters, " in out
    assert "1/8.0 of MLP's weights and does 6.5 times" in out
    assert (tmp_path / "parameters.png").read_bytes().startswith(b"\x89PNG")


def test_the_reason_given_follows_the_result():
    from examples.exercises.third_convolution import why

    assert "that is no overfitting" in why(-1, 0.01, 64) and "overfitted" in why(-1, -0.01, 64)
    assert "open" in why(0, 0.01, 64) and "overfit" not in why(1, 0.01, 64)
    said = [average_pooling.why(winner) for winner in (-1, 0, 1)]
    assert len(set(said)) == 3 and "do not show" in said[1]
    wired = parameters.wiring(trace(start("MNISTCNN", "numpy", 0))).replace("\n", " ")
    assert "8,479,744 weights, local wiring 97,344, local and shared 144." in wired
    assert "8,010 of the CNN's 12,810" in wired


def test_without_a_number_the_exercises_are_listed(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("31.")] == list(EXERCISES)


def test_help_and_an_exercise_that_there_is_not(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0 and "--seeds" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit_:
        main(["31.5"])
    error = capsys.readouterr().err.splitlines()
    assert exit_.value.code == 2 and len(error) == 1 and "invalid choice: '31.5'" in error[0]
