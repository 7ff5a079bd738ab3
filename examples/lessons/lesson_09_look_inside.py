# %% [markdown]
# # 5. Filters and features
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

from examples.common.figures import image_grid
from examples.common.models import start
from examples.common.training import train
from examples.exercises.second_layer_maps import class_shares
from examples.experiments import edges, transfer, zoo
from examples.experiments.features import both_in_float64, feature_maps, largest_difference
from examples.lessons.classroom import SMALL, dataset, matrices, show

digits = dataset(most=6000)  # of MNIST; the embedded digits are fewer anyway
SEEDS, EPOCHS = (2, 2) if SMALL else (3, 5)

# %% [markdown]
# ## Look at the filters
#
# **Predict:** filters start as random numbers. How different will they look after training?

# %%
before, models = [], []
for seed in range(SEEDS):
    model = start("MNISTCNN", "torch", seed)
    before.append(edges.first_filters(model))
    log = train(model, digits, seed, EPOCHS)
    models.append(model)
    print(f"seed {seed}: test accuracy {log[-1]['test_accuracy']:.2f} %")
learned = [edges.first_filters(model) for model in models]

both = np.concatenate([before[0][:8], learned[0][:8]])
title = "The first 8 filters of conv1, seed 0"
picture = image_grid(both, 8, title, name="filter", unit="weight", rows=["untrained", "trained"])
show(picture, "two rows of 3 x 3 filters, before and after training; they differ little")

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
# **Predict** the share of Sobel turned by 30 degrees, of Prewitt's filter (the one of lesson 1), of a blur.

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
# for the plane has two dimensions. **A filter of pure noise is 22 % edge.** Check it:

# %%
noise = np.random.default_rng(5).uniform(-1, 1, (20_000, 3, 3))
print(f"uniform noise: {edges.edge_share(noise).mean():.4f}; 2/9 = {2 / 9:.4f}")
print(f"shares of single filters reach from {edges.edge_share(noise).min():.2f} to", end=" ")
print(f"{edges.edge_share(noise).max():.2f}")
assert abs(edges.edge_share(noise).mean() - 2 / 9) < 0.01

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
null = edges.untrained_filters(200 if SMALL else 2000)
rows = edges.share_rows(np.array(before), np.array(learned), null)
print("share of the energy of the filters in         chance  untrained  trained       p")
for row in rows:
    chance = "-" if np.isnan(row.chance) else f"{row.chance:.3f}"
    means = f"{row.untrained.mean():9.3f}  {row.trained.mean():7.3f}  {row.p:6.3f}"
    print(f"{row.name:45} {chance:>6}  {means}")
print(edges.edge_verdict(rows[0]))

# %% [markdown]
# ## Are edges optimal?
#
# If edges are the best first step, then a network whose first layer *is* sixteen edges at sixteen angles,
# fixed for good, must beat one whose first layer is fixed at random, and also one with the learned filters.
# All else is trained as before; all three have filters of the same lengths.
#
# **Predict** the order. How large will the differences be?

# %%
accuracies = edges.fixed_accuracies(digits, learned, epochs=EPOCHS)
for kind, values in accuracies.items():
    by_seed = ", ".join(f"{value:.2f}" for value in values)
    print(f"first filters {kind:8} {values.mean():6.2f} %  (seed by seed: {by_seed})")
print(edges.optimum_verdict(accuracies))
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
# A convolution does the same everywhere. So a digit that moves makes maps that move. **Predict:** the digit
# moves by two pixels to the right. By how much do the maps of conv1 move? Those behind pool1? And by one
# pixel?

# %%
for pixels in (1, 2):
    moved = np.full_like(image, image.min())
    moved[..., pixels:] = image[..., :-pixels]
    after = feature_maps(models[0], moved)
    same_conv = np.abs(after["relu1"][..., pixels:] - maps["relu1"][..., :-pixels]).max()
    pooled = after["pool1"][..., 1:] - maps["pool1"][..., :-1]
    print(f"moved by {pixels}: conv1 moved by {pixels}, difference {same_conv:.0e};", end=" ")
    print(f"pool1 moved by one place, largest difference {np.abs(pooled[..., 1:]).max():.2f}")

# %% [markdown]
# The convolution moves with the image, to the last bits. Pooling in steps of 2 follows a step of 2 and cannot
# follow a step of 1: its windows cut the image in another way.
#
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
# **Predict** the order of the four with 5 images of each new digit, and with 50.

# %%
sizes, steps = ([5, 50], 20) if SMALL else ([5, 20, 50], 150)
bodies = []
for seed in range(SEEDS):
    body, accuracy = transfer.train_body(digits, seed, steps)
    bodies.append(body)
    print(f"body of seed {seed}: {accuracy:.1f} % on the digits 0 to 4")
results = transfer.transfer_accuracies(bodies, digits, sizes, steps)
for way in transfer.WAYS:
    if way != "from scratch":
        print(transfer.verdict(results, sizes, way))
title = f"Digits 5 to 9 of {digits.name}: mean and std of {SEEDS} seeds"
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
# ## Your turn
#
# 1. Measure another property of the filters: are they *smoother* than untrained ones? Define it as a number
#    first, find what noise has, then look.
# 2. Train with average pooling (`start("AveragePooling", "torch", 0)`) and repeat the experiment with the
#    moved digit. What changes?
# 3. Which kind of image makes map 3 of `relu2` brightest? Find the test digit.
#
# <details><summary>Hint for 1</summary>
#
# For example the share of a filter that survives a projection on the constant filter, or on all filters
# that are straight ramps. The expected share of noise is again (dimensions) / 9.
# </details>

# %% tags=["exercise"]
CONSTANT = edges.orthonormal([np.ones((3, 3))])
print(
    "share of the mean, untrained filters:", edges.edge_share(null, CONSTANT).mean().round(3), "(chance: 1/9)"
)
# Your code here: and of the learned ones?
