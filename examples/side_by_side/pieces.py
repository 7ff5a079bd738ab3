"""What the page is made of: the table of three columns, and a tensor as coloured cells."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from examples.common.html_page import Markup, escape, paragraph
from examples.side_by_side.aligned import AlignedRow
from examples.side_by_side.live import Live
from parity.render import number
from parity.report import differences

STYLE = """
.aligned { table-layout: fixed; border: 1px solid var(--line); }
.aligned td, .aligned th { border-right: 1px solid var(--line); padding: .3rem .6rem; }
.aligned td { border-bottom: 0; overflow-wrap: anywhere; }
.aligned .pass td { border-bottom: 1px solid var(--line); background: #eef2ff; font-weight: 600; }
.aligned .rest td:nth-child(2) { color: #6b7280; }
.aligned .given .rest td { color: inherit; }
.aligned .maths td:first-child { border-left: 4px solid var(--accent); }
.aligned .maths td { border-top: 1px solid #e5e7eb; border-bottom: 1px solid #e5e7eb; }
.aligned td.torch { background: #f9fafb; vertical-align: top; }
.aligned td.auto { background: repeating-linear-gradient(45deg, #fff, #fff 9px, #f3f4f6 9px, #f3f4f6 18px); }
.line { font: .82rem/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; }
.layers th:nth-child(2) { width: 38%; } .layers th:last-child { width: 27%; }
.layers :is(td, th):nth-child(n+3):nth-child(-n+5) { text-align: right; }
.halves { table-layout: fixed; } .halves td { vertical-align: top; }
.live { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem 1rem; margin: 1rem 0; }
.live > .arrow { font-size: 1.6rem; color: #6b7280; }
.tensor { margin: 0; } .tensor figcaption { font-size: .85rem; color: #111827; margin-bottom: .25rem; }
.maps { display: grid; gap: .5rem; grid-template-columns: repeat(var(--across), max-content); }
.maps table { width: auto; margin: 0; border: 1px solid #9ca3af; }
.maps td { font: 11px/1.5 ui-monospace, Menlo, Consolas, monospace; padding: 0 .2rem; border: 0; }
.maps td { text-align: right; min-width: 7ch; }
.facts { color: #4b5563; } .same td:nth-child(n+2) { font-family: ui-monospace, Menlo, monospace; }
@media (max-width: 1000px) { .line { font-size: .72rem; }
  .aligned td, .layers :is(td, th) { padding: .25rem .35rem; }
  .layers { font-size: .85rem; }
  .maps td { font-size: 9.5px; padding: 0 .1rem; } }
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
        kind = "torch auto" if "autograd" in cell else "torch"
        lines = [f'<tr class="pass"><td colspan="3">{escape(name)}</td></tr>']
        for i, row in enumerate(rows):
            last = f'<td class="{kind}" rowspan="{len(rows)}">{cell}</td>' if i == 0 else ""
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
    columns = '<colgroup><col style="width:30%"><col style="width:50%"><col style="width:20%"></colgroup>'
    return Markup(f'<table class="aligned">{columns}<thead><tr>{head}</tr></thead>{"".join(bodies)}</table>')


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


def row_of(parts: Iterable[Markup]) -> Markup:
    return Markup(f'<div class="live">{"".join(parts)}</div>')


def arrow(sign: str, label: str) -> Markup:
    return Markup(f'<span class="arrow" title="{label}" role="img" aria-label="{label}">{sign}</span>')


def gap(now: Live, stage: str, tensor: str) -> float:
    return float(differences(now.hand[stage, tensor], now.torch[stage, tensor]).max())


def tensor(now: Live, stage: str, name: str) -> Markup:
    """NumPy's numbers as coloured cells; the pointer shows both sides' in full."""
    hand, torch = now.hand[stage, name], now.torch[stage, name]
    maps = [(maps_of(side)) for side in (hand, torch)]
    limit = float(np.abs(hand).max()) or 1.0
    grids = "".join(_grid(a, b, limit) for a, b in zip(*maps, strict=True))
    across = 2 if maps[0][0].shape[1] > 4 else 4
    between = (
        ""
        if name in ("weight", "bias") or (stage, name) == ("conv", "x")
        else (f"; NumPy and PyTorch differ by at most {number(gap(now, stage, name))}")
    )
    caption = f"<b>{name}</b> {hand.shape}{between}"
    return Markup(
        f'<figure class="tensor"><figcaption>{caption}</figcaption>'
        f'<div class="maps" style="--across:{min(across, len(maps[0]))}">{grids}</div></figure>'
    )


def maps_of(array: np.ndarray) -> list[np.ndarray]:
    """(.., H, W) as its H x W maps; each row of a matrix as one map, a long one folded nine to a line."""
    if array.ndim == 4:
        return list(array.reshape(-1, *array.shape[2:]))
    rows = np.atleast_2d(array)
    return [row.reshape(-1, 9 if row.size % 9 == 0 else row.size) for row in rows]


def _grid(hand: np.ndarray, torch: np.ndarray, limit: float) -> str:
    rows = []
    for ours, theirs in zip(hand, torch, strict=True):
        cells = (
            f'<td style="background:{color_of(a / limit)}" title="NumPy {a!r}, PyTorch {b!r}">{_four(a)}</td>'
            for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _four(value: float) -> str:
    return f"{value:.4f}" if value else "0"


def color_of(share: float) -> str:
    """White at 0, blue towards -1, red towards 1; pale enough for black figures."""
    end = (220, 38, 38) if share > 0 else (59, 130, 246)
    mixed = (round(255 + 0.65 * min(abs(share), 1.0) * (channel - 255)) for channel in end)
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
