# %% [markdown]
# # 4. ReLU, pooling, loss and optimisers
#
# Between the convolution and a trained network stand five small things: a gate, a choice, a measure of
# surprise, and two rules for a step. You derive each from its forward, write it, and let PyTorch judge it.
#
# A derivative is never guessed: ask of every entry that goes in, *which entries of the output does it move,
# and by how much?* Multiply by `dout` there, and add up.
#
# *Chapters 23 and 31.1. In the library: `tinycnn_numpy/relu.py`, `tinycnn_numpy/plain.py`,
# `tinycnn_numpy/loss.py`, `tinycnn_numpy/optim.py`.*

# %%
import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import tinycnn_numpy as tn
from examples.lessons.classroom import matrices, show
from examples.lessons.marking import check, hint, predict, score, usable

rng = np.random.default_rng(4)

# %% [markdown]
# ## ReLU
#
# $$\text{out} = \max(x, 0), \text{ entry by entry}$$
#
# Each `x` moves its own `out` and no other. By how much, if $x > 0$? If $x < 0$? At $x = 0$ there is no
# derivative; PyTorch chooses one.
#
# What `backward` needs, `forward` must keep in `self.cache`. What comes out has the dtype of what went in.

# %%
at_zero = predict("x = 0 and dout = 1. Which dx does PyTorch choose?", 0)
second = predict("backward is given dout = -2 where x = 3. What is dx there?", -2)


# %%
class ReLU(tn.ReLU):
    def forward(self, x):  # any shape
        # solution
        self.cache = x
        return np.maximum(x, 0)
        # end

    def backward(self, dout):  # the shape of x
        # solution
        x = self.cache
        return dout * (x > 0)
        # end


check(ReLU)
# hint()

# %%
relu = usable(ReLU)()
relu.forward(np.array([0.0, 3.0]))
dx = relu.backward(np.array([1.0, -2.0]))
at_zero.reveal(int(dx[0]))
second.reveal(int(dx[1]))

# %% [markdown]
# If the second question surprised you: the gate looks at `x`, never at `dout`. A negative gradient passes
# through an open gate as well as a positive one.
#
# ## Max pooling
#
# $$\text{out}[n,c,h,w] = \max_{i,j}\; \text{windows}[n,c,h,w,i,j]$$
#
# Only the winner of a window moves `out`: raise any other entry a little, and the largest stays what it is.
# So the winner takes all of `dout`, and then each entry goes back to the pixel that it was read from, as in
# lesson 3. Of equal numbers the first in reading order wins, as in PyTorch; padding counts as $-\infty$, so
# that it never wins.

# %%
peak = predict(
    "3 x 3 windows, stride 1: one inner pixel is the largest far around. It collects how many dout?", 9
)
tie = predict("A 2 x 2 window holds four equal numbers. How many of its pixels get a gradient?", 1)


# %%
class MaxPool2D(tn.MaxPool2D):
    def forward(self, x):  # (N, C, H, W) -> (N, C, OH, OW)
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)], constant_values=-np.inf)
        windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]
        self.cache = windows, x.shape
        # solution
        return windows.max(axis=(4, 5))
        # end

    def backward(self, dout):  # (N, C, OH, OW) -> (N, C, H, W)
        windows, (N, C, H, W) = self.cache  # windows (N, C, OH, OW, KH, KW)
        (SH, SW), (PH, PW) = self.stride, self.padding
        *_, OH, OW, KH, KW = windows.shape
        padded = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        # solution
        winner = windows.reshape(N, C, OH, OW, KH * KW).argmax(axis=4)  # of equal numbers the first
        for i, j in np.ndindex(KH, KW):
            pixels = padded[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW]
            pixels += dout * (winner == i * KW + j)
        # end
        return padded[:, :, PH : PH + H, PW : PW + W]


check(MaxPool2D)
# hint()

# %%
pool = usable(MaxPool2D)(kernel_size=3, stride=1)
hill = np.zeros((1, 1, 6, 8))
hill[0, 0, 2, 4] = 5
back = pool.backward(np.ones_like(pool.forward(hill)))
peak.reveal(int(back[0, 0, 2, 4]))
picture = matrices({"x": hill[0, 0], "dx, dout = 1": back[0, 0]}, "3 x 3 max pooling in steps of 1")
show(picture, "left a single 5, right its 9, and ones where windows of zeros have their first entry")

flat = usable(MaxPool2D)(kernel_size=2)
tie.reveal(int((flat.backward(flat.forward(np.ones((1, 1, 2, 2)))) != 0).sum()))

# %% [markdown]
# ## Softmax and cross-entropy, collapsed
#
# The network gives logits $z_k$ for the classes $k$, any numbers. Softmax makes probabilities of them,
# cross-entropy asks how surprised we are by the right class $y$:
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}} \qquad L = -\log p_y$$
#
# The long way is two derivatives. $L$ depends on $p_y$ alone: $\partial L/\partial p_y = -1/p_y$. And each
# logit moves *every* probability: $\partial p_k/\partial z_m = p_k\,([k = m] - p_m)$. Now multiply.
#
# **On paper:** $\partial L/\partial z_m = -\frac{1}{p_y} \cdot p_y\,([y = m] - p_m) = \;?$
#
# <details><summary>The collapse</summary>
#
# $$\frac{\partial L}{\partial z_m} = p_m - [m = y]$$
#
# The $p_y$ cancels: no division by a probability that may be 0. The loss of a batch is a *mean* over $N$
# images, so each gets $1/N$ of this.
# </details>

# %%
uniform = predict("Ten equal logits. What is the loss?", 2.303)
row = predict("The gradients of one image's logits add up to what?", 0)
overflow = predict(
    "softmax of (1000, 0) by the formula as it stands, np.exp(1000) / sum: inf, nan, 0 or 1?", "nan"
)

# %% [markdown]
# The formula as it stands overflows, and the remedy is exact: adding a constant to all logits of a row
# changes no probability. So subtract the largest first. And take the logarithm before it is too late:
# $\log p_k = z_k - \log \sum_j e^{z_j}$, with the shifted $z$.


# %%
class CrossEntropyLoss(tn.CrossEntropyLoss):
    def forward(self, logits, labels):  # (N, classes), (N,) -> one number
        # solution
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.cache = log_probs, labels
        return -log_probs[np.arange(len(labels)), labels].mean()
        # end

    def backward(self):  # -> (N, classes)
        # solution
        log_probs, labels = self.cache  # type: ignore[misc]
        dlogits = np.exp(log_probs)
        dlogits[np.arange(len(labels)), labels] -= 1
        return dlogits / len(labels)
        # end


check(CrossEntropyLoss)
# hint()

# %%
loss_fn = usable(CrossEntropyLoss)()
uniform.reveal(float(loss_fn(np.zeros((1, 10)), np.array([3]))), factor=1.01)
loss_fn(rng.integers(-3, 4, (4, 5)).astype(float), np.array([0, 1, 4, 2]))
row.reveal(int(np.round(loss_fn.backward().sum(axis=1)).max()))
with np.errstate(over="ignore", invalid="ignore"):
    overflow.reveal(str(np.exp(1000.0) / np.exp([1000.0, 0.0]).sum()))

# %% [markdown]
# The long way, to see that it is the same: the matrix of all $\partial p_k/\partial z_m$ for one image, times
# the gradient of $-\log p_y$. In float64 both agree, but look at what the long way does to a class that the
# network finds impossible.

# %%
for logits in (np.array([1.0, 2.0, -1.0]), np.array([800.0, 0.0, 5.0])):
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.exp(logits - logits.max())
        p /= p.sum()
        jacobian = np.diag(p) - np.outer(p, p)  # [k, m]
        dp = np.array([0, -1 / p[1], 0])  # the right class is 1
        long_way = dp @ jacobian
    loss_fn(logits[None], np.array([1]))
    print("long way ", long_way, "\ncollapsed", loss_fn.backward()[0])

# %% [markdown]
# ## SGD, with momentum
#
# A step goes against the gradient. With *momentum* $\mu$ the steps remember where they went:
#
# $$g = \text{grad} + \lambda \cdot \text{data} \qquad b \leftarrow \mu\, b + g \qquad
# \text{data} \leftarrow \text{data} - \text{lr} \cdot b$$
#
# where $\lambda$ is the weight decay: the derivative of $\frac{\lambda}{2}\text{data}^2$, which pulls towards
# 0. *Nesterov* looks one step ahead: the step is $g + \mu b$ instead of $b$.
#
# The optimiser has `self.parameters`; of each, `parameter.grad` is the gradient and `parameter.data[...] -=`
# changes the weights in place. `self.momentum_buffer` holds one array $b$ for each, 0 at first.

# %%
far = predict("Momentum 0.9, lr 1, and the gradient is always 1. How long are the steps after a while?", 10)


# %%
class SGD(tn.SGD):
    def step(self):
        self.steps += 1
        for parameter, b in zip(self.parameters, self.momentum_buffer, strict=True):
            # solution
            g = parameter.grad + self.weight_decay * parameter.data
            b[...] = self.momentum * b + g
            parameter.data[...] -= self.lr * (g + self.momentum * b if self.nesterov else b)
            # end


check(SGD)
# hint()


# %%
def steps_of(optimizer_class, gradients, **settings):
    """How far one weight moves in each step, for these gradients."""
    layer = tn.Dense(1, 1, bias=False, rng=rng, dtype=np.float64)
    optimizer, moved = optimizer_class(layer.parameters(), **settings), []
    for gradient in gradients:
        before = layer.weight.item()
        layer.dweight = np.array([[gradient]])
        optimizer.step()
        moved.append(before - layer.weight.item())
    return moved


far.reveal(steps_of(usable(SGD), [1.0] * 200, lr=1.0, momentum=0.9)[-1], factor=1.01)

# %% [markdown]
# ## Adam
#
# Adam keeps two running means, of the gradient and of its square:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
#
# Both start at 0, which is too small. **By how much?** Let $g$ be constant: after one step $m = (1 -
# \beta_1)\, g$, after two $(1 - \beta_1^2)\, g$, after $t$ steps $(1 - \beta_1^t)\, g$. Dividing by just that
# makes it right: $\hat m = m / (1 - \beta_1^t)$, and $\hat v = v / (1 - \beta_2^t)$ likewise. Then
#
# $$\text{data} \leftarrow \text{data} - \text{lr} \cdot \frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$

# %%
small = predict("Adam, lr 0.1. The gradient is 0.001. How long is the first step?", 0.1)
large = predict("The gradient is 1000. How long is the first step?", 0.1)
uncorrected = predict("Without the corrections the first step is how many times lr? (betas 0.9, 0.999)", 3.16)


# %%
class Adam(tn.Adam):
    def step(self):
        self.steps += 1
        beta1, beta2 = self.betas
        for parameter, m, v in zip(self.parameters, self.exp_avg, self.exp_avg_sq, strict=True):
            g = parameter.grad + self.weight_decay * parameter.data
            # solution
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            m_hat = m / (1 - beta1**self.steps)
            v_hat = v / (1 - beta2**self.steps)
            parameter.data[...] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
            # end


check(Adam)
# hint()

# %%
small.reveal(steps_of(usable(Adam), [1e-3], lr=0.1)[0], factor=1.01)
large.reveal(steps_of(usable(Adam), [1e3], lr=0.1)[0], factor=1.01)
uncorrected.reveal((1 - 0.9) / math.sqrt(1 - 0.999), factor=1.01)

# %% [markdown]
# That is why a learning rate of 0.1 is usual for SGD and far too much for Adam: every weight moves by 0.1 in
# the first step, whatever its gradient is.
#
# ## Your turn
#
# Average pooling. Every entry of a window moves `out`, and all of them equally. Padding counts as zeros, in
# the sum and in the count.


# %%
class AvgPool2D(tn.AvgPool2D):
    def forward(self, x):  # (N, C, H, W) -> (N, C, OH, OW)
        (KH, KW), (SH, SW), (PH, PW) = self.kernel_size, self.stride, self.padding
        padded = np.pad(x, [(0, 0), (0, 0), (PH, PH), (PW, PW)])
        windows = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW]
        self.cache = windows.shape, x.shape
        # solution
        return windows.mean(axis=(4, 5))
        # end

    def backward(self, dout):  # (N, C, OH, OW) -> (N, C, H, W)
        (*_, OH, OW, KH, KW), (N, C, H, W) = self.cache
        (SH, SW), (PH, PW) = self.stride, self.padding
        padded = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dout.dtype)
        # solution
        for i, j in np.ndindex(KH, KW):
            padded[:, :, i : i + SH * OH : SH, j : j + SW * OW : SW] += dout / (KH * KW)
        # end
        return padded[:, :, PH : PH + H, PW : PW + W]


check(AvgPool2D)
# hint()

# %%
score()
