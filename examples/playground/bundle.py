"""The modules of web/ as one script, and everything as one HTML file that asks nobody for anything."""

import json
import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

WEB = Path(__file__).parent / "web"
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (const|function) (\w+)", re.MULTILINE)
COMPUTES = "arrays", "layers", "network", "mistakes", "terms", "differences"  # without a page: Node runs them
IN_THE_CODE_VIEW = "layers", "mistakes"  # whose functions the page shows as they stand
OPTIONAL = {"digits": "mnist", "student": "student"}  # views, and the data without which they are left out


def module_text(name: str) -> str:
    return (WEB / f"{name}.js").read_text("utf-8")


def imports_of(name: str) -> dict[str, list[str]]:
    """{module: names} that a module imports."""
    return {module: re.findall(r"\w+", names) for names, module in IMPORT.findall(module_text(name))}


def in_order(names: tuple[str, ...] | list[str]) -> list[str]:
    """Modules, each behind those that it imports."""
    graph = {name: [other for other in imports_of(name) if other in names] for name in names}
    return list(TopologicalSorter(graph).static_order())


def as_script(name: str, without: frozenset[str] = frozenset()) -> str:
    """A module as a function of its own, so that equal names of two modules do not meet.

    `export` becomes the object $name, and `import` takes from such objects; from a module that the page is
    without it takes undefined.
    """
    text = module_text(name)
    exported = ", ".join(name for _, name in EXPORT.findall(text))
    text = IMPORT.sub(
        lambda found: f"const {{{found[1]}}} = {'{}' if found[2] in without else '$' + found[2]};\n", text
    )
    text = EXPORT.sub(r"\1 \2", text)
    if left := re.search(r"^(import|export)\b.*", text, re.MULTILINE):
        raise ValueError(
            f"{name}.js: {left[0]!r}, expected `import {{ a, b }} from` or `export const/function`"
        )
    return f'const ${name} = (() => {{\n"use strict";\n{text}return {{ {exported} }};\n}})();\n'


def script(names: tuple[str, ...] | list[str], without: frozenset[str] = frozenset()) -> str:
    """Modules as the page carries them."""
    texts = [without_comments(as_script(name, without), name in IN_THE_CODE_VIEW) for name in in_order(names)]
    return "\n".join(texts)


def without_comments(text: str, as_it_stands: bool = False) -> str:
    """JavaScript or CSS without lines of comment, indents and breaks of line, which readers of web/ have."""
    lines = [
        line for line in text.splitlines() if line.strip() and not line.strip().startswith(("//", "/**"))
    ]
    if as_it_stands:
        return "\n".join(lines)
    text = "\n".join(re.sub(r"\s// .*", "", line).strip() for line in lines)
    text = re.sub(r"(?<=[(\[{;,])\n", "", text)  # where a statement cannot end, or has ended
    text = re.sub(r",?\n(?=[)\]}])", "", text)
    text = re.sub(r"\b(const|let) (\w+) = ", r"\1 \2=", text)
    text = re.sub(r"\b(if|for) (?=\()|(?<=\)) (?=\{)", r"\1", text)
    return re.sub(r" (=>|===|!==|&&|\|\|) |(?<=\{) (?=\S)|(?<=\S) (?=\})", r"\1", text)


def page(data: dict[str, Any]) -> str:
    """The HTML file. data: what web/main.js reads."""
    without = frozenset(view for view, key in OPTIONAL.items() if not data[key])
    sheets = [file for file in (WEB / "style.css", WEB / "digits.css") if file.stem not in without]
    style = without_comments("".join(file.read_text("utf-8") for file in sheets))
    others = sorted(file.stem for file in WEB.glob("*.js") if file.stem not in {*COMPUTES, *without})
    parts = {
        "style": re.sub(r";?\}\n?", "}", re.sub(r"(: |(?= \{) )", lambda found: found[0].strip(), style)),
        "data": json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace(
            "</", "<\\/"
        ),
        "computes": script(COMPUTES),
        "shows": script(others, without),
    }
    text = (WEB / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], text)
