# %% [markdown]
# # 8. MNIST, honestly
#
# From 8 x 8 lines to handwritten digits: two convolutions instead of one, ten classes instead of two. Do both
# sides go the same way? What must the first loss be? And how much of an accuracy is chance: of the seed, of
# the test images, of the epoch that somebody has picked?
#
# *Chapter 31.2. Programs: `examples/train_mnist.py`, `examples/compare_mlp.py`, `examples/seeds.py`.*

# %%
import dataclasses
import math
import time

import numpy as np
import torch
from torch import nn

import tinycnn_numpy as tn
from examples.common.data import MEAN, STD
from examples.common.figures import image_grid, training_curves
from examples.common.models import start
from examples.common.training import train
from examples.experiments.shapes import as_text, trace_both
from examples.lessons.classroom import SMALL, dataset, show
from examples.lessons.marking import check, hint, predict, score, usable

digits = dataset(most=6000)  # of MNIST, so that the lesson takes about a minute
EPOCHS = 2 if SMALL else 3

# %% [markdown]
# Without MNIST this lesson runs on the 1,797 small digits inside scikit-learn, scaled to 28 x 28: every shape
# and every line of code is the same, only accuracies are lower, because there is less to learn from. For
# MNIST set `DATA_DIR` to the folder that holds `MNIST/raw` and run the notebook again. The whole of MNIST is
# `python -m examples.train_mnist`.

# %%
first_of_class = [int(np.flatnonzero(digits.test_labels == label)[0]) for label in range(10)]
pixels = digits.test_images[first_of_class, 0] * STD + MEAN  # the normalisation undone: 0 black, 1 white
title = f"One test image of each class ({digits.name})"
picture = image_grid(pixels, 5, title, name="digit", unit="brightness")
show(picture, "ten small pictures of handwritten digits, 0 to 9")

# %% [markdown]
# ## Shapes
#
# Go through conv1 (3 x 3, 16 filters), pool1 (2 x 2), conv2 (3 x 3, 32 filters), pool2 with the formula of
# lesson 2.

# %%
flat = predict("How many numbers does flatten hand to the last layer?", 800)
largest = predict("Which layer has the most parameters?", "fc")

# %%
model = start("MNISTCNN", "numpy", 42)
module = start("MNISTCNN", "torch", 42)  # the same weights
pairs, refused = trace_both(model, module)  # runs both, and raises an error if they differ in anything
print(as_text(pairs))
assert refused is None
flat.reveal(model.fc.in_features)
counts = {name: tn.count_parameters(stage) for name, stage in model.stages.items()}
largest.reveal(max(counts, key=lambda name: counts[name]))

# %% [markdown]
# A filter costs 9 weights for each channel that it reads, wherever it stands: 144 + 16 for conv1, 4,608 + 32
# for conv2. The last layer shares nothing and takes 8,010 of the 12,810.
#
# 32 x 5 x 5 = 800 is the number that people get wrong. What happens with 32 x 6 x 6, for somebody who forgot
# that pooling 11 rows drops the last one? Either side says it in one line:

# %%
flattened = np.zeros((1, 800), np.float32)
by_hand, by_torch = tn.Dense(32 * 6 * 6, 10, rng=np.random.default_rng(0)), torch.nn.Linear(32 * 6 * 6, 10)
for attempt in (lambda: by_hand(flattened), lambda: by_torch(torch.from_numpy(flattened))):
    try:
        attempt()
    except (ValueError, RuntimeError) as error:
        print(error)

# %% [markdown]
# ## The first loss
#
# Cross-entropy is $-\log p$ of the right class. An untrained network knows nothing about ten classes.

# %%
first_loss = predict("What is the first loss, roughly?", 2.3)
shifted = predict("Labels shifted by one (3 for 2, ...): is the first loss within 0.1 of log(10)?", "yes")
summed = predict("A sum where the mean belongs, 500 images: within 0.1 of log(10)?", "no")

# %%
images, labels = digits.train_images, digits.train_labels
loss_fn = tn.CrossEntropyLoss()
loss = loss_fn(model(images[:500]), labels[:500])
logits = module(torch.from_numpy(images[:500]))
torch_loss = torch.nn.CrossEntropyLoss()(logits, torch.from_numpy(labels[:500]))
print(f"NumPy {loss:.6f}, PyTorch {torch_loss.item():.6f}, log(10) = {math.log(10):.6f}")
first_loss.reveal(float(loss), factor=1.1)
for prediction, value in (
    (shifted, loss_fn(model(images[:500]), (labels[:500] + 1) % 10)),
    (summed, 500 * loss),
):
    prediction.reveal("yes" if abs(value - math.log(10)) < 0.1 else "no")

# %% [markdown]
# So the first loss sees a wrong scale, a wrong number of classes, a sum for a mean. It does not see shifted
# labels or a softmax applied twice: a network that knows nothing is as surprised by wrong labels as by right
# ones. Those show when a small batch is learned by heart (lesson 5): a softmax applied twice cannot get below
# log(1 + 9/e).

# %%
floor = predict("Can the right loss on 64 images learned by heart get below 1.461?", "yes")

# %%
print(f"log(1 + 9/e) = {math.log(1 + 9 / math.e):.3f}")
hearted = start("MNISTCNN", "numpy", 0)
adam, losses = tn.Adam(hearted.parameters(), lr=3e-3), []
for _ in range(60):
    losses.append(tn.train_step(hearted, loss_fn, adam, images[:64], labels[:64]))
floor.reveal("yes" if losses[-1] < 1.461 else "no")
print(f"64 images: loss {losses[0]:.3f} -> {losses[-1]:.4f}")

# %% [markdown]
# ## One recipe, two sides
#
# The chapter's recipe: Adam with a learning rate of 0.001, batches of 64, a new order of the images in each
# epoch. The order is drawn by NumPy from the seed, for both sides. So nothing but rounding can make a
# difference.

# %%
agree = predict("To how many decimals do the losses of epoch 1 agree: 1, 4 or 12?", 4)

# %%
logs, seconds = {}, {}
for name, side in (("NumPy", model), ("PyTorch", module)):
    began = time.perf_counter()
    logs[name] = train(side, digits, 42, EPOCHS, lambda log: print(f"epoch {log['epoch']} done", flush=True))
    seconds[name] = time.perf_counter() - began
print("epoch   NumPy: loss, accuracy       PyTorch: loss, accuracy")
for ours, theirs in zip(*logs.values(), strict=True):
    left, right = (f"{log['train_loss']:.6f}  {log['test_accuracy']:6.2f} %" for log in (ours, theirs))
    print(f"{ours['epoch']:5}   {left}            {right}")
gap = abs(logs["NumPy"][0]["train_loss"] - logs["PyTorch"][0]["train_loss"])
agree.reveal(min((1, 4, 12), key=lambda digits: abs(digits + math.log10(max(gap, 1e-16)))), measured=True)
print("seconds:", ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()), "(one thread each)")

# %%
picture = training_curves(logs, f"MNISTCNN on {digits.name}, seed 42: both sides")
show(picture, "training loss falls and test accuracy rises; the two lines of the loss lie on each other")

# %% [markdown]
# The two lines of the loss lie on each other; those of the accuracy may part by a few images of the test set.
# They are not equal: in float32 both sides round differently, in every step, and every step starts from what
# the last one left. Lesson 6 did this in float64, where the difference was a billion times smaller.
#
# Do the two networks at least *say* the same?

# %%
tests = digits.test_images
ours = model(tests)
with torch.no_grad():
    theirs = module(torch.from_numpy(tests)).numpy()
different = np.flatnonzero(ours.argmax(axis=1) != theirs.argmax(axis=1))
print(f"{len(different)} of {len(tests):,} test images get another label;", end=" ")
print(f"the largest difference of a logit is {np.abs(ours - theirs).max():.1e}")

# %% [markdown]
# ## How sure is an accuracy?
#
# An accuracy is a share of $n$ test images. Drawn anew, they would give another share; with $p$ the
# accuracy, the standard deviation is
#
# $$\sqrt{p\,(1 - p) / n}.$$
#
# %%
worse = predict("98.75 % of 10,000 images, and 98.6 %: two standard deviations apart, yes or no?", "no")

# %%
worse.reveal("yes" if 2 * 100 * math.sqrt(2 * 0.9875 * 0.0125 / 10_000) < 98.75 - 98.6 else "no")
for name, p, n in (
    ("the book's run", 0.9875, 10_000),
    ("this lesson", tn.evaluate(model, tests, digits.test_labels) / 100, len(tests)),
):
    print(
        f"{name}: {100 * p:.2f} % of {n:,} images, standard deviation {100 * math.sqrt(p * (1 - p) / n):.2f}"
    )

# %% [markdown]
# And that leaves out a second chance: another seed gives other weights and another order. `python -m
# examples.seeds` trains from many.
#
# ## Choosing without the test set
#
# The chapter looks at the *test* accuracy after each epoch. Whoever then stops at the best epoch has chosen
# with the test set, and reports too high a number. Keep some of the *training* images aside for choosing.


# %%
def split(images, labels, share):
    """Training images and labels, then validation images and labels, a `share` of them; each image once."""
    # solution
    kept = len(images) - int(len(images) * share)
    return images[:kept], labels[:kept], images[kept:], labels[kept:]
    # end


check(split)
# hint()

# %%
higher = predict("Which is higher: the best test accuracy, or that of the epoch validation chose?", "best")

# %%
names = ("train_images", "train_labels", "test_images", "test_labels")
training = dataclasses.replace(digits, **dict(zip(names, usable(split)(images, labels, 0.1), strict=True)))
chosen = start("MNISTCNN", "torch", 1)
history = []
test_set = [torch.from_numpy(array) for array in (digits.test_images, digits.test_labels)]
for epoch in range(EPOCHS):
    entry = train(chosen, training, seed=100 + epoch, epochs=1)[0]  # its test set is the validation set
    with torch.no_grad():
        test = 100 * float((chosen(test_set[0]).argmax(dim=1) == test_set[1]).double().mean())
    history.append((entry["test_accuracy"], test))
    print(f"epoch {epoch + 1}: validation {history[-1][0]:.2f} %, test {test:.2f} %", flush=True)
by_validation = max(history)[1]
best = max(test for _, test in history)
higher.reveal("best" if best >= by_validation else "validation")
print(f"chosen by validation {by_validation:.2f} %, best of all epochs {best:.2f} %: never the lower one")

# %% [markdown]
# ## Small print of the recipe
#
# The chapter's program reports the mean of the *batch* losses as the loss of an epoch. The last batch is
# smaller, and its images count for more. Also, all losses of an epoch are measured while the weights
# change. Here are both means, and the loss after the epoch:

# %%
fresh = start("MNISTCNN", "numpy", 1)
adam = tn.Adam(fresh.parameters(), lr=1e-3)
batches = [np.arange(64 * i, 64 * i + 64) for i in range(9)] + [np.arange(576, 600)]
losses = [tn.train_step(fresh, loss_fn, adam, images[batch], labels[batch]) for batch in batches]
sizes = [len(batch) for batch in batches]
seen = np.concatenate(batches)
print(f"mean of {len(batches)} batches (the last one has {sizes[-1]} images): {np.mean(losses):.4f}")
print(f"mean of {len(seen)} images:                          {np.average(losses, weights=sizes):.4f}")
print(f"the same images afterwards:                 {loss_fn(fresh(images[seen]), labels[seen]):.4f}")

# %% [markdown]
# ## What does it get wrong?

# %%
probabilities = np.exp(ours - ours.max(axis=1, keepdims=True))
probabilities /= probabilities.sum(axis=1, keepdims=True)
answers = ours.argmax(axis=1)
wrong = np.flatnonzero(answers != digits.test_labels)
worst = wrong[np.argsort(probabilities[wrong, digits.test_labels[wrong]])][:8]
for place, index in enumerate(worst):
    truth, answer = digits.test_labels[index], answers[index]
    print(f"image {place}: {truth} taken for {answer} with probability {probabilities[index, answer]:.2f}")
if len(worst):
    pixels = digits.test_images[worst, 0] * STD + MEAN
    title = f"The {len(worst)} surest of {len(wrong)} mistakes ({digits.name})"
    show(image_grid(pixels, 4, title, name="image", unit="brightness"), "digits that the network gets wrong")

# %% [markdown]
# ## Is it the convolution?
#
# The chapter: a CNN is better than an MLP *with fewer parameters*. Two networks can test that: the MLP of
# chapter 30 with 101,770 parameters, and an MLP made as small as the CNN (12,730).
#
# Two things are drawn by chance: the seeds and the test images. For every seed $s$ and test image $i$ let
# $d_{si}$ be 1 if only the CNN is right, -1 if only the other is, 0 else. The mean of all is the difference
# of the accuracies. Its variance has a part from the seeds and one from the images; what is left of $d$ when
# both means are taken off is in both parts, so it is taken off once:
#
# $$\text{variance} = \frac{\text{var}_s(\bar d_{s\cdot})}{S} + \frac{\text{var}_i(\bar d_{\cdot i})}{n} -
# \frac{\text{var}(\text{rest})}{S\,n}$$

# %%
order = predict('"MNISTCNN", "MLP", "SmallMLP": best first?', ("MNISTCNN", "MLP", "SmallMLP"))
wider = predict("Seeds alone, or seeds and images: which interval is wider?", "seeds and images")


# %%
def correct(name, seed):
    """(n,) whether each test image is labelled right by the network of this seed."""
    network = start(name, "torch", seed)
    train(network, some, seed, EPOCHS)
    with torch.no_grad():
        return (network(test_set[0]).argmax(dim=1) == test_set[1]).numpy()


SEEDS = 2 if SMALL else 3
some = dataclasses.replace(digits, train_images=images[:4500], train_labels=labels[:4500])
labelled: dict[str, np.ndarray] = {}
for name in ("MNISTCNN", "MLP", "SmallMLP"):
    labelled[name] = np.array([correct(name, seed) for seed in range(SEEDS)])  # (S, n)
    print(
        f"{name:9}", " ".join(f"{100 * share:.2f}" for share in labelled[name].mean(axis=1)), "%", flush=True
    )

widths = []
for other in ("MLP", "SmallMLP"):
    d = labelled["MNISTCNN"].astype(float) - labelled[other]
    by_seed, by_image = d.mean(axis=1), d.mean(axis=0)
    rest = d - by_seed[:, None] - by_image + d.mean()
    of_seeds, of_images = by_seed.var(ddof=1) / len(d), by_image.var(ddof=1) / d.shape[1]
    of_rest = (rest**2).sum() / ((len(d) - 1) * (d.shape[1] - 1)) / d.size
    errors = 100 * np.sqrt([of_seeds, max(of_seeds + of_images - of_rest, of_seeds, of_images)])
    widths.append(errors)
    print(f"MNISTCNN - {other}: {100 * d.mean():+.2f} points, standard error", end=" ")
    print(f"{errors[0]:.2f} of the seeds, {errors[1]:.2f} of seeds and images")
ranked = tuple(sorted(labelled, key=lambda name: -labelled[name].mean()))
order.reveal(ranked, measured=True)
wider.reveal("seeds and images" if all(a < b for a, b in widths) else "seeds alone")
if ranked[0] != "MNISTCNN":
    print(
        f"On {digits.name}, {len(some.train_images):,} images, the CNN is not ahead. The chapter says it is,"
    )
    print("and speaks of all 60,000 images of MNIST: on the small embedded digits the MLP is better.")

# %% [markdown]
# Say what you measured: on which data, how many images, how many seeds, how many comparisons.
#
# ## Your turn: exercises 31.1 and 31.4
#
# 1. **31.1.** Put `Conv2d(32, 64, 3)`, a ReLU and a max pooling in front of the last layer, with PyTorch:
#    layers `conv1`, `conv2`, `conv3`, `fc`. On paper: what comes out of the convolution, what of the pooling?
# 2. **31.4.** `count_parameters(model)` prints name, shape and size of every parameter of any PyTorch model
#    and returns the total.

# %%
third = predict("By how many parameters does the third convolution change the total of 12,810?", 11_136)


# %%
def third_convolution():  # -> nn.Module
    # solution
    layers = {
        "conv1": nn.Conv2d(1, 16, 3),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(2),
        "conv2": nn.Conv2d(16, 32, 3),
        "relu2": nn.ReLU(),
        "pool2": nn.MaxPool2d(2),
        "conv3": nn.Conv2d(32, 64, 3),
        "relu3": nn.ReLU(),
        "pool3": nn.MaxPool2d(2),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(64, 10),
    }
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model
    # end


def count_parameters(model):
    total = 0
    # solution
    for name, parameter in model.named_parameters():
        print(f"{name:14} {tuple(parameter.shape)!s:18} {parameter.numel():,}")
        total += parameter.numel()
    # end
    return total


check(third_convolution)
check(count_parameters)
# hint()

# %%
third.reveal(tn.count_parameters(start("ThirdConvolution", "numpy", 0)) - tn.count_parameters(model))

# %% [markdown]
# Whether it helps takes seeds, not one run: `python -m examples.exercises 31.1`. And efficient with *weights*
# is not efficient with *work*: `python -m examples.exercises 31.4` counts how often each weight is used.

# %%
score()
