"""Which classes and functions of a file may be layers, losses or optimisers: their names say what."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from parity.foreign import losses, optimizers
from parity.foreign.calls import BACKWARD, FORWARD, UPDATE, method_of, strings_in
from parity.foreign.names import bare, doubtful, kinds_named, spellings
from parity.foreign.subject import Subject
from parity.kinds import KINDS, NAMES

_FORWARD = re.compile(f"_?({spellings('forward', 'fwd')})(?=_|$)")


def subjects_in(module: ModuleType, said: Mapping[str, str]) -> tuple[list[list[Subject]], dict[str, str]]:
    """What may be examined, each with the kinds that it may be of; and what is left alone, with the reason.

    said  what the file or the command line says: {"Affine": "Dense"}; "nothing" leaves it alone
    """
    found: list[list[Subject]] = []
    left: dict[str, str] = {}
    seen: set[int] = set()
    for name, thing in list(vars(module).items()):
        if (
            id(thing) in seen
            or not (isinstance(thing, type) or inspect.isfunction(thing))
            or not _is_own(thing, module)
        ):
            continue
        seen.add(id(thing))
        if said.get(name) and said[name] not in KINDS:
            left[name] = "left alone, as told"
        elif isinstance(thing, type):
            of_class(name, thing, said, found, left)
        else:
            of_function(name, thing, vars(module), said, found, left)
    bases = {
        base for name, thing in vars(module).items() if isinstance(thing, type) for base in thing.__mro__[1:]
    }
    found = [a for a in found if a[0].cls not in bases or a[0].name in NAMES or len(a) == 1]
    left = {name: why for name, why in left.items() if vars(module)[name] not in bases}
    taken = {a[0].cls for a in found}
    softmax = [
        cls
        for name, cls in vars(module).items()
        if isinstance(cls, type) and bare(name) in _SOFTMAX and cls not in taken
    ]
    if softmax:
        found = [
            [replace(s, softmax=softmax[0]) if s.cls and s.kind == "CrossEntropyLoss" else s for s in a]
            for a in found
        ]
        used = {softmax[0].__name__} if any(s.softmax for a in found for s in a) else set()
        left = {name: why for name, why in left.items() if name not in used}
    return found, left


def _is_own(thing: Any, module: ModuleType) -> bool:
    """Whether the file defines it, or one beside it or below it."""
    home = str(thing.__module__)
    if home == module.__name__:
        return True
    file = getattr(sys.modules.get(home), "__file__", None)
    if not file or home.startswith(("tinycnn_numpy", "tinycnn_torch", "parity.")):
        return False
    return Path(str(module.__file__)).parent in Path(file).parents


NO_SUCH_NAME = "no layer or loss of the library has such a name"
_SOFTMAX = ("softmax", "softmaxlayer", "activationsoftmax", "softmaxactivation", "layersoftmax")


def of_class(
    name: str, cls: type, said: Mapping[str, str], found: list[list[Subject]], left: dict[str, str]
) -> None:
    forward, backward, update = (method_of(cls, names) for names in (FORWARD, BACKWARD, UPDATE))
    ancestor = next((base.__name__ for base in cls.__mro__ if base.__name__ in NAMES), None)
    if forward and backward and _is_static(cls, forward) and _is_static(cls, backward):
        if pair := (said[name],) if said.get(name) else kinds_named(name):
            found.append([Subject(name, kind, None, forward, backward) for kind in pair])
        else:
            left[name] = NO_SUCH_NAME
        return
    told = said.get(name) or NAMES.get(name) or (NAMES[ancestor] if name in said and ancestor else None)
    if told:
        found.append([Subject(name, told, cls)])
        return
    loss = any(losses.functions_of(Subject(name, "CrossEntropyLoss", cls))[:2])
    by_role = {"optimizer": update, "loss": loss}
    kinds = [k for k in kinds_named(name) if by_role.get(KINDS[k].role, forward)]
    if bare(name) in _SOFTMAX and losses.is_softmax_loss(cls):
        kinds = ["CrossEntropyLoss"]
    if ancestor:
        left[name] = f"extends {NAMES[ancestor]} under another name"
    elif kinds:
        found.append([Subject(name, kind, cls, doubtful=bool(doubtful(name))) for kind in kinds])
    elif kinds_named(name) and not doubtful(name):
        left[name] = f"its name is {kinds_named(name)[0]}'s, but it has no method that the check knows"
    elif forward and backward and not name.startswith("_"):
        left[name] = NO_SUCH_NAME


def _is_static(cls: type, method: Callable[..., Any]) -> bool:
    return isinstance(inspect.getattr_static(cls, method.__name__, None), staticmethod | classmethod)


def of_function(
    name: str,
    function: Callable[..., Any],
    space: Mapping[str, Any],
    said: Mapping[str, str],
    found: list[list[Subject]],
    left: dict[str, str],
) -> None:
    match = _FORWARD.search(name)
    partner = _partner(name, match, space)
    base = name[: match.start()] + name[match.end() :] if match else name
    kinds = (said[name],) if said.get(name) else kinds_named(base)
    if match and partner:
        modes = _modes(function) if {"MaxPool2D", "AvgPool2D"} & set(kinds) else {}
        if modes:
            for kind, words in modes.items():
                found.append(
                    [Subject(f"{name} ({next(iter(words.values()))})", kind, None, function, partner, words)]
                )
        elif kinds:
            found.append([Subject(name, kind, None, function, partner) for kind in kinds])
        else:
            left[name] = "no layer of the library has such a name"
    elif not match and kinds and (partner := _partner_of(name, kinds, function, space)):
        found.append([Subject(name, kind, None, function, partner) for kind in kinds])
    elif not match and kinds:
        two = len(inspect.signature(function).parameters) >= 2 and _returns_two(function)
        takes = {"loss": lambda kind: two, "optimizer": lambda kind: optimizers.updates(kind, function)}
        one_call = [kind for kind in kinds if (role := KINDS[kind].role) in takes and takes[role](kind)]
        if one_call:
            found.append([Subject(name, kind, None, function) for kind in one_call])
        elif "CrossEntropyLoss" in kinds and len(inspect.signature(function).parameters) >= 2:
            left[name] = "it has no gradient"


def _partner_of(name: str, kinds: Sequence[str], function: Any, space: Mapping[str, Any]) -> Any:
    """relu_backward of relu."""
    if "CrossEntropyLoss" in kinds:
        return losses.gradient_of(name, space, loosely=not _returns_two(function))
    names = (
        f"{name}_backward",
        f"{name}_back",
        f"{name}_grad",
        f"backward_{name}",
        f"{name}Backward",
        f"d_{name}",
        f"d{name}",
        *(
            f"{name}{word}"
            for word in ("_prime", "_derivative", "_deriv", "_gradient", "Prime", "Derivative")
        ),
        *(f"{name}{word}" for word in ("Gradient", "Grad", "_der", "_derivate")),
    )
    return next((space[other] for other in names if inspect.isfunction(space.get(other))), None)


def _partner(name: str, match: re.Match[str] | None, space: Mapping[str, Any]) -> Any:
    if not match:
        return None
    head, tail = name[: match.start()], name[match.end() :]
    for word in spellings("backward", "bwd", "backprop", "back", "grad").split("|"):
        word = f"_{word}"
        partner = space.get(f"{head}{word}{tail}") or space.get(
            f"{head}{word}".lstrip("_") if not head else f"{head}{word}"
        )
        if inspect.isfunction(partner):
            return partner
    return None


def _returns_two(function: Any) -> bool:
    """Whether it may give a gradient besides a loss."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return True
    return any(isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) for node in ast.walk(tree))


def _modes(function: Any) -> dict[str, dict[str, Any]]:
    """{"MaxPool2D": {"mode": "max"}, ...} of a pool that does both."""
    for parameter in inspect.signature(function).parameters:
        if bare(parameter) in ("mode", "pooltype", "poolingmode"):
            words = {bare(word): word for word in strings_in(function)}
            kinds = {"MaxPool2D": ("max",), "AvgPool2D": ("average", "avg", "mean")}
            modes = {k: next((words[w] for w in ws if w in words), None) for k, ws in kinds.items()}
            if any(modes.values()):
                modes = {k: word or kinds[k][0] for k, word in modes.items()}
            return {kind: {parameter: word} for kind, word in modes.items() if word}
    return {}


def said_in(source: str) -> dict[str, str]:
    """Lines such as `# parity: Affine = Dense`."""
    return dict(re.findall(r"^\s*#\s*parity:\s*(\w+)\s*=\s*(\w+)\s*$", source, re.MULTILINE))
