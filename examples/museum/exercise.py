"""Find-the-bug exercises: an exhibit's source under the library's name, without the words that tell."""

import ast
import inspect
import re
import textwrap
from functools import cache

from examples.bugs import Bug

HEAD = '''"""Find the bug. This {kind} replaces the library's, and something in it is wrong.

    python -m parity check {file}

says what is off, and where; with --picture FILE.png it draws it. Mend the class until everything is right.
"""

import math

import numpy as np

import tinycnn_numpy as tn

'''


def exercise(exhibit: Bug, file: str = "student.py") -> str:
    """The text of a file with one bug in it."""
    source = source_of(exhibit.cls)
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.ClassDef)
    lines = source.splitlines()
    docstring = node.body[0]
    del lines[docstring.lineno - 1 : docstring.end_lineno]
    text = "\n".join(lines[node.lineno - 1 :])  # without the decorator, which tells
    text = re.sub(rf"\b{exhibit.cls.__name__}\b", exhibit.replaces, text, count=1)
    text = re.sub(r"\s*# .*", "", text)  # all comments: that one is missing would give the place away
    text = re.sub(r":\n\n+", ":\n", text, count=1)
    head = HEAD.format(kind=exhibit.replaces, file=file)
    if "math." not in text:
        head = head.replace("import math\n\n", "")
    if "np." not in text:
        head = head.replace("import numpy as np\n\n", "")
    return head + "\n" + text.rstrip() + "\n"


@cache
def source_of(cls: type) -> str:
    return textwrap.dedent(inspect.getsource(cls))


def solution(exhibit: Bug) -> str:
    """What is wrong, where, and where it was seen."""
    line = next((line for line in source_of(exhibit.cls).splitlines() if "# bug" in line), "").strip()
    return f"{inspect.getdoc(exhibit.cls)}\n\n    {line}"
