"""Numbers, tables and reports as text and HTML. Nothing is judged here."""

import html
import io
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity.report import Report


def number(value: float | None) -> str:
    """Three letters and an exponent for what is small or large, two digits for what is not."""
    if value is None:
        return "-"
    return f"{value:.2f}" if 0.01 <= value < 100 else f"{value:.1e}" if value else "0"


def table(lines: Iterable[Sequence[str]]) -> list[str]:
    """Lines of cells as lines of text, in columns."""
    rows = list(lines)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def report_text(report: "Report") -> str:
    """The title, a line a tensor, what the doctor says, and the summary."""
    return "\n".join([report.title, *table(_lines(report)), *_ends(report), report.summary()])


def report_html(report: "Report") -> str:
    """The same with a table, whose last column says in words what its colour says."""
    head, *lines = _lines(report)
    body = [
        "".join([*map(html_cell, line[:-1]), html_cell(line[-1], "ok" if row.ok else "wrong")])
        for line, row in zip(lines, report.rows, strict=True)
    ]
    ends = "".join(f"<li>{html.escape(end)}</li>" for end in _ends(report))
    parts = [html_table(report.title, head, body), f"<ul>{ends}</ul>" if ends else ""]
    return "\n".join([*filter(None, parts), f"<p>{html.escape(report.summary())}</p>"])


def _lines(report: "Report") -> list[list[str]]:
    """The head, then the cells of a line for every tensor."""
    rows = report.rows
    isolated, torch = (any(getattr(row, name) is not None for row in rows) for name in ("isolated", "torch"))
    header = ["stage", "tensor", "shape", "error", "error/bound"]
    lines = [[*header, *["isolated"] * isolated, *["torch"] * torch, "verdict"]]
    for row in rows:
        numbers = [row.error, row.ratio, *[row.isolated] * isolated, *[row.torch] * torch]
        verdict = f"{row.verdict}: {row.note}" if row.note else row.verdict
        lines.append([row.stage, row.tensor, str(row.shape), *map(number, numbers), verdict])
    return lines


def _ends(report: "Report") -> list[str]:
    return [*map(str, report.diagnoses), *([str(report.divergence)] if report.divergence else [])]


# Half transparent, so that the page's own letters are read on them, on a light page and on a dark one.
COLOURS = {"ok": "rgba(34,160,84,.22)", "wrong": "rgba(220,38,38,.28)", "open": "rgba(214,158,20,.28)"}


def html_cell(text: str, look: str = "", heads_row: bool = False) -> str:
    """A cell; look: its colour, one of COLOURS, beside a word that says the same."""
    style = f"text-align:left;{f'background:{COLOURS[look]}' if look else ''}"
    tag = "th scope='row'" if heads_row else "td"
    return f"<{tag} style='{style}'>{html.escape(text)}</{tag[:2]}>"


def html_table(caption: str, head: Sequence[str], lines: Sequence[str]) -> str:
    """A table of a head and of lines whose cells are HTML already."""
    heads = "".join(f"<th scope='col' style='text-align:left'>{html.escape(text)}</th>" for text in head)
    title = "text-align:left;caption-side:top;color:inherit;font-weight:bold"
    rows = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f"<table><caption style='{title}'>{html.escape(caption)}</caption>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
    )


def picture_of(found: Any) -> bytes | None:
    """The heat map of a Report or a Checkup as PNG; None if nothing is to be drawn, or without matplotlib."""
    if find_spec("matplotlib") is None:
        return None
    from parity import heat_map

    figure, png = heat_map(found), io.BytesIO()
    if figure is None:
        return None
    figure.savefig(png, format="png", dpi=100)
    return png.getvalue()
