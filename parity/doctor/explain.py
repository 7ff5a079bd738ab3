"""One page a cause: python -m parity explain CODE

Without a code all of them are listed.
"""

import argparse
import difflib
import inspect
import sys
import textwrap

from parity.doctor import plain
from parity.doctor.evidence import Page
from parity.doctor.known import pages
from parity.kinds import KINDS


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m parity explain",
        description="What a cause is, a wrong and a right example, and why it matters.",
    )
    parser.add_argument("code", nargs="?", help="as a report shows it in [brackets]; all, if none is given")
    code = parser.parse_args(argv).code
    known = pages()
    if code is None:
        print(contents(known))
        return 0
    if code not in known:
        near = difflib.get_close_matches(code, known, n=3) or sorted(known)[:3]
        print(f"error: there is no cause {code!r}; near it are {', '.join(near)}", file=sys.stderr)
        return 2
    print(text(known[code]))
    return 0


def contents(known: dict[str, Page]) -> str:
    """Every code with its sentence, kind by kind."""
    lines = []
    for kind in KINDS:
        of_kind = [page for page in known.values() if page.kind == kind]
        lines += [f"\n{kind}"] * bool(of_kind) + [f"  {page.code:27}{page.what}" for page in of_kind]
    return "\n".join(lines).lstrip()


def text(page: Page) -> str:
    right, wrong = (textwrap.indent(code, "    ") for code in (page.right, page.wrong))
    why = textwrap.fill(page.why, 100)
    return f"{page.code} ({page.kind})\n\n{page.what}\n\nwrong:\n{wrong}\n\nright:\n{right}\n\n{why}"


def wrong_class(page: Page) -> type:
    """The class of plain.py with the wrong lines in place of the right one. ValueError if it has none."""
    source = inspect.getsource(getattr(plain, page.kind))
    lines = source.splitlines()
    at = [i for i, line in enumerate(lines) if line.strip() == page.right]
    if not at:
        raise ValueError(f"explain: right of {page.code} is {page.right!r}, expected a line of {page.kind}")
    for i in at:
        indent = lines[i][: len(lines[i]) - len(lines[i].lstrip())]
        lines[i] = textwrap.indent(page.wrong, indent)
    names = dict(vars(plain))
    exec(compile("\n".join(lines), f"<{page.code}>", "exec"), names)
    found: type = names[page.kind]
    return found
