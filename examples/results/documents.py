"""Figures in a document are filled in from the stored results, and nobody types them.

    <!-- figures
    NumPy reaches {seeds.numpy.mean:.2f} % over {seeds.numpy.count} seeds.
    -->

    NumPy reaches 98.76 % over 10 seeds.

    <!-- end of figures -->

Between the first two lines stands a template of str.format, any Markdown; below it what `filled` makes of it.
"""

import re
from pathlib import Path
from types import SimpleNamespace

HOUSE = Path(__file__).parents[2]
BLOCK = re.compile(r"(<!-- figures\n(.*?)\n-->\n)(.*?)(<!-- end of figures -->)", re.DOTALL)
BEGIN, END = "<!-- figures\n", "\n<!-- end of figures -->"


def documents() -> list[Path]:
    """Every document that may hold figures."""
    return [HOUSE / "README.md", HOUSE / "CONTRIBUTING.md", *sorted((HOUSE / "docs").rglob("*.md"))]


def filled(text: str, results: SimpleNamespace) -> str:
    """The document with the figures of `results`. Raises ValueError for a figure that is not among them."""
    if not len(BLOCK.findall(text)) == text.count(BEGIN) == text.count(END):
        raise ValueError(f"expected {BEGIN.strip()}, a template, --> and {END.strip()} in turn")

    def fill(block: re.Match) -> str:
        try:
            return f"{block[1]}\n{block[2].format(**vars(results))}\n\n{block[4]}"
        except (AttributeError, KeyError, IndexError) as error:
            raise ValueError(f"no result for a figure: {error}, in {block[2]!r}") from None

    return BLOCK.sub(fill, text)


def differing(text: str, results: SimpleNamespace) -> list[str]:
    """Each line that is not what the stored results say, with the one that is expected."""
    expected = filled(text, results)
    if expected.count("\n") != text.count("\n"):
        return [f"{text.count(chr(10))} lines, expected {expected.count(chr(10))}"]
    pairs = zip(text.splitlines(), expected.splitlines(), strict=True)
    return [f"{found!r}, expected {right!r}" for found, right in pairs if found != right]
