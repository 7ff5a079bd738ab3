"""What an optimiser is given: arrays in lists and dictionaries, and objects under people's names."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.foreign.names import array_named, bare

Array = np.ndarray[Any, Any]
ROLES = ("weight", "bias")
NAMES = ("W1", "b1")
LAYERS = "layers of "
FORMS = ("dictionaries", "dictionaries with dW", "lists", "objects", "pairs")
# The attributes and methods of a layer or network that hold everything, by their letters.
_PARAMS = re.compile("(get)?(all|trainable|learnable)?(params?|parameters|variables|weightsandbiases)")
_GRADS = re.compile("(get)?(all)?(d?(params?|parameters))?(grads?|gradients?)|dparams?|dparameters")
_PAIRS = re.compile("(get)?(params?|parameters|weights|variables)(and)?(grads?|gradients)")
_LAYERS = re.compile("(get)?(trainable)?(layers|modules|children)")
_TRAINABLE = re.compile("(is)?(trainable|learnable)|requiresgrad|(has)(params|parameters|weights?)")
# Those of one parameter.
_DATA = re.compile("data|values?|vals?|array|param|tensor")
_GRAD = re.compile("(d|grads?|gradients?|g|delta|derivative|dvalue|ddata)")


class Items(list[Any]):
    def __call__(self) -> Any:
        """Who asks for parameters() gets what is there."""
        return self


class Named(dict[str, Any]):
    """Arrays of one layer: who asks for "weights" or "dW1" gets "W" or "W1", in the way that names say it.

    slopes  whether a d is no part of the name: True of gradients and states
    """

    def __init__(self, names: Sequence[str], arrays: Sequence[Any], slopes: bool):
        super().__init__(zip(names, arrays, strict=True))
        self.slopes, self.names = slopes, tuple(names)

    def __call__(self) -> Any:
        return self

    def index(self, key: Any) -> int | None:
        """Which of the arrays a key is for."""
        if key in self.names:
            return self.names.index(key)
        core, number = re.fullmatch(r"(.*?)_?(\d*)", str(key)).groups()  # type: ignore[union-attr]
        role = array_named(core) or ""
        if number != self.names[0].lstrip("dWb") or (role.startswith("d") and not self.slopes):
            return None
        role = role.removeprefix("d") if self.slopes else role
        return ROLES.index(role) if role in ROLES[: len(self.names)] else None

    def __missing__(self, key: Any) -> Any:
        if (index := self.index(key)) is None:
            raise KeyError(key)
        return self[self.names[index]]


class Settings(dict[str, Any]):
    """What a dictionary of settings holds, and what is kept there from step to step, once it is asked for."""

    def __init__(self, found: dict[str, Any], first: int, zeros: Callable[[], Any]):
        super().__init__(found)
        self.first, self.zeros = first, zeros

    def __missing__(self, key: str) -> Any:
        return self.setdefault(key, self.first if is_count(key) else self.zeros())


def is_count(name: str) -> bool:
    words = "t|it|iters?|iterations?|timestep|tstep|(n|num|current)?(steps?|updates)|stepcount|counter|epoch"
    return bool(re.fullmatch(words, bare(name)))


@dataclass(eq=False)
class Slot:
    data: Array
    grad: Any = None
    read: bool = False


class StandIn:
    """One parameter, or a layer of two that is its own network too.

    An attribute that holds no array of ours under the first name that is asked for is not there; what the
    optimiser keeps is. apart: its weight and bias are objects with a gradient each.
    """

    def __init__(
        self, slots: Sequence[Slot], name: str, params: Any = None, grads: Any = None, apart: bool = False
    ):
        vars(self).update(_slots=slots, name=name, _params=params, _grads=grads, _apart=apart, _called={})

    def _find(self, name: str) -> tuple[Slot, str] | None:
        """Of which parameter an attribute is the data or the gradient."""
        role, word = array_named(name) or "", bare(name)
        if len(self._slots) == 1:
            data, grad = _DATA.fullmatch(word), _GRAD.fullmatch(word)
            role = "weight" if data else "dweight" if grad else role
        which = role.removeprefix("d")
        if which not in ROLES[: len(self._slots)] or self._called.setdefault(role, name) != name:
            return None
        return self._slots[ROLES.index(which)], "grad" if role != which else "data"

    def _held(self, name: str) -> Any:
        """What it holds of everything; None where that is not its name."""
        word = bare(name)
        if _TRAINABLE.fullmatch(word):
            return True
        if len(self._slots) == 1:
            return None
        if _LAYERS.fullmatch(word):
            return Items([self])
        for pattern, held in ((_GRADS, self._grads), (_PAIRS, self._params), (_PARAMS, self._params)):
            if pattern.fullmatch(word):
                for slot in self._slots:
                    slot.read = slot.read or pattern is not _PARAMS
                return held
        return None

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            if found := self._find(name):
                slot, what = found
                slot.read = slot.read or what == "grad"
                if what == "data" and self._apart:
                    return self._params[self._slots.index(slot)]
                return getattr(slot, what)
            if (held := self._held(name)) is not None:
                return held
            if len(self._slots) == 1 and name in ("shape", "size", "ndim", "dtype"):
                return getattr(self._slots[0].data, name)
        raise AttributeError(f"{name} means nothing to the check")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in vars(self) and (found := self._find(name)):
            setattr(*found, value)
        else:
            vars(self)[name] = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        if len(self._slots) > 1:
            raise TypeError("a layer is no array to the check")
        return np.asarray(self._slots[0].data, dtype)

    def __iter__(self) -> Iterator[Any]:
        return iter([self])

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        return [self][index]


class Given:
    """The parameters of one optimiser in one form, and their gradients: the same objects at every step.

    form  one of FORMS; "layers of" what a layer holds besides its attributes
    """

    def __init__(self, form: str, data: Sequence[Array]):
        form, of_layers = form.removeprefix(LAYERS), form.startswith(LAYERS)
        self.form, self.now = form, list(data)
        self.slots = [Slot(array) for array in data]
        self.params: Any = Items(data)
        self.grads: Any = Items(data)  # until the first step
        if form.startswith("dictionaries"):
            names = [name.rstrip("1" if of_layers else "") for name in NAMES[: len(data)]]
            self.params = Named(names, data, slopes=False)
            self.grads = Named([form[18:19] + name for name in names], data, slopes=True)
        elif form == "objects":
            self.params = Items(StandIn([slot], name) for slot, name in zip(self.slots, NAMES, strict=False))
        self.shown = self.params
        if of_layers:
            self.shown = StandIn(self.slots, "layer", self.params, self.grads, form == "objects")

    def show(self, grads: Sequence[Array], first: str) -> None:
        """The gradients of the next step; a pair begins with its gradient or its parameter."""
        for slot, grad in zip(self.slots, grads, strict=True):
            slot.grad = grad
        fill(self.grads, grads)
        if self.form == "pairs":
            both = zip(self.now, grads, strict=True)
            self.params[:] = [(d, g) if first == "params" else (g, d) for d, g in both]

    def collect(self) -> list[Array]:
        """The parameters after a step, wherever the new ones were put; None but what was there is new."""
        for i, (slot, old) in enumerate(zip(self.slots, self.now, strict=True)):
            found = [slot.data]
            if isinstance(self.params, Named):
                found += [value for key, value in self.params.items() if self.params.index(key) == i]
            elif self.form == "lists":
                found.append(self.params[i])
            self.now[i] = slot.data = next((array for array in found if array is not old), old)
        if self.form not in ("pairs", "objects"):
            fill(self.params, self.now)
        return self.now


def fill(held: Any, arrays: Sequence[Any]) -> None:
    if isinstance(held, Named):
        held.update({key: arrays[i] for key in [*held] if (i := held.index(key)) is not None})
    else:
        held[:] = arrays
