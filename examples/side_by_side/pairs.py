"""Each stage of TinyCNN with both of its sides; it refuses to pair what has no counterpart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.side_by_side.aligned import AlignedRow, beside_equations
from examples.side_by_side.lines import NoCounterpartError, code_lines, equations, stage_lines, where
from parity.kinds import kind_of, names_of
from tinycnn_numpy.layer import Layer


@dataclass
class Pair:
    """A stage: its class on both sides, its lines in the two models, and the code by hand, row by row.

    forward and backward are all lines of those methods, each equation beside the lines that compute it. What
    backward leaves to backward_weights comes first, as it does when it runs.
    """

    name: str
    hand: type[Layer]
    module: type[nn.Module]
    hand_line: str
    torch_line: str
    forward: list[AlignedRow]
    backward: list[AlignedRow]

    @property
    def forward_lines(self) -> int:
        return len(code_lines(self.hand.forward))

    @property
    def backward_lines(self) -> int:
        return sum(len(code_lines(method)) for method in backward_methods(self.hand))

    @property
    def class_lines(self) -> int:
        """With constructor and helpers, and with what it shares with others of its kind (Pool2D)."""
        own = [cls for cls in self.hand.__mro__ if cls not in (*Layer.__mro__, tn.Sequential)]
        return sum(len(code_lines(cls)) for cls in own)


def pairs_of(hand: type = tn.TinyCNN, torch: type = tt.TinyCNN) -> list[Pair]:
    """Pair up the stages of a model class of tinycnn_numpy with those of its twin.

    Raises NoCounterpartError in one line if a stage is missing on either side or is of another kind, if a
    class lacks forward or backward, if its docstring lacks an equation, or its code a line for one.
    """
    ours, theirs = stage_lines(hand), stage_lines(torch)
    for mine, other, has, lacks in ((theirs, ours, hand, torch), (ours, theirs, torch, hand)):
        for name in other:
            if name not in mine:
                raise NoCounterpartError(f"{where(lacks)} has no stage {name!r}, which {where(has)} has")
    if list(ours) != list(theirs):
        raise NoCounterpartError(f"{where(torch)} has stages {list(theirs)}, expected {list(ours)}")
    model, module = hand(rng=np.random.default_rng(0)), torch()
    return [
        _pair(layer, module.get_submodule(name), name, ours[name], theirs[name])
        for name, layer in model.stages.items()
    ]


def _pair(layer: Layer, module: nn.Module, name: str, hand_line: str, torch_line: str) -> Pair:
    hand = type(layer)
    try:
        kind = kind_of(hand, names_of("layer"))
    except ValueError as error:
        raise NoCounterpartError(f"{where(hand)} has no counterpart: {error}") from None
    if type(module).__name__ != kind.twin:
        raise NoCounterpartError(f"{where(hand)} stands beside {type(module).__name__} as stage {name!r}")
    defined = ("out", "dx", *(f"d{parameter}" for parameter, _ in layer.named_parameters()))
    forward, backward = aligned(hand, defined, ("out", "dx"))
    return Pair(name, hand, type(module), hand_line, torch_line, forward, backward)


def aligned(
    hand: Any, defined: tuple[str, ...], returns: tuple[str, str]
) -> tuple[list[AlignedRow], list[AlignedRow]]:
    """The rows of forward and of backward of a layer or loss, of which the docstring must define `defined`.

    returns  what forward and backward return: ("out", "dx")
    """
    for method in ("forward", "backward"):
        if getattr(hand, method, None) in (None, getattr(Layer, method)):
            raise NoCounterpartError(f"{where(hand)} has no method {method}")
    texts = equations(hand, defined)
    forward = beside_equations(hand.forward, texts, returns[0])
    backward = [
        row for method in backward_methods(hand) for row in beside_equations(method, texts, returns[1])
    ]
    beside = {text for row in forward + backward for text in row.equations}
    for name, text in texts.items():
        if text not in beside:
            raise NoCounterpartError(f"{where(hand)}: no line of forward or backward makes {name}")
    return forward, backward


def backward_methods(hand: Any) -> list[Callable]:
    weights = getattr(hand, "backward_weights", Layer.backward_weights)
    return [weights, hand.backward] if weights is not Layer.backward_weights else [hand.backward]
