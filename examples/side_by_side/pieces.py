"""What the page is made of: the table of three columns, and its style."""

import re
from collections.abc import Sequence

from examples.common.html_page import Markup, escape, paragraph
from examples.side_by_side.aligned import AlignedRow

STYLE = """
.aligned { display: table; table-layout: fixed; border: 1px solid var(--line); }
.aligned td, .aligned th { border-right: 1px solid var(--line); padding: .3rem .6rem; }
.aligned :is(td, th), .halves :is(td, th) { overflow-wrap: anywhere; }
.aligned td { border-bottom: 0; }
.aligned :is(th, td):nth-child(1) { width: 30%; } .aligned :is(th, td):nth-child(2) { width: 50%; }
.aligned .pass td { border-bottom: 1px solid var(--line); background: var(--tint); font-weight: 600; }
.aligned .rest td:nth-child(2) { color: var(--quiet); }
.aligned .given .rest td { color: inherit; }
.aligned .maths td:first-child { border-left: 4px solid var(--accent); }
.aligned .maths td { border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.aligned td.torch { background: var(--soft); }
.line { font: .82rem/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; }
.layers th:nth-child(2) { width: 38%; min-width: 13rem; } .layers th:last-child { width: 27%; }
.layers :is(td, th):nth-child(n+3):nth-child(-n+5) { text-align: right; }
.halves { display: table; table-layout: fixed; }
@media (max-width: 1000px) { .line { font-size: .72rem; overflow-wrap: anywhere; }
  .aligned td, .layers :is(td, th) { padding: .25rem .35rem; }
  .layers { font-size: .85rem; } }
@media (max-width: 699px) { .aligned thead { display: none; }
  .aligned, .aligned :is(tbody, tr, td) { display: block; } .aligned tr td:nth-child(n) { width: auto; }
  .aligned td { border: 0; } .aligned td:empty { display: none; } }
"""


def three_columns(
    by_hand: str,
    torch: str,
    passes: Sequence[str],
    blocks: Sequence[Sequence[AlignedRow]],
    beside: Sequence[Markup],
) -> Markup:
    """Three columns; each pass is a block of rows whose PyTorch side is one cell."""
    bodies = []
    for name, rows, cell in zip(passes, blocks, beside, strict=True):
        lines = [f'<tr class="pass"><td colspan="3">{escape(name)}</td></tr>']
        for i, row in enumerate(rows):
            last = f'<td class="torch" rowspan="{len(rows)}">{cell}</td>' if i == 0 else ""
            kind_of_row = "maths" if row.equations else "rest"
            maths = "".join(_hanging(re.sub(" {2,}", "  ", text)) for text in row.equations)
            source = "".join(map(_hanging, row.code))
            lines.append(f'<tr class="{kind_of_row}"><td>{maths}</td><td>{source}</td>{last}</tr>')
        given = ' class="given"' if name == "the model" else ""
        bodies.append(f"<tbody{given}>{''.join(lines)}</tbody>")
    head = "".join(
        f'<th scope="col">{escape(cell)}</th>'
        for cell in ("mathematics", f"NumPy: {by_hand}", f"PyTorch: {torch}")
    )
    return Markup(f'<table class="aligned"><thead><tr>{head}</tr></thead>{"".join(bodies)}</table>')


def by_autograd(node: str) -> Markup:
    seen = paragraph(Markup(f"it noted <span class='line'>{escape(node)}</span>")) if node else Markup("")
    return Markup(f"{paragraph('no line: autograd')}{seen}")


def line(text: str) -> Markup:
    return Markup(f'<span class="line">{escape(text)}</span>')


def _hanging(text: str) -> str:
    """A line that goes on further in where it must be wrapped."""
    indent = len(text) - len(text.lstrip()) + 4
    style = f"padding-left:{indent}ch;text-indent:-4ch"
    return f'<div class="line" style="{style}">{escape(text.lstrip())}</div>'


def section(title: str, anchor: str) -> Markup:
    return Markup(f'<h2 id="{anchor}">{escape(title)}</h2>')
