# %% [markdown]
# # 10. Elsewhere, and a claim of your own
#
# Keras, Flax and ONNX draw the same network with other words. The chapter shows two snippets and says that
# all compute the same. One of the two does not, and without looking at numbers nobody notices.
#
# In this lesson one file of weights goes into all of them. What has to be turned around on the way, and
# what each framework does if you do not tell it otherwise, is most of what there is to know about changing
# frameworks.
#
# Keras, JAX, Flax and ONNX come with an extra: `pip install -e '.[frameworks]'`. Without it the cells that
# need them say so, and the rest still runs.
#
# *Chapter 31.5. Program: `python -m examples.frameworks`.*

# %%
import tempfile
from pathlib import Path

import numpy as np

import tinycnn_numpy as tn
from examples.common.models import start
from examples.common.training import train
from examples.frameworks.compare import TITLES, is_present, parity_report
from examples.frameworks.layouts import RULES, convert
from examples.frameworks.tables import adam_table, defaults_table, layout_table, parity_table
from examples.lessons.classroom import SMALL, dataset
from examples.lessons.marking import check, hint, predict, score
from parity import load_weights, numpy_state, save_weights, smooth_input

digits = dataset(most=3000)  # of MNIST; the embedded digits are fewer anyway
present = [framework for framework in TITLES if is_present(framework)]
print("in this lesson:", ", ".join(TITLES[framework] for framework in present))

# %% [markdown]
# ## One file of weights

# %%
model = start("MNISTCNN", "numpy", 0)
log = train(model, digits, seed=0, epochs=1 if SMALL else 3)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "model.safetensors")
    save_weights(model, path, {"dataset": digits.name})
    again = start("MNISTCNN", "torch", 1)
    load_weights(again, path)
    print(f"{path.name}: {path.stat().st_size:,} bytes")
state = numpy_state(again)
print(f"test accuracy {log[-1]['test_accuracy']:.2f} %")

# %% [markdown]
# ## Where the weights stand
#
# PyTorch (and this library, and ONNX) keep the channels of an image *first*, Keras and Flax keep them
# *last*. That turns every array around. A rule says how: each letter is an axis, so `f c i j -> i j c f`
# carries the filters to the end.
#
# Why is the rule for `fc.weight` longer than "transpose"?

# %%
keras = predict("conv2's weight is (32, 16, 3, 3) here. Which shape has it in Keras?", (3, 3, 16, 32))

# %%
rng = np.random.default_rng(6)
x = smooth_input(model, (5, 1, 28, 28), np.float32, rng)
print(*layout_table(state, x), sep="\n")
keras.reveal(convert(state["conv2.weight"], RULES["conv2.weight"]).shape)

# %% [markdown]
# `flatten` reads in the order of the *axes*, whatever lies where in memory: the last axis runs fastest. In N,
# C, H, W that is channel after channel, in Keras' and Flax' N, H, W, C pixel after pixel. So the 800 columns
# of the dense weight belong to 800 *other* numbers, and must be reordered.
#
# The nasty thing is that a plain transpose fits. The dense layer of a channels-last framework is played by
# NumPy here:

# %%
carried = predict("Accuracy of the network carried over with fc.weight.T: below 40 %, or above?", "below")

# %%
tests, labels = digits.test_images, digits.test_labels
model(tests)
pooled = model.flatten.cache  # (shape, dtype) of what flatten was given
flat = model.fc.cache.reshape(pooled[0]).transpose(0, 2, 3, 1).reshape(len(tests), 800)  # channels last
for name, kernel in (
    ("the plain transpose", state["fc.weight"].T),
    (RULES["fc.weight"], convert(state["fc.weight"], RULES["fc.weight"])),
):
    logits = flat @ kernel + state["fc.bias"]
    accuracy = 100 * (logits.argmax(axis=1) == labels).mean()
    print(f"{name:20} kernel {kernel.shape}, accuracy {accuracy:6.2f} %")
    if name == "the plain transpose":
        carried.reveal("below" if accuracy < 40 else "above")

# %% [markdown]
# No error, no warning, and a network that guesses.
#
# ## The Flax snippet of the chapter
#
# It says `fnn.Conv(16, (3, 3))` and nothing about padding. PyTorch's convolution pads nothing unless told
# to; Flax pads with zeros until the image keeps its size (`SAME`).
#
# With lesson 2: 28 -> ? -> 14 -> ? -> 7. (You know the network without padding: 800 and 12,810.)

# %%
inputs = predict("How many inputs has the dense layer then?", 1_568)
parameters = predict("How many parameters has the network?", 20_490)

# %%
padded = tn.Sequential(
    conv1=tn.Conv2D(1, 16, kernel_size=3, padding=1, rng=rng),
    relu1=tn.ReLU(),
    pool1=tn.MaxPool2D(kernel_size=2),
    conv2=tn.Conv2D(16, 32, kernel_size=3, padding=1, rng=rng),
    relu2=tn.ReLU(),
    pool2=tn.MaxPool2D(kernel_size=2),
    flatten=tn.Flatten(),
    fc=tn.Dense(32 * 7 * 7, 10, rng=rng),
)
assert padded(tests[:2]).shape == (2, 10)
total = tn.count_parameters(padded)
inputs.reveal(padded.fc.in_features)
parameters.reveal(total)

# %% [markdown]
# And Flax itself, asked for the snippet letter by letter:

# %%
if "flax" in present:
    from examples.frameworks.printed import in_words, printed_flax_parameters

    print(in_words())
    assert printed_flax_parameters() == total == 20_490
else:
    print("SKIPPED, Flax is not installed: pip install -e '.[frameworks]'")

# %% [markdown]
# Another network, with 60 % more parameters, under the same name. Nothing fails: it trains and reports
# accuracies. Repair the snippet of the chapter: it must compute what PyTorch's network computes.


# %%
def repaired_snippet():
    snippet = """
class MNISTCNN(fnn.Module):
    @fnn.compact
    def __call__(self, x):
        x = fnn.Conv(16, (3, 3))(x)
        x = fnn.relu(x)
        x = fnn.max_pool(x, (2, 2), strides=(2, 2))
        x = fnn.Conv(32, (3, 3))(x)
        x = fnn.relu(x)
        x = fnn.max_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape((x.shape[0], -1))
        x = fnn.Dense(10)(x)
        return x
"""
    # solution
    return snippet.replace("(3, 3))(x)", '(3, 3), padding="VALID")(x)')
    # end


check(repaired_snippet)
# hint()

# %% [markdown]
# ## What frameworks do unless told otherwise
#
# The table is read off the installed code, or measured on it.
#
# Train the same architecture with the same data in all of them, with defaults everywhere: why will the curves
# not coincide? Name three reasons before you look.

# %%
print(*defaults_table(present), sep="\n")

# %% [markdown]
# ## Adam's epsilon, twice
#
# Look at Adam under a constant gradient $g$. With its corrections its two memories are $\hat m = g$ and
# $\hat v = g^2$, and a step is, in units of the learning rate,
#
# $$\frac{\hat m}{\sqrt{\hat v} + \varepsilon} = \frac{g}{|g| + \varepsilon}.$$
#
# As long as $|g| \gg \varepsilon$ that is 1, whatever the gradient. Keras follows another line of the same
# paper and divides by $\sqrt{v} + \varepsilon$ *before* correcting. Since $v = (1 - \beta_2^t)\, g^2$ is
# small in the first steps $t$, its $\varepsilon$ acts as if it were $\varepsilon / \sqrt{1 - \beta_2^t}$.
#
# %%
factor = predict(
    "beta2 = 0.999 and t = 1: the epsilon of Keras acts as if it were how many times larger?", 31.6
)

# %%
factor.reveal(float(1 / np.sqrt(1 - 0.999)), factor=1.01)
print(*adam_table(present), sep="\n")

# %% [markdown]
# A gradient of $10^{-6}$ is small but not rare: here the first step of Keras is a fraction of what PyTorch
# does.
#
# ## The same numbers after all
#
# Once the weights stand where they belong and the padding is said, everybody computes the same: logits,
# loss, and every gradient, each within the bound of what rounding may do (below 1 is right).

# %%
targets = rng.integers(10, size=len(x))
reports = [
    {framework: parity_report(framework, state, x.astype(dtype), targets) for framework in present}
    for dtype in (np.float32, np.float64)
]
print(*parity_table(reports), sep="\n")
assert all(report.ok for each in reports for report in each.values())

# %% [markdown]
# `-` means that there is nothing to compare: the graph that was exported here describes the network for
# *use*, so it holds no loss and no gradients. (ONNX as such has operators for losses and gradients.)
#
# ## ONNX: the network as data
#
# An ONNX file holds no Python. It is a list of nodes, each with an operation of a fixed catalogue, its
# inputs by name, and the weights. That is why so many runtimes can read it.

# %%
if "onnx" in present:
    from examples.frameworks.onnx_model import graph_of

    graph = graph_of(state, np.float32).graph
    for node in graph.node:
        print(f"{node.op_type:8} {', '.join(node.input)} -> {', '.join(node.output)}")
else:
    print("SKIPPED, ONNX is not installed: pip install -e '.[frameworks]'")

# %% [markdown]
# ## JAX: a gradient for each image
#
# In Flax the weights are not *in* the model; the loss is a pure function of weights and data. Whatever
# transforms functions then works on it: `grad` gives its gradient, `vmap` does it for each image by
# itself, `jit` compiles the whole.
#
# The loss is a mean over the images, and so is its gradient.

# %%
if "flax" in present:
    import jax

    from examples.frameworks.flax_model import mean_loss
    from examples.frameworks.layouts import to_channels_last

    tree, channels_last = to_channels_last(state, np.float32), convert(x, RULES["x"])

    def loss_of_one(weights, image, label):
        return mean_loss(weights, image[None], label[None])[0]

    of_each = jax.jit(jax.vmap(jax.grad(loss_of_one), in_axes=(None, 0, 0)))
    of_all = jax.jit(jax.grad(lambda *arguments: mean_loss(*arguments)[0]))
    each, whole = (gradient(tree, channels_last, targets) for gradient in (of_each, of_all))
    per_image = np.asarray(each["fc"]["kernel"])  # (N, 800, 10)
    print("norm of the gradient of fc, image by image:", np.linalg.norm(per_image, axis=(1, 2)).round(3))
    gap = np.abs(per_image.mean(axis=0) - np.asarray(whole["fc"]["kernel"])).max()
    print(f"their mean against the gradient of the batch: largest difference {gap:.0e}")
    assert gap < 1e-4
else:
    print("SKIPPED, JAX and Flax are not installed: pip install -e '.[frameworks]'")

# %% [markdown]
# ## Your turn: a claim of your own
#
# `python -m examples.audit` puts the statements and suggestions of the chapter on one page, each with a
# verdict that is the outcome of a comparison. Its rule: a claim is worth a check only if a number could
# refute it.
#
# Write one: `claim(number)` says whether a measured number supports it. Then measure, and let the number
# decide. The example asks whether this network is right for more than 95 % of the test images; take a claim
# of yours, about anything that you can measure with these lessons, and the same form: first the claim, then
# the number.

# %%
supported = predict("Will your measurement support your claim: yes or no?", "yes")


# %%
def claim(number):  # -> whether it supports the claim
    # solution
    return number > 50
    # end


check(claim)
# hint()

# %%
measured = 100 * float((model(tests).argmax(axis=1) == labels).mean())  # or what you have measured
try:
    supported.reveal("yes" if claim(measured) else "no", measured=True)
except NotImplementedError:
    print("no claim yet")
print(f"measured: {measured:.2f} on {digits.name}, {len(tests):,} test images, one seed")

# %% [markdown]
# One seed, one data set: say so. Lesson 8 has what turns one number into a statement about the network.

# %%
score()
