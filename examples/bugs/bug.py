"""A bug: a class with one mistake in it, and what a check should say of it. Facts stand beside the class."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """One mistake in a class that replaces the library's class of the name `replaces`.

    tensor  its first wrong result, in the order out, dweight, dbias, dx or loss, dlogits; "weight" for an
            optimiser (the weights after its steps), "x" or "dout" where an input was changed
    cause   the code that names it
    trains  False where the class cannot stand in a training run
    """

    cls: type
    replaces: str
    tensor: str
    cause: str
    trains: bool = True


BUGS: list[Bug] = []


def bug(replaces: str, tensor: str, cause: str, trains: bool = True) -> Callable[[type], type]:
    """The class below is a bug of the museum."""

    def enter(cls: type) -> type:
        BUGS.append(Bug(cls, replaces, tensor, cause, trains))
        return cls

    return enter
