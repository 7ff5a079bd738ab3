"""What the README shows is what the code says and prints."""

import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
README = (HOUSE / "README.md").read_text(encoding="utf-8")


def test_the_table_of_one_step_is_the_code_of_both_loops():
    table = re.search(r"## One training step\n\n(.*?)\n\n", README, re.DOTALL).group(1)
    cells = [[cell.strip(" `") for cell in row.split("|")[1:3]] for row in table.splitlines()[2:]]
    for side, package in enumerate(["tinycnn_numpy", "tinycnn_torch"]):
        source = (HOUSE / package / "train.py").read_text(encoding="utf-8")
        lines = [line.strip() for line in source.splitlines()]
        start = lines.index("logits = model(x)")
        shown = [row[side] for row in cells if row[side]]
        assert lines[start : start + len(shown)] == shown


EXAMPLES = re.findall(r"## ([^\n]*)\n(?:(?!\n## ).)*?```python\n(.*?)```\n\n```\n(.*?)```", README, re.DOTALL)


def test_there_are_examples_in_these_sections():
    assert [section for section, *_ in EXAMPLES] == ["Is it the same?", "Your own network, your own data"]


@pytest.mark.parametrize(("section", "code", "shown"), EXAMPLES, ids=[section for section, *_ in EXAMPLES])
def test_the_example_prints_what_is_shown(section, code, shown, capsys):
    exec(code, {})
    assert capsys.readouterr().out == shown


def test_a_network_of_ones_own_takes_fifteen_lines():
    code = next(code for section, code, _ in EXAMPLES if section == "Your own network, your own data")
    assert len([line for line in code.splitlines() if line]) <= 15


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_every_link_leads_somewhere(link):
    assert (HOUSE / link).exists()
