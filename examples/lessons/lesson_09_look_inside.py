# %% [markdown]
# # 9. Look inside
#
# What has the network learned? Its first layer can be looked at: sixteen filters of nine numbers. The chapter
# looks and sees edge detectors, and says that the network has discovered the *optimal* first step. Both are
# statements about numbers, so both can be tested, and you will.
#
# Then: what the two layers make of a digit, and whether a body that knows some digits is of use for others.
#
# *Chapters 31.3 and 31.4. Programs: `examples/features.py`, `edges.py`, `zoo.py`, `transfer.py`.*

# %%
import inspect

import numpy as np
import torch
from torch import nn

from examples.common.figures import image_grid
from examples.common.models import start
from examples.common.statistics import paired
from examples.common.training import train
from examples.exercises.second_layer_maps import class_shares
from examples.experiments import edges, transfer, zoo
from examples.experiments.features import both_in_float64, feature_maps, largest_difference
from examples.lessons.classroom import SMALL, dataset, matrices, show
from examples.lessons.marking import check, hint, predict, score, usable

digits = dataset(most=3000)  # of MNIST; the embedded digits are fewer anyway
SEEDS, EPOCHS = (2, 2) if SMALL else (3, 3)

# %% [markdown]
# ## Look at the filters
#
# Filters start as random numbers.

# %%
moved = predict("How far does training move conv1's weights, as a share of their length: 0.1, 0.5 or 2?", 0.5)

# %%
before, models = [], []
for seed in range(SEEDS):
    model = start("MNISTCNN", "torch", seed)
    before.append(edges.first_filters(model))
    log = train(model, digits, seed, EPOCHS)
    models.append(model)
    print(f"seed {seed}: test accuracy {log[-1]['test_accuracy']:.2f} %")
learned = [edges.first_filters(model) for model in models]
share = np.linalg.norm(learned[0] - before[0]) / np.linalg.norm(before[0])
moved.reveal(min((0.1, 0.5, 2), key=lambda value: abs(np.log(share / value))), measured=True)
print(f"it is {share:.2f} with seed 0")

both = np.concatenate([before[0][:8], learned[0][:8]])
title = "The first 8 filters of conv1, seed 0"
picture = image_grid(both, 8, title, name="filter", unit="weight", rows=["untrained", "trained"])
show(picture, "two rows of 3 x 3 filters, before and after training: much of the start is left")

# %% [markdown]
# Do you see edges below? Now cover the row labels and look at the upper row. Eyes find patterns in nine
# random numbers too. So say what an edge detector *is*, and count.
#
# ## How much of a filter is an edge?
#
# Sobel's filter $s$ answers to a step from left to right, its transpose $s^T$ to one from top to bottom. A
# step at the angle $\alpha$ has the filter $\cos\alpha \cdot s + \sin\alpha \cdot s^T$. All of them
# together are a *plane* in the space of nine numbers. With $P$ the projection on that plane, call
#
# $$\text{share}(w) = \frac{|P w|^2}{|w|^2}$$
#
# the part of a filter that is an edge: 1 if it is nothing else, 0 if it has nothing of one.
#
# %%
sobel = predict("The share of Sobel turned by 30 degrees?", 1)
blur = predict("Of a blur, nine equal numbers?", 0)
prewitt = predict("Of Prewitt's filter, the one of lesson 2: below 0.5, or above?", "above")

# %%
angle = np.pi / 6
candidates = {
    "Sobel, 30 degrees": np.cos(angle) * edges.SOBEL + np.sin(angle) * edges.SOBEL.T,
    "Prewitt": edges.PREWITT,
    "blur": np.ones((3, 3)),
    "line": np.array([[-1, 2, -1]] * 3),
}
show(matrices(candidates, "Four filters"), "four 3 x 3 filters with their numbers")
for name, filter_ in candidates.items():
    print(f"{name:18} share {edges.edge_share(filter_[None])[0]:.3f}")
shares = {name: float(edges.edge_share(filter_[None])[0].round(9)) for name, filter_ in candidates.items()}
sobel.reveal(shares["Sobel, 30 degrees"])
blur.reveal(shares["blur"])
prewitt.reveal("above" if shares["Prewitt"] > 0.5 else "below")

# %% [markdown]
# ## What is it by chance?
#
# A share of 0.3 means nothing until you know what random filters have. Let the nine weights be independent,
# all from one distribution that is symmetric about 0. Then no direction among the nine is preferred in the
# mean:
# $E\big[w w^T / |w|^2\big]$ is the unit matrix divided by 9. So
#
# $$E[\text{share}] = \text{trace}(P) / 9 = 2 / 9,$$
#
# for the plane has two dimensions. So a filter of pure noise has a share of edge as well.

# %%
by_noise = predict("The mean share of edge in filters of pure noise?", 0.222)

# %%
noise = np.random.default_rng(5).uniform(-1, 1, (20_000, 3, 3))
print(f"uniform noise: {edges.edge_share(noise).mean():.4f}; 2/9 = {2 / 9:.4f}")
print(f"shares of single filters reach from {edges.edge_share(noise).min():.2f} to", end=" ")
print(f"{edges.edge_share(noise).max():.2f}")
by_noise.reveal(float(edges.edge_share(noise).mean()), factor=1.05)

# %% [markdown]
# ## Trained against untrained
#
# So the fair question is not "do we see edges?" but "more than in networks that learned nothing?". The
# sixteen filters of a network are not independent of each other, so whole networks are compared: $p$ says
# how often the mean share of as many untrained networks reaches that of the trained ones.
#
# One may define an edge more widely: *odd* filters change their sign when they are turned by 180 degrees
# (four dimensions, Sobel and Prewitt among them); or the mean of a filter, which no edge has, may be taken
# off first. The table has these too. **Beware:** look at five definitions, and one of them may be below
# 0.05 by chance.

# %%
lines = predict("A line (a dark row between bright ones): what is its share of edge?", 0)
more = predict("Trained filters have more edge than untrained ones (p < 0.05): yes or no?", "yes")

# %%
null = edges.untrained_filters(200 if SMALL else 1000)
rows = edges.share_rows(np.array(before), np.array(learned), null)
print("share of the energy of the filters in         chance  untrained  trained       p")
for row in rows:
    chance = "-" if np.isnan(row.chance) else f"{row.chance:.3f}"
    means = f"{row.untrained.mean():9.3f}  {row.trained.mean():7.3f}  {row.p:6.3f}"
    print(f"{row.name:45} {chance:>6}  {means}")
print(edges.edge_verdict(rows[0]))
lines.reveal(shares["line"])
more.reveal("yes" if rows[0].p < 0.05 else "no", measured=True)

# Are lines as frequent? They span two dimensions as well, and have nothing in common with an edge.
LINES = edges.orthonormal([candidates["line"], candidates["line"].T])
for name, filters in (("untrained", null.reshape(-1, 3, 3)), ("trained", np.reshape(learned, (-1, 3, 3)))):
    spans = edges.edge_share(filters).mean(), edges.edge_share(filters, LINES).mean()
    print(f"{name:9} edges {spans[0]:.3f}, lines {spans[1]:.3f}; by chance each has {2 / 9:.3f}")

# %% [markdown]
# ## Are edges optimal?
#
# If edges are the best first step, then a network whose first layer *is* sixteen edges at sixteen angles,
# fixed for good, must beat one whose first layer is fixed at random, and also one with the learned filters.
# All else is trained as before; all three have filters of the same lengths.
#
# %%
fixed = predict("Fixed edges against random ones: better, worse, or not shown?", "not shown")

# %%
accuracies = edges.fixed_accuracies(digits, learned, epochs=EPOCHS)
for kind, values in accuracies.items():
    by_seed = ", ".join(f"{value:.2f}" for value in values)
    print(f"first filters {kind:8} {values.mean():6.2f} %  (seed by seed: {by_seed})")
print(edges.optimum_verdict(accuracies))
kinds = list(accuracies)
gain = paired(accuracies["edges"], accuracies["random"])
fixed.reveal({1: "better", 0: "not shown", -1: "worse"}[gain.winner], measured=True)
title = f"First filters of MNISTCNN on {digits.name}, {SEEDS} seeds"
show(
    edges.picture(rows[0], accuracies, title),
    "left: edge shares of filters; right: accuracy by kind of filters",
)

# %% [markdown]
# Keep apart what was shown and what was not. With few seeds and few images an interval is wide, and "no
# difference shown" is not "no difference". But "has discovered edge detection as the optimal step" would
# need *both* halves to come out clearly. `python -m examples.edges` measures more, with more seeds.
#
# ## Feature maps
#
# Run one digit through the trained network and look at what each filter answers. A bright spot in a map
# says: here is what I am looking for. After the ReLU there is no "the opposite is here". (The
# last line carries the weights over to the other side, and compares all maps.)

# %%
image, label = digits.test_images[0], digits.test_labels[0]
maps = feature_maps(models[0], image)
shown = image[0], f"a {label}\n28 x 28 pixels"
for stage, title, alt in (
    ("relu1", "Behind conv1 and ReLU: 16 maps of 26 x 26", "maps in which the digit is still to be seen"),
    ("relu2", "Behind conv2 and ReLU: 32 maps of 11 x 11", "coarse maps with a few bright places each"),
):
    show(image_grid(maps[stage], 8, title, name="map", unit="activation", beside=shown), alt)
silent = int((maps["relu2"].max(axis=(1, 2)) == 0).sum())
print(f"{silent} of the 32 maps are 0 everywhere for this digit")

ours, theirs = (feature_maps(side, image) for side in both_in_float64(models[0]))
print(f"NumPy and PyTorch, float64, all stages: within {largest_difference(ours, theirs):.0e} of the largest")
assert largest_difference(ours, theirs) < 1e-12

# %% [markdown]
# ## Why a filter is enough for the whole image
#
# A convolution does the same everywhere. So a digit that moves makes maps that move. That is *equivariance*.

# %%
two = predict("The digit moves by 2 pixels. By how many places do the maps of conv1 move?", 2)
one = predict("It moves by 1 pixel. Do the maps behind pool1 just move as a whole, yes or no?", "no")

# %%
for pixels in (1, 2):
    moved = np.full_like(image, image.min())
    moved[..., pixels:] = image[..., :-pixels]
    after = feature_maps(models[0], moved)
    same_conv = np.abs(after["relu1"][..., pixels:] - maps["relu1"][..., :-pixels]).max()
    if pixels == 2:
        two.reveal(2 if same_conv < 1e-5 * maps["relu1"].max() else "another number")
    pooled = after["pool1"][..., 1:] - maps["pool1"][..., :-1]
    print(f"moved by {pixels}: conv1 moved by {pixels}, difference {same_conv:.0e};", end=" ")
    print(f"pool1 moved by one place, largest difference {np.abs(pooled[..., 1:]).max():.2f}")
    if pixels == 1:
        still = np.abs(after["pool1"] - maps["pool1"]).max()
        one.reveal("no" if min(still, np.abs(pooled[..., 1:]).max()) > 1e-5 * maps["pool1"].max() else "yes")

# %% [markdown]
# The convolution moves with the image, to the last bits. Pooling in steps of 2 follows a step of 2 and cannot
# follow a step of 1: its windows cut the image in another way.
#
# ## How much of the image does one number see?
#
# A number behind conv1 sees 3 x 3 pixels. Behind pool1 it sees two such windows, one pixel apart; behind
# conv2 three such numbers, but now a step is two pixels. Write it for any row of layers: start with one
# pixel; a kernel of $K$ adds $K - 1$ steps, and a step is the product of all strides *before* this layer.

# %%
field = predict("How many pixels to a side does a number behind pool2 see?", 10)


# %%
def receptive_field(layers):  # [(kernel, stride), ...] from the image on -> pixels to a side
    # solution
    size, step = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * step
        step *= stride
    return size
    # end


check(receptive_field)
# hint()

# %%
field.reveal(usable(receptive_field)([(3, 1), (2, 2), (3, 1), (2, 2)]))

# Measured: which pixels move one number behind pool2?
pixels_in = torch.zeros(1, 1, 28, 28, requires_grad=True)
smooth = nn.Sequential(nn.Conv2d(1, 1, 3), nn.AvgPool2d(2), nn.Conv2d(1, 1, 3), nn.AvgPool2d(2))
smooth(pixels_in)[0, 0, 2, 2].backward()
assert pixels_in.grad is not None
rows_seen, columns_seen = (pixels_in.grad[0, 0] != 0).nonzero(as_tuple=True)
print("measured:", len(set(rows_seen.tolist())), "x", len(set(columns_seen.tolist())), "pixels")

# %% [markdown]
# ## Are later maps "more abstract"?
#
# A word that is easily said over a picture. Here is one thing that it may mean and that can be counted: how
# much the mean of a map knows of the class, as the share of its variance over all test images that lies
# *between* the classes. 0 %: the map says nothing about the class; 100 %: it says it all.

# %%
for name, network in (("untrained", start("MNISTCNN", "torch", 0)), ("trained", models[0])):
    of_stages = class_shares(network, digits).items()
    print(
        f"{name:9}",
        ", ".join(f"{share:.0f} % in {stage}" for stage, share in of_stages),
        "(median of the maps)",
    )

# %% [markdown]
# ## Features that travel
#
# If what the body has learned is about *digits* and not about *these* digits, it should be of use for
# others. That is transfer learning: keep the body, replace the head. Here the body learns 0 to 4; a new
# head must tell 5 to 9 apart, from few labelled images. In either library this is short:

# %%
for replace in (transfer.replace_head, transfer.replace_head_by_hand):
    print(inspect.getsource(replace))

# %% [markdown]
# The honest rival is not "nothing" but the same network from scratch, on the same few images, for as many
# steps. And, now that you know how much a random filter can do, a frozen *untrained* body.
#
# %%
few = predict("5 images of each new digit: which of the four ways is best?", "whole network")

# %%
sizes, steps = ([5, 50], 20) if SMALL else ([5, 50], 60)
bodies = []
for seed in range(SEEDS):
    body, accuracy = transfer.train_body(digits, seed, steps)
    bodies.append(body)
    print(f"body of seed {seed}: {accuracy:.1f} % on the digits 0 to 4")
results = transfer.transfer_accuracies(bodies, digits, sizes, steps)
for way in transfer.WAYS:
    if way != "from scratch":
        print(transfer.verdict(results, sizes, way))
few.reveal(max(results, key=lambda way: results[way][0].mean()), measured=True)
title = f"New digits 5 to 9 after learning 0 to 4 ({digits.name}): mean and std of {SEEDS} seeds"
show(
    transfer.picture(results, sizes, title), "accuracy grows with the number of labelled images, in four ways"
)

# %% [markdown]
# ## The large ones
#
# The chapter ends with networks pretrained on millions of photographs. Their sizes can be counted without
# downloading anything: on PyTorch's *meta* device a tensor has a shape and no memory. Do the printed
# numbers hold?

# %%
for name, printed in zoo.PRINTED_LIST.items():
    counted = zoo.count(zoo.meta_model(name))
    print(f"{name:16} {counted:>12,} parameters; the chapter: {zoo.count_verdict(printed, counted)}")
    if name in zoo.PRINTED_TABLE:
        *_, top1 = zoo.PRINTED_TABLE[name]
        print(f"{'':16} top-1 {top1} % in the chapter {zoo.top1_verdict(top1, zoo.published(name))}")

# %% [markdown]
# A model has no single accuracy: weights come from recipes, and recipes got better. A table should say which.
#
# ## Your turn: exercises 31.2 and 31.3
#
# 1. **31.2.** MNISTCNN with average pooling, with PyTorch; layers `conv1`, `conv2` and `fc`. An average
#    pooling is a fixed convolution with a stride: four equal weights. A max pooling chooses.
# 2. **31.3.** The 32 maps behind conv2 and its ReLU, for one image (1, 28, 28): an array (32, 11, 11).
#    The stages have names: `model.conv1(x)` and so on.

# %%
sparse = predict(
    "A map is 4 at one pixel and 0 elsewhere. What does a 2 x 2 average pooling make of the 4?", 1
)


# %%
def average_pooling():  # -> nn.Module
    # solution
    layers = {
        "conv1": nn.Conv2d(1, 16, 3),
        "relu1": nn.ReLU(),
        "pool1": nn.AvgPool2d(2),
        "conv2": nn.Conv2d(16, 32, 3),
        "relu2": nn.ReLU(),
        "pool2": nn.AvgPool2d(2),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(800, 10),
    }
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model
    # end


def maps_behind_conv2(model, image):
    # solution
    x = torch.from_numpy(image)[None]
    with torch.no_grad():
        for name in ("conv1", "relu1", "pool1", "conv2", "relu2"):
            x = getattr(model, name)(x)
    return x[0].numpy()
    # end


check(average_pooling)
check(maps_behind_conv2)
# hint()

# %%
spot = torch.zeros(1, 1, 4, 4)
spot[0, 0, 1, 2] = 4
sparse.reveal(float(nn.AvgPool2d(2)(spot).max()))
print("max pooling makes of it", float(nn.MaxPool2d(2)(spot).max()))

# %%
score()
