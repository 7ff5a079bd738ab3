# %% [markdown]
# # 3. Backward of a convolution, and how to check it
#
# Training asks one question of every weight: *if you grew a little, what would the loss do?* You derive the
# answer for a convolution, write it down with the letters of lesson 2, and then do what matters more: you
# find out whether your lines are right. Of three checks you see what each can do, and one way of checking
# that looks fine and sees nothing.
#
# *Chapters 23 and 31.1. In the library: `backward` in `tinycnn_numpy/plain.py`, the checks in
# `parity/oracles.py`.*

# %%
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view

import tinycnn_numpy as tn
from examples.common.figures import AMBER, INDIGO
from examples.lessons.classroom import matrices, show
from examples.lessons.marking import check, hint, predict, score, usable
from parity import check_adjoint, check_gradients, compare, smooth_input

rng = np.random.default_rng(2)
N, C, H, W = 2, 3, 6, 8
F, KH, KW = 4, 2, 3
OH, OW = H - KH + 1, W - KW + 1


def whole_numbers(*shape):
    return rng.integers(-5, 6, shape).astype(np.float64)  # sums of whole numbers are exact: see lesson 2


x, weight, bias = whole_numbers(N, C, H, W), whole_numbers(F, C, KH, KW), whole_numbers(F)
windows = sliding_window_view(x, (KH, KW), axis=(2, 3))  # (N, C, OH, OW, KH, KW)
out = bias[:, None, None] + np.einsum("nchwij,fcij->nfhw", windows, weight)

# %% [markdown]
# ## What comes in from above
#
# A layer does not know the loss $L$. All that it gets is $\text{dout}[n,f,h,w] = \partial L / \partial
# \text{out}[n,f,h,w]$: how much the loss grows for every number that the layer put out. From that it computes
# the same for what it was given. In this library `dname` always means $\partial L / \partial\,$`name`, and it
# always has the shape of `name`.
#
# To study one layer alone, *choose* a `dout`. Choosing it means choosing the loss
# $L = \sum_{nfhw} \text{out}[n,f,h,w] \cdot \text{dout}[n,f,h,w]$, a plain number with just this derivative.

# %%
dout = whole_numbers(N, F, OH, OW)


def loss(x, weight, bias):
    windows = sliding_window_view(x, (KH, KW), axis=(2, 3))
    out = bias[:, None, None] + np.einsum("nchwij,fcij->nfhw", windows, weight)
    return (out * dout).sum()


print("L =", loss(x, weight, bias))

# %% [markdown]
# ## The gradient of the weights
#
# One weight `weight[f,c,i,j]` stands in *many* numbers of `out`: in all of filter $f$. The chain rule adds up
# its influence on all of them:
#
# $$\text{dweight}[f,c,i,j] = \sum_{n,h,w} \frac{\partial L}{\partial \text{out}[n,f,h,w]} \cdot
# \frac{\partial\,\text{out}[n,f,h,w]}{\partial\,\text{weight}[f,c,i,j]}$$
#
# The first factor is `dout[n,f,h,w]`. The second can be read off the formula of lesson 2,
#
# $$\text{out}[n,f,h,w] = \text{bias}[f]
# \;+ \sum_{c,i,j} \text{weight}[f,c,i,j] \cdot \text{windows}[n,c,h,w,i,j],$$
#
# **Derive it on paper:** what multiplies `weight[f,c,i,j]` there? What multiplies `bias[f]`? Put it into the
# chain rule, and read the letters: whatever stands on the right and not on the left is summed over.
#
# <details><summary>The derivation</summary>
#
# What multiplies a weight is a window, and the bias is multiplied by 1. So
#
# $$\text{dweight}[f,c,i,j] = \sum_{n,h,w} \text{dout}[n,f,h,w] \cdot \text{windows}[n,c,h,w,i,j] \qquad
# \text{dbias}[f] = \sum_{n,h,w} \text{dout}[n,f,h,w]$$
# </details>


# %%
def dweight_of(dout, windows):  # (N, F, OH, OW), (N, C, OH, OW, KH, KW) -> (F, C, KH, KW)
    # solution
    return np.einsum("nfhw,nchwij->fcij", dout, windows)
    # end


def dbias_of(dout):  # (N, F, OH, OW) -> (F,)
    # solution
    return np.einsum("nfhw->f", dout)
    # end


check(dweight_of)
check(dbias_of)
# hint()

# %%
dweight, dbias = usable(dweight_of)(dout, windows), usable(dbias_of)(dout)
print("dweight", dweight.shape, " dbias", dbias.shape)

# %% [markdown]
# ## The gradient of the image
#
# The same step for the other factor: find `dwindows[n,c,h,w,i,j]`. But a window is not the image.
# `windows[n,c,h,w,i,j]` *is* the pixel `x[n,c,h+i,w+j]`, and many windows read the same pixel (lesson 2
# counted them). The chain rule adds up once more: **each entry goes back to the pixel that it was read from,
# and adds to what is there.** For one pair $i, j$ and all places at once these pixels are
# `x[:, :, i : i + OH, j : j + OW]`.
#
# <details><summary>The derivation</summary>
#
# What multiplies a window's entry is a weight, once for every filter:
#
# $$\text{dwindows}[n,c,h,w,i,j] = \sum_f \text{dout}[n,f,h,w] \cdot \text{weight}[f,c,i,j]$$
# </details>


# %%
def dx_of(dout, weight, H, W):  # (N, F, OH, OW), (F, C, KH, KW) -> (N, C, H, W)
    (N, _, OH, OW), (_, C, KH, KW) = dout.shape, weight.shape
    dx = np.zeros((N, C, H, W))
    # solution
    dwindows = np.einsum("nfhw,fcij->nchwij", dout, weight)
    for i, j in np.ndindex(KH, KW):
        dx[:, :, i : i + OH, j : j + OW] += dwindows[..., i, j]
    # end
    return dx


check(dx_of)
# hint()

# %%
dx = usable(dx_of)(dout, weight, H, W)
added = predict("pixels = np.zeros(4); pixels[[2, 2]] += 1. What is pixels[2]?", 1)

# %% [markdown]
# Why a loop over $i, j$, and not one `+=` with index arrays for all windows at once? That is the question
# above. And with all weights and all of `dout` 1, `dx` only counts: what is left if `=` stands where `+=`
# should?

# %%
pixels = np.zeros(4)
pixels[[2, 2]] += 1
added.reveal(pixels[2])

counted, overwritten = np.zeros((H, W)), np.zeros((H, W))
for i, j in np.ndindex(KH, KW):
    counted[i : i + OH, j : j + OW] += 1
    overwritten[i : i + OH, j : j + OW] = 1
picture = matrices({"+=": counted, "=": overwritten}, "dx where every weight and every dout is 1")
show(picture, "left the counts 1 to 6 of lesson 2, right 1 everywhere")

# %% [markdown]
# With an index array NumPy reads both old values before it writes, so one addition is lost. For one fixed
# pair
# $i, j$ no two windows share a pixel, and `+=` is safe; over all $i, j$ at once it is not.
#
# ## Check 1: against autograd
#
# PyTorch writes its own backward. The numbers are whole, so both must agree exactly.

# %%
image, kernel, offset = (torch.from_numpy(array).requires_grad_() for array in (x, weight, bias))
torch_out = torch.nn.functional.conv2d(image, kernel, offset)
gradients = torch.autograd.grad(torch_out, (image, kernel, offset), torch.from_numpy(dout))
for name, ours, theirs in zip(("dx", "dweight", "dbias"), (dx, dweight, dbias), gradients, strict=True):
    assert np.array_equal(ours, theirs.numpy()), name
    print(f"{name:8} {ours.size:4} numbers, all equal to PyTorch's")

# %% [markdown]
# ## Check 2: differences
#
# Without any library: move one weight a little and look at the loss.
#
# $$\frac{L(\text{weight} + h) - L(\text{weight} - h)}{2h} = \frac{\partial L}{\partial \text{weight}} +
# \frac{h^2}{6} L''' + \dots$$
#
# %%
large = predict("L is linear in a weight. Is the difference with h = 1 exact?", "yes")

# %%
numeric = np.zeros_like(weight)
for entry in np.ndindex(*weight.shape):
    plus, minus = weight.copy(), weight.copy()
    plus[entry] += 1
    minus[entry] -= 1
    numeric[entry] = (loss(x, plus, bias) - loss(x, minus, bias)) / 2
large.reveal("yes" if np.array_equal(numeric, dweight) else "no")
print(f"{weight.size} entries, for {2 * weight.size} evaluations of the loss")

# %% [markdown]
# Any $h$ is right for a linear layer, so take the comfortable one. A loss with curvature is another matter.
# There $h$ must be small, because of $h^2$, and must not be small, because $L(+h) - L(-h)$ is a difference of
# nearly equal numbers: what rounding did to them, about $\varepsilon \cdot L$, is divided by $2h$.
#
# Instead of one entry after the other take *one random direction* $v$ for all of them:
# $\big(L(x + hv) - L(x - hv)\big) / 2h = \sum \text{dx} \cdot v$. It costs two evaluations, and a wrong entry
# hides from it only by an unlikely accident.
#
# %%
best64 = predict("float64, eps = 2e-16: at which h is the difference of a curved loss best?", 6e-6)
best32 = predict("float32, eps = 1e-7: at which h?", 5e-3)

# %%
logits, labels = rng.standard_normal((8, 10)), rng.integers(10, size=8)
v = rng.standard_normal(logits.shape)
cross_entropy = tn.CrossEntropyLoss()
cross_entropy(logits, labels)
exact = float((cross_entropy.backward() * v).sum())

steps = np.logspace(-12, 0, 49)
figure = Figure(figsize=(7, 4), layout="constrained")
axes = figure.subplots()
for dtype, style, color in ((np.float64, "o-", INDIGO), (np.float32, "s--", AMBER)):
    errors = []
    for h in steps:
        plus, minus = ((logits + sign * h * v).astype(dtype) for sign in (1, -1))
        difference = float(cross_entropy(plus, labels)) - float(cross_entropy(minus, labels))
        errors.append(abs(difference / (2 * h) - exact) / abs(exact))
    axes.loglog(steps, np.maximum(errors, 1e-16), style, color=color, markersize=3, label=dtype.__name__)
    (best64 if dtype is np.float64 else best32).reveal(float(steps[np.argmin(errors)]), factor=10)
    print(f"  relative error there {min(errors):.0e}")
axes.set(xlabel="h", ylabel="relative error", title="Central difference of the cross-entropy")
axes.grid(alpha=0.3)
axes.legend()
show(figure, "two V-shaped curves: float64 lowest near h = 1e-5, float32 near 1e-2 and far higher")

# %% [markdown]
# The right flank falls with $h^2$, the left one rises with $\varepsilon / h$. They meet near
# $h = \sqrt[3]{\varepsilon}$. The lesson for life: **gradient checks belong in float64**; in float32 a
# check with a small $h$ accuses right code.
#
# Differences also accuse right code at a *kink*. ReLU at 0 has a slope of 0 to the left and of 1 to the
# right; libraries agree on 0, and the central difference says:

# %%
relu, h = tn.ReLU(), 1e-5
at_zero = np.array([0.0])
print("central difference:", (relu(at_zero + h) - relu(at_zero - h)) / (2 * h))
relu(at_zero)
print("backward:          ", relu.backward(np.ones(1)))

# %% [markdown]
# Neither is wrong; there is no derivative. So check where the function is smooth: `parity.smooth_input` draws
# images in which no ReLU and no pooling window is close to a decision.
#
# ## Check 3: the adjoint
#
# Leave the bias out. A convolution is then linear in $x$, and its backward is the *transposed* map. For any
# $x$ and any $y$ of the shape of `out`:
#
# $$\sum_{nfhw} \text{conv}(x)[n,f,h,w] \cdot y[n,f,h,w]
# \;=\; \sum_{nchw} x[n,c,h,w] \cdot \text{backward}(y)[n,c,h,w]$$
#
# Both sides are the same sum, $\sum \text{windows} \cdot \text{weight} \cdot y$, once grouped by places and
# once by pixels. No derivative, no reference, no $h$: this check needs nothing but the layer itself. It has
# two blind spots: it compares `backward` with *this* `forward`, so a wrong forward with its own transpose
# passes; and it never looks at `dweight` and `dbias`.

# %%
y = whole_numbers(N, F, OH, OW)
forward = np.einsum("nchwij,fcij->nfhw", windows, weight)
back = usable(dx_of)(y, weight, H, W)
print("sum(conv(x) * y) =", (forward * y).sum(), "   sum(x * backward(y)) =", (x * back).sum())
assert (forward * y).sum() == (x * back).sum()

# %% [markdown]
# ## A check that sees nothing
#
# A popular shortcut is `out.sum().backward()`: a `dout` of ones. Here is a layer with a mistake that
# happens with some conventions of convolution: it turns `dout` by 180 degrees.
#
# %%
under_ones = predict('Which of {"dx", "dweight", "dbias"} are wrong under ones?', set())
at_random = predict("Which under random numbers?", {"dx", "dweight"})


# %%
class TurnedDout(tn.Conv2D):
    def backward(self, dout):
        return super().backward(dout[:, :, ::-1, ::-1])  # the mistake


layer = TurnedDout(C, F, (KH, KW), stride=(1, 2), padding=(1, 0), rng=rng, dtype=np.float64)
images = rng.standard_normal((N, C, H, W))
ones = np.ones_like(layer(images))
under_ones.reveal({row.tensor for row in compare(layer, images, dout=ones).mismatches})
report = compare(layer, images)
at_random.reveal({row.tensor for row in report.mismatches})
print(report)

# %% [markdown]
# Under ones the layer is right in every digit: ones turned by 180 degrees are ones. `dbias` is right even
# under random numbers, because a sum does not care about order. So: **the upstream gradient of a check is
# random**, and all of `dx`, `dweight` and `dbias` are looked at.
#
# For softmax a `dout` of ones is worse still: its outputs add up to 1 whatever goes in, so its `dx` is zero
# everywhere.
#
# The differences see the mistake as well, in `dx` and `dweight`; the adjoint in `dx`, all that it looks at:

# %%
print(check_gradients(layer, images))
print()
print(check_adjoint(layer, images))
assert not check_gradients(layer, images).ok and not check_adjoint(layer, images).ok

# %% [markdown]
# ## The layer
#
# Put the pieces together, now with stride and padding. A place $h$ reads the pixel $h \cdot S + i$ of the
# padded image; for all places at once these are the pixels `i : i + S * OH : S`. `backward_weights` assigns
# `self.dweight` and `self.dbias`; `backward` does this too, and returns `dx` without the padding.
#
# `check` now asks what layers are asked here: strides that do not divide, one padding for height and another
# for width, a batch of one, no bias (`self.bias is None`), float32 and float64, two runs of one object.


# %%
class Conv2D(tn.Conv2D):
    def forward(self, x):  # (N, C, H, W) -> (N, F, OH, OW)
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)])
        windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]
        self.cache = windows, x.shape
        out = np.einsum("nchwij,fcij->nfhw", windows, self.weight, optimize=True)
        return out if self.bias is None else out + self.bias[:, None, None]

    def backward_weights(self, dout):  # (N, F, OH, OW)
        windows, _ = self.cache
        # solution
        if self.bias is not None:
            self.dbias = dout.sum(axis=(0, 2, 3))
        self.dweight = np.einsum("nfhw,nchwij->fcij", dout, windows, optimize=True)
        # end

    def backward(self, dout):  # (N, F, OH, OW) -> (N, C, H, W)
        self.backward_weights(dout)
        _, (N, C, H, W) = self.cache
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        OH, OW = dout.shape[2:]
        padded = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        # solution
        dwindows = np.einsum("nfhw,fcij->nchwij", dout, self.weight, optimize=True)
        for i, j in np.ndindex(KH, KW):
            padded[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += dwindows[..., i, j]
        return padded[:, :, PH : PH + H, PW : PW + W]
        # end


check(Conv2D)
# hint()

# %% [markdown]
# A stride leaves pixels unread, and their gradient must be exactly 0.

# %%
unread = predict("7 x 9 pixels, a 2 x 2 filter, stride 3: how many pixels have dx = 0?", 63 - 24)

# %%
layer = usable(Conv2D)(1, 1, kernel_size=2, stride=3, rng=rng, dtype=np.float64)
sevens = layer(rng.standard_normal((1, 1, 7, 9)))
unread.reveal(int((layer.backward(np.ones_like(sevens)) == 0).sum()))

# %% [markdown]
# ## From a layer to a network
#
# A network is layers in a row, and its backward is their backwards in reverse order: the `dx` of a layer is
# the `dout` of the one before it. That is the whole of backpropagation: the loop of `backward` in
# `tinycnn_numpy/sequential.py`. A ReLU and a max pooling have kinks, hence the smooth input:

# %%
model = tn.TinyCNN(rng=rng, dtype=np.float64)
images = smooth_input(model, (5, 1, 8, 8), np.float64, rng)
logits = model(images)
backwards = logits_dout = rng.standard_normal(logits.shape)
for name, stage in reversed(model.stages.items()):
    backwards = stage.backward(backwards)
    print(f"{name:8} dx {backwards.shape}")
assert np.array_equal(backwards, model.backward(logits_dout))
report = check_gradients(model, images)
print(report)
assert report.ok

# %% [markdown]
# ## Your turn
#
# 1. Derive the backward of `Dense`, $\text{out}[n,m] = \text{bias}[m] + \sum_k x[n,k] \cdot
#    \text{weight}[m,k]$, in the same way. `dweight` has the shape of `weight`.
# 2. Invent a mistake in `dweight` that a `dout` of ones does not see: return a wrong `dweight`, computed from
#    another `dout` made of this one, that is right under ones and wrong under random numbers. (Not the turn
#    by 180 degrees: you know that one.)


# %%
class Dense(tn.Dense):
    def forward(self, x):  # (N, K) -> (N, M)
        self.cache = x
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias

    def backward_weights(self, dout):  # (N, M)
        x = self.cache
        # solution
        if self.bias is not None:
            self.dbias = dout.sum(axis=0)
        self.dweight = np.einsum("nm,nk->mk", dout, x)
        # end

    def backward(self, dout):  # (N, M) -> (N, K)
        self.backward_weights(dout)
        # solution
        return np.einsum("nm,mk->nk", dout, self.weight)
        # end


def hidden_mistake(dout, windows):
    # solution
    shuffled = dout[::-1] if len(dout) > 1 else dout[:, ::-1]  # another image's, or another filter's
    return np.einsum("nfhw,nchwij->fcij", shuffled, windows)
    # end


check(Dense)
check(hidden_mistake)
# hint()

# %%
score()
