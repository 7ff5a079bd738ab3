r"""A Sphinx extension: this project's docstrings, which are plain text, as reStructuredText with formulas.

A docstring has paragraphs; lines "name  what it is", in columns; and indented formulas as in

    out[n,m] = bias[m] + sum_k x[n,k] * weight[m,k]

which becomes \text{out}[n, m] = \text{bias}[m] + \sum_{k} x[n, k] \cdot \text{weight}[m, k].
"""

import re
from itertools import groupby

COLUMNS = re.compile(r"(\S.*?) {2,}(\S.*)")  # "name  what it is"
TOKEN = re.compile(r"\*\*|[-+*/]?=|->|//|[A-Za-z]\w*|[\d.]+|\s+|.")
WORDS = {"is", "the", "winner", "likewise"}  # of a formula, not names of arrays
OVER_INDICES = re.compile(r"(sum|max|mean)_([a-z]+)")
SYMBOLS = {
    "*": r"\cdot ",
    "**": "^",
    "exp": r"\exp ",
    "log": r"\log\,",
    "eps": r"\varepsilon ",
    "beta1": r"\beta_1 ",
    "beta2": r"\beta_2 ",
    "sum": r"\textstyle\sum ",
}


def latex(formula: str) -> str:
    """One side of a formula in the docstrings' notation as LaTeX. Prose behind ", " stays prose."""
    formula, comma, prose = formula.partition(", each ")
    found, root = [], []
    for token in TOKEN.findall(formula):
        operator = OVER_INDICES.fullmatch(token)
        if token == "sqrt":
            found.append(r"\sqrt")
            root.append(0)
        elif root and token in "()":
            root[-1] += 1 if token == "(" else -1
            outermost = root[-1] == (1 if token == "(" else 0)
            found.append(token if not outermost else "{" if token == "(" else "}")
            if root[-1] == 0:
                root.pop()
        elif operator:
            name = rf"\{operator[1]}" if operator[1] != "mean" else r"\operatorname{mean}"
            found.append(rf"{name}_{{{','.join(operator[2])}}} ")
        elif token.endswith("_hat"):
            found.append(rf"\hat{{{token[:-4]}}} ")
        elif token in WORDS:
            found.append(rf"\text{{ {token} }}")
        elif token == ",":
            found.append(r",\,")
        elif token not in SYMBOLS and len(token) > 1 and token[0].isalpha():
            found.append(rf"\text{{{token}}}")
        else:
            found.append(SYMBOLS.get(token, token))
    text = re.sub(r"\^(\\text\{\w+\}|\w)", r"^{\1}", "".join(found)).strip()
    return text + (rf"\text{{, each {prose}}}" if comma else "")


def equations(lines: list[str]) -> list[str]:
    """A block of formulas, one a row, the equals signs below each other."""
    rows = []
    for line in lines:
        line, note = re.fullmatch(r"(.*?)(?: {4,}([a-z].*))?", line.strip()).groups()
        left, equals, right = re.fullmatch(r"(?:(.*?) *(-?=) +)?(.*)", line).groups("")
        if equals == "-=":
            equals, right = r"\leftarrow ", f"{left} - {right}"
        note = rf"\qquad\text{{{note}}}" if note else ""
        rows.append(rf"{latex(left)} &{equals} {latex(right)}{note}")
    inside = "\\\\\n".join(rows).splitlines()
    return ["", *(f"   {line}" for line in (r"\begin{align*}", *inside, r"\end{align*}"))]


def paragraph(lines: list[str]) -> list[str]:
    """Words, with what stands in backticks as code."""
    text = [re.sub(r"([\\*_|])", r"\\\1", line) for line in lines]
    return [re.sub(r"`([^`]+)`", lambda found: f"``{found[1]}``".replace("\\", ""), line) for line in text]


def columns(lines: list[str]) -> list[str]:
    """Lines "name  what it is" as a list of definitions; deeper lines go on with the one above."""
    made = []
    for line in lines:
        found = COLUMNS.fullmatch(line)
        if found and not line.startswith(" "):
            made += [f"``{found[1]}``", f"   {paragraph([found[2]])[0]}"]
        else:
            made.append(f"   {paragraph([line.strip()])[0]}")
    return made


def restructured(lines: list[str]) -> list[str]:
    """A docstring, block by block."""
    made = []
    for filled, group in groupby(lines, key=bool):
        block = list(group)
        if not filled:
            continue
        if all(line.startswith("    ") for line in block):
            block = [line[4:] for line in block]
            formula = re.search(r"\w\]? *-?= ", block[0]) or "  =  " in block[0]
            made += [".. math::", *equations(block)] if formula else ["::", "", *(f"   {li}" for li in block)]
        elif COLUMNS.fullmatch(block[0]) and not block[0].startswith(" "):
            made += columns(block)
        else:
            made += paragraph(block)
        made.append("")
    return made


def setup(app) -> dict[str, bool]:
    def process(app, what, name, thing, options, lines):
        lines[:] = restructured(lines)

    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
