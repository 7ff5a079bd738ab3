# %% [markdown]
# # 3. Parity with autograd
#
# Now there are two networks: one whose backward somebody wrote, and one whose backward PyTorch works out by
# itself. They have the same stages with the same names and the same weights. So they must compute the same
# numbers, at every stage, forward and backward, before and after training.
#
# This lesson asks what "the same" means in floating point, and then turns the tables: when a stage is
# wrong, the comparison says which one, and often what the mistake is.
#
# *Chapter 31.1. Read `tinycnn_numpy/models.py` beside `tinycnn_torch/models.py`; the tool is the package
# `parity`.*

# %%
import inspect

import numpy as np
import torch

import parity
import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.experiments.train_tinycnn import line_patterns
from examples.lessons.classroom import SMALL, show
from parity import compare, copy_weights, lockstep, smooth_batches

rng = np.random.default_rng(3)
images, labels = line_patterns(200, rng)  # 8 x 8 pixels, noise and one line: horizontal or vertical?

# %% [markdown]
# ## One training step, twice
#
# Here are the two functions as they stand in the library, printed from their source.
#
# **Predict:** which lines differ?

# %%
for package in (tn, tt):
    lines = inspect.getsource(package.train_step).splitlines()
    print(package.__name__, *lines[2:], sep="\n", end="\n\n")

# %% [markdown]
# By hand, `backward` is called on the model, and the gradient of the loss is handed to it. With autograd it
# is called on the *loss*: every tensor remembers how it came about, and PyTorch walks that graph backwards.
# It *adds* to the gradients that it finds, hence `zero_grad`. (The layers here assign theirs.)
#
# ## The same weights
#
# Weights have the same names and shapes on both sides. So copying is a loop, and nothing is transposed:

# %%
model = tn.TinyCNN(rng=rng, dtype=np.float64)
module = tt.TinyCNN().double()
copy_weights(model, module)
for (name, array), (torch_name, tensor) in zip(
    model.state_dict().items(), module.state_dict().items(), strict=True
):
    assert name == torch_name and np.array_equal(array, tensor.numpy())
    print(f"{name:12} {array.shape}")

# %% [markdown]
# ## The same numbers?
#
# **Predict:** same weights, same images. How many of the 400 logits are equal in *every* bit?

# %%
ours = model(images)
theirs = module(torch.from_numpy(images)).detach().numpy()
print(f"{(ours == theirs).sum()} of {ours.size} are equal in every bit;")
print(
    f"the largest difference is {np.abs(ours - theirs).max():.0e}, the largest logit {np.abs(ours).max():.2f}"
)

# %% [markdown]
# Both sides multiply and add the same numbers, but not in the same *order*, and every addition rounds.
#
# "Close" must therefore be said with a number, and `allclose(1e-3)` is not that number: it was chosen so
# that the test passes. What rounding *can* do is known. A sum of $K$ products is off by at most about $K
# \varepsilon$ times the sum of their absolute values, whatever the order. With that bound for every entry
# there are only two cases: within it, rounding explains the difference; beyond it, there is a mistake.

# %%
K = model.fc.in_features  # the last layer adds up 36 products and a bias
flat, weight, bias = model.fc.cache, model.fc.weight, model.fc.bias
bound = (K + 1) * np.finfo(np.float64).eps * (np.abs(flat) @ np.abs(weight).T + np.abs(bias))
alone = torch.nn.functional.linear(*map(torch.from_numpy, (flat, weight, bias))).numpy()
print(
    f"the last layer by itself: the largest difference / bound is {(np.abs(ours - alone) / bound).max():.3f}"
)
assert (np.abs(ours - alone) <= bound).all()

# %% [markdown]
# ## Every tensor of every stage
#
# `compare` does this for all layers, carries the bounds along from stage to stage, and runs PyTorch in
# float64 as the judge. Given labels, it goes through the loss.

# %%
report = compare(model, images[:20], module, labels=labels[:20])
print(report)
assert report.ok

# %% [markdown]
# How to read it: *error* is the largest difference, *error/bound* the largest share of what rounding may
# do: 0.1 is normal, 1 is the limit. *torch* is PyTorch's own share; nobody is exact. *isolated* is the
# same for the stage by itself, fed with exact inputs: it will tell the culprit from its victims.
#
# ## A mistake in the middle
#
# This pooling layer sends the gradient back with `=` where `+=` belongs. **Predict:** TinyCNN pools 2 x 2
# in steps of 2. Will anything be wrong?


# %%
class LastWindowWins(tn.MaxPool2D):
    def backward(self, dout):
        windows, _, (N, C, H, W) = self.cache
        OH, OW, KH, KW, *_ = windows.shape
        (SH, SW), (PH, PW) = self.stride, self.padding
        first = windows.reshape(OH, OW, KH * KW, C, N).argmax(axis=2)  # of equal entries the first
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(KH, KW):
            winner = (first == i * KW + j).transpose(3, 2, 0, 1)  # (N, C, OH, OW)
            reached = dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW]
            reached[winner] = dout[winner]  # the mistake
        return dx[:, :, PH : PH + H, PW : PW + W]


print(compare(LastWindowWins(kernel_size=2), rng.standard_normal((2, 3, 8, 8))).summary())
report = compare(LastWindowWins(kernel_size=3, stride=2), rng.standard_normal((2, 3, 8, 9)))
print(report)
assert not report.ok

# %% [markdown]
# Windows that do not overlap cannot show it: no pixel is read twice. A network with 2 x 2 pooling trains
# faultlessly on this layer, and a test with 2 x 2 pooling passes. So the test must ask the uncomfortable
# cases, and `parity.check` does: overlapping windows, padding, odd shapes, ties, a batch of one, two runs
# in a row.
#
# It takes a class. The class needs a `forward` and a `backward`, and its name or an ancestor says what it
# should be.

# %%
checkup = parity.check(LastWindowWins)
print(checkup)
assert not checkup.ok

# %% [markdown]
# Read the table like a physician: right wherever windows tile the image, wrong wherever they overlap. The
# doctor has drawn the conclusion. It tries every cause that it knows on the numbers, and names one only if
# that cause predicts *all* of them, the wrong and the right ones.
#
# A picture shows *where* a tensor is wrong. Grey is right; the colour says how far beyond its bound an
# entry is.

# %%
picture = parity.heat_map(report)
assert picture is not None
show(picture, "wrong entries of dx: single pixels on the rows and columns that neighbouring windows share")

# %% [markdown]
# ## Culprit and victims
#
# In a network a wrong stage spoils what comes after it, and in `backward` that is everything *before* it.
# Here a ReLU forgets its mask, in the middle of TinyCNN.
#
# **Predict:** which gradients will be wrong? Which stage is to blame for them?


# %%
class OpenReLU(tn.ReLU):
    def backward(self, dout):
        return dout  # the mistake: the gate is open for everybody


class Broken(tn.TinyCNN):
    def __init__(self, **options):
        super().__init__(**options)
        self.stages["relu"] = OpenReLU()


broken = Broken(rng=rng, dtype=np.float64)
report = compare(broken, images[:20], labels=labels[:20])
print(report)
assert [row.stage for row in report.mismatches] == ["relu"]

# %% [markdown]
# One stage says `MISMATCH`; the convolution behind it says `inherited`. It got a wrong `dout` and did the
# right thing with it: *isolated* is below 1. Without that column you would start to look for the mistake
# in the convolution, where there is none.
#
# ## Two hundred steps
#
# Equal gradients at one point do not prove equal training: an optimiser remembers things, and errors feed
# on themselves. `lockstep` trains both sides on the same batches and compares everything at the end. (In
# float32 a pixel that is 0 within rounding may open a ReLU on one side only; `smooth_batches` keeps clear
# of that.)

# %%
steps = 30 if SMALL else 200
optimizer = tn.Adam(model.parameters(), lr=1e-2)
report = lockstep(model, module, optimizer, images, labels, smooth_batches(model, images, steps, 20, rng))
print(report)
print(f"accuracy on these images: {tn.evaluate(model, images, labels):.1f} %")
assert report.ok

# %% [markdown]
# And with the broken ReLU? **Predict:** will it learn to tell the lines apart? Will `lockstep` notice, and
# when?

# %%
twin = parity.twin(broken)
optimizer = tn.Adam(broken.parameters(), lr=1e-2)
report = lockstep(broken, twin, optimizer, images, labels, smooth_batches(broken, images, steps, 20, rng))
print(report.divergence)
print(f"accuracy with the mistake: {tn.evaluate(broken, images, labels):.1f} %")
assert not report.ok

# %% [markdown]
# **The lesson of this lesson:** a network with a wrong gradient may learn well enough that its accuracy
# tells you nothing. With more than half of the bugs in this project's museum MNISTCNN still gets over 90 %
# of the MNIST digits right (`python -m examples.museum --train --dataset mnist`). Accuracy is no test of a
# backward pass.
#
# ## Your turn
#
# 1. Mend `LastWindowWins`; a single `+` will do. `parity.check` tells you when you are there. Why is `+=`
#    with a mask safe here, when lesson 2 warned of it?
# 2. Make a mistake of your own in `Dense` and see whether the doctor knows it. If not: does it at least say
#    which tensor is wrong?
# 3. Where would a mistake in `forward` of the ReLU show: in which rows of the table, and with which verdicts?
#
# <details><summary>Answer to 1</summary>
#
# For one pair i, j every window reads another pixel, and a mask names no place twice. The warning was about
# several windows at once.
# </details>


# %% tags=["exercise"]
class MyMaxPool(tn.MaxPool2D):
    def backward(self, dout):
        raise NotImplementedError  # your code here


print(parity.check(MyMaxPool).summary())
