"""A Sphinx extension: every formula becomes MathML, which browsers draw by themselves, without MathJax.

A formula with a command that latex2mathml does not know is a warning, and with -W an error.
"""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)


def mathml(latex: str, display: str) -> str:
    r"""<math> of a formula; display is "inline" or "block". Raises ValueError for an unknown \command."""
    made = convert(latex, display=display).replace("<mi>&</mi>", "")
    if "\\" in made:
        raise ValueError(f"latex2mathml does not know a command in {latex!r}")
    return made


def put(writer, node, display: str) -> None:
    try:
        made = mathml(node.astext(), display)
    except Exception as error:  # whatever the converter raises on a formula that is none
        logger.warning("no MathML: %s", error, location=node)
        made = ""
    writer.body.append(f'<div class="math">{made}</div>' if display == "block" else made)
    raise nodes.SkipNode


def setup(app) -> dict[str, bool]:
    inline = (lambda writer, node: put(writer, node, "inline"), None)
    block = (lambda writer, node: put(writer, node, "block"), None)
    app.add_html_math_renderer("mathml", inline, block)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
