# %% [markdown]
# # 7. Plain to fast
#
# `tinycnn_numpy/plain.py` says what a convolution is, in the order n, c, h, w, i, j of its formula.
# `tinycnn_numpy/conv2d.py` computes the same numbers faster, and is harder to read. This lesson goes from the
# one to the other. What changes is not the arithmetic but *where the numbers lie in memory*.
#
# *Chapter 31.1. Read `tinycnn_numpy/plain.py`, then `tinycnn_numpy/windows.py` and `tinycnn_numpy/conv2d.py`.
# Program: `examples/ladder.py`.*

# %%
import inspect
import timeit

import numpy as np

import tinycnn_numpy as tn
from examples.experiments.ladder import six_loops
from examples.lessons.classroom import SMALL
from examples.lessons.marking import check, hint, predict, score, usable
from parity import compare
from tinycnn_numpy import plain

rng = np.random.default_rng(7)
N = 8 if SMALL else 64
x = rng.standard_normal((N, 16, 13, 13), dtype=np.float32)  # what conv2 of the chapter reads
layers = {
    "plain": plain.Conv2D(16, 32, kernel_size=3, rng=rng),
    "library": tn.Conv2D(16, 32, kernel_size=3, rng=rng),
}
layers["library"].load_state_dict(layers["plain"].state_dict())


def milliseconds(call, repeat=7):
    """The median, so that one interruption does not count."""
    return 1000 * float(np.median(timeit.repeat(call, number=1, repeat=repeat)))


print(inspect.getsource(plain.Conv2D.forward), inspect.getsource(plain.Conv2D.backward), sep="\n")

# %% [markdown]
# ## Both are right
#
# The same weights, the same numbers within what rounding may do. What follows is about time alone.

# %%
for name, layer in layers.items():
    report = compare(layer, x[:4])
    print(f"{name:8} {report.summary()}")
    assert report.ok

# %% [markdown]
# ## First step: out of Python
#
# Six loops in Python against one `einsum`: the same multiplications, but who runs the loops?

# %%
python = predict(
    "How many times faster is the plain edition than six loops in Python? (within a factor of 5)", 4000
)

# %%
one = x[:1, :, : 7 if SMALL else 13, : 7 if SMALL else 13]
weight, bias = layers["plain"].weight, layers["plain"].bias
loops = milliseconds(lambda: six_loops(one, weight, bias, (1, 1), (0, 0)), repeat=1)
einsum = milliseconds(lambda: layers["plain"](one))
python.reveal(loops / einsum, factor=5, measured=True)
print(f"one image: loops {loops:.1f} ms, plain {einsum:.3f} ms")

# %% [markdown]
# ## Second step: what einsum does
#
# `einsum` with `optimize=True` turns the sum over c, i, j into one matrix product, as you did in lesson 2.
# For that it must copy the windows, which overlap, into rows that lie one after the other.

# %%
copied = predict("A 3 x 3 filter, stride 1: the copied windows are how many times x? (13 x 13 pixels)", 6.4)

# %%
windows = plain.windows_of(x, (3, 3), (1, 1))
copied.reveal(windows.size / x.size, factor=1.1)
print(f"x has {x.nbytes / 2**20:.2f} MiB, the copy {windows.size * x.itemsize / 2**20:.2f} MiB")

# %% [markdown]
# The copy is as slow as its runs are short. In x, of shape (N, C, H, W), the numbers of one row of pixels lie
# side by side; a window takes 3 of them, and then jumps to the next row. Put the axes in another order: H, W,
# C, N. Now all channels of all images lie side by side for one pixel, and whatever a window does to a pixel
# it does to one long run.

# %%
short = predict(
    "x (64, 16, 13, 13) in the order N, C, H, W: how many numbers of one window lie side by side?", 3
)
long = predict(
    "In the order H, W, C, N: how many numbers does one pixel of the windows of all images have?", 16 * N
)


# %%
def in_memory_order(x):  # (N, C, H, W) -> (H, W, C, N), axes moved, nothing computed
    # solution
    return x.transpose(2, 3, 1, 0)
    # end


check(in_memory_order)
# hint()

# %%
short.reveal(windows.shape[-1])
long.reveal(int(np.prod(usable(in_memory_order)(x).shape[2:])))

# %% [markdown]
# The library keeps images in this order *between* its layers: a layer that returns (H, W, C, N) memory as an
# (N, C, H, W) view gives the next one what it wants, and nothing is copied.
#
# The order of the columns changes with the images: a window's entries now come as i, j, c. So the weight must
# be read in this order too, or every product meets the wrong partner.


# %%
def as_matrix(weight):  # (F, C, KH, KW) -> (F, KH*KW*C): entries in the order i, j, c
    # solution
    return weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)
    # end


check(as_matrix)
# hint()

# %% [markdown]
# `weight.reshape(F, -1)` has the same shape and no error is raised: this is the layout bug that costs people
# days. Here it is in a layer. How many entries of `out` does it spoil, if the kernel is 3 x 3? If it is 1 x
# 1?

# %%
spoiled = predict("Kernel 1 x 1 and the layout bug: is out right or wrong?", "right")


# %%
class LayoutBug(tn.Conv2D):
    def matrix(self):
        return self.weight.reshape(self.out_channels, -1)  # the order c, i, j


for kernel in (1, 3):
    layer = LayoutBug(2, 3, kernel_size=kernel, rng=rng)
    report = compare(layer, rng.standard_normal((2, 2, 6, 7), dtype=np.float32))
    print(f"kernel {kernel} x {kernel}: {report.summary()}")
    if kernel == 1:
        spoiled.reveal("right" if report.ok else "wrong")

# %% [markdown]
# With one channel it is right as well, for then c says nothing: conv1 of the chapter would not show it.
# Repair it, with the pieces from above.


# %%
class RepairedConv2D(tn.Conv2D):
    def matrix(self):  # -> (F, KH*KW*C)
        # solution
        return self.weight.transpose(0, 2, 3, 1).reshape(self.out_channels, -1)
        # end


check(RepairedConv2D)
# hint()

# %% [markdown]
# ## Third step: blocks
#
# The columns of a whole batch are nine times the images, more than the processor's cache holds. The library
# copies and multiplies one block of rows at a time, about a megabyte, so that the copy is still in the cache
# when the product reads it.

# %%
forward = predict("Forward, batch of 64: plain time over library time? (within a factor of 1.5)", 2.0)
both = predict("Forward and backward together? (within a factor of 1.5)", 2.0)

# %%
dout = rng.standard_normal(layers["plain"](x).shape, dtype=np.float32)
times: dict[str, list[float]] = {}
for name, layer in layers.items():

    def step(layer=layer):
        layer(x)
        layer.backward(dout)

    times[name] = [milliseconds(lambda layer=layer: layer(x)), milliseconds(step)]
    print(f"{name:8} forward {times[name][0]:6.2f} ms, with backward {times[name][1]:6.2f} ms, {N} images")
ratios = [p / f for p, f in zip(times["plain"], times["library"], strict=True)]
forward.reveal(ratios[0], factor=1.5, measured=True)
both.reveal(ratios[1], factor=1.5, measured=True)

# %% [markdown]
# Another machine gives another number: what you measured is a fact about this one. `python -m
# examples.ladder` measures seven ways on one convolution, in turns, with their memory; `python -m
# examples.benchmark` a whole training step against PyTorch.
#
# ## Does it matter for a network?

# %%
plain_step = predict("A whole training step of MNISTCNN: plain over library? (within a factor of 1.5)", 2.0)


# %%
def network(of):
    rng = np.random.default_rng(0)
    return tn.Sequential(
        conv1=of.Conv2D(1, 16, kernel_size=3, rng=rng),
        relu1=tn.ReLU(),
        pool1=of.MaxPool2D(kernel_size=2),
        conv2=of.Conv2D(16, 32, kernel_size=3, rng=rng),
        relu2=tn.ReLU(),
        pool2=of.MaxPool2D(kernel_size=2),
        flatten=tn.Flatten(),
        fc=tn.Dense(32 * 5 * 5, 10, rng=rng),
    )


images, labels = rng.standard_normal((N, 1, 28, 28), dtype=np.float32), rng.integers(10, size=N)
steps = {}
for name, of in (("plain", plain), ("library", tn)):
    model, loss_fn = network(of), tn.CrossEntropyLoss()
    adam = tn.Adam(model.parameters())

    def train_step(model=model, loss_fn=loss_fn, adam=adam):
        return tn.train_step(model, loss_fn, adam, images, labels)

    print(f"{name:8} first loss {train_step():.6f}", end=", ")
    steps[name] = milliseconds(train_step)
    print(f"a step {steps[name]:.1f} ms")
plain_step.reveal(steps["plain"] / steps["library"], factor=1.5, measured=True)

# %%
score()
