# %% [markdown]
# # 1. Why convolve?
#
# The chapter says that a CNN beats an MLP with fewer parameters because it uses the spatial structure of
# images: it looks at neighbours (*locality*), with the same weights everywhere (*weight sharing*). This
# lesson counts what both save, and then takes the spatial structure away.
#
# **How the lessons work.** A question stands in a cell `predict("...", ...)`: put your answer in place of the
# last `...` and run it *before* you go on; `.reveal` then shows the truth and scores it. Where a cell says
# `raise NotImplementedError  # your code here`, write the missing lines. `check` says whether they are right;
# if not, take the `#` away from `# hint()`: it says where they are wrong and, run again, why. `score()` at
# the end counts. If you leave something open, the lesson goes on without it.
#
# *Chapters 21 and 31.2. Programs: `examples/compare_mlp.py`.*

# %%
import dataclasses

import numpy as np

import tinycnn_numpy as tn
from examples.common.data import MEAN, STD
from examples.common.figures import image_grid
from examples.common.models import start
from examples.common.statistics import paired
from examples.common.training import train
from examples.lessons.classroom import SMALL, dataset, show
from examples.lessons.marking import check, hint, predict, score, usable

# %% [markdown]
# ## Three ways from an image to sixteen maps
#
# An image of 28 x 28 pixels, one channel. From it make 16 maps of 26 x 26 numbers, as conv1 of the chapter
# does. Three layers can do that:
#
# - **dense**: every number of every map reads every pixel, each with a weight of its own;
# - **locally connected**: every number reads its own 3 x 3 window, still with weights of its own;
# - **shared**: every number of one map reads its window with the *same* nine weights. That is a convolution.
#
# How many weights has each, biases left out?

# %%
dense = predict("Weights of the dense layer, 784 -> 16 x 26 x 26?", 8_479_744)
local = predict("Of the locally connected layer?", 97_344)
shared = predict("Of the convolution?", 144)


# %%
def weight_counts(H, W, K, F):  # one channel of H x W, F filters of K x K -> dense, local, shared
    # solution
    places = (H - K + 1) * (W - K + 1)
    return H * W * F * places, F * places * K * K, F * K * K
    # end


check(weight_counts)
# hint()

# %%
counts = usable(weight_counts)(28, 28, 3, 16)
for prediction, count in zip((dense, local, shared), counts, strict=True):
    prediction.reveal(count)
conv = tn.Conv2D(1, 16, kernel_size=3, bias=False, rng=np.random.default_rng(0))
assert conv.weight.size == counts[2]
print(f"locality saves a factor of {counts[0] / counts[1]:.0f}, sharing another {counts[1] / counts[2]:.0f}")

# %% [markdown]
# In the network of the chapter the saving is not where you may look for it: its last layer shares nothing.

# %%
last = predict("How many of MNISTCNN's 12,810 parameters are in the dense layer fc?", 8_010)

# %%
model = start("MNISTCNN", "numpy", 0)
last.reveal(tn.count_parameters(model.fc))
print(f"conv1 {tn.count_parameters(model.conv1)}, conv2 {tn.count_parameters(model.conv2):,}")

# %% [markdown]
# ## Without the spatial structure
#
# Shuffle the pixels of all images in *one* fixed order. Nothing is lost: the same 784 numbers, at other
# places. A person can no longer read the digits. Which network can?

# %%
digits = dataset(most=4500)  # of MNIST; the embedded digits are fewer anyway
order = np.random.default_rng(0).permutation(28 * 28)


def shuffled(images):  # (M, 1, 28, 28)
    return images.reshape(-1, 28 * 28)[:, order].reshape(-1, 1, 28, 28)


permuted = dataclasses.replace(
    digits,
    train_images=shuffled(digits.train_images),
    test_images=shuffled(digits.test_images),
)
pixels = np.concatenate([d.test_images[:5, 0] for d in (digits, permuted)]) * STD + MEAN
title = f"Five images of {digits.name}, and the same with shuffled pixels"
picture = image_grid(pixels, 5, title, name="image", unit="brightness", rows=["as they are", "shuffled"])
show(picture, "five digits above, five clouds of grey pixels below")

# %% [markdown]
# Say "none" for less than 1 point of accuracy, "many" for 3 points or more, "some" in between.

# %%
mlp_loses = predict("How many points does the MLP lose: none, some or many?", "none")
cnn_loses = predict("How many points does the CNN lose: none, some or many?", "many")

# %%
SEEDS, EPOCHS = (2, 2) if SMALL else (3, 3)
accuracy: dict[tuple[str, str], list[float]] = {}
for name in ("MLP", "MNISTCNN"):
    for kind, images in (("as they are", digits), ("shuffled", permuted)):
        for seed in range(SEEDS):
            log = train(start(name, "torch", seed), images, seed, EPOCHS)
            accuracy.setdefault((name, kind), []).append(log[-1]["test_accuracy"])
        print(f"{name:9} {kind:12}", " ".join(f"{a:6.2f}" for a in accuracy[name, kind]), "%")

loss = {n: paired(accuracy[n, "as they are"], accuracy[n, "shuffled"]) for n in ("MLP", "MNISTCNN")}
for name, difference in loss.items():
    print(f"{name} loses {difference}")


def in_words(difference):
    return "many" if difference.mean >= 3 else "some" if difference.mean >= 1 else "none"


mlp_loses.reveal(in_words(loss["MLP"]), measured=True)
cnn_loses.reveal(in_words(loss["MNISTCNN"]), measured=True)

# %% [markdown]
# For the MLP a permutation of the pixels is a permutation of the columns of its first weight matrix, and they
# started at random anyway: what it loses is what another seed would change. A convolution looks for patterns
# of *neighbours*, and there are none any more. So the chapter's "because" is right in this sense: take the
# spatial structure away, and the advantage of the CNN goes with it.

# %%
ahead = {k: paired(accuracy["MNISTCNN", k], accuracy["MLP", k]) for k in ("as they are", "shuffled")}
for kind, difference in ahead.items():
    print(f"{kind}: the CNN is ahead by {difference.mean:+.2f} +- {difference.error:.2f} points")
if digits.name == "digits":
    print("These are the embedded digits: so few and so small that here the MLP may be ahead of the CNN")
    print("even as they are. That contradicts the chapter, which speaks of MNIST: run it there (DATA_DIR).")

# %% [markdown]
# ## A shared weight learns everywhere
#
# A weight of a convolution is used at 676 places of every image and learns from all of them.

# %%
uses = predict("How often does conv1 use one of its weights for one image?", 676)

# %%
uses.reveal(int(np.prod(model.conv1(digits.test_images[:1]).shape[2:])))

# %%
score()
