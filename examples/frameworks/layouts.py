"""Where the weights of PyTorch stand in a channels-last framework: a table, and what applies it.

A word of a rule is one axis of an array, a letter one index: n image, c channel, h w pixel, f filter, i j
inside the kernel, o output. A word of several letters is an axis that runs through all of them, the last
one fastest. So "o chw -> hwc o" takes 800 columns apart into channel, row and column of the pixel, puts the
channel last, and makes them the rows.

Keras and Flax have the same layouts and call a weight `kernel`. The rules hold for gradients too, read from
right to left they bring them home.
"""

import math
from collections.abc import Mapping

import numpy as np

Arrays = dict[tuple[str, str], np.ndarray]  # by (stage, tensor), as parity names them

RULES = {
    "x": "n c h w -> n h w c",
    "conv1.weight": "f c i j -> i j c f",
    "conv1.bias": "f -> f",
    "conv2.weight": "f c i j -> i j c f",
    "conv2.bias": "f -> f",
    "fc.weight": "o chw -> hwc o",
    "fc.bias": "o -> o",
}
FLATTENED = {"c": 32, "h": 5, "w": 5}  # what MNISTCNN's flatten is given: (N, 32, 5, 5)
THEIR_NAMES = {"weight": "kernel", "bias": "bias"}


def convert(array: np.ndarray, rule: str) -> np.ndarray:
    """A copy of `array`, laid out by the right side of `rule`. Raises ValueError if the left does not fit."""
    before, after = (side.split() for side in rule.split("->"))
    alone = {axis: size for axis, size in zip(before, array.shape, strict=True) if len(axis) == 1}
    sizes = FLATTENED | alone
    apart, order = "".join(before), "".join(after)
    array = array.reshape([sizes[letter] for letter in apart])
    array = array.transpose([apart.index(letter) for letter in order])
    return array.reshape([math.prod(sizes[letter] for letter in axis) for axis in after]).copy()


def backwards(rule: str) -> str:
    before, after = rule.split(" -> ")
    return f"{after} -> {before}"


def to_channels_last(state: Mapping[str, np.ndarray], dtype) -> dict[str, dict[str, np.ndarray]]:
    """A state_dict as {stage: {"kernel": ..., "bias": ...}} in `dtype`, the form in which Flax keeps it."""
    weights: dict[str, dict[str, np.ndarray]] = {}
    for name, array in state.items():
        stage, tensor = name.split(".")
        weights.setdefault(stage, {})[THEIR_NAMES[tensor]] = convert(array.astype(dtype), RULES[name])
    return weights


def gradients_home(gradients: Mapping[str, Mapping[str, np.ndarray]]) -> Arrays:
    """What to_channels_last is to weights, the other way for their gradients."""
    home = {}
    for name in RULES.keys() - {"x"}:
        stage, tensor = name.split(".")
        theirs = np.asarray(gradients[stage][THEIR_NAMES[tensor]])
        home[stage, f"d{tensor}"] = convert(theirs, backwards(RULES[name]))
    return home
