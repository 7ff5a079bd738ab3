"""What the README and the pages of reference show is what the code says, prints and measured."""

import json
import re
from pathlib import Path

import pytest

from examples.results.documents import BLOCK, documents

HOUSE = Path(__file__).parent.parent
TEXTS = {path.relative_to(HOUSE).as_posix(): path.read_text("utf-8") for path in documents()}
README = TEXTS["README.md"]
OURS = {name: text for name, text in TEXTS.items() if name == "README.md" or "/reference/" in name}


def test_the_readme_is_a_start_page():
    assert len(README.splitlines()) <= 120
    pictures = re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", README)  # each with words for who cannot see it
    assert len(pictures) == 2 and all((HOUSE / path).stat().st_size < 100_000 for path in pictures)


def test_the_two_commands_can_be_found_by_a_program():
    for name, module in (("run", "examples.train_mnist"), ("test", "pytest")):
        [command] = re.findall(rf"<!-- {name} -->\n```\n(python3 .*)\n```", README)
        assert command.endswith(f".venv/bin/python -m {module}")


def test_the_table_of_one_step_is_the_code_of_both_loops():
    table = re.search(r"## One training step\n\n(.*?)\n\n", README, re.DOTALL).group(1)
    cells = [[cell.strip(" `") for cell in row.split("|")[1:3]] for row in table.splitlines()[2:]]
    for side, package in enumerate(["tinycnn_numpy", "tinycnn_torch"]):
        source = (HOUSE / package / "train.py").read_text(encoding="utf-8")
        lines = [line.strip() for line in source.splitlines()]
        start = lines.index("logits = model(x)")
        shown = [row[side] for row in cells if row[side]]
        assert lines[start : start + len(shown)] == shown


EXAMPLES = {
    name: found
    for name, text in OURS.items()
    if (found := re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", text, re.DOTALL))
}


def test_there_are_examples_in_these_documents():
    assert sorted(EXAMPLES) == ["README.md", "docs/reference/own-network.md"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_is_shown(name, capsys):
    for code, shown in EXAMPLES[name]:
        exec(code, {})
        assert capsys.readouterr().out == shown


def test_a_network_of_ones_own_takes_fifteen_lines():
    [(code, _)] = EXAMPLES["docs/reference/own-network.md"]
    assert len([line for line in code.splitlines() if line]) <= 15


LINKS = [
    (name, link) for name in OURS for link in re.findall(r"\]\(([^)]+)\)", OURS[name]) if "://" not in link
]


@pytest.mark.parametrize(("name", "link"), LINKS)
def test_every_link_leads_somewhere(name, link):
    assert (HOUSE / name).parent.joinpath(link).exists()


@pytest.mark.parametrize("name", OURS)
def test_a_page_has_one_title_and_is_reached_from_the_readme(name):
    assert OURS[name].startswith("# ")
    reached, left = set(), ["README.md"]
    while left:
        if (page := left.pop()) not in reached:
            reached.add(page)
            targets = ((HOUSE / page).parent / link for of, link in LINKS if of == page)
            left += [t.resolve().relative_to(HOUSE).as_posix() for t in targets if t.suffix == ".md"]
            left = [page for page in left if page in OURS]
    assert name in reached


def typed_figures(text):
    """What looks like a measured figure and stands outside of the blocks that are filled in, and of code."""
    text = BLOCK.sub("", text)
    text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\d+(?:\.\d+)? ?%|\+-|\d+\.\d\d+|\d+\.\d+ (?:s|ms|points)\b", text)


@pytest.mark.parametrize("name", OURS)
def test_no_figure_is_typed_in(name):
    assert [figure for figure in typed_figures(OURS[name]) if figure != "3.11"] == []  # Python's version


@pytest.mark.parametrize("planted", ["98.75 % of", "by 1.25 points", "+- 0.1", "93 %", "in 2.5 s"])
def test_a_figure_that_is_typed_in_is_found(planted):
    assert typed_figures(f"Text {planted}, more.") and not typed_figures(f"Text `{planted}`, more.")
    assert not typed_figures(f"<!-- figures\n{planted}\n-->\n\n{planted}\n\n<!-- end of figures -->\n")


PROGRAM = re.compile(r"python -m (examples(?:\.\w+)?|parity)\b")


@pytest.mark.parametrize("name", OURS)
def test_a_program_that_is_named_is_there(name):
    for module in PROGRAM.findall(OURS[name]):
        path = HOUSE / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_the_citation_has_what_its_format_requires():
    """Citation File Format 1.2.0: cff-version, message, title and authors, and our version."""
    text = (HOUSE / "CITATION.cff").read_text("utf-8")
    entries = dict(re.findall(r"^([a-z-]+):[ \n]*(.+)$", text, re.MULTILINE))
    assert entries["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= entries.keys()
    version = re.search(r'^version = "(.+)"$', (HOUSE / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert entries["version"] == version.group(1)


def test_the_notebook_for_colab_has_clean_cells_and_programs_that_are_there():
    notebook = json.loads((HOUSE / "examples" / "colab.ipynb").read_text("utf-8"))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["nbformat"] == 4 and not any(cell.get("outputs") for cell in notebook["cells"])
    for module in PROGRAM.findall("\n".join(code)):
        assert (HOUSE / "examples" / module.partition(".")[2]).with_suffix(".py").exists() or (
            HOUSE / "examples" / module.partition(".")[2] / "__main__.py"
        ).exists()


def test_binder_installs_extras_that_there_are():
    extras = re.search(r"\[([\w,]+)\]", (HOUSE / ".binder" / "requirements.txt").read_text("utf-8")).group(1)
    project = (HOUSE / "pyproject.toml").read_text("utf-8")
    assert all(f"\n{extra} = [" in project for extra in extras.split(","))
