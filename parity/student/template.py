"""The file that students start from: the library's classes, with forward and backward left to write.

It is cut out of the library's own source, so that mathematics, arguments and initial weights are the same in
both. NumPy alone.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator

import tinycnn_numpy
from parity.kinds import KINDS
from tinycnn_numpy.layer import Layer
from tinycnn_numpy.optim import Optimizer

NAMES = tuple(name for name in KINDS if KINDS[name].role != "model")
TO_WRITE = ("forward", "backward", "step")
GIVEN = ("__init__", "__call__")  # other methods are part of the library's own solution
BASES = (Layer, Optimizer)  # imported; any other base class is written into the file
MAY_IMPORT = ("tinycnn_numpy.checks", "tinycnn_numpy.layer", "tinycnn_numpy.optim")  # no solutions of layers
GRADIENT = re.compile(r"\bd(x|out|weight|bias|windows|logits)\b")
OURS = "The code "  # begins the paragraph of a docstring that tells how the library's code goes about it

TASK = """\
Your own layers: replace each `raise NotImplementedError` by code that does what its docstring says.

Check what you have, as often as you like, also while most of it is missing:

    python -m parity check student.py

Every class is held against PyTorch, on odd shapes, tensor by tensor. A part of this file is a good file: a
method that still raises NotImplementedError is reported as not written yet, and a class that you delete is
not asked for. Keep the names of classes, arguments and methods; methods of your own are welcome. What you
are given always has the right shape and is finite: you need not raise the errors that the docstrings
mention, nor treat NaN and infinity as they say.
"""
DERIVE = "The formulas of backward are left out: derive each one from its forward.\n"
DTYPE = "What comes out has the dtype of what went in: float32 stays float32.\n"
BIAS = "self.bias is None in a layer made with bias=False.\n"
PAIRS = "self.kernel_size, self.stride and self.padding are pairs, (height, width).\n"
LOSS = "A loss keeps in forward what backward, which is given nothing, will need.\n"
OPTIMIZER = """\
An optimiser has a list self.parameters. Of each, `parameter.grad` is the gradient and `parameter.data` the
array to change in place: `parameter.data[...] -= ...`. self.zeros() is a list with an array of zeros for each
of them, in the same order. self.steps is 0 at first, and to count it is part of `step`.
"""


def template(names: Iterable[str] | None = None, formulas: bool = True) -> str:
    """The text of a Python file with these classes, in the order of the library; all of them by default.

    Docstrings, __init__ and signatures are the library's; forward, backward and step raise
    NotImplementedError. Without `formulas` the docstrings say nothing of backward, which is to be derived.
    Raises ValueError for a name that there is not, and for none.

    >>> print(template(["ReLU"]).splitlines()[-1])
            raise NotImplementedError
    """
    asked = list(NAMES) if names is None else [names] if isinstance(names, str) else list(names)
    unknown = [name for name in asked if name not in NAMES]
    if unknown or not asked:
        value = ", ".join(map(str, unknown)) or "empty"
        raise ValueError(f"template: names is {value}, expected some of {', '.join(NAMES)}")
    chosen = [getattr(tinycnn_numpy, name) for name in NAMES if name in asked]
    classes = dict.fromkeys(cls for last in chosen for cls in _written(last))
    code = "\n\n\n".join(_class_text(cls, formulas) for cls in classes)
    imports, definitions = _what_it_needs(code, classes)
    return "\n\n\n".join(["\n\n".join([_head(chosen, code, formulas), imports, *definitions]), code]) + "\n"


def _written(cls: type) -> Iterator[type]:
    """The class, after those of its bases that are written into the file as well."""
    for base in cls.__bases__:
        if base is not object and base not in BASES:
            yield from _written(base)
    yield cls


def _source(cls: type) -> str:
    return inspect.getsource(sys.modules[cls.__module__])


def _class_text(cls: type, formulas: bool) -> str:
    """The class as the library has it, less what is left to write and how the library writes it."""
    source = _source(cls)
    lines = source.splitlines()
    node = next(n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    text = lines[node.lineno - 1 : node.body[0].lineno - 1]  # class ...:
    last: ast.stmt = node
    for part in node.body:
        if not _is_kept(part):
            continue
        if last is not node and not (_is_attribute(last) and _is_attribute(part)):
            text.append("")
        if _is_docstring(part):
            text += _docstring(lines[part.lineno - 1 : part.end_lineno], formulas)
        elif isinstance(part, ast.FunctionDef) and part.name in TO_WRITE:
            text += _stub(part, lines)
        else:
            text += lines[part.lineno - 1 : part.end_lineno]
        last = part
    return "\n".join(text)


def _is_kept(part: ast.stmt) -> bool:
    if isinstance(part, ast.FunctionDef):
        return part.name in (*GIVEN, *TO_WRITE)
    targets = [part.target] if isinstance(part, ast.AnnAssign) else getattr(part, "targets", [])
    return not any(isinstance(target, ast.Name) and target.id == "cache" for target in targets)


def _is_attribute(part: ast.stmt) -> bool:
    return isinstance(part, ast.Assign | ast.AnnAssign)


def _is_docstring(part: ast.stmt) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)


def _docstring(lines: list[str], formulas: bool) -> list[str]:
    """The docstring without the paragraphs that begin with OURS; if not `formulas`, without backward."""
    paragraphs = "\n".join(lines).split("\n\n")
    kept = [part for part in paragraphs if not part.lstrip().startswith(OURS)]
    return "\n\n".join(kept if formulas else _without_backward(kept)).splitlines()


def _without_backward(paragraphs: list[str]) -> Iterator[str]:
    """Neither paragraphs about backward nor what else names a gradient: lines of formulas, sentences."""
    about_backward = False
    for text in paragraphs:
        formula = text.startswith(" " * 8)
        if not formula:
            about_backward = text.lstrip().startswith("Backward")
        if about_backward or not GRADIENT.search(text):
            parts = [] if about_backward else [text]
        elif formula:
            parts = [line for line in text.splitlines() if not GRADIENT.search(line)]
        else:
            sentences = re.split(r"(?<=[.:]) (?=[A-Z])", " ".join(text.replace('"""', "").split()))
            left = " ".join(sentence for sentence in sentences if not GRADIENT.search(sentence))
            parts = textwrap.wrap(left, 110, initial_indent="    ", subsequent_indent="    ")
        if text.rstrip().endswith('"""') and parts[-1:] != [text]:  # the end of the docstring
            parts.append('    """')
        if parts:
            yield "\n".join(parts)


def _stub(method: ast.FunctionDef, lines: list[str]) -> list[str]:
    """def ...: with its comment and docstring, and nothing else done."""
    first, *rest = method.body
    start = first.end_lineno or first.lineno if _is_docstring(first) and rest else first.lineno - 1
    return [*lines[method.lineno - 1 : start], " " * first.col_offset + "raise NotImplementedError"]


def _what_it_needs(code: str, classes: Iterable[type]) -> tuple[str, list[str]]:
    """The imports; and copies of what stands where a solution does, such as Pair in windows.py."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    used -= {cls.__name__ for cls in classes}
    lines: dict[str, str] = {}  # by module
    names: dict[str, set[str]] = {}
    definitions: dict[str, str] = {}
    for cls in classes:
        for node in ast.parse(_source(cls)).body:
            for name in sorted(used & _names_bound_by(node)):
                home = str(node.module) if isinstance(node, ast.ImportFrom) else cls.__module__
                if isinstance(node, ast.Import):
                    lines[node.names[0].name] = ast.unparse(node)
                elif home in MAY_IMPORT or home.split(".")[0] in sys.stdlib_module_names:
                    names.setdefault(home, set()).add(name)
                    lines[home] = _import(home, names[home])
                else:
                    definitions[name] = _definition(name, home)
    groups: list[list[str]] = [[], [], []]  # the standard library, NumPy, ours
    for module in sorted(lines):
        top = module.split(".")[0]
        groups[0 if top in sys.stdlib_module_names else 1 if top == "numpy" else 2].append(lines[module])
    return "\n\n".join("\n".join(group) for group in groups if group), [*definitions.values()]


def _names_bound_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return {node.name} if isinstance(node, ast.ClassDef | ast.FunctionDef) else set()


def _definition(name: str, module: str) -> str:
    source = inspect.getsource(sys.modules[module])
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == name for t in node.targets
        ):
            return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])
    raise ValueError(f"template: {name} of {module} is not assigned there, expected a constant to copy")


def _import(module: str, names: set[str]) -> str:
    ordered = sorted(names, key=lambda name: (name[0].islower(), name))
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= 110:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in ordered), ")"])


def _head(chosen: list[type], code: str, formulas: bool) -> str:
    """What is to be done, how it is checked, what may be relied on."""
    parts = [TASK] if formulas else [TASK, DERIVE]
    if any(issubclass(cls, Layer) for cls in chosen):
        hints = [DTYPE, *[BIAS] * ("bias: bool" in code), *[PAIRS] * ("check_pair(" in code)]
        parts += [f"What every layer keeps to:\n\n{textwrap.indent(_contract(), '    ')}\n", "".join(hints)]
    if any(KINDS[cls.__name__].role == "loss" for cls in chosen):
        parts.append(LOSS)
    if any(issubclass(cls, Optimizer) for cls in chosen):
        parts.append(OPTIMIZER)
    return '"""' + "\n".join(parts) + '"""'


def _contract() -> str:
    """What Layer's docstring says, less its title."""
    return "\n\n".join(inspect.cleandoc(Layer.__doc__ or "").split("\n\n")[1:])
