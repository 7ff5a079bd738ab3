# %% [markdown]
# # 5. A network of your own layers
#
# Five layers in a row are a network. You put TinyCNN together, train it, and learn the two checks that every
# new network gets before it may have an afternoon of computing time: it must be able to learn a handful of
# images by heart, and its first loss must be what a network that knows nothing has. Then somebody plants a
# bug.
#
# If you have your own classes from lessons 3 and 4, paste them into the second cell: they are used from then
# on.
#
# *Chapters 23 to 25. In the library: `tinycnn_numpy/sequential.py`, `tinycnn_numpy/models.py`,
# `tinycnn_numpy/train.py`. Program: `examples/train_tinycnn.py`.*

# %%
import math

import numpy as np

import parity
import tinycnn_numpy as tn
from examples.common.figures import image_grid
from examples.experiments.train_tinycnn import line_patterns
from examples.lessons.classroom import SMALL, show
from examples.lessons.marking import check, hint, predict, score, usable
from tinycnn_numpy import plain

rng = np.random.default_rng(5)
images, labels = line_patterns(200, rng)  # 8 x 8 pixels, noise and one line: 0 horizontal, 1 vertical
picture = image_grid(images[:8, 0], 8, "Eight of 200 patterns", name="pattern", unit="brightness")
show(picture, "noisy 8 x 8 images, each with one bright horizontal or vertical line")

# %%
# Paste your own Conv2D, ReLU, MaxPool2D, Dense, CrossEntropyLoss and Adam here, in place of these:
Conv2D, ReLU, MaxPool2D, Dense = plain.Conv2D, tn.ReLU, plain.MaxPool2D, tn.Dense
CrossEntropyLoss, Adam = tn.CrossEntropyLoss, tn.Adam

# %% [markdown]
# ## Five stages
#
# TinyCNN: a convolution with 4 filters of 3 x 3, a ReLU, max pooling 2 x 2, flatten, and a dense layer with
# one logit for each of the two classes. The sizes of lesson 2 tell what flatten hands to the dense layer.
# Stages have names, and `tn.Sequential(conv=..., relu=..., pool=..., flatten=..., fc=...)` runs them in a
# row.

# %%
inputs = predict("How many numbers does flatten hand to the dense layer, for an 8 x 8 image?", 36)
total = predict("How many parameters has TinyCNN?", 114)


# %%
class TinyCNN(tn.Sequential):
    def __init__(self, *, rng, dtype=np.float32):
        # solution
        super().__init__(
            conv=Conv2D(1, 4, kernel_size=3, rng=rng, dtype=dtype),  # (N, 1, 8, 8) -> (N, 4, 6, 6)
            relu=ReLU(),
            pool=MaxPool2D(kernel_size=2),  # -> (N, 4, 3, 3)
            flatten=tn.Flatten(),  # -> (N, 36)
            fc=Dense(4 * 3 * 3, 2, rng=rng, dtype=dtype),  # -> (N, 2)
        )
        # end


check(TinyCNN)
# hint()

# %%
Network = usable(TinyCNN)
model = Network(rng=rng, dtype=np.float64)
inputs.reveal(model.fc.in_features)
total.reveal(tn.count_parameters(model))

# %% [markdown]
# ## Backpropagation is a loop
#
# The model's backward is the loop over its stages in reverse. Write it: start with `dout`, and hand to each
# stage's `backward` what the one behind it returned. (Training skips the `dx` of the first stage, for nobody
# asks for the gradient of the images: `backward_weights`.)


# %%
class Sequential(tn.Sequential):
    def backward(self, dout):
        # solution
        for layer in reversed(self.stages.values()):
            dout = layer.backward(dout)
        return dout
        # end


check(Sequential)
# hint()

# %% [markdown]
# ## The first loss
#
# Two classes, and a network that knows nothing.

# %%
first = predict("What is the loss of the untrained network, roughly?", 0.7)

# %%
loss_fn = CrossEntropyLoss()
first.reveal(float(loss_fn(model(images), labels)), factor=1.2)
print(f"log(2) = {math.log(2):.3f}")

# %% [markdown]
# A loss far from log(classes) says that the scale of the logits is wrong, or the number of classes, or that a
# sum stands where a mean belongs. It says nothing of labels that are shifted by one: a network that knows
# nothing is as surprised by wrong labels as by right ones.
#
# ## Twenty images by heart
#
# A network with 114 parameters can learn 20 images by heart. If it cannot, something is broken, and no amount
# of data will help. One training step is four lines:


# %%
def fit(model, images, labels, steps, lr=0.02):
    """The loss before each step; every step sees all images."""
    optimizer, losses = Adam(model.parameters(), lr=lr), []
    for _ in range(steps):
        losses.append(float(loss_fn(model(images), labels)))
        model.backward_weights(loss_fn.backward())
        optimizer.step()
    return losses


by_heart = predict("After 300 steps on 20 images: is the loss below 0.01?", "yes")

# %%
losses = fit(model, images[:20], labels[:20], 300)
by_heart.reveal("yes" if losses[-1] < 0.01 else "no")
print(
    f"loss {losses[0]:.3f} -> {losses[-1]:.4f}, accuracy {tn.evaluate(model, images[:20], labels[:20]):.0f} %"
)
print(f"and on the other 180 images: {tn.evaluate(model, images[20:], labels[20:]):.0f} %")

# %% [markdown]
# By heart is not understood: the other images tell. Now train on 150 of them, and keep 50 aside.

# %%
unseen = predict("Trained on 150 images: what accuracy on the 50 others, in percent?", 95)

# %%
model = Network(rng=rng, dtype=np.float64)
losses = fit(model, images[:150], labels[:150], 100 if SMALL else 300)
unseen.reveal(tn.evaluate(model, images[150:], labels[150:]), factor=1.1, measured=True)
filters = np.round(model.conv.weight[:, 0], 2)
picture = image_grid(filters, 4, "The four filters, trained", name="filter", unit="weight")
show(picture, "four 3 x 3 filters, some of them with a bright or dark row or column")

# %% [markdown]
# ## A planted bug
#
# What if a softmax is applied twice? The first loss does not see it: $\log 2$, as before. Learning by heart
# does: even with all the probability on the right class, the second softmax sees (1, 0) and not logits that
# may grow.

# %%
floor = predict(
    "Softmax twice, two classes, all probability on the right one: what is the least loss?", 0.313
)


# %%
class Twice(tn.CrossEntropyLoss):
    """The network's last stage is a softmax already; this is what the loss then is, forward and backward."""

    def forward(self, logits, labels):
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.probs = shifted / shifted.sum(axis=1, keepdims=True)
        return super().forward(self.probs, labels)

    def backward(self):
        dprobs, p = super().backward(), self.probs
        return p * (dprobs - (dprobs * p).sum(axis=1, keepdims=True))


loss_fn = Twice()
model = Network(rng=rng, dtype=np.float64)
losses = fit(model, images[:20], labels[:20], 300 if SMALL else 1000)
floor.reveal(losses[-1], factor=1.05)
print(f"log(1 + 1/e) = {math.log(1 + math.exp(-1)):.4f}; the first loss was {losses[0]:.3f}")
loss_fn = CrossEntropyLoss()

# %% [markdown]
# With ten classes the floor is log(1 + 9/e) = 1.461. Labels that are shifted by one are learned by heart just
# as well as right ones; only new images show them.
#
# ## Your turn: repair it
#
# This max pooling was written by somebody in a hurry. TinyCNN learns with it as well as ever. `check` looks
# at more than TinyCNN does. Read it, find out when it is wrong, and mend `backward`.


# %%
class Hurried(tn.MaxPool2D):
    def backward(self, dout):  # (N, C, OH, OW) -> (N, C, H, W)
        windows, _, (N, C, H, W) = self.cache  # windows (OH, OW, KH, KW, C, N)
        (SH, SW), (PH, PW) = self.stride, self.padding
        OH, OW, KH, KW, *_ = windows.shape
        first = windows.reshape(OH, OW, KH * KW, C, N).argmax(axis=2)  # of equal entries the first
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(KH, KW):
            winner = (first == i * KW + j).transpose(3, 2, 0, 1)  # (N, C, OH, OW)
            reached = dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW]
            reached[winner] = dout[winner]
        return dx[:, :, PH : PH + H, PW : PW + W]


print("Hurried:", parity.check(Hurried).summary())

# %%
wrong_where = predict("Wrong where windows: tile, overlap, or are padded?", "overlap")

# %%
x = rng.standard_normal((2, 3, 8, 8))
for title, settings in (("tile", (2, 2, 0)), ("overlap", (3, 2, 0)), ("are padded", (2, 2, 1))):
    report = parity.compare(Hurried(*settings), x)
    print(f"windows that {title:10}: {report.summary()}")
    if not report.ok:
        wrong_where.reveal(title)


# %%
class MendedMaxPool2D(tn.MaxPool2D):
    def backward(self, dout):
        windows, _, (N, C, H, W) = self.cache
        (SH, SW), (PH, PW) = self.stride, self.padding
        OH, OW, KH, KW, *_ = windows.shape
        first = windows.reshape(OH, OW, KH * KW, C, N).argmax(axis=2)
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        # solution
        for i, j in np.ndindex(KH, KW):
            winner = (first == i * KW + j).transpose(3, 2, 0, 1)
            reached = dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW]
            reached[winner] += dout[winner]
        # end
        return dx[:, :, PH : PH + H, PW : PW + W]


check(MendedMaxPool2D)
# hint()

# %% [markdown]
# A single `+`. Windows that tile never read a pixel twice, so TinyCNN could not show it. (Why is `+=` with a
# mask safe here, when lesson 3 warned of index arrays? For one pair i, j every window reads another pixel,
# and a mask names no place twice.)

# %%
score()
