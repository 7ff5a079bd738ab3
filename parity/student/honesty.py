"""Where an answer comes from: what a file imports, whose code it runs, whether it alters what examines it.

None of this is proof: code that runs in the same process as its examiner can deceive it. NumPy alone.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from parity.foreign.calls import BACKWARD, FORWARD, UPDATE, method_of
from parity.foreign.subject import Subject
from parity.kinds import KINDS

Array = np.ndarray[Any, Any]
ANSWERS = ("torch", "tensorflow", "keras", "jax", "tinycnn_numpy", "tinycnn_torch", "parity")
HELPERS = ("tinycnn_numpy.layer", "tinycnn_numpy.checks", "tinycnn_numpy.optim")  # what the template imports


def imported(text: str) -> list[str]:
    """Of the libraries that know the answers those that a text imports, the template's imports aside."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return sorted({name.partition(".")[0] for name in names - {*HELPERS}} & {*ANSWERS})


def loaded() -> list[str]:
    """Those of another library that are in memory, however they came there."""
    return [name for name in ANSWERS[:4] if name in sys.modules]


def origins(subject: Subject, module: ModuleType) -> list[str]:
    """A remark on each method or function that stands in another file; those of a folder belong together."""
    if subject.cls is not None:
        update = UPDATE if KINDS[subject.kind].role == "optimizer" else ()
        methods = [method_of(subject.cls, names) for names in (FORWARD, BACKWARD, update)]
    else:
        methods = [subject.forward, subject.backward]
    elsewhere: dict[str, list[str]] = {}
    for method in methods:
        code = getattr(inspect.unwrap(method), "__code__", None) if method is not None else None
        if code is None or code.co_filename == "<string>" or _is_of(module, Path(code.co_filename)):
            continue
        where = str(getattr(method, "__module__", "")).partition(".")[0]
        where = where if where in ANSWERS else Path(code.co_filename).name
        elsewhere.setdefault(where, []).append(code.co_name)
    return [f"{' and '.join(n)} of {subject.name} are those of {where}" for where, n in elsewhere.items()]


def _is_of(module: ModuleType, file: Path) -> bool:
    """Whether a file is the one that was loaded, or one of the folder that was."""
    own = Path(str(module.__file__))
    return file == own or (own.name == "__init__.py" and file.is_relative_to(own.parent))


class Canary:
    """A layer that nobody can know: it multiplies by a key. Whoever sees another answer has been deceived."""

    def __init__(self, key: Array):
        self.key = key

    def forward(self, x: Array) -> Array:
        return x * self.key

    def backward(self, dout: Array) -> Array:
        return dout - self.key


def functions() -> dict[tuple[str, str], Any]:
    """The code of every function that examines, before a file is loaded."""
    return dict(_functions())


def _functions() -> Iterator[tuple[tuple[str, str], Any]]:
    for home, module in list(sys.modules.items()):
        if home.startswith(("parity.", "numpy.testing", "tinycnn_numpy.")) or home == "numpy":
            for name, thing in list(vars(module).items()):
                if isinstance(thing, FunctionType):
                    yield (home, name), thing.__code__
                elif isinstance(thing, type) and thing.__module__ == home:
                    for method, function in list(vars(thing).items()):
                        if isinstance(function, FunctionType):
                            yield (home, f"{name}.{method}"), function.__code__


def altered(before: dict[tuple[str, str], Any]) -> list[str]:
    """What is another function now."""
    now = functions()
    return [f"{home}.{name}" for (home, name), code in before.items() if now.get((home, name)) is not code]
