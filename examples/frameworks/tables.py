"""The tables that examples.frameworks prints, as lines of text. `present`: the frameworks at hand."""

import numpy as np

from examples.frameworks.adam import PLACES, adam_updates, epsilon_of
from examples.frameworks.compare import TITLES
from examples.frameworks.defaults import DEFAULTS, default_differences
from examples.frameworks.layouts import RULES, convert
from parity import Report, Row
from parity.render import number, table
from parity.report import MATCH, MISMATCH, UNDECIDABLE

STEPS, GRADIENT = (1, 10, 100), 1e-6
LETTERS = "A word is an axis, a letter an index: n image, c channel, h w pixel, f filter, i j in its kernel."
ADAM = """Steps under a constant gradient of {:.0e}, in learning rates (and the epsilon that acts).
Keras divides by sqrt(v) + eps, the others by sqrt(v / (1 - beta2**step)) + eps: its eps acts more."""
NAMES = {("fc", "out"): "logits", ("loss", "loss"): "loss"}


def layout_table(state: dict[str, np.ndarray], x: np.ndarray) -> list[str]:
    lines = [["", "NumPy, PyTorch, ONNX", "rule", "Keras, Flax"]]
    for name, rule in RULES.items():
        array = x if name == "x" else state[name]
        lines.append([name, str(array.shape), rule, str(convert(array, rule).shape)])
    return [LETTERS, *table(lines)]


def defaults_table(present: list[str]) -> list[str]:
    found = default_differences([framework for framework in DEFAULTS if framework in present])
    header = ["", *(TITLES[framework] for framework in found)]
    return table([header, *([what, *(d[what] for d in found.values())] for what in found["torch"])])


def adam_table(present: list[str]) -> list[str]:
    """Every framework's steps, all by default, and the epsilon that explains them."""
    names = [framework for framework in PLACES if framework in present]
    updates = {framework: adam_updates(framework, GRADIENT, max(STEPS)) for framework in names}
    lines = [["step", *(TITLES[framework].replace("Flax", "optax") for framework in updates)]]
    for step in STEPS:
        at = [each[step - 1] for each in updates.values()]
        lines.append([str(step), *(f"{u:.2f} ({epsilon_of(u, GRADIENT):.1e})" for u in at)])
    return [ADAM.format(GRADIENT), *table(lines)]


def parity_table(reports: list[dict[str, Report]]) -> list[str]:
    """error / bound for each precision and tensor, a column for each framework; reports by precision."""
    lines = [["precision", "tensor", *TITLES.values()]]
    for precision, by_framework in zip(("float32", "float64"), reports, strict=True):
        cells = {framework: cells_of(report) for framework, report in by_framework.items()}
        for tensor in [*map(name_of, by_framework["numpy"].rows), "every out", "verdict"]:
            row = (cells[f].get(tensor, "-") if f in cells else "skipped" for f in TITLES)
            lines.append([precision, tensor, *row])
    return table(lines)


def cells_of(report: Report) -> dict[str, str]:
    """By tensor; "every out" is the largest of all stages, where the report has them."""
    cells = {name_of(row): number(row.ratio) for row in report.rows}
    outs = [row.ratio for row in report.rows if row.tensor == "out"]
    verdicts = {row.verdict for row in report.rows}
    if len(outs) > 1:
        cells["every out"] = number(max(outs))
    cells["verdict"] = next(worst for worst in (MISMATCH, UNDECIDABLE, MATCH) if worst in verdicts)
    return cells


def name_of(row: Row) -> str:
    return NAMES.get((row.stage, row.tensor), f"{row.stage} {row.tensor}")
