"""What of a file is examined: a class, or a pair of functions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from parity.kinds import STATES

Pair = tuple[int, int]
SAME = -1


@dataclass(frozen=True)
class Offer:
    """What a subject takes of what the cases ask for.

    numbers   the arguments that are one whole number for both axes: kernel_size, stride, padding
    pairs     those that must be two
    kernel    the size of its window, if it is not given; stride, padding, channels, filters likewise. A
              stride of 0 is the window; a padding of SAME keeps the size, and the windows are odd
    bias      whether it has one, if it has no choice
    options   the settings of an optimiser that it takes
    float64   or else it makes float32 of everything
    wide      numbers of every size, or ordinary ones alone
    dx        it gives the gradient of its input
    unusable  the arguments that it takes, and that end in an exception
    tiles     the windows must cover the image; square: it must have as many rows as columns
    sizes     images of every size, or of one alone, which its constructor is told
    evaluates what can be asked in evaluation: "both" passes, "forward" alone, or "" nothing
    tracks    it keeps the running statistics of a batch normalisation
    eps, momentum  its own, if they are not given to it
    kinks     it is asked where there is no derivative: equal maxima, a ReLU at 0
    """

    numbers: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    kernel: int | None = None
    stride: int | None = None
    padding: int | None = None
    channels: int | None = None
    filters: int | None = None
    bias: bool | None = None
    options: tuple[str, ...] | None = None
    float64: bool = True
    wide: bool = True
    dx: bool = True
    unusable: tuple[str, ...] = ()
    tiles: bool = False
    square: bool = False
    sizes: bool = True
    evaluates: Literal["both", "forward", ""] = "both"
    tracks: bool = True
    eps: float | None = None
    momentum: float | None = None
    kinks: bool = True

    @property
    def own(self) -> dict[str, float]:
        """The settings of its own."""
        settings = {"eps": self.eps, "momentum": self.momentum}
        return {name: value for name, value in settings.items() if value is not None}

    def asks(self, tensor: str, training: bool) -> bool:
        """Whether it can be held responsible for a tensor."""
        if tensor in STATES:
            return self.tracks
        return (self.dx or tensor != "dx") and (training or self.evaluates == "both" or tensor == "out")

    def larger(self, draw: Callable[[], Any]) -> Callable[[], Any] | None:
        """`draw`, unless one object takes images of one size alone."""
        return draw if self.sizes else None

    def sides(self, sides: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
        H, W = (max(side, k - 2 * p) for side, k, p in zip(sides, kernel, padding, strict=True))
        sides = (H, H) if self.square else (H, W)
        if not self.tiles:
            return sides
        H, W = (
            side - (side + 2 * p - k) % s
            for side, k, s, p in zip(sides, kernel, stride, padding, strict=True)
        )
        return H, W

    def window(self, size: Pair) -> Pair:
        KH, KW = self._fit("kernel_size", size, self.kernel)
        return (KH | 1, KW | 1) if self.padding == SAME else (KH, KW)

    def step(self, size: Pair, kernel: Pair) -> Pair:
        return kernel if self.stride == 0 else self._fit("stride", size, self.stride)

    def margin(self, size: Pair, kernel: Pair) -> Pair:
        if self.padding == SAME:
            return kernel[0] // 2, kernel[1] // 2
        return self._fit("padding", size, self.padding)

    def _fit(self, argument: str, size: Pair, own: int | None) -> Pair:
        if own is not None:
            return own, own
        return (size[0], size[0]) if argument in self.numbers else size


WHATEVER = Offer()


@dataclass(frozen=True)
class Subject:
    """A class, or `forward` and `backward` as functions, where backward may be part of forward.

    words    what a parameter is given, by its name: {"mode": "max"}
    softmax  the class that stands before a loss of probabilities
    doubtful other things have such a name, too: it is examined only if its numbers are right
    """

    name: str
    kind: str
    cls: type | None = None
    forward: Callable[..., Any] | None = None
    backward: Callable[..., Any] | None = None
    words: dict[str, Any] = field(default_factory=dict, hash=False)
    softmax: type | None = None
    doubtful: bool = False
