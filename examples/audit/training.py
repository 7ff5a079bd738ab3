"""Section 31.2: losses and accuracies, as distributions over seeds instead of single numbers.

Our seeds draw weights and batches from the same distributions as the chapter's one run, with another stream
of random numbers: a printed value is right if it could be one more of ours.
"""

import numpy as np
import torch
from torch import nn

from examples.audit.claim import claim, confirmed, holds, only_if, wrong
from examples.audit.lab import spread, standing
from examples.common.statistics import paired
from examples.experiments import seeds
from examples.experiments.zoo import count
from tinycnn_torch import MLP, MNISTCNN, evaluate

LOSSES = (0.1924, 0.0637, 0.0473, 0.0394, 0.0337)  # as printed, epoch 1 to 5
ACCURACIES = (97.88, 98.51, 98.67, 98.60, 98.75)


def placed(printed: float, values: np.ndarray, digits: int = 2):
    away, limit = standing(printed, values)
    text = f"{spread(values, digits)}; {printed} stands {away:+.1f} std from the mean (95 %: {limit:.1f})"
    return confirmed(text) if abs(away) <= limit else wrong(text)


def every_epoch(printed: tuple[float, ...], values: np.ndarray, digits: int):
    """values (seeds, epochs)"""
    found = [standing(number, column) for number, column in zip(printed, values.T, strict=True)]
    means = " ".join(f"{mean:.{digits}f}" for mean in values.mean(axis=0))
    places = " ".join(f"{away:+.1f}" for away, _ in found)
    text = f"means {means}; the printed ones stand {places} std from them (95 %: {found[0][1]:.1f})"
    inside = [abs(away) <= limit for away, limit in found]
    return confirmed(text) if all(inside) else only_if(text) if any(inside) else wrong(text)


def chapters_run(lab, what: str) -> np.ndarray:
    """(epochs,): train_loss or test_accuracy of the chapter's own loop with its seed, run here."""
    [log] = seeds.logs(lab.results, lab.mnist(), "MNISTCNN", "chapter", [42], 5)
    return np.array([entry[what] for entry in log])


@claim("31.2", "training loss of epochs 1 to 5: 0.1924 0.0637 0.0473 0.0394 0.0337", by="examples.chapter")
def losses(lab):
    lab.chapters_recipe()
    found = chapters_run(lab, "train_loss")
    ours = every_epoch(LOSSES, lab.by_epoch("MNISTCNN", "train_loss"), 4)
    text = f"the chapter's loop gives {' '.join(f'{loss:.4f}' for loss in found)} here; ours: {ours.computed}"
    if np.abs(found - LOSSES).max() < 0.001:
        return confirmed(text)
    return only_if(f"{text}: not with these versions") if ours.verdict != wrong("").verdict else wrong(text)


@claim("31.2", "test accuracy after epochs 1 to 5: 97.88 98.51 98.67 98.60 98.75 %", by="examples.seeds")
def accuracies(lab):
    lab.chapters_recipe()
    return every_epoch(ACCURACIES, lab.by_epoch("MNISTCNN", "test_accuracy"), 2)


@claim("31.2", "98.75 % after 5 epochs, with PyTorch", by="examples.seeds --backends torch")
def accuracy_torch(lab):
    lab.chapters_recipe()
    return placed(98.75, lab.last("MNISTCNN"))


@claim("31.2", "the same by hand in NumPy reaches 98.75 %", by="examples.seeds --backends numpy")
def accuracy_numpy(lab):
    lab.chapters_recipe()
    return placed(98.75, lab.last("MNISTCNN", "numpy"))


@claim("31.2", "seed 42 gives 98.75 %", by="examples.chapter")
def seed_42(lab):
    found = chapters_run(lab, "test_accuracy").round(2)
    off = np.abs(found - ACCURACIES).max()
    text = f"the chapter's loop gives {' '.join(map(str, found))} here, at most {off:.2f} off"
    if found[-1] == ACCURACIES[-1]:
        return confirmed(text)
    return only_if(f"{text}: not with these versions") if off < 0.5 else wrong(text)


@claim("31.2", "the CNN's accuracy is 98 to 99 %", by="examples.seeds")
def between_98_and_99(lab):
    lab.chapters_recipe()
    last = lab.last("MNISTCNN")
    inside = (last >= 98) & (last <= 99)
    text = f"{inside.sum()} of {len(last)} seeds lie there: {spread(last)}"
    return confirmed(text) if inside.all() else only_if(text) if inside.any() else wrong(text)


@claim("31.2", "the target of 98 % is passed", by="examples.seeds")
def target(lab):
    lab.chapters_recipe()
    above = (lab.by_epoch("MNISTCNN", "test_accuracy") > 98).sum(axis=0)
    text = f"{' '.join(map(str, above))} of {lab.seeds} seeds are above 98 % after epochs 1 to {lab.epochs}"
    return holds(above[-1] == lab.seeds, text)


@claim("31.2", "the MLP reaches about 97 %", by="examples.compare_mlp")
def mlp(lab):
    lab.chapters_recipe()
    last = lab.last("MLP")
    off = abs(last.mean() - 97)
    if off <= 0.5:
        return confirmed(spread(last))
    return only_if(f"{spread(last)}, by this recipe") if off <= 1 else wrong(spread(last))


@claim("31.2", "the CNN is more accurate than the MLP", by="examples.compare_mlp")
def cnn_beats_mlp(lab):
    lab.chapters_recipe()
    found = paired(lab.last("MNISTCNN"), lab.last("MLP"))
    return holds(found.winner == 1, f"CNN - MLP: {found}")


@claim("31.2", "with fewer parameters", by="examples.compare_mlp")
def fewer_parameters(lab):
    cnn, mlp = count(MNISTCNN()), count(MLP())
    return holds(cnn < mlp, f"{cnn:,} against {mlp:,}, with 128 hidden units")


@claim("31.2", "the printed training loss is the mean over an epoch", by="examples.train_mnist")
def epoch_loss(lab):
    """The chapter averages over batches, of which the last one is smaller."""
    images, labels = lab.dataset.train_images, lab.dataset.train_labels
    model, loss_fn = MNISTCNN(), nn.CrossEntropyLoss(reduction="none")
    with torch.no_grad():
        x, y = torch.from_numpy(images), torch.from_numpy(labels)
        each = torch.cat([loss_fn(model(a), b) for a, b in zip(x.split(64), y.split(64), strict=True)])
    batches = each.split(64)
    gap = abs(float(each.mean()) - float(torch.stack([b.mean() for b in batches]).mean()))
    text = f"it is a mean of batch means, and the last batch has {len(batches[-1])} images: {gap:.0e} away"
    return confirmed(text) if gap == 0 else only_if(text)


@claim("31.2", "the accuracy printed at every epoch is a test accuracy", by="examples.seeds")
def test_set(lab):
    """Nobody chooses an epoch in the chapter; whoever chose the best one would report too much."""
    lab.chapters_recipe()
    all_epochs = lab.by_epoch("MNISTCNN", "test_accuracy")
    gain = float((all_epochs.max(axis=1) - all_epochs[:, -1]).mean())
    text = f"as long as the last epoch is reported; the best of {lab.epochs} would add {gain:.2f} points"
    return only_if(text) if gain > 0 else confirmed(text)


@claim("31.2", "a CNN is better because it exploits translation invariance", by="examples.compare_mlp")
def translation(lab):
    """What is lost on test images moved by 2 or 4 pixels to a random side; three networks of each kind."""
    rng = np.random.default_rng(0)
    images, labels = lab.mnist().test_images, torch.from_numpy(lab.dataset.test_labels)
    accuracy: dict[str, list[list[float]]] = {"CNN": [], "MLP": []}
    networks = {"CNN": lab.networks, "MLP": lab.trained("MLP")}
    for by in (0, 2, 4):
        sides, axes = rng.choice([-by, by], len(images)), rng.integers(1, 3, len(images))
        moved = [shifted(*each, images.min()) for each in zip(images, sides, axes, strict=True)]
        for name, found in accuracy.items():
            found.append([evaluate(net, torch.from_numpy(np.stack(moved)), labels) for net in networks[name]])
    cnn, mlp = (np.array(found) for found in accuracy.values())  # (moves, networks)
    means = [" ".join(f"{mean:.1f}" for mean in found.mean(axis=1)) for found in (cnn, mlp)]
    text = f"on images moved by 0, 2, 4 pixels: CNN {means[0]} %, MLP {means[1]} %"
    spared = paired(cnn[2] - cnn[0], mlp[2] - mlp[0])
    if spared.winner != 1:
        return wrong(text)
    return only_if(f"{text}: less harmed, not invariant") if (cnn[0] - cnn[2]).mean() > 1 else confirmed(text)


def shifted(image: np.ndarray, by: int, axis: int, fill: float) -> np.ndarray:
    """(C, H, W), moved along an axis; what comes in is `fill`."""
    moved = np.roll(image, by, axis)
    edge = [slice(None)] * 3
    edge[axis] = slice(0, by) if by > 0 else slice(by or image.shape[axis], None)
    moved[tuple(edge)] = fill
    return moved
