"""TinyCNN by hand beside TinyCNN in PyTorch, as a table and as a page, both made from the code itself."""

from examples.side_by_side.lines import NoCounterpartError, code_lines, equations, stage_lines
from examples.side_by_side.pairs import Pair, pairs_of
from examples.side_by_side.table import TableRow, layer_table

__all__ = [
    "NoCounterpartError",
    "Pair",
    "TableRow",
    "code_lines",
    "equations",
    "layer_table",
    "pairs_of",
    "stage_lines",
]
