"""One page a cause: python -m parity explain CODE

Without a code all of them are listed.
"""

import difflib
import inspect
import linecache
import sys
import textwrap

from parity.doctor import anything, plain, remarks
from parity.doctor.evidence import Page
from parity.doctor.known import pages
from parity.kinds import KINDS


def explain(code: str | None) -> int:
    """Print the page of a code, or all codes; exit code 2 if there is no such page."""
    known = pages()
    if code is None:
        print(contents(known))
        return 0
    if code not in known:
        near = difflib.get_close_matches(code, known, n=3)
        hint = f"near it: {', '.join(near)}" if near else "python -m parity explain lists all"
        print(f"error: there is no cause {code!r}; {hint}", file=sys.stderr)
        return 2
    print(text(known[code]))
    return 0


def contents(known: dict[str, Page]) -> str:
    """Every code with its sentence, kind by kind."""
    general = [*anything.PAGES, *remarks.PAGES]
    groups = {"Any layer, loss, optimizer or model": general}
    groups |= {
        kind: [page for page in known.values() if page.kind == kind and page not in general] for kind in KINDS
    }
    lists = {title: [f"  {page.code:27}{page.what}" for page in group] for title, group in groups.items()}
    return "\n\n".join("\n".join((title, *lines)) for title, lines in lists.items() if lines)


def text(page: Page) -> str:
    """The wrong method with its wrong lines marked, the right line, and why it matters."""
    name, lines = wrong_method(page)
    method = "\n".join(f"  {mark} {line}" for mark, line in lines)
    why = textwrap.fill(" ".join(page.why.split()), 100)
    head = f"{page.code}: {page.what}\n\nwrong, in {page.kind}.{name}:"
    return f"{head}\n\n{method}\n\nright:\n\n    {page.right}\n\n{why}"


def wrong_method(page: Page) -> tuple[str, list[tuple[str, str]]]:
    """The method of plain.py that holds the right line: its name, and its lines behind a mark, ">" if wrong.

    Raises ValueError if no method holds it.
    """
    for name, method in vars(getattr(plain, page.kind)).items():
        lines = textwrap.dedent(inspect.getsource(method)).splitlines() if inspect.isfunction(method) else []
        codes = [line.partition("  #")[0] for line in lines]
        if page.right in map(str.strip, codes):
            marked = []
            for line, code in zip(lines, codes, strict=True):
                indent = " " * (len(code) - len(code.lstrip()))
                wrong = textwrap.indent(inspect.cleandoc(page.wrong), indent).splitlines()
                marked += [(">", w) for w in wrong] if code.strip() == page.right else [(" ", line)]
            return name, marked
    raise ValueError(f"explain: right of {page.code} is {page.right!r}, expected a line of {page.kind}")


def wrong_class(page: Page) -> type:
    """A subclass of that of plain.py with the wrong method."""
    name, lines = wrong_method(page)
    names = dict(vars(plain))
    text, file = "\n".join(line for _, line in lines), f"<{page.code}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file  # tracebacks show its lines
    exec(compile(text, file, "exec"), names)
    names[page.kind] = type(page.kind, (names[page.kind],), {name: names[name]})
    found: type = names[page.kind]
    return found
