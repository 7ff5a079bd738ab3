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


def module_text(name: str) -> str:
    return (WEB / f"{name}.js").read_text("utf-8")


def imports_of(name: str) -> dict[str, list[str]]:
    """{module: names} that a module imports."""
    return {module: re.findall(r"\w+", names) for names, module in IMPORT.findall(module_text(name))}


def in_order(names: tuple[str, ...] | list[str]) -> list[str]:
    """Modules, each behind those that it imports."""
    graph = {name: [other for other in imports_of(name) if other in names] for name in names}
    return list(TopologicalSorter(graph).static_order())


def as_script(name: str) -> str:
    """A module as a function of its own, so that equal names of two modules do not meet.

    `export` becomes the object $name, and `import` takes from such objects.
    """
    text = module_text(name)
    exported = ", ".join(name for _, name in EXPORT.findall(text))
    text = IMPORT.sub(lambda found: f"const {{{found[1]}}} = ${found[2]};\n", text)
    text = EXPORT.sub(r"\1 \2", text)
    if left := re.search(r"^(import|export)\b.*", text, re.MULTILINE):
        raise ValueError(f"{name}.js: {left[0]!r}, expected `import {{ a, b }} from` or `export const/function`")
    return f'const ${name} = (() => {{\n"use strict";\n{text}return {{ {exported} }};\n}})();\n'


def script(names: tuple[str, ...] | list[str]) -> str:
    return "\n".join(map(as_script, in_order(names)))


def without_indents(text: str) -> str:
    """Lines of JavaScript or CSS without their indents and comments, which only readers of web/ need."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def page(data: dict[str, Any]) -> str:
    """The HTML file. data: what web/main.js reads."""
    others = sorted(file.stem for file in WEB.glob("*.js") if file.stem not in COMPUTES)
    parts = {
        "style": without_indents((WEB / "style.css").read_text("utf-8")),
        "data": json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/"),
        "computes": script(COMPUTES),
        "shows": without_indents(script(others)),
    }
    text = (WEB / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], text)
