# %% [markdown]
# # 6. Parity, and the clinic
#
# Now there are two networks: one whose backward somebody wrote, and one whose backward PyTorch works out by
# itself. They have the same stages with the same names and the same weights. So they must compute the same
# numbers, at every stage, forward and backward, before and after training.
#
# This lesson asks what "the same" means in floating point, and then turns the tables: when a stage is wrong,
# the comparison says which one, and often what the mistake is. At the end you are the doctor.
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
from examples.bugs.pooling import WinnerOverwritten
from examples.experiments.train_tinycnn import line_patterns
from examples.lessons.classroom import SMALL, show
from examples.lessons.marking import check, hint, patient, predict, score
from parity import compare, copy_weights, lockstep, smooth_batches

rng = np.random.default_rng(3)
images, labels = line_patterns(200, rng)  # 8 x 8 pixels, noise and one line: horizontal or vertical?

# %% [markdown]
# ## One training step, twice
#
# Here are the two functions as they stand in the library, printed from their source. One has one line more,
# and one line is another.

# %%
more = predict('Which has a line more, "numpy" or "torch"?', "torch")

# %%
bodies = []
for package in (tn, tt):
    lines = inspect.getsource(package.train_step).splitlines()
    print(package.__name__, *lines[2:], sep="\n", end="\n\n")
    bodies.append(len(lines))
more.reveal("torch" if bodies[1] > bodies[0] else "numpy")

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
# %%
bits = predict("Same weights, same images. Are all 400 logits equal in every bit?", "no")

# %%
ours = model(images)
theirs = module(torch.from_numpy(images)).detach().numpy()
bits.reveal("yes" if (ours == theirs).all() else "no", measured=True)
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
# ## Where a mistake sits
#
# The hurried max pooling of lesson 5, here in another edition from the museum of this project: `=` where `+=`
# belongs. Its `dx` is wrong where windows overlap. A picture shows *where*: mine, expected, and the
# difference, in which grey is right. Each has its own scale.

# %%
report = compare(WinnerOverwritten(kernel_size=3, stride=2), rng.standard_normal((2, 3, 8, 9)))
print(report)

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
# %%
culprit = predict('Which of "conv", "relu", "pool", "flatten", "fc" is to blame (MISMATCH)?', "relu")
victims = predict("Which stages are right and get a wrong dout (inherited)?", {"conv"})


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
culprit.reveal(report.mismatches[0].stage)
victims.reveal({row.stage for row in report.rows if row.verdict == "inherited"})

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
# And with the broken ReLU?

# %%
learns = predict("Does it learn to tell the lines apart (90 % or more)?", "yes")
noticed = predict("Does lockstep notice?", "yes")

# %%
twin = parity.twin(broken)
optimizer = tn.Adam(broken.parameters(), lr=1e-2)
report = lockstep(broken, twin, optimizer, images, labels, smooth_batches(broken, images, steps, 20, rng))
print(report.divergence)
accuracy = tn.evaluate(broken, images, labels)
learns.reveal("yes" if accuracy >= 90 else "no", measured=SMALL)
noticed.reveal("no" if report.ok else "yes")
print(f"accuracy with the mistake: {accuracy:.1f} %")

# %% [markdown]
# **The lesson of this lesson:** a network with a wrong gradient may learn well enough that its accuracy
# tells you nothing. With more than half of the bugs in this project's museum MNISTCNN still gets over 90 %
# of the MNIST digits right (`python -m examples.museum --train --dataset mnist`). Accuracy is no test of a
# backward pass.
#
# ## The clinic
#
# Three patients from the museum, with the words that would tell taken out. For each: read it, say which
# tensor is wrong first, then let it be checked. The verdict comes first; the cause stays sealed until you ask
# with `hint()`: first where, then why.

# %%
A = patient("A")  # a CrossEntropyLoss

# %%
first_a = predict('Patient A: which is wrong, "loss" or "dlogits"?', "dlogits")


# %%
def wrong_tensor(cls):
    """The first tensor in the table of a checkup that is wrong."""
    return next(row.tensor for c in parity.check(cls).checks for row in c.rows if not row.ok)


check(A, mine=False)
first_a.reveal(wrong_tensor(A))
# hint()

# %%
B = patient("B")  # a Conv2D: dx as a convolution of dout

# %%
first_b = predict('Patient B: which is wrong, "out", "dweight", "dbias" or "dx"?', "dx")
one = predict("Patient B with 1 x 1 kernels: right or wrong?", "right")

# %%
check(B, mine=False)
first_b.reveal(wrong_tensor(B))
small = compare(B(2, 3, 1, rng=rng, dtype=np.float64), rng.standard_normal((2, 2, 5, 6)))
one.reveal("right" if small.ok else "wrong")
# hint()

# %%
C = patient("C")  # an Adam

# %%
too_long = predict("Patient C: its first steps are too long, too short or right?", "too long")

# %%
check(C, mine=False)
layer = tn.Dense(1, 1, bias=False, rng=rng, dtype=np.float64)
before, layer.dweight = layer.weight.item(), np.ones((1, 1))
C(layer.parameters(), lr=0.1).step()
moved = before - layer.weight.item()
too_long.reveal("right" if abs(moved) == 0.1 else "too long" if abs(moved) > 0.1 else "too short")
print(f"the first step is {moved:.3f}, with lr = 0.1")
# hint()

# %% [markdown]
# ## Your turn: find the bug
#
# This convolution is modelled on one of a public repository (renmengye/np-conv2d#2), whose last line was
# `return dx[:, :, PH : PH + H, PH : PH + W]`. It trains the chapter's networks without a fault. In which
# situation does it fail? Try it with that line, ask for hints if you need them, and write the right one.


# %%
class Conv2D(tn.Conv2D):
    def backward(self, dout):
        self.backward_weights(dout)
        (N, C, H, W), (SH, SW), (PH, PW) = self.cache[1], self.stride, self.padding
        OH, OW = dout.shape[2:]
        dx = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        for i, j in np.ndindex(self.kernel_size):
            tap = np.einsum("nfhw,fc->nchw", dout, self.weight[:, :, i, j], optimize=True)
            dx[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += tap
        # solution
        return dx[:, :, PH : PH + H, PW : PW + W]
        # end


check(Conv2D)
# hint()

# %% [markdown]
# Which rows are wrong, and what have they in common? `python -m examples.museum` lists more than a hundred
# such bugs; `--exercise 44` prints one to mend, `--solution 44` tells.

# %%
score()
