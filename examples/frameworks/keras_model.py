"""MNISTCNN in Keras 3, on JAX: logits, loss and gradients. Read beside torch_model.py."""

import functools
import os
from collections.abc import Callable, Mapping

import numpy as np

if os.environ.setdefault("KERAS_BACKEND", "jax") != "jax":  # Keras reads it when it is imported
    raise ImportError(f"KERAS_BACKEND is {os.environ['KERAS_BACKEND']}, gradients are taken with jax here")

import jax
import keras
from keras import layers

from examples.frameworks.layouts import RULES, Arrays, convert, gradients_home, to_channels_last


def mnist_cnn(dtype: str = "float32") -> keras.Sequential:
    """Which digit? Two convolutions over 28 x 28 images; 12,810 parameters, all 0: they come from a file.

    A layer computes in its own dtype, whatever it is given; so does a loss.
    """
    given = {"dtype": dtype, "kernel_initializer": "zeros"}
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), dtype=dtype),
            layers.Conv2D(16, 3, activation="relu", name="conv1", **given),  # -> (N, 26, 26, 16)
            layers.MaxPooling2D(2, dtype=dtype),  # -> (N, 13, 13, 16)
            layers.Conv2D(32, 3, activation="relu", name="conv2", **given),  # -> (N, 11, 11, 32)
            layers.MaxPooling2D(2, dtype=dtype),  # -> (N, 5, 5, 32)
            layers.Flatten(dtype=dtype),  # -> (N, 800)
            layers.Dense(10, name="fc", **given),  # -> (N, 10)
        ]
    )


@functools.cache
def compiled(dtype: str) -> tuple[keras.Sequential, Callable]:
    """A model, and what takes its weights, images and labels to (loss, logits) and the gradients."""
    model = mnist_cnn(dtype)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=dtype)

    def mean_loss(weights, images, labels):
        logits, _ = model.stateless_call(weights, [], images)
        return loss_fn(labels, logits), logits

    return model, jax.jit(jax.value_and_grad(mean_loss, has_aux=True))


def tensors(state: Mapping[str, np.ndarray], x: np.ndarray, labels: np.ndarray) -> Arrays:
    """x (N, 1, 28, 28), float32 or float64, and labels (N,) give logits, loss, every dweight and dbias."""
    with jax.enable_x64(x.dtype == np.float64), jax.default_matmul_precision("highest"):
        model, gradients_of = compiled(str(x.dtype))
        for stage, weights in to_channels_last(state, x.dtype).items():
            model.get_layer(stage).set_weights([weights["kernel"], weights["bias"]])
        variables = model.trainable_variables
        values = [variable.value for variable in variables]
        (loss, logits), gradients = gradients_of(values, convert(x, RULES["x"]), labels)
    tree: dict[str, dict[str, np.ndarray]] = {}
    for variable, gradient in zip(variables, gradients, strict=True):
        stage, name = variable.path.split("/")[-2:]
        tree.setdefault(stage, {})[name] = gradient
    return {("fc", "out"): np.asarray(logits), ("loss", "loss"): np.asarray(loss), **gradients_home(tree)}
