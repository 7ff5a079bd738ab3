"""Load what a student wrote: a file, a notebook, a package. NumPy alone.

A file runs as it stands. If that fails, for it trains, reads data or needs a library that is not here, only
what it defines is run: imports, classes, functions and constants. Of a notebook that is so from the start.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import json
import linecache
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

KEPT = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign, ast.If, ast.Try)


class Absent(ModuleType):
    """In place of a library that is not installed: it can be imported, and used for nothing."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """A decorator gives back what it decorates."""
        return arguments[0] if len(arguments) == 1 and callable(arguments[0]) else self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,) if len(bases) == 1 else ()


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last to be asked: what the text imports and nobody else finds is absent."""

    def __init__(self, *texts: str) -> None:
        self.wanted = {name for text in texts for name in _imported(ast.parse(text))}
        self.names: list[str] = []

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in self.wanted:
            return None
        self.names.append(name)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def source_of(path: Path) -> str:
    """The Python text of a file, or of all cells of a notebook. Raises ValueError, SyntaxError or OSError."""
    if path.suffix != ".ipynb":
        return path.read_bytes().decode("utf-8-sig")
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"is no notebook that Jupyter would open: {error!r}") from None
    return "\n\n".join(map(_without_magic, code))


def _without_magic(cell: str) -> str:
    first, _, rest = cell.lstrip().partition("\n")
    if first.startswith("%%"):  # of these only some run the cell as Python
        cell = rest if first.split()[0] in ("%%time", "%%timeit", "%%capture") else ""
    return "\n".join("pass" if line.lstrip()[:1] in ("%", "!", "?") else line for line in cell.split("\n"))


def load(path: Path, definitions_alone: bool = False) -> tuple[ModuleType, list[str]]:
    """The file as a module under a name of its own, and remarks on what was left out.

    It may import the files beside it; a folder with an __init__.py is imported as the package that it is.
    """
    if path.is_dir():
        return _folder(path)
    sys.path.insert(0, str(path.parent))
    sys.argv = [str(path)]
    name, package = f"checked_{path.stem}", None
    if (path.parent / "__init__.py").is_file():
        package = path.parent.name
        sys.path.insert(0, str(path.parent.parent))
        name = f"{package}.{name}"
    module = sys.modules[name] = ModuleType(name)  # dataclasses and pickle look it up there
    module.__file__, module.__package__ = str(path), package
    if path.suffix == ".ipynb":
        text = source_of(path)
        linecache.cache[str(path)] = len(text), None, text.splitlines(keepends=True), str(path)
        return module, define(module, text, "")
    if definitions_alone:
        return module, define(module, source_of(path), "it does not come to an end")
    try:
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(module))
    except (SyntaxError, MemoryError):
        raise
    except Exception as error:
        again = ModuleType(name)
        again.__file__, again.__package__ = str(path), package
        sys.modules[name] = again
        return _second(again, path, error)
    return module, []


def _second(module: ModuleType, path: Path, error: Exception) -> tuple[ModuleType, list[str]]:
    """Only its definitions; the first error again if there are none that could be checked."""
    text = source_of(path)
    remarks = define(module, text, f"{type(error).__name__}: {' '.join(str(error).split())}")
    own = [v for v in vars(module).values() if getattr(v, "__module__", None) == module.__name__]
    if not own:
        raise error
    return module, remarks


def _folder(path: Path) -> tuple[ModuleType, list[str]]:
    """All that the files of a folder define, as one module."""
    whole, remarks = ModuleType(f"checked_{path.name}"), list[str]()
    whole.__file__ = str(path / "__init__.py")
    packaged = (path / "__init__.py").is_file()
    sys.path.insert(0, str(path.parent if packaged else path))
    files = sorted(path.rglob("*.py"))
    finder = Finder(*map(source_of, files))
    for file in files:
        parts = file.relative_to(path.parent if packaged else path).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if parts[-1].startswith("test_") or not name:
            continue
        sys.meta_path.append(finder)
        try:
            module = importlib.import_module(name)
        except Exception as error:
            remarks.append(f"{file.relative_to(path)} was not loaded: {type(error).__name__}: {error}")
            continue
        finally:
            sys.meta_path.remove(finder)
        own = {n: v for n, v in vars(module).items() if getattr(v, "__module__", None) == name}
        vars(whole).update({n: v for n, v in own.items() if isinstance(v, type) or callable(v)})
    return whole, remarks + _absent(finder)


def _absent(finder: Finder) -> list[str]:
    absent = sorted({name.split(".")[0] for name in finder.names})
    return [f"not installed here: {', '.join(absent)}"] if absent else []


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def define(module: ModuleType, text: str, why: str) -> list[str]:
    """Run the imports, definitions and constants of a text, and tell what was left out."""
    finder, left = Finder(text), 0
    sys.meta_path.append(finder)
    try:
        for statement in ast.parse(text, str(module.__file__)).body:
            if not _is_definition(statement):
                left += not isinstance(statement, ast.Pass) and not _is_text(statement)
                continue
            code = compile(ast.Module([statement], []), str(module.__file__), "exec", dont_inherit=True)
            try:
                exec(code, vars(module))
            except Exception:
                left += 1
    finally:
        sys.meta_path.remove(finder)
    remarks = _absent(finder)
    if left or why:
        reason = f" ({why})" if why else ""
        remarks.append(f"only its definitions were run{reason}: {left} other statements were left out")
    return remarks


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_definition(statement: ast.stmt) -> bool:
    """An assignment that calls something may load data or train, unless it is NumPy that it calls."""
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        calls = (ast.unparse(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call))
        return all(re.match(r"(np|numpy)\.(?!load|genfromtxt|fromfile|memmap)", call) for call in calls)
    if isinstance(statement, ast.If | ast.Try):
        return all(map(_is_definition, _inside(statement)))
    return isinstance(statement, KEPT)


def _inside(statement: ast.If | ast.Try) -> Sequence[ast.stmt]:
    parts = [*statement.body, *statement.orelse]
    if isinstance(statement, ast.Try):
        parts += [line for handler in statement.handlers for line in handler.body] + statement.finalbody
    return [part for part in parts if not isinstance(part, ast.Pass)]
