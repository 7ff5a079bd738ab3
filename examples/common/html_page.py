"""One HTML page that opens from disk: text, tables and pictures in one file, with one style."""

import base64
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from examples.common.cli import fail

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1f2530; --quiet: #59606d; --line: #dcd8cd;
  --soft: #f4f2ec; --tint: #eef3ee; --accent: #7a4fbf; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --ink: #e9e7e1; --quiet: #a5abb6;
  --line: #39404b; --soft: #1b1f26; --tint: #1a221e; --accent: #b493ec; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
body { margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
h1, h2 { line-height: 1.2; overflow-wrap: anywhere; } h2 { margin-top: 2.5rem; }
a { color: var(--accent); }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .45rem .7rem; border-bottom: 1px solid var(--line); }
th { background: var(--soft); position: sticky; top: 0; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; }
code, pre { font: .85rem/1.45 ui-monospace, Menlo, Consolas, monospace; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; }
figure { margin: 1.5rem 0; } figcaption { color: var(--quiet); font-size: .9rem; }
@media (max-width: 1000px) { table { display: block; overflow-x: auto; } }
"""


def code(text: str) -> Markup:
    """Program text as it stands, one line or many."""
    return Markup(f"<pre><code>{escape(text)}</code></pre>")


def paragraph(text: object) -> Markup:
    return Markup(f"<p>{escape(text)}</p>")


def table(header: Sequence[object], rows: Iterable[Sequence[object]], caption: str, kind: str = "") -> Markup:
    """Cells are text, or Markup such as code(...). kind: the class that a page's own style speaks of."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    attribute = f' class="{kind}"' if kind else ""
    title = f"<caption>{escape(caption)}</caption>"
    return Markup(f"<table{attribute}>{title}<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>")


def picture(figure: Figure, alt: str, caption: str = "") -> Markup:
    """A figure inside the page; `alt` says what is to be seen, for those who cannot see it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    data = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}">'
    return Markup(f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>")


def write(path: Path, title: str, parts: Iterable[Markup], style: str = "") -> None:
    """Write the page, into a folder that is made if need be; print where. style: CSS of this page alone."""
    text = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title><style>{STYLE}{style}</style></head>
<body>
<h1>{escape(title)}</h1>
{chr(10).join(parts)}
</body>
</html>
"""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    print(f"page: {path}", flush=True)
