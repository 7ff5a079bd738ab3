# %% [markdown]
# # 2. Loops to einsum
#
# A convolution slides a small window of weights over an image and writes down one number per place. You write
# this sum three times: as loops, as windows, as one matrix product. At the end PyTorch and this library's
# hand-written layer agree with you to the last bit.
#
# *Chapters 23 and 31.1. The layer of this lesson: `tinycnn_numpy/conv2d.py`; start with
# `tinycnn_numpy/plain.py`.*

# %%
import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal

import tinycnn_numpy as tn
from examples.lessons.classroom import matrices, show
from examples.lessons.marking import check, hint, predict, score, usable
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

# %%
places = predict("A 3 x 3 filter fits into 5 x 8 pixels in how many places?", 18)
largest = predict(
    "The filter takes right minus left, edge from 0 to 4. What is the largest entry of out?", 12
)

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
places.reveal(out.size)
largest.reveal(int(out.max()))
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
# For this filter the convolution is just minus the correlation. For which filters are both the same?
#
# <details><summary>Answer</summary>
#
# For those that do not change when they are turned by 180 degrees, such as [[0, 1, 0], [1, 4, 1], [0, 1, 0]].
# </details>
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
        # solution
        out[n, f, h, w] = bias[f]
        for c, i, j in np.ndindex(C, KH, KW):
            out[n, f, h, w] += weight[f, c, i, j] * x[n, c, h * S + i, w * S + j]
        # end
    return out


check(by_loops)
# hint()

# %%
expected = usable(by_loops)(x, weight, bias)
print("x", x.shape, " weight", weight.shape, " -> out", expected.shape)

# %% [markdown]
# **Break it:** exchange `h` and `w` in what you read, `x[n, c, w * S + i, h * S + j]`, and check again. On
# square images with square filters nothing stops you: that is why no case here is square.
#
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
# `x` holds 2 x 3 x 8 x 11 = 528 numbers, and a 2 x 3 filter fits in 7 x 9 places.

# %%
seeming = predict("How many numbers does windows seem to hold?", 2 * 3 * 7 * 9 * 2 * 3)

# %%
windows = sliding_window_view(x, (KH, KW), axis=(2, 3))  # (N, C, OH, OW, KH, KW)
seeming.reveal(windows.size)
print("do they share memory?", np.shares_memory(windows, x))
assert windows[1, 2, 4, 5, 1, 0] == x[1, 2, 4 + 1, 5 + 0]

# %% [markdown]
# With windows the formula is a sum over $c, i, j$ of a product, which is what `einsum` writes down letter by
# letter: `np.einsum("letters of one,letters of the other->letters of the result", one, other)`. A letter
# that is missing on the right is summed over.


# %%
def by_windows(x, weight, bias, S=1):
    KH, KW = weight.shape[2:]
    windows = sliding_window_view(x, (KH, KW), axis=(2, 3))[:, :, ::S, ::S]  # (N, C, OH, OW, KH, KW)
    # solution
    return np.einsum("nchwij,fcij->nfhw", windows, weight) + bias[:, None, None]
    # end


check(by_windows)
# hint()

# %% [markdown]
# ## One matrix product
#
# A sum over *one* index that two factors share is a matrix product. $c, i, j$ always go together, so read
# them as one index that runs through $C \cdot KH \cdot KW$ values; read $n, h, w$ as one index too. Every
# window becomes a row of a matrix, every filter a row of another:
#
# $$\underbrace{\text{out}}_{(N \cdot OH \cdot OW) \times F} =
# \underbrace{\text{rows}}_{(N \cdot OH \cdot OW) \times (C \cdot KH \cdot KW)} \cdot
# \underbrace{\text{matrix}^T}_{(C \cdot KH \cdot KW) \times F} + \text{bias}$$
#
# People call `rows` *im2col*. Now the overlapping windows really are copied: that is the price for handing
# the whole work to the fastest routine on your machine. Mind the order: `reshape` reads the axes from left to
# right, so bring them into the order n, h, w, c, i, j first, and `out` back to n, f, h, w at the end.


# %%
def by_matmul(x, weight, bias, S=1):
    F, C, KH, KW = weight.shape
    windows = sliding_window_view(x, (KH, KW), axis=(2, 3))[:, :, ::S, ::S]
    N, _, OH, OW, *_ = windows.shape
    # solution
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(N * OH * OW, C * KH * KW)
    matrix = weight.reshape(F, C * KH * KW)
    return (rows @ matrix.T + bias).reshape(N, OH, OW, F).transpose(0, 3, 1, 2)
    # end


check(by_matmul)
# hint()

# %% [markdown]
# ## Who reads a pixel?
#
# Let every window read the *number* of its pixel instead of its brightness, and count.

# %%
inner = predict("A pixel in the middle lies in how many windows of a 2 x 3 filter?", 6)
corner = predict("And a pixel in the corner?", 1)

# %%
numbers = np.arange(H * W).reshape(H, W)
read = sliding_window_view(numbers, (KH, KW)).ravel()
times_read = np.bincount(read, minlength=H * W).reshape(H, W)
picture = matrices({f"{H} x {W} pixels": times_read}, f"How many {KH} x {KW} windows read a pixel")
show(picture, "a table of counts: 6 inside, fewer towards the border, 1 in the corners")
inner.reveal(int(times_read[H // 2, W // 2]))
corner.reveal(int(times_read[0, 0]))

# %% [markdown]
# Keep this picture. In lesson 3 every window will send something *back* to the pixels that it read, and an
# inner pixel collects from six windows. Forgetting that is the most frequent mistake in hand-written backward
# passes.
#
# What the three ways cost in time is the subject of lesson 7.
#
# ## Padding and stride
#
# A filter of $K$ rows fits into $H$ rows in $H - K + 1$ places. *Padding* puts $P$ rows of zeros at the top
# and at the bottom, a *stride* $S$ takes every $S$-th place only, and what does not fill a step is dropped:
#
# $$OH = \left\lfloor \frac{H + 2P - K}{S} \right\rfloor + 1$$
#
# %%
pool2 = predict("The chapter pools 11 rows in windows of 2 with stride 2. How many rows come out?", 5)
unseen_row = predict("How many of the 11 rows does no window read?", 1)

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
    (28, 5, 3, 1),  # one row is left over, and it is padding
]
for size, K, S, P in questions:
    rows = (size + 2 * P - K) // S + 1
    unread = max(0, (size + 2 * P - K) % S - P)  # of the rows left over at the bottom, P are padding
    image, kernel = torch.zeros(1, 1, size, size), torch.zeros(1, 1, K, K)
    with_torch = torch.nn.functional.conv2d(image, kernel, stride=S, padding=P)
    assert with_torch.shape[2:] == (rows, rows)
    print(f"H = {size}, K = {K}, S = {S}, P = {P}:  OH = {rows:2}, and {unread} row(s) are never read")
    if (size, K, S, P) == (11, 2, 2, 0):
        pool2.reveal(rows)
        unseen_row.reveal(unread)

# %% [markdown]
# Pooling 11 rows in steps of 2 drops the last row and column. They have no influence on `out`, so their
# gradient must be exactly 0: lesson 3 looks at it.
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
every_place = usable(by_windows)(padded, weight, bias)
# A stride leaves out places, it computes nothing new:
assert np.array_equal(ours, every_place[:, :, ::2, ::1])
print("the library and PyTorch: one result of shape", ours.shape)

# %% [markdown]
# With weights that are *not* whole numbers the order of the additions matters in the last digits, and "equal"
# must become "equal within what rounding may do". `parity.compare` computes that bound for every single entry
# (column *error/bound*: below 1 is right). The rows `dx`, `dweight` and `dbias` are the subject of lesson 3.

# %%
conv = tn.Conv2D(C, F, (KH, KW), stride, padding, rng=rng, dtype=np.float32)
report = compare(conv, rng.standard_normal((N, C, H, W), dtype=np.float32))
print(report)
assert report.ok

# %% [markdown]
# ## Your turn
#
# 1. A filter that moves the image one pixel to the left: at every place `out` is the pixel to the right.
# 2. A 1 x 1 filter has nothing to slide over inside its window. Which layer does it become, applied to each
#    pixel by itself? Write it with one `einsum` and without windows.
# 3. How many multiplications does a convolution need for one image?


# %%
def shift_left():  # -> (3, 3)
    # solution
    return np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0]])
    # end


def one_by_one(x, weight, bias):  # (N, C, H, W), (F, C), (F,) -> (N, F, H, W)
    # solution
    return np.einsum("nchw,fc->nfhw", x, weight) + bias[:, None, None]
    # end


def multiplications(C, F, OH, OW, KH, KW):
    # solution
    return F * OH * OW * C * KH * KW
    # end


check(shift_left)
check(one_by_one)
check(multiplications)

# %%
more = predict(
    "conv2 reads 16 channels of 13 x 13, conv1 one of 28 x 28. Whose multiplications are more?", "conv2"
)

# %%
count = usable(multiplications)
conv1, conv2 = count(1, 16, 26, 26, 3, 3), count(16, 32, 11, 11, 3, 3)
more.reveal("conv2" if conv2 > conv1 else "conv1")
print(f"conv1 {conv1:,}, conv2 {conv2:,}")

# %%
score()
