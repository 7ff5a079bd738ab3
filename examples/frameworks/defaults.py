"""What each framework does unless told otherwise: read off the installed code, or measured on it.

The layer that is looked at is a convolution of 16 channels to 32 with a 3 x 5 kernel, on one image 28 high
and 20 wide: no two axes have one size, so a shape tells its layout.
"""

import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

IMAGE = {"N": 1, "C": 16, "H": 28, "W": 20}
KERNEL = {16: "C", 32: "F", 3: "KH", 5: "KW"}
DENSE = {6: "in", 4: "out"}
FAN_IN = 16 * 3 * 5
LOGITS, LABELS = np.array([[2, 1]] * 7, np.float32), np.ones(7, np.int64)

Defaults = dict[str, str]  # what -> how, the same keys in the same order for each framework


def torch_defaults() -> Defaults:
    import torch
    from torch import nn

    def on_arrays(function):
        return lambda *arrays: function(*map(torch.from_numpy, arrays)).detach().numpy()

    conv, loss_fn, adam = nn.Conv2d(16, 32, (3, 5)), nn.CrossEntropyLoss(), torch.optim.Adam
    source = inspect.getsource(conv.reset_parameters)
    weights, biases = re.findall(r"init\.([a-z]\w*)\(self\.(?:weight|bias), (.*)\)", source)
    return {
        **layouts("NCHW", on_arrays(nn.Flatten()), conv.weight, nn.Linear(6, 4).weight),
        "padding of a convolution": repr(conv.padding),
        **sizes("NCHW", on_arrays(conv), on_arrays(nn.MaxPool2d(2))),
        "initial weights": "{}({})".format(*weights),
        **spread(conv.weight.detach().numpy()),
        "initial bias": "{}({})".format(*biases),
        **of_loss(on_arrays(loss_fn)),
        "learning rate of Adam": default(adam, "lr"),
        "epsilon of Adam": default(adam, "eps"),
    }


def keras_defaults() -> Defaults:
    from examples.frameworks.keras_model import keras, layers

    conv, dense = layers.Conv2D(32, (3, 5)), layers.Dense(4, kernel_initializer="zeros")
    layout = {"channels_last": "NHWC", "channels_first": "NCHW"}[keras.config.image_data_format()]
    conv.build([IMAGE[letter] for letter in layout])
    dense.build((1, 6))
    adam = keras.optimizers.Adam
    return {
        **layouts(layout, layers.Flatten(), conv.kernel, dense.kernel),
        "padding of a convolution": repr(conv.padding),
        **sizes(layout, conv, layers.MaxPooling2D(2)),
        "initial weights": type(conv.kernel_initializer).__name__,
        **spread(conv.kernel),
        "initial bias": type(conv.bias_initializer).__name__,
        **of_loss(lambda logits, labels: keras.losses.SparseCategoricalCrossentropy()(labels, logits)),
        "learning rate of Adam": default(adam, "learning_rate"),
        "epsilon of Adam": default(adam, "epsilon"),
    }


def flax_defaults() -> Defaults:
    import jax
    import optax
    from flax import linen

    key, image = jax.random.key(0), np.zeros([IMAGE[letter] for letter in "NHWC"], np.float32)
    conv: Any = linen.Conv(32, (3, 5))
    dense = linen.Dense(4, kernel_init=linen.initializers.zeros)
    weights = conv.init(key, image)
    dense_kernel = dense.init(key, np.zeros((1, 6), np.float32))["params"]["kernel"]
    kernel_init = inspect.getclosurevars(conv.kernel_init).nonlocals
    return {
        **layouts("NHWC", lambda x: x.reshape(len(x), -1), weights["params"]["kernel"], dense_kernel),
        "padding of a convolution": repr(conv.padding),
        **sizes("NHWC", lambda x: conv.apply(weights, x), lambda x: linen.max_pool(x, (2, 2))),
        "initial weights": "{distribution}({scale}, {mode})".format(**kernel_init),
        **spread(weights["params"]["kernel"]),
        "initial bias": conv.bias_init.__name__,
        **of_loss(optax.softmax_cross_entropy_with_integer_labels),
        "learning rate of Adam": default(optax.adam, "learning_rate"),
        "epsilon of Adam": default(optax.adam, "eps"),
    }


DEFAULTS: dict[str, Callable[[], Defaults]] = {
    "torch": torch_defaults,
    "keras": keras_defaults,
    "flax": flax_defaults,
}


def default_differences(frameworks=tuple(DEFAULTS)) -> dict[str, Defaults]:
    """{framework: {what: how}}, in the order of the arguments. Raises ImportError where one is missing."""
    return {framework: DEFAULTS[framework]() for framework in frameworks}


def default(function: Callable, parameter: str) -> str:
    value = inspect.signature(function).parameters[parameter].default
    return "none, must be given" if value is inspect.Parameter.empty else repr(value)


def layouts(layout: str, flatten: Callable, kernel, dense) -> Defaults:
    """layout: of images, "NCHW" or "NHWC"; a framework that has the other refuses the image later on."""
    image = np.arange(math.prod(IMAGE.values()), dtype=np.float32).reshape([IMAGE[axis] for axis in layout])
    row = np.asarray(flatten(image)).ravel().tolist()
    first = dict(zip(layout, np.eye(4, dtype=int).tolist(), strict=True))  # the second entry of each axis
    del first["N"]
    steps = {axis: row.index(image[tuple(index)]) for axis, index in first.items()}
    return {
        "images": " ".join(layout),
        "flatten, the last fastest": " ".join(sorted(steps, key=steps.__getitem__, reverse=True)),
        "weight of a convolution": " ".join(KERNEL[size] for size in kernel.shape),
        "weight of a dense layer": " ".join(DENSE[size] for size in dense.shape),
    }


def sizes(layout: str, conv: Callable, pool: Callable) -> Defaults:
    image, height = np.zeros([IMAGE[axis] for axis in layout], np.float32), layout.index("H")
    return {
        "28 rows after a kernel of 3": str(conv(image).shape[height]),
        "28 rows after max_pool(2)": str(pool(image).shape[height]),
    }


def spread(kernel) -> Defaults:
    """In units of 1 / sqrt(fan_in), fan_in the products summed for one output."""
    return {"their std * sqrt(fan_in)": f"{np.std(kernel) * math.sqrt(FAN_IN):.1f}"}


def of_loss(loss_fn: Callable) -> Defaults:
    loss = np.asarray(loss_fn(LOGITS, LABELS))
    return {
        "loss of logits 2, 1, label 1": f"{loss.flat[0]:.2f}",
        "shape of the loss of 7 images": str(loss.shape),
    }
