"""A layer computes `out` from `x`, and later `dx` from `dout`: the contract that every layer keeps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tinycnn_numpy.cache import Cache
from tinycnn_numpy.checks import Array, cast_state, check_array
from tinycnn_numpy.describe import as_a_call


class Layer:
    """One step of a network, with its own derivative written by hand.

    forward(x) -> out       remembers in `self.cache` what backward will need
    backward(dout) -> dx    takes dL/dout, returns dL/dx, and assigns dL/dweight to `self.dweight` and
                            dL/dbias to `self.dbias` (PyTorch adds to .grad, hence its zero_grad)

    A layer may cache x and out without copying: modify neither before backward.
    A layer's parameters are the arrays that it calls `weight` and `bias`; its buffers are arrays that forward
    changes. All arrays are float32 or float64.
    """

    weight: Any = None  # an array, or None where a layer has none
    bias: Any = None
    dweight: Any = None  # None until the first backward
    dbias: Any = None
    cache = Cache()
    buffers: tuple[str, ...] = ()  # names of attributes
    training = True  # or evaluation, in which batch normalisation and dropout do something else

    def forward(self, x: Array) -> Array:
        raise NotImplementedError

    def backward(self, dout: Array) -> Array:
        raise NotImplementedError

    def backward_weights(self, dout: Array) -> None:
        """backward without dx, which training never needs for the first layer."""
        self.backward(dout)

    def __call__(self, x: Array) -> Array:
        return self.forward(x)

    def train(self, mode: bool = True) -> Self:
        self.training = mode
        return self

    def eval(self) -> Self:
        return self.train(False)

    def __str__(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return as_a_call(self)

    def modules(self) -> "Iterator[Layer]":  # this layer and every layer inside
        yield self

    def named_parameters(self) -> "Iterator[tuple[str, Parameter]]":
        for name in ("weight", "bias"):
            if getattr(self, name) is not None:
                yield name, Parameter(self, name)

    def parameters(self) -> "list[Parameter]":
        """What an optimiser updates."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_arrays(self) -> Iterator[tuple[str, Array]]:
        """Parameters and buffers, under the names that the PyTorch twin gives them."""
        yield from ((name, parameter.data) for name, parameter in self.named_parameters())
        yield from ((name, getattr(self, name)) for name in self.buffers)

    def state_dict(self) -> dict[str, Array]:
        """A copy of every parameter and buffer."""
        return {name: array.copy() for name, array in self.named_arrays()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy `state` into the parameters and buffers, cast to their dtype.

        Raises ValueError that lists every missing, unexpected and mis-shaped name, or every array of another
        kind of number; then nothing was copied.
        """
        own = dict(self.named_arrays())
        for name, array in cast_state(self, own, state).items():
            own[name][...] = array


@dataclass
class Parameter:
    """A learned array together with its gradient, both looked up on the layer that owns them."""

    layer: Layer
    name: str

    @property
    def data(self) -> Array:
        """layer.weight, say. Whatever is assigned is written into the same array, for others hold it too."""
        return getattr(self.layer, self.name)

    @data.setter
    def data(self, value: Array) -> None:
        self.data[...] = value

    @property
    def grad(self) -> Array:
        """layer.dweight, say. RuntimeError before the first backward, ValueError for a wrong array."""
        grad: Array | None = getattr(self.layer, "d" + self.name)
        if grad is None:
            raise RuntimeError(f"{self.layer}: {self.name} has no gradient yet, call backward first")
        check_array(self.layer, "d" + self.name, grad, self.data.shape)
        return grad
