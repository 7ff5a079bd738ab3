"""MNISTCNN in JAX/Flax: logits, loss and gradients. Read beside torch_model.py.

The parameters stand outside the model, in a tree {stage: {"kernel": ..., "bias": ...}}, and the gradients
come back in such a tree.
"""

from collections.abc import Mapping

import jax
import numpy as np
import optax
from flax import linen

from examples.frameworks.layouts import RULES, Arrays, convert, gradients_home, to_channels_last


class MNISTCNN(linen.Module):
    """Which digit? Two convolutions over 28 x 28 images; 12,810 parameters.

    padding  must be said: left to itself linen.Conv pads, and this would be another network (see printed.py)
    """

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(16, (3, 3), padding="VALID", name="conv1")(x)  # (N, 28, 28, 1) -> (N, 26, 26, 16)
        x = linen.max_pool(linen.relu(x), (2, 2), strides=(2, 2))  # -> (N, 13, 13, 16)
        x = linen.Conv(32, (3, 3), padding="VALID", name="conv2")(x)  # -> (N, 11, 11, 32)
        x = linen.max_pool(linen.relu(x), (2, 2), strides=(2, 2))  # -> (N, 5, 5, 32)
        return linen.Dense(10, name="fc")(x.reshape(len(x), -1))  # -> (N, 800) -> (N, 10)


def mean_loss(weights, images, labels):
    logits = MNISTCNN().apply({"params": weights}, images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits


gradients_of = jax.jit(jax.value_and_grad(mean_loss, has_aux=True))


def tensors(state: Mapping[str, np.ndarray], x: np.ndarray, labels: np.ndarray) -> Arrays:
    """x (N, 1, 28, 28), float32 or float64, and labels (N,) give logits, loss, every dweight and dbias."""
    images, weights = convert(x, RULES["x"]), to_channels_last(state, x.dtype)
    with jax.enable_x64(x.dtype == np.float64), jax.default_matmul_precision("highest"):
        (loss, logits), gradients = gradients_of(weights, images, labels)
    home = gradients_home(gradients)
    return {("fc", "out"): np.asarray(logits), ("loss", "loss"): np.asarray(loss), **home}
