"""Section 31.5: the same network elsewhere. Needs the extra `frameworks`."""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import tinycnn_numpy as tn
from examples.audit.claim import CONFIRMED, NotHereError, claim, confirmed, exactly, holds, only_if, wrong
from examples.experiments.zoo import count
from examples.frameworks.adam import adam_updates, epsilon_of
from examples.frameworks.compare import parity_report
from parity import smooth_input
from tinycnn_torch import MNISTCNN


def needs(*modules: str) -> None:
    """Raises NotHereError for a module that is not installed."""
    for module in modules:
        try:
            importlib.import_module(f"examples.frameworks.{module}")
        except ImportError as error:
            raise NotHereError(f"{error}: pip install -e '.[frameworks]'") from error


def parity_of(framework: str):
    rng = np.random.default_rng(5)
    model = tn.MNISTCNN(rng=rng, dtype=np.float64)
    x = smooth_input(model, (3, 1, 28, 28), np.float64, rng)
    return parity_report(framework, model.state_dict(), x, np.array([3, 1, 4]))


def same_network(framework: str):
    report = parity_of(framework)
    worst = max(row.ratio for row in report.rows)
    text = f"{report.summary()}: logits, loss and gradients, largest error / bound {worst:.2f}"
    return holds(report.ok, text)


@claim("31.5", "the Keras network is the same", by="examples.frameworks")
def keras_network(lab):
    needs("keras_model")
    found = same_network("keras")
    return (
        only_if(f"{found.computed}; once its weights are laid out for it")
        if found.verdict == CONFIRMED
        else found
    )


@claim("31.5", "Keras puts the channels last", by="examples.frameworks")
def channels_last(lab):
    needs("keras_model")
    from examples.frameworks.keras_model import keras

    return exactly("channels_last", keras.config.image_data_format())


@claim("31.5", "Conv2D(..., input_shape=(28, 28, 1)) begins a Keras model", by="examples.frameworks")
def input_shape(lab):
    needs("keras_model")
    from examples.frameworks.keras_model import keras

    return begins(lambda: keras.Sequential([keras.layers.Conv2D(16, 3, input_shape=(28, 28, 1))]))


def begins(make: Callable[[], Any]):
    """Whether make() gives a model that is built, has the chapter's 26 x 26 x 16 maps, and no warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = make().output_shape
        except (TypeError, ValueError, AttributeError) as error:
            return wrong(f"{type(error).__name__}: {error}")
    if found != (None, 26, 26, 16):
        return wrong(f"gives {found}")
    return (
        only_if(f"gives {found}, with a warning: use keras.Input") if caught else confirmed(f"gives {found}")
    )


@claim("31.5", "model.compile(...) and model.fit(...) train the Keras network", by="examples.frameworks")
def keras_fit(lab):
    needs("keras_model")
    from examples.frameworks.keras_model import keras, layers

    keras.utils.set_random_seed(0)
    conv = {"activation": "relu"}
    stages = [layers.Conv2D(16, 3, **conv), layers.MaxPooling2D(2), layers.Conv2D(32, 3, **conv)]
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), *stages, layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    x_train = lab.dataset.train_images[:640].transpose(0, 2, 3, 1)
    fitted = model.fit(x_train, lab.dataset.train_labels[:640], epochs=5, batch_size=64, verbose=0)
    return falls(fitted.history["loss"])


def falls(losses: list[float]):
    text = f"the loss falls from {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} epochs of 640 images"
    return holds(bool(losses[-1] < losses[0]), text if losses[-1] < losses[0] else f"losses {losses}")


@claim("31.5", "Keras's optimizer='adam' steps as PyTorch's Adam does", by="examples.frameworks")
def adam_epsilon(lab):
    """The first step under a gradient of 1, and under one of 1e-6, where epsilon counts."""
    needs("keras_model")
    ordinary, tiny = (
        [adam_updates(name, gradient, 1)[0] for name in ("torch", "keras")] for gradient in (1.0, 1e-6)
    )
    eps = [epsilon_of(step, 1e-6) for step in tiny]
    text = f"epsilon at the first step, measured: PyTorch {eps[0]:.1e}, Keras {eps[1]:.1e}"
    if abs(ordinary[0] - ordinary[1]) > 1e-5:
        return wrong(f"under a gradient of 1 steps of {ordinary[0]:.6f} and {ordinary[1]:.6f} learning rates")
    if abs(eps[0] - eps[1]) < 0.01 * eps[0]:
        return confirmed(text)
    return only_if(f"{text}: as long as gradients are much larger than that")


@claim("31.5", "the Flax network is the same", by="examples.frameworks")
def flax_network(lab):
    needs("printed")
    from examples.frameworks.printed import printed_flax_parameters

    printed, ours = printed_flax_parameters(), count(MNISTCNN())
    if printed == ours:
        return confirmed(f"{ours:,} parameters")
    return wrong(f"{printed:,} parameters instead of {ours:,}: linen.Conv pads by default")


@claim("31.5", "all three frameworks compute the same", by="examples.frameworks")
def all_three(lab):
    needs("keras_model", "flax_model", "printed")
    from examples.frameworks.printed import printed_flax_parameters

    mended = same_network("flax")
    text = f"Flax with padding='VALID': {mended.computed}"
    printed_is_ours = printed_flax_parameters() == count(MNISTCNN())
    return only_if(text) if mended.verdict == CONFIRMED and not printed_is_ours else mended


@claim("31.5", "Flax models are pure functions, for jit, grad and vmap", by="examples.frameworks")
def pure(lab):
    needs("flax_model")
    import jax
    from flax import linen

    model: Any = linen.Dense(3)
    x = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    weights = model.init(jax.random.key(0), x)
    out = model.apply(weights, x)
    others = [jax.jit(model.apply)(weights, x), jax.vmap(lambda row: model.apply(weights, row))(x)]
    gap = max(float(abs(out - other).max()) for other in others)
    slope = jax.grad(lambda w: jax.numpy.sum(model.apply(w, x)))(weights)["params"]["bias"]
    text = f"jit and vmap within {gap:.0e}, grad of the summed outputs by a bias {slope[0]:.0f} for 4 rows"
    return holds(gap < 1e-6 and bool((slope == 4).all()), text)
