"""Sequential: layers in a row. Backpropagation is the loop of `backward`."""

import math
from collections.abc import Iterator
from typing import Any, Self

from tinycnn_numpy.checks import Array
from tinycnn_numpy.layer import Layer, Parameter


class Sequential(Layer):
    """Stages, each fed with what the one before gave: Sequential(conv=Conv2D(...), relu=ReLU()).

    model.conv is the stage of that name. Stages without a name, Sequential(Conv2D(...), ReLU()), are called
    "0", "1" and so on, as in PyTorch, and found in model.stages. A layer remembers its own input until
    backward, so the same object must not stand in two places. (A torch module may: there the graph
    remembers.) Raises ValueError for no stages or a repeated one.
    """

    def __init__(self, *unnamed: Layer, **named: Layer):
        self.stages: dict[str, Any] = {str(i): layer for i, layer in enumerate(unnamed)} | named
        layers = dict(self.named_layers())
        if not layers or len({id(layer) for layer in layers.values()}) < len(layers):
            raise ValueError(f"{self}: stages are {list(layers)}, expected at least one, no layer twice")
        if taken := [name for name in self.stages if hasattr(type(self), name)]:
            raise ValueError(
                f"{self}: a stage is called {taken[0]!r}, expected a name that is not a method's"
            )

    def __getattr__(self, name: str) -> Any:
        stages = self.__dict__.get("stages", {})
        if name not in stages:
            raise AttributeError(f"{self} has no attribute {name!r}")
        return stages[name]

    def __repr__(self) -> str:
        lines = [f"({name}): {layer!r}".replace("\n", "\n  ") for name, layer in self.stages.items()]
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"

    def forward(self, x: Array) -> Array:
        for layer in self.stages.values():
            x = layer.forward(x)
        return x

    def backward(self, dout: Array) -> Array:
        for layer in reversed(self.stages.values()):
            dout = layer.backward(dout)
        return dout

    def backward_weights(self, dout: Array) -> None:
        first, *later = self.stages.values()
        for layer in reversed(later):
            dout = layer.backward(dout)
        first.backward_weights(dout)

    def train(self, mode: bool = True) -> Self:
        for layer in self.stages.values():
            layer.train(mode)
        return super().train(mode)

    def modules(self) -> Iterator[Layer]:
        yield self
        for layer in self.stages.values():
            yield from layer.modules()

    def named_layers(self) -> Iterator[tuple[str, Layer]]:
        """Every layer that is not itself a Sequential, by its dotted name."""
        for stage, layer in self.stages.items():
            if isinstance(layer, Sequential):
                yield from ((f"{stage}.{name}", inner) for name, inner in layer.named_layers())
            else:
                yield stage, layer

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        for stage, layer in self.stages.items():
            for name, parameter in layer.named_parameters():
                yield f"{stage}.{name}", parameter

    def named_arrays(self) -> Iterator[tuple[str, Array]]:
        for stage, layer in self.stages.items():
            yield from ((f"{stage}.{name}", array) for name, array in layer.named_arrays())


def count_parameters(model: Any) -> int:
    """How many numbers a model of either package learns."""
    return sum(math.prod(getattr(p, "data", p).shape) for p in model.parameters())
