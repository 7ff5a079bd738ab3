"""Adam is not one formula: epsilon counts more in Keras, and most of all in the first steps.

NumPy by hand, PyTorch and optax divide by sqrt(v_hat) + eps, where v_hat = v / (1 - beta2**t). Keras divides
by sqrt(v) + eps and moves the correction into the learning rate: the paper's "epsilon hat" (Kingma and Ba
2015, end of section 2; keras.optimizers.Adam.update_step). Multiplied out, Keras's eps is
eps / sqrt(1 - beta2**t) in the others' formula. It matters where gradients are as small as that.
"""

from collections.abc import Callable, Iterator

import numpy as np

import tinycnn_numpy as tn

Places = Iterator[float]


def numpy_places(gradient: float, steps: int) -> Places:
    """Where a float64 weight that began at 0 stands after each step; learning rate 1, all else by default."""
    layer = tn.Dense(1, 1, bias=False, rng=np.random.default_rng(0), dtype=np.float64)
    layer.weight[...], layer.dweight = 0, np.full((1, 1), gradient)
    adam = tn.Adam(layer.parameters(), lr=1.0)
    for _ in range(steps):
        adam.step()
        yield layer.weight.item()


def torch_places(gradient: float, steps: int) -> Places:
    import torch

    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    weight.grad = torch.full_like(weight, gradient)
    adam = torch.optim.Adam([weight], lr=1.0)
    for _ in range(steps):
        adam.step()
        yield weight.item()


def keras_places(gradient: float, steps: int) -> Places:
    from examples.frameworks.keras_model import jax, keras

    with jax.enable_x64(True):
        weight = keras.Variable(np.zeros(1), dtype="float64")
        adam = keras.optimizers.Adam(learning_rate=1.0)
        for _ in range(steps):
            adam.apply([np.full(1, gradient)], [weight])
            yield float(weight[0])


def optax_places(gradient: float, steps: int) -> Places:
    import jax
    import optax

    with jax.enable_x64(True):
        weight, adam = np.zeros(1), optax.adam(learning_rate=1.0)
        moments = adam.init(weight)
        for _ in range(steps):
            updates, moments = adam.update(np.full(1, gradient), moments)
            weight = optax.apply_updates(weight, updates)
            yield float(weight[0])


PLACES: dict[str, Callable[[float, int], Places]] = {
    "numpy": numpy_places,
    "torch": torch_places,
    "keras": keras_places,
    "flax": optax_places,
}


def adam_updates(framework: str, gradient: float, steps: int) -> np.ndarray:
    """(steps,): how far each step goes under a constant gradient, in learning rates."""
    return -np.diff([0.0, *PLACES[framework](gradient, steps)])


def epsilon_of(updates: np.ndarray, gradient: float) -> np.ndarray:
    """The epsilon that explains them: under a constant gradient a step is gradient / (gradient + epsilon)."""
    return gradient / updates - gradient
