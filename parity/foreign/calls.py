"""Call a function by the names of its parameters; find arrays in what an object holds."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any

import numpy as np

from parity.foreign.names import argument_named, array_named, bare, given_named, readings

Array = np.ndarray[Any, Any]
Step = tuple[str, Any]  # ("attribute", "W") or ("item", "W")
Path = tuple[Step, ...]

# methods, by their letters alone
FORWARD = ("forward", "forwardpass", "feedforward", "forwardpropagation", "forwardprop", "fprop", "propagate",
           "call", "activate", "__call__", "calculate", "compute", "loss", "cost")  # fmt: skip
BACKWARD = ("backward", "backprop", "backwardpass", "backpropagate", "backpropagation", "backwardpropagation",
            "backwardprop", "bprop", "backwards", "gradient", "grad", "derivative")  # fmt: skip
UPDATE = ("step", "update", "updateparams", "updateparameters", "updateweights", "applygradients", "optimize",
          "apply", "__call__")  # fmt: skip


VALUES = {"data", "value", "values", "val", "valor", "wert", "valeur", "w", "array", "weight", "param"}


class UnknownArgumentError(TypeError):
    """A parameter without a default whose name says nothing to us."""


class NoMannerError(Exception):
    """Every way of calling it ends in an exception, such as this one."""


def method_of(thing: Any, names: Sequence[str]) -> Any:
    """The first method under one of these names, None if it has none."""
    cls = thing if isinstance(thing, type) else type(thing)
    methods = [name for name in reversed(dir(thing)) if callable(getattr(cls, name, None))]
    found = {word: name for name in methods for word in readings(name)[1:]}  # of other languages
    found |= {bare(name): name for name in methods}
    own = [found[bare(name)] for name in names if name != "__call__" and bare(name) in found]
    if names is BACKWARD and len(own) > 1:  # one that takes a learning rate alone is an update
        own = sorted(own, key=lambda name: _takes_a_rate(getattr(thing, name)))
    if not own and "__call__" in names and "__call__" in _defined(thing):
        own = ["__call__"]
    return getattr(thing, own[0]) if own else None


def _takes_a_rate(function: Callable[..., Any]) -> int:
    first = next(iter(parameters_of(function)), None)
    is_rate = first is not None and given_named(first.name, ("dout", "lr")) == "lr"
    return is_rate + (is_rate and first.default is not first.empty)  # type: ignore[union-attr]


def update_of(thing: Any) -> Any:
    """The method that updates its weights, at a learning rate that has a default; None if it has none."""
    methods = (getattr(thing, name) for name in dir(thing) if bare(name) in (*UPDATE, *BACKWARD))
    return next((method for method in methods if callable(method) and _takes_a_rate(method) == 2), None)


def _defined(thing: Any) -> set[str]:
    cls = thing if isinstance(thing, type) else type(thing)
    return {name for base in cls.__mro__ if base is not object for name in vars(base)}


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Those with a name, without self; [] where Python does not know them."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
    return [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name != "self"]


def arguments(
    function: Callable[..., Any],
    given: Mapping[str, Any],
    among: Sequence[str],
    options: Callable[[str], Any] = lambda name: None,
    dictionary: Callable[[], dict[str, Any]] = dict,
) -> dict[str, Any]:
    """The arguments of a call, by name.

    given       the values by role: x, weight, dout and so on; among: the roles, the first parameter's first
    options     what a name that is no role stands for, a stride say; None if nothing
    dictionary  what a parameter takes that is none of these: the settings in a dictionary

    Raises UnknownArgumentError.
    """
    found: dict[str, Any] = {}
    used: set[str] = set()
    parameters = parameters_of(function)
    first = any(given_named(parameter.name, (among[0],)) for parameter in parameters[1:])
    for i, parameter in enumerate(parameters):
        role = given_named(parameter.name, tuple(r for r in among if r not in used and r in given))
        if i == 0 and role not in ("cache", "labels") and not first:
            role = among[0]
        if role is not None and role in given:
            used.add(role)
            found[parameter.name] = given[role]
        elif (option := options(parameter.name)) is not None:
            found[parameter.name] = option
        elif parameter.default is parameter.empty and given.get("cache") is not None and "cache" not in used:
            used.add("cache")  # under a name that we do not know
            found[parameter.name] = given["cache"]
        elif parameter.default is parameter.empty:
            settings = dictionary()
            if not settings and "param" not in parameter.name and "config" not in parameter.name:
                raise UnknownArgumentError(
                    f"{parameter.name} of {_name(function)} means nothing to the check"
                )
            found[parameter.name] = settings
        elif parameter.default is None and _is_dictionary(parameter.name):
            found[parameter.name] = dictionary()
    return found


def _is_dictionary(name: str) -> bool:
    return any(word in bare(name) for word in ("param", "config", "hyper", "options"))


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", function))


def called(function: Callable[..., Any], found: Mapping[str, Any]) -> Any:
    """function(**found), by position where a parameter has no name to call it by."""
    positional = [p.name for p in parameters_of(function) if p.kind is p.POSITIONAL_ONLY]
    return function(
        *[found[n] for n in positional], **{n: v for n, v in found.items() if n not in positional}
    )


def strings_in(function: Any) -> set[str]:
    """The text constants of a function, such as the keys of a dictionary that it reads."""
    return {constant for constant in constants_in(function) if isinstance(constant, str)}


def constants_in(function: Any) -> list[Any]:
    """The constants of a function, and of those of its file that it calls."""
    seen: dict[CodeType, None] = {}
    _walk(function, seen)
    return [constant for code in seen for constant in _constants(code)]


def _walk(function: Any, seen: dict[CodeType, None]) -> None:
    code = getattr(function, "__code__", None)
    if code is None or code in seen:
        return
    seen[code] = None
    for name in code.co_names:
        called = function.__globals__.get(name)
        if getattr(called, "__module__", None) == function.__module__:
            for inner in map(inspect.unwrap, vars(called).values()) if isinstance(called, type) else [called]:
                _walk(getattr(inner, "__func__", inner), seen)


def _constants(code: CodeType) -> Iterator[Any]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _constants(constant)
        yield from constant if isinstance(constant, tuple | frozenset) else (constant,)


def keys_of(kind: str, *functions: Any) -> dict[str, str]:
    """The keys that stand for an argument: {"pad": "padding"}."""
    words = {word for word in set().union(*map(strings_in, functions)) if len(word) < 20}
    return {word: name for word in words if (name := argument_named(kind, word))}


def arrays_in(thing: Any) -> dict[Path, Array]:
    """Every array that an object holds: in an attribute, in a dictionary or list, in an object within."""
    found: dict[Path, Array] = {}
    for name, value in list(_held(thing).items()):
        at: Path = (("attribute", name),)
        if isinstance(value, np.ndarray):
            found[at] = value
        elif isinstance(value, dict):
            arrays = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, np.ndarray)}
            found |= {(*at, ("item", k)): v for k, v in arrays.items()}
        elif isinstance(value, list | tuple):
            found |= {(*at, ("item", i)): v for i, v in enumerate(value) if isinstance(v, np.ndarray)}
        elif not callable(value) and (inside := _held(value).items()):
            found |= {(*at, ("attribute", n)): v for n, v in inside if isinstance(v, np.ndarray)}
    return found


def _held(thing: Any) -> dict[str, Any]:
    """The attributes of an object, of one with slots, too."""
    slots = getattr(type(thing), "__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return {n: getattr(thing, n) for n in names if hasattr(thing, n)} | getattr(thing, "__dict__", {})


def role_of(path: Path) -> str | None:
    """weight, bias, dweight, dbias, dx or out, by name: ("W",), ("grads", "W"), ("weight", "grad")."""
    holder = str(path[0][1])
    if len(path) == 1:
        return array_named(holder)
    how, key = path[1]
    gradients = "grad" in bare(holder) or bare(holder).startswith("d")
    if isinstance(key, int):
        role = ("weight", "bias")[key] if key < 2 and ("param" in bare(holder) or gradients) else None
    elif how == "item" and array_named(holder) is None:
        role = array_named(key)
    else:
        role = array_named(holder)
        if role is None:  # of a layer within
            return array_named(str(key))
        gradients = gradients or "grad" in bare(key) or bare(key) in ("d", "dw", "db", "dvalue", "g", "delta")
        if not gradients and not VALUES & set(readings(key)):
            return None
    return f"d{role}" if role in ("weight", "bias") and gradients else role


def roles_in(thing: Any) -> dict[str, Path]:
    """Where an object holds what; an attribute goes before a list."""
    found: dict[str, Path] = {}
    for path in sorted(arrays_in(thing), key=len):
        role = role_of(path)
        if role:
            found.setdefault(role, path)
    return found


def at(thing: Any, path: Path) -> Any:
    for how, key in path:
        thing = getattr(thing, key) if how == "attribute" else thing[key]
    return thing


def put(thing: Any, path: Path, value: Array) -> None:
    """Into the array that is there if it fits, for others may hold it too; else in its place."""
    own = at(thing, path)
    if (
        isinstance(own, np.ndarray)
        and own.shape == value.shape
        and own.dtype == value.dtype
        and own.flags.writeable
    ):
        own[...] = value
        return
    for *before, (how, key) in [other for other, array in arrays_in(thing).items() if array is own] or [path]:
        holder = at(thing, tuple(before))
        if how == "attribute":
            setattr(holder, key, value)
        elif not isinstance(holder, tuple):
            holder[key] = value


def shown(path: Path) -> str:
    """As a person would write it: W, grads["W"], weight.grad."""
    text = str(path[0][1])
    for how, key in path[1:]:
        text += f".{key}" if how == "attribute" else f"[{key!r}]"
    return text
