"""Section 31.2: losses and accuracies, as distributions over seeds instead of single numbers.

Our seeds draw weights and batches from the same distributions as the chapter's one run, with another stream
of random numbers: a printed value is right if it could be one more of ours.
"""

import dataclasses

import numpy as np
import torch
from torch import nn

from examples.audit.claim import claim, confirmed, exactly, holds, only_if, open_, wrong
from examples.audit.lab import spread, standing
from examples.common.models import start
from examples.common.statistics import paired
from examples.experiments.zoo import count
from tinycnn_torch import MLP, MNISTCNN, evaluate, train_step

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


@claim("31.2", "training loss of epochs 1 to 5: 0.1924 0.0637 0.0473 0.0394 0.0337", by="examples.chapter")
def losses(lab):
    lab.chapters_recipe()
    found = lab.chapters_run("train_loss")
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
    found = lab.chapters_run("test_accuracy").round(2)
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


@claim("31.2", "the CNN is more accurate than the MLP", by="examples.compare_mlp", comparisons=1)
def cnn_beats_mlp(lab):
    lab.chapters_recipe()
    found = paired(lab.correct("MNISTCNN"), lab.correct("MLP"))
    return holds(found.winner == 1, f"CNN - MLP: {found}")


@claim("31.2", "with fewer parameters", by="examples.compare_mlp")
def fewer_parameters(lab):
    cnn, mlp = count(MNISTCNN()), count(MLP())
    return holds(cnn < mlp, f"{cnn:,} against {mlp:,}, with 128 hidden units")


@claim("31.2", "averaged over batches, the loss is the mean over the images", by="examples.train_mnist")
def epoch_loss(lab):
    """One epoch; the last batch is smaller than the others, and counts as much in the chapter's average."""
    images, labels = (torch.from_numpy(a) for a in (lab.mnist().train_images, lab.mnist().train_labels))
    model, loss_fn = start("MNISTCNN", "torch", 0), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    batches = torch.from_numpy(np.random.default_rng(0).permutation(len(images))).split(64)
    losses = [float(train_step(model, loss_fn, optimizer, images[b], labels[b])) for b in batches]
    return mean_of_batches(losses, [len(batch) for batch in batches])


def mean_of_batches(losses: list[float], sizes: list[int]):
    """Confirmed if both means are equal, a condition if the last of four printed digits is at most 1 off."""
    by_batch, by_image = np.mean(losses), np.average(losses, weights=sizes)
    gap = abs(by_batch - by_image)
    text = f"{by_batch:.6f} over batches, {by_image:.6f} over images; the last batch has {sizes[-1]} images"
    if gap < 1e-12:
        return confirmed(text)
    return only_if(text) if gap <= 1e-4 else wrong(text)


@claim("31.2", "the accuracy is on images that were not trained on", by="examples.seeds")
def test_set(lab):
    """Equal to the last pixel. Whether another image of the same hand is among them is not asked."""
    seen = {image.tobytes() for image in lab.dataset.train_images}
    again = sum(image.tobytes() in seen for image in lab.dataset.test_images)
    return exactly(0, again, f"of {len(lab.dataset.test_images):,} test images are training images as well")


@claim(
    "31.2",
    "a CNN is better because it exploits translation invariance",
    by="examples.compare_mlp",
    comparisons=1,
)
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


@claim(
    "31.2", "a CNN is better because it exploits the spatial structure", by="examples.lessons", comparisons=3
)
def locality(lab):
    """One permutation of the pixels for all images leaves an MLP what it had, and a CNN no neighbours."""
    dataset = lab.mnist()
    order = np.random.default_rng(0).permutation(dataset.test_images[0].size)
    shuffled = dataclasses.replace(
        dataset,
        train_images=permuted(dataset.train_images, order),
        test_images=permuted(dataset.test_images, order),
    )
    lab = dataclasses.replace(lab, seeds=min(lab.seeds, 5))
    accuracy = {name: (lab.last(name), lab.trained_on(name, shuffled)) for name in ("MNISTCNN", "MLP")}
    return lost_by_permutation(accuracy["MNISTCNN"], accuracy["MLP"])


def permuted(images: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(M, C, H, W), the C*H*W numbers of every image in another order."""
    return images.reshape(len(images), -1)[:, order].reshape(images.shape)


def lost_by_permutation(cnn: tuple[np.ndarray, np.ndarray], mlp: tuple[np.ndarray, np.ndarray]):
    """Accuracies (seeds,) as they are, and permuted. Confirmed if the CNN's lead goes with the order."""
    lead, left = paired(cnn[0], mlp[0]), paired(cnn[1], mlp[1])
    more = paired(cnn[0] - cnn[1], mlp[0] - mlp[1])
    text = f"CNN - MLP {lead.mean:+.2f} points, with permuted pixels {left.mean:+.2f} ({len(cnn[0])} seeds)"
    if more.winner == 0:
        return open_(text)
    if more.winner < 0 or lead.winner < 0:
        return wrong(text)
    return only_if(f"{text}: a part of it") if left.winner == 1 else confirmed(text)


def shifted(image: np.ndarray, by: int, axis: int, fill: float) -> np.ndarray:
    """(C, H, W), moved along an axis; what comes in is `fill`."""
    moved = np.roll(image, by, axis)
    edge = [slice(None)] * 3
    edge[axis] = slice(0, by) if by > 0 else slice(by or image.shape[axis], None)
    moved[tuple(edge)] = fill
    return moved
