"""Formulas of the site: from the docstrings' notation to LaTeX, from LaTeX to MathML."""

import inspect
import re

import docstrings
import pytest

import parity
import tinycnn_numpy as tn

pytest.importorskip("latex2mathml", reason="needs the extra docs: pip install -e '.[docs]'")
pytest.importorskip("sphinx", reason="needs the extra docs: pip install -e '.[docs]'")
import mathml


@pytest.mark.parametrize(
    ("formula", "latex"),
    [
        ("bias[m] + sum_k x[n,k]", r"\text{bias}[m] + \sum_{k}  x[n,\,k]"),
        ("max_ij windows[i,j]", r"\max_{i,j}  \text{windows}[i,\,j]"),
        ("(x - mean[c])**2 / M", r"(x - \text{mean}[c])^{2} / M"),
        ("1 - beta1**steps", r"1 - \beta_1 ^{\text{steps}}"),
        ("m_hat / (sqrt(v_hat) + eps)", r"\hat{m}  / (\sqrt{\hat{v} } + \varepsilon )"),
        ("sqrt((a + b) * c)", r"\sqrt{(a + b) \cdot  c}"),
        ("dwindows, each entry added back", r"\text{dwindows}\text{, each entry added back}"),
    ],
)
def test_a_formula_becomes_latex(formula, latex):
    assert docstrings.latex(formula) == latex


def test_formulas_stand_below_each_other():
    lines = ["a   = b + c      words on it", "abc = d", "      * e", "data -= lr * b"]
    rows = docstrings.equations(lines)[2:-1]
    assert [row.strip().removesuffix(r"\\") for row in rows] == [
        r"a &= b + c\qquad\text{words on it}",
        r"\text{abc} &= d",
        r"& \cdot  e",
        r"\text{data} &\leftarrow  \text{data} - \text{lr} \cdot  b",
    ]


def test_columns_become_definitions_and_words_keep_their_stars():
    text = ["2 * x_hat, and `a_b`", "", "x     what it is", "      goes on", "seed  draws"]
    found = docstrings.restructured(text)
    assert found[0] == r"2 \* x\_hat, and ``a_b``"
    assert found[2:] == ["``x``", "   what it is", "   goes on", "``seed``", "   draws", ""]


def test_every_formula_of_the_packages_is_mathml():
    things = [getattr(package, name) for package in (tn, parity) for name in package.__all__]
    texts = ["\n".join(docstrings.restructured(inspect.getdoc(thing).splitlines())) for thing in things]
    formulas = [
        found for text in texts for found in re.findall(r"\\begin{align.*?\\end{align\*}", text, re.DOTALL)
    ]
    assert len(formulas) >= 20
    for formula in formulas:
        made = mathml.mathml(formula, "block")
        assert made.startswith("<math ") and "<mtable" in made
        assert "_" not in re.sub(r"<mtext>.*?</mtext>", "", made)  # what is not a letter stands in a text


def test_a_command_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"latex2mathml does not know a command in '\\\\nosuchcommand x'"):
        mathml.mathml(r"\nosuchcommand x", "inline")
