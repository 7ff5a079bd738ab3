"""TinyCNN by hand beside TinyCNN in PyTorch, layer by layer.

Section 31.1 of the book. Prints the chapter's table with the real lines and their number, and writes it as a
picture, and one page that shows mathematics and code of both sides. It refuses, with exit code
2, when a side has nothing to set beside the other.
"""

import textwrap
from pathlib import Path

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.cli import fail
from examples.common.figures import save
from examples.common.html_page import write
from examples.side_by_side.lines import NoCounterpartError
from examples.side_by_side.pairs import pairs_of
from examples.side_by_side.pieces import STYLE
from examples.side_by_side.proof import prove
from examples.side_by_side.table import as_picture, as_text, in_words, layer_table
from examples.side_by_side.web import page_parts


def build(folder: Path, seed: int, hand: type = tn.TinyCNN, torch: type = tt.TinyCNN) -> None:
    """Print the table, write picture and page; end the program where a side has no counterpart."""
    try:
        pairs, rows = pairs_of(hand, torch), layer_table(hand, torch)
        parts = page_parts(pairs, rows, prove(seed, hand, torch), seed)
    except NoCounterpartError as error:
        fail(str(error))
    print(as_text(rows))
    print(textwrap.fill(in_words(rows), 110))
    save(as_picture(rows), folder / "side_by_side.png")
    write(folder / "side_by_side.html", "TinyCNN by hand and in PyTorch, side by side", parts, STYLE)
