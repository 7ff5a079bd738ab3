# %% [markdown]
# # 1. Convolution by hand
#
# A convolution slides a small window of weights over an image and writes down one number per place. That is
# all; the rest of this lesson is about writing it down *exactly*, and then computing it without waiting.
#
# You will write the same sum three times: as loops, as windows, as one matrix product. At the end PyTorch and
# the hand-written layer of this library agree with you to the last bit.
#
# *Chapters 23 and 31.1. The layer of this lesson: `tinycnn_numpy/conv2d.py`, its windows: `windows.py`.*

# %%
import timeit

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal

import tinycnn_numpy as tn
from examples.lessons.classroom import SMALL, matrices, show
from parity import compare

rng = np.random.default_rng(1)

# %% [markdown]
# ## One image, one filter
#
# Lay the filter $w$ on the image $x$ so that its corner is on the pixel $(h, w)$, multiply what lies on top
# of each other, and add up. With $i, j$ inside the filter:
#
# $$\text{out}[h, w] = \text{bias} + \sum_{i,j} \text{weight}[i, j] \cdot x[h + i,\; w + j]$$
#
# The image below is dark on the left and bright on the right, except for one bright pixel too many. It has 5
# rows and 8 columns on purpose: on a square image you never notice that you mixed up height and width.
#
# **Predict before you run:** a 3 x 3 filter fits into 5 x 8 pixels in how many places? The filter takes right
# minus left. Where will `out` be 0?

# %%
x = np.array(
    [
        [0, 0, 0, 0, 0, 4, 4, 4],
        [0, 0, 0, 0, 0, 4, 4, 4],
        [0, 0, 4, 0, 0, 4, 4, 4],
        [0, 0, 0, 0, 0, 4, 4, 4],
        [0, 0, 0, 0, 0, 4, 4, 4],
    ],
    dtype=np.float64,
)
weight = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]], dtype=np.float64)


def correlate(x, weight):  # (H, W), (KH, KW) -> (OH, OW)
    KH, KW = weight.shape
    OH, OW = x.shape[0] - KH + 1, x.shape[1] - KW + 1
    out = np.zeros((OH, OW))
    for h in range(OH):
        for w in range(OW):
            for i in range(KH):
                for j in range(KW):
                    out[h, w] += weight[i, j] * x[h + i, w + j]
    return out


out = correlate(x, weight)
print("out has shape", out.shape)
picture = matrices({"x": x, "weight": weight, "out": out}, "A filter that takes right minus left")
show(picture, "x, weight and out as numbers; out is 12 along the edge, 4 and -4 around the single pixel")

# %% [markdown]
# The filter answers with 12 wherever it stands across the edge, however bright the two sides are in
# themselves, and with 0 where nothing changes. The single pixel is answered too, but only with 4 and -4: a
# filter of nine entries listens to nine pixels, and one of them is outvoted easily.
#
# ## Is this a convolution?
#
# Mathematicians call it a **correlation**. A convolution turns the filter by 180 degrees first:
# $x[h - i,\; w - j]$. Every deep learning library computes the correlation and calls it convolution. A
# network does not care: it learns its filters, and would learn the turned ones. *You* care as soon as you
# compare with somebody else's numbers.

# %%
turned = weight[::-1, ::-1]
assert np.array_equal(out, signal.correlate(x, weight, mode="valid"))
assert np.array_equal(out, signal.convolve(x, turned, mode="valid"))
print("SciPy's convolve with the filter of this lesson, not turned:")
print(signal.convolve(x, weight, mode="valid"))

# %% [markdown]
# **Question.** For this filter the convolution is just minus the correlation. For which filters are both the
# same? Think of one that is not constant, then try it in the cell above.
#
# ## Many images, many channels, many filters
#
# A layer takes a batch $(N, C, H, W)$: $N$ images of $C$ channels. Each of its $F$ filters looks at *all*
# channels at once and adds up what it finds, so `weight` is $(F, C, KH, KW)$. With the step $S$ (the
# *stride*) between two places:
#
# $$\text{out}[n,f,h,w] = \text{bias}[f]
# \;+ \sum_{c,i,j} \text{weight}[f,c,i,j] \cdot x[n,\, c,\, hS + i,\, wS + j]$$
#
# The letters keep their meaning in all lessons and in the whole library: $n$ image, $c$ channel in, $f$
# filter,
# $h, w$ a place in `out`, $i, j$ a place in the filter. Seven letters, so seven loops:

# %%
N, C, H, W = 2, 3, 8, 11
F, KH, KW = 4, 2, 3
x = rng.integers(-9, 10, (N, C, H, W)).astype(np.float64)
weight = rng.integers(-9, 10, (F, C, KH, KW)).astype(np.float64)
bias = rng.integers(-9, 10, F).astype(np.float64)


def by_loops(x, weight, bias, S=1):
    (N, C, H, W), (F, _, KH, KW) = x.shape, weight.shape
    OH, OW = (H - KH) // S + 1, (W - KW) // S + 1
    out = np.zeros((N, F, OH, OW))
    for n, f, h, w in np.ndindex(N, F, OH, OW):
        out[n, f, h, w] = bias[f]
        for c, i, j in np.ndindex(C, KH, KW):
            out[n, f, h, w] += weight[f, c, i, j] * x[n, c, h * S + i, w * S + j]
    return out


expected = by_loops(x, weight, bias)
print("x", x.shape, " weight", weight.shape, " -> out", expected.shape)

# %% [markdown]
# Why whole numbers? Sums of small whole numbers are exact in floating point, in whatever order they are
# added. So below we may ask for *equal*, not for *close*, and no tolerance can hide a mistake.
#
# ## Windows
#
# The two index sums $hS + i$ and $wS + j$ are the only thing that makes this harder than a matrix product. So
# give what they pick a name:
#
# $$\text{windows}[n,c,h,w,i,j] = x[n,\, c,\, hS + i,\, wS + j]$$
#
# NumPy can show such an array without copying one number: a *view*, in which neighbouring windows share
# memory.
#
# **Predict:** how many numbers does `windows` seem to hold, how many does it hold?

# %%
windows = sliding_window_view(x, (KH, KW), axis=(2, 3))  # (N, C, OH, OW, KH, KW)
print("windows", windows.shape, f"seems to hold {windows.size:,} numbers; x holds {x.size:,}")
print("do they share memory?", np.shares_memory(windows, x))
assert windows[1, 2, 4, 5, 1, 0] == x[1, 2, 4 + 1, 5 + 0]

# %% [markdown]
# With windows the formula is a sum over $c, i, j$ of a product, which is what `einsum` writes down letter by
# letter:

# %%
by_windows = bias[:, None, None] + np.einsum("nchwij,fcij->nfhw", windows, weight, optimize=True)
assert np.array_equal(by_windows, expected)
print("windows agree with the loops in all", expected.size, "numbers")

# %% [markdown]
# ## One matrix product
#
# A sum over *one* index that two factors share is a matrix product. $c, i, j$ always go together, so read
# them as one index that runs through $C \cdot KH \cdot KW$ values; read $n, h, w$ as one index too. Every
# window becomes a row of a matrix, every filter a row of another:
#
# $$\underbrace{\text{out}}_{(NHW) \times F} = \underbrace{\text{rows}}_{(NHW) \times (CIJ)} \cdot
# \underbrace{\text{matrix}^T}_{(CIJ) \times F} + \text{bias}$$
#
# People call `rows` *im2col*. Now the overlapping windows really are copied: that is the price for handing
# the whole work to the fastest routine on your machine.

# %%
OH, OW = windows.shape[2:4]
rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(N * OH * OW, C * KH * KW)
matrix = weight.reshape(F, C * KH * KW)
by_matmul = (rows @ matrix.T + bias).reshape(N, OH, OW, F).transpose(0, 3, 1, 2)
assert np.array_equal(by_matmul, expected)
print(f"{rows.shape} @ {matrix.T.shape} -> {by_matmul.shape}; the copy is {rows.size / x.size:.1f} times x")

# %% [markdown]
# **Predict:** a pixel in the middle of the image lies in how many windows? And one in the corner? Let every
# window read the *number* of its pixel instead of its brightness, and count.

# %%
numbers = np.arange(H * W).reshape(H, W)
read = sliding_window_view(numbers, (KH, KW)).ravel()
times_read = np.bincount(read, minlength=H * W).reshape(H, W)
picture = matrices({f"{H} x {W} pixels": times_read}, f"How many {KH} x {KW} windows read a pixel")
show(picture, "a table of counts: 6 inside, fewer towards the border, 1 in the corners")

# %% [markdown]
# Keep this picture. In lesson 2 every window will send something *back* to the pixels that it read, and an
# inner pixel collects from six windows. Forgetting that is the most frequent mistake in hand-written backward
# passes.
#
# ## What does it cost?
#
# The same multiplications each time. The number of times that Python has to *think* differs.

# %%
images = 1 if SMALL else 4
large = rng.standard_normal((images, 1, 28, 28))
filters, no_bias = rng.standard_normal((16, 1, 3, 3)), np.zeros(16)
layer = tn.Conv2D(1, 16, kernel_size=3, bias=False, rng=rng, dtype=np.float64)
layer.weight[...] = filters


def by_einsum(x, weight):
    return np.einsum("nchwij,fcij->nfhw", sliding_window_view(x, (3, 3), axis=(2, 3)), weight, optimize=True)


seconds = {
    "loops": timeit.timeit(lambda: by_loops(large, filters, no_bias), number=1),
    "windows and einsum": min(timeit.repeat(lambda: by_einsum(large, filters), number=1, repeat=5)),
    "tinycnn_numpy": min(timeit.repeat(lambda: layer(large), number=1, repeat=5)),
}
for name, time in seconds.items():
    print(f"{name:20} {1000 * time:9.2f} ms for {images} images, {seconds['loops'] / time:8.0f} times faster")

# %% [markdown]
# `python -m examples.ladder` climbs from the loops to the layer in more and smaller steps, on your machine.
#
# ## Padding and stride
#
# A filter of $K$ rows fits into $H$ rows in $H - K + 1$ places. *Padding* puts $P$ rows of zeros at the top
# and at the bottom, a *stride* $S$ takes every $S$-th place only, and what does not fill a step is dropped:
#
# $$OH = \left\lfloor \frac{H + 2P - K}{S} \right\rfloor + 1$$
#
# **Predict** the three sizes marked with `?` before you run: they are those of the chapter's network.

# %%
questions = [
    # H, K, S, P
    (28, 3, 1, 0),  # conv1: 28 -> ?
    (26, 2, 2, 0),  # pool1: 26 -> 13
    (13, 3, 1, 0),  # conv2: 13 -> ?
    (11, 2, 2, 0),  # pool2: 11 -> ?
    (28, 3, 1, 1),  # the padding that keeps the size
    (28, 3, 2, 1),
    (28, 5, 3, 0),
]
for size, K, S, P in questions:
    places = (size + 2 * P - K) // S + 1
    unseen = (size + 2 * P - K) % S
    image, kernel = torch.zeros(1, 1, size, size), torch.zeros(1, 1, K, K)
    with_torch = torch.nn.functional.conv2d(image, kernel, stride=S, padding=P)
    assert with_torch.shape[2:] == (places, places)
    print(f"H = {size}, K = {K}, S = {S}, P = {P}:  OH = {places:2}, and {unseen} row(s) are never looked at")

# %% [markdown]
# Row four is a trap: pooling 11 rows in steps of 2 drops the last row and column. They have no influence on
# `out`, so in lesson 2 their gradient must be exactly 0.
#
# ## PyTorch agrees
#
# Same letters, same layout, so nothing has to be transposed. Here with a filter that is not square, a stride
# that differs by direction, and padding in one direction only:

# %%
stride, padding = (2, 1), (1, 0)
image, kernel, offset = map(torch.from_numpy, (x, weight, bias))
theirs = torch.nn.functional.conv2d(image, kernel, offset, stride, padding).numpy()

conv = tn.Conv2D(C, F, (KH, KW), stride, padding, rng=rng, dtype=np.float64)
conv.weight[...], conv.bias[...] = weight, bias
ours = conv(x)
assert np.array_equal(ours, theirs)

padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)])
every_place = by_loops(padded, weight, bias)
# A stride leaves out places, it computes nothing new:
assert np.array_equal(ours, every_place[:, :, ::2, ::1])
print("three ways, one result of shape", ours.shape)

# %% [markdown]
# With weights that are *not* whole numbers the order of the additions matters in the last digits, and "equal"
# must become "equal within what rounding may do". `parity.compare` computes that bound for every single entry
# (column *error/bound*: below 1 is right). The rows `dx`, `dweight` and `dbias` are the subject of lesson 2.

# %%
conv = tn.Conv2D(C, F, (KH, KW), stride, padding, rng=rng, dtype=np.float32)
report = compare(conv, rng.standard_normal((N, C, H, W), dtype=np.float32))
print(report)
assert report.ok

# %% [markdown]
# ## Your turn
#
# 1. Write a 3 x 3 filter that moves an image one pixel to the left, and one that blurs it. Check the first
#    with an assertion.
# 2. A 1 x 1 filter has nothing to slide over inside its window. Which layer does it become, applied to each
#    pixel by itself? Show it with `np.einsum` or `@`.
# 3. How many multiplications does `conv2` of the chapter need for one image (16 channels of 13 x 13 in, 32
#    filters of 3 x 3)? Compare with `conv1`.
#
# <details><summary>Hint for 2</summary>
#
# With $KH = KW = 1$ the sum over $i, j$ has one term, and what is left is
# $\text{out}[n,f,h,w] = \text{bias}[f] + \sum_c \text{weight}[f,c] \cdot x[n,c,h,w]$.
# </details>
#
# <details><summary>Answer to 3</summary>
#
# `conv2`: 32 x 11 x 11 numbers, 16 x 3 x 3 multiplications each: 557,568. `conv1`: 16 x 26 x 26 numbers, 9
# each: 97,344. The second layer sees a smaller image and has nearly six times the work.
# </details>

# %% tags=["exercise"]
shift_left = np.zeros((3, 3))
# Your code here: set one entry of shift_left, then
# assert np.array_equal(correlate(picture_of_yours, shift_left), ...)
