"""How a layer shows itself."""

import inspect
from typing import Any


def as_a_call(layer: Any) -> str:
    """The call that builds it, without arguments at their default: Conv2D(in_channels=1, ...)."""
    values = {**vars(layer), "bias": layer.bias is not None}
    values.pop("rng", None)
    arguments = [a for a in inspect.signature(type(layer)).parameters.values() if a.name in values]
    shown = [f"{a.name}={values[a.name]}" for a in arguments if values[a.name] != a.default]
    return f"{type(layer).__name__}({', '.join(shown)})"
