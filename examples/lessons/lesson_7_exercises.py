# %% [markdown]
# # 7. Exercises
#
# The chapter's exercises 31.1 to 31.4, and two that it does not have: write a layer, and find a bug that
# somebody really made. Each has a question, a cell to fill in, a hint that stays shut until you open it,
# and a line that tells you whether you are right. Nothing is checked against a text: your code is run.
#
# An empty answer is fine: the notebook runs from top to bottom as it is.
#
# *The solutions as programs: `python -m examples.exercises 31.1` (or 31.2, 31.3, 31.4), and
# `python -m examples.museum --solution HeightPaddingForWidth`.*

# %%
import tempfile
from pathlib import Path

import numpy as np
from torch import nn

import parity
import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.figures import image_grid
from examples.common.models import start
from examples.common.training import train
from examples.exercises.answers import wrong
from examples.exercises.average_pooling import MEANINGS, after_one_epoch
from examples.exercises.parameters import work_table
from examples.experiments.compare_mlp import compare
from examples.experiments.features import feature_maps
from examples.experiments.shapes import trace
from examples.lessons.classroom import SMALL, dataset, show
from examples.museum.exercise import exercise
from examples.museum.matrix import exhibit_of

digits = dataset(most=6000)  # of MNIST; the embedded digits are fewer anyway
SEEDS, EPOCHS = (2, 1) if SMALL else (3, 3)


def verdict(number, answer):
    """What is wrong with an answer, or that it is right."""
    if answer is None:
        return f"{number}: not answered yet"
    return f"{number}: {wrong(number, answer) or 'right'}"


# %% [markdown]
# ## Warm-up: a layer of your own
#
# Write `forward` and `backward` of a ReLU. What `backward` needs, `forward` must keep in `self.cache`.
#
# $$\text{out} = \max(x, 0) \qquad \text{dx} = \text{dout} \cdot [x > 0]$$
#
# <details><summary>Hint</summary>
#
# `x > 0` is an array of booleans; multiplied by a float array it counts as 0 and 1. What happens where $x$ is
# exactly 0? Look at the formula, not at your feeling.
# </details>


# %% tags=["exercise"]
class ReLU(tn.Layer):
    def forward(self, x):
        raise NotImplementedError  # your code here

    def backward(self, dout):
        raise NotImplementedError  # your code here


print(parity.check(ReLU))

# %% [markdown]
# `python -m parity template > student.py` writes such a beginning for every layer, loss and optimiser of the
# library, with its formulas; `python -m parity check student.py` examines the file.
#
# ## Exercise 31.1: a third convolution
#
# Put `Conv2d(32, 64, 3)`, a ReLU and a max pooling in front of the last layer. **First on paper:** 32 x 5 x
# 5 comes in. What comes out of the convolution, what of the pooling? How many inputs has `fc`, and by how
# many does the number of parameters change? (It does not grow by as much as you may think.)
#
# <details><summary>Hint</summary>
#
# A 3 x 3 filter fits into 5 rows in 3 places. Pooling 3 rows in steps of 2 has room for one window.
# </details>
#
# <details><summary>The numbers</summary>
#
# 64 x 3 x 3, then 64 x 1 x 1. `fc` has 64 inputs. conv3 brings 64 x 32 x 9 + 64 = 18,496 parameters, `fc`
# shrinks from 8,010 to 650: in total 23,946 instead of 12,810, a difference of 11,136.
# </details>

# %% tags=["exercise"]
# Your code here: a model with layers conv1, conv2, conv3 and fc, in place of None
answer_1: nn.Module | None = None
print(verdict("31.1", answer_1))

# %% [markdown]
# Does it help? One run cannot tell; lesson 4 said why. **Predict,** then let both networks start from the
# same seeds:

# %%
with tempfile.TemporaryDirectory() as folder:
    results = Path(folder, "seeds.jsonl")
    found = compare(["MNISTCNN", "ThirdConvolution"], digits, "torch", SEEDS, EPOCHS, results)
print(found)
print("ThirdConvolution - MNISTCNN:", found.difference("ThirdConvolution", "MNISTCNN"))

# %% [markdown]
# ## Exercise 31.2: average pooling
#
# Replace both max poolings by average poolings, and compare. **Predict:** what does each pooling do to a
# map that is 0 nearly everywhere and 1 at one place? Which of the two changes less when the image moves by
# one pixel?

# %% tags=["exercise"]
# Your code here: MNISTCNN with nn.AvgPool2d; layers conv1, conv2 and fc
answer_2: nn.Module | None = None
print(verdict("31.2", answer_2))

# %% [markdown]
# Accuracy alone says little about *why*. So look at what the poolings do, in both networks, after one epoch:

# %%
rows = {name: after_one_epoch(name, digits) for name in ("MNISTCNN", "AveragePooling")}
print(f"{'':56}{'max':>8}{'average':>10}")
for name, meaning in MEANINGS.items():
    print(f"{meaning:56}{getattr(rows['MNISTCNN'], name):8.2f}{getattr(rows['AveragePooling'], name):10.2f}")

# %% [markdown]
# ## Exercise 31.3: the maps behind conv2
#
# Take a trained network and the first test digit, and compute the 32 maps of 11 x 11 behind conv2 and its
# ReLU, as an array (32, 11, 11). Draw them in a grid of 4 x 8.
#
# <details><summary>Hint</summary>
#
# The stages have names: `model.conv1(x)`, `model.relu1(...)`, `model.pool1(...)` and so on. A batch of one
# image is `image[None]`; `detach().numpy()` leads from PyTorch to NumPy, and `maps[0]` takes the one image
# out again.
# </details>

# %% tags=["exercise"]
model = start("MNISTCNN", "torch", 0)
log = train(model, digits, seed=0, epochs=EPOCHS)
image = digits.test_images[0]
# Your code here: the maps, (32, 11, 11)
answer_3: np.ndarray | None = None

maps = feature_maps(model, image)["relu2"]
if answer_3 is None:
    print("31.3: not answered yet")
else:
    same = answer_3.shape == maps.shape and np.allclose(answer_3, maps, atol=1e-5)
    print("31.3: right" if same else f"31.3: expected {maps.shape}, and other numbers; is the ReLU in?")
shown = image[0], f"a {digits.test_labels[0]}"
picture = image_grid(maps, 8, "Behind conv2 and ReLU", name="map", unit="activation", beside=shown)
show(picture, "thirty-two maps of 11 x 11 in four rows of eight")

# %% [markdown]
# "More abstract"? Lesson 5 has a number for one meaning of the word.
#
# ## Exercise 31.4: count the parameters
#
# Write `count_parameters(model)`: it prints name, shape and size of every parameter and returns the total.
# It must work for any model. Then: which is more parameter-efficient, the MLP or the CNN, and what does
# that mean?


# %% tags=["exercise"]
def count_parameters(model):
    return None  # your code here


answered = count_parameters(tt.TinyCNN()) is not None
print(verdict("31.4", count_parameters if answered else None))

# %% [markdown]
# Efficient with *weights* is not efficient with *work*. How often is each weight used for one image?
#
# **Predict:** a weight of a dense layer, and a weight of conv1.

# %%
print(f"{'model':10}{'stage':7}{'weights':>8}{'uses of each':>14}{'multiply-adds':>15}")
for name in ("MLP", "SmallMLP", "MNISTCNN"):
    print(work_table(name, trace(start(name, "numpy", 0))), end="\n\n")

# %% [markdown]
# Sharing is the price and the point: a filter's nine weights are used in 676 places, so they are few, and
# they learn from 676 places of every image.
#
# ## Find the bug
#
# This convolution is modelled on one of a public repository (renmengye/np-conv2d#2). It trains the chapter's
# networks without a fault. Read it first, and **predict** in which situation it fails.

# %%
text = exercise(exhibit_of("HeightPaddingForWidth"))
print(text)

# %%
namespace: dict = {}
exec(text, namespace)  # as if the class stood in a cell
checkup = parity.check(namespace["Conv2D"])
print(checkup.table())
picture = parity.heat_map(checkup)
assert picture is not None
show(picture, "nearly all entries of dx are wrong: it is shifted by some columns")

# %% [markdown]
# Which rows are wrong, and what have they in common? Copy the class into the cell below, mend it, and check
# again.
#
# <details><summary>Hint</summary>
#
# Only `dx` is wrong, and only where the two paddings differ. Which line uses a padding twice?
# </details>


# %% tags=["exercise"]
class Conv2D(tn.Conv2D):
    def backward(self, dout):
        raise NotImplementedError  # your code here: the method from above, mended


print(parity.check(Conv2D).summary())

# %% [markdown]
# There are more than a hundred such bugs: `python -m examples.museum` lists them, `--exercise 44` prints
# one to mend, `--solution 44` tells.
