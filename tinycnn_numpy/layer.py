"""A layer computes `out` from `x`, and later `dx` from `dout`: the contract that every layer keeps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn_numpy.checks import check_state


class Layer:
    """One step of a network, with its own derivative written by hand.

    forward(x) -> out       remembers in `self.cache` what backward will need
    backward(dout) -> dx    takes dL/dout, returns dL/dx, and assigns dL/dweight to `self.dweight` and
                            dL/dbias to `self.dbias` (PyTorch adds to .grad, hence its zero_grad)

    What a layer was given and what it returned may be what it remembers: change neither before backward.
    A layer's parameters are the arrays that it calls `weight` and `bias`. All arrays are float32 or float64.
    """

    weight: Any = None  # an array, or None where a layer has none
    bias: Any = None
    dweight: Any = None  # None until the first backward
    dbias: Any = None
    training: bool = True  # batch normalisation and dropout do something else in evaluation

    def forward(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def backward(self, dout: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def backward_weights(self, dout: np.ndarray) -> None:
        """backward without dx: in training nobody asks the first layer of a model for dL/dimage."""
        self.backward(dout)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.forward(x)

    def train(self, mode: bool = True) -> "Layer":
        self.training = mode
        return self

    def eval(self) -> "Layer":
        return self.train(False)

    def __getattr__(self, name: str):
        # Python calls this only for attributes that do not exist: `cache` exists once forward has run.
        if name == "cache":
            raise RuntimeError(f"{self}: backward was called before forward")
        raise AttributeError(f"{self} has no attribute {name!r}")

    def __str__(self) -> str:
        return type(self).__name__

    def named_parameters(self) -> "Iterator[tuple[str, Parameter]]":
        for name in ("weight", "bias"):
            if getattr(self, name) is not None:
                yield name, Parameter(self, name)

    def parameters(self) -> "list[Parameter]":
        """What an optimiser updates."""
        return [parameter for _, parameter in self.named_parameters()]

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy of every parameter, under the name that the PyTorch twin gives it."""
        return {name: parameter.data.copy() for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Copy `state` into the parameters, cast to their dtype.

        Raises ValueError that lists every missing, unexpected and mis-shaped name; then nothing was copied.
        """
        check_state(self, {name: parameter.data for name, parameter in self.named_parameters()}, state)
        for name, parameter in self.named_parameters():
            parameter.data[...] = state[name]


@dataclass
class Parameter:
    """A learned array together with its gradient, both looked up on the layer that owns them."""

    layer: Layer
    name: str

    @property
    def data(self) -> np.ndarray:
        """layer.weight, say. Whatever is assigned is written into the same array, for others hold it too."""
        return getattr(self.layer, self.name)

    @data.setter
    def data(self, value: np.ndarray) -> None:
        self.data[...] = value

    @property
    def grad(self) -> np.ndarray:
        """layer.dweight, say. Raises RuntimeError before the first backward."""
        grad = getattr(self.layer, "d" + self.name)
        if grad is None:
            raise RuntimeError(f"{self.layer}: {self.name} has no gradient yet, call backward first")
        return grad
