"""The chapter's Flax network as printed: not the network of its PyTorch and Keras neighbours."""

import math
from dataclasses import dataclass

import jax
import numpy as np
from flax import linen as fnn

from examples.frameworks.flax_model import MNISTCNN as VALID


class MNISTCNN(fnn.Module):
    """Section 31.5, letter by letter. linen.Conv pads unless told not to: only the pools shrink an image."""

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
        return x  # noqa: RET504


@dataclass(frozen=True)
class Shapes:
    """What becomes of a 28 x 28 image. convs: (height, width, channels) after each convolution."""

    convs: list[tuple[int, ...]]
    dense_inputs: int
    parameters: int

    def __str__(self) -> str:
        channels = self.convs[-1][-1]
        side = math.isqrt(self.dense_inputs // channels)
        convs = ", ".join(" x ".join(map(str, shape)) for shape in self.convs)
        flat = f"Dense sees {side} x {side} x {channels} = {self.dense_inputs:,}"
        return f"convolutions give {convs}; {flat}; {self.parameters:,} parameters"


def shapes_of(model: fnn.Module) -> Shapes:
    """Found by tracing shapes; nothing is computed."""
    image, key = np.zeros((1, 28, 28, 1), np.float32), jax.random.key(0)
    found = jax.eval_shape(lambda: model.init(key, image, capture_intermediates=True))
    outs = jax.tree.leaves(found["intermediates"])
    params = jax.tree.leaves(found["params"])
    (dense,) = (p for p in params if p.ndim == 2)
    convs = sorted((out.shape[1:] for out in outs if out.ndim == 4), reverse=True)
    return Shapes(convs, dense.shape[0], sum(p.size for p in params))


def printed_flax_parameters() -> int:
    return shapes_of(MNISTCNN()).parameters


def in_words() -> str:
    return f"""The chapter's Flax snippet (section 31.5) is another network than its PyTorch and Keras ones.
as printed:      {shapes_of(MNISTCNN())}
padding="VALID": {shapes_of(VALID())}
That all three frameworks compute the same is true of the second, as shown below."""
