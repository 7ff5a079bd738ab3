"""The lessons: what is written into the notebooks, and that every cell of them runs."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.common import data
from examples.lessons import __main__ as lessons

HOUSE = Path(__file__).parents[2]
NEEDS = "the lessons need the extra notebooks: pip install -e '.[notebooks]'"
nbformat = pytest.importorskip("nbformat", reason=NEEDS)
pytest.importorskip("ipykernel", reason=NEEDS)
making = pytest.importorskip("examples.lessons.making", reason=NEEDS)
SOURCES, Lesson = making.SOURCES, making.Lesson

TITLES = [
    "Why convolve?",
    "Loops to einsum",
    "Backward of a convolution, and how to check it",
    "ReLU, pooling, loss and optimisers",
    "A network of your own layers",
    "Parity, and the clinic",
    "Plain to fast",
    "MNIST, honestly",
    "Look inside",
    "Elsewhere, and a claim of your own",
]


def test_there_are_ten_lessons_in_order():
    found = [Lesson(source) for source in SOURCES]
    assert [lesson.number for lesson in found] == list(range(1, 11))
    assert [lesson.title for lesson in found] == TITLES


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
class TestSource:
    def test_makes_a_valid_notebook_of_a_readable_length(self, source):
        notebook = Lesson(source).notebook()
        nbformat.validate(notebook)
        assert notebook == Lesson(source).notebook()
        assert 15 <= len(notebook.cells) <= 50
        assert all(cell.source.strip() for cell in notebook.cells)
        assert all(len(cell.source) < 2500 for cell in notebook.cells)

    def test_teaches(self, source):
        """Predictions, something to do, answers that stay shut, formulas that are whole."""
        cells = Lesson(source).notebook().cells
        prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        assert code.count(".reveal(") >= 3 and code.count("check(") >= 1 and "score()" in code
        assert any("exercise" in cell.metadata.get("tags", []) for cell in cells)
        assert prose.count("<details>") == prose.count("</details>")
        assert prose.count("$$") % 2 == 0

    def test_names_what_there_is(self, source):
        """Files and programs that the prose mentions exist."""
        text = source.read_text(encoding="utf-8")
        for file in re.findall(r"`((?:tinycnn_\w+|parity|examples)/\w+\.py)`", text):
            assert (HOUSE / file).is_file(), file
        for program in re.findall(r"`python -m ([\w.]+)", text):
            path = HOUSE / program.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), program

    def test_knows_no_machine_and_no_network(self, source):
        text = source.read_text(encoding="utf-8")
        for word in ("http", "/home", "/tmp", "/Users", "C:\\", "download=True", "urlopen", "!pip"):
            assert word not in text


def program(*arguments, **environment):
    """The program in a process of its own, on small settings and the digits, without a way to a network."""
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    nowhere["LESSON_DATASET"] = "digits"
    variables = {name: value for name, value in os.environ.items() if name != "DATA_DIR"}
    command = [sys.executable, "-m", "examples.lessons", "--execute", "--small", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=variables | nowhere | environment, **pipes)


@pytest.fixture(scope="module", params=["blank", "solved"])
def executed(request, tmp_path_factory):
    """What the program printed about all lessons, and the notebooks; the solved ones are the site's."""
    if request.param == "solved":
        command = [sys.executable, "docs/generate.py", "lesson"]
        made = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True)
        folder, out, error = HOUSE / "docs/lessons/solved", made.stdout, made.stderr
    else:
        folder = tmp_path_factory.mktemp("lessons")
        halves = [  # two processes, for two cores
            program("--only", *numbers.split(), "--output-dir", folder)
            for numbers in ("1 2 3 4 5", "6 7 8 9 10")
        ]
        printed = [half.communicate(timeout=900) for half in halves]
        out, error = ("".join(texts) for texts in zip(*printed, strict=True))
    notebooks = {path.name: nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))}
    return out, error, notebooks, request.param


def printed_by(notebook):
    return "".join(o.text for cell in notebook.cells for o in cell.get("outputs", []) if "text" in o)


@pytest.mark.slow
class TestExecuted:
    def test_all_ten_run_from_top_to_bottom(self, executed):
        out, error, notebooks, kind = executed
        assert error == "" and len(notebooks) == 10
        lines = out.splitlines()
        if kind == "solved":
            assert lines == []
            return
        assert len(lines) == 10
        for number, (line, title) in enumerate(zip(lines, TITLES, strict=True), start=1):
            assert line.startswith(f"{number}. {title}: ") and re.search(r", run in \d+\.\d s$", line)

    def test_every_cell_was_run_and_nothing_warns(self, executed):
        for name, notebook in executed[2].items():
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    assert cell.execution_count, name
                    for output in cell.outputs:
                        assert output.output_type in ("stream", "display_data"), (name, output)
                        assert output.get("name") != "stderr", (name, output.text)

    def test_blank_it_scores_nothing_and_solved_everything_that_no_machine_decides(self, executed):
        for name, notebook in executed[2].items():
            printed = printed_by(notebook)
            right, all_of_them = map(int, re.search(r"predictions: (\d+) of (\d+) right", printed).groups())
            written, blanks = map(int, re.search(r"your code:   (\d+) of (\d+) right", printed).groups())
            if executed[3] == "blank":
                assert right == written == 0 and f"right, {all_of_them} open" in printed, name
            else:
                assert written == blanks and f"of {all_of_them} right, 0 open" in printed, name
                assert "another answer\n" not in re.sub(
                    r"another answer \(measured\)[^\n]*\n", "", printed
                ), name

    def test_pictures_are_there_and_say_what_they_show(self, executed):
        for name, notebook in executed[2].items():
            pictures = [
                output
                for cell in notebook.cells
                for output in cell.get("outputs", [])
                if output.output_type == "display_data"
            ]
            assert pictures or "07" in name or "10" in name
            for picture in pictures:
                assert picture.data["image/png"].startswith("iVBOR")
                assert len(picture.metadata["image/png"]["alt"]) > 20

    def test_says_which_data_it_used(self, executed):
        for number in ("01", "08", "09", "10"):
            (notebook,) = (n for name, n in executed[2].items() if name.startswith(f"lesson_{number}"))
            assert re.search(r"data set: (digits|mnist) \(\d", printed_by(notebook))


@pytest.mark.slow
def test_without_the_other_frameworks_lesson_10_says_so_and_goes_on(tmp_path):
    missing = tmp_path / "missing"
    missing.mkdir()
    for name in ("jax", "flax", "keras", "onnx", "optax"):
        (missing / f"{name}.py").write_text(f'raise ModuleNotFoundError("no {name}")\n')
    done = program("--only", "10", "--output-dir", tmp_path, PYTHONPATH=str(missing))
    assert done.communicate(timeout=600)[1] == "" and done.returncode == 0
    printed = printed_by(nbformat.read(tmp_path / "lesson_10_elsewhere.ipynb", as_version=4))
    assert "in this lesson: NumPy, PyTorch\n" in printed
    assert printed.count("SKIPPED") == 3
    for title in ("Keras", "Flax", "ONNX"):
        assert f"{title} cannot be had here" in printed


def lesson_with(monkeypatch, tmp_path, cell):
    """The program with one lesson, whose third cell is `cell`."""
    source = tmp_path / "lesson_1_planted.py"
    first = "# %% [markdown]\n# # 1. Planted\n\n# %%\nprint('fine')\n\n# %% [markdown]\n# text\n\n"
    source.write_text(f"{first}# %%\n{cell}\n\n# %%\nprint('never')\n", encoding="utf-8")
    monkeypatch.setattr(making, "SOURCES", [source])
    return ["--output-dir", str(tmp_path / "out")]


def run(arguments):
    try:
        return lessons.main(arguments)
    except SystemExit as end:
        return end.code


# nbclient's sockets and event loop are its own affair
@pytest.mark.filterwarnings("ignore")
class TestPlanted:
    @pytest.mark.parametrize(
        ("cell", "reason"),
        [
            ("x = 1\nassert x == 2, 'x is 1'", "AssertionError: x is 1"),
            ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("raise ValueError('one line\\nand another')", "ValueError: one line ..."),
            ("import os\nos._exit(3)", "the kernel died"),
        ],
    )
    def test_a_cell_that_fails_is_named_in_one_line(self, monkeypatch, tmp_path, capfd, cell, reason):
        arguments = lesson_with(monkeypatch, tmp_path, cell)
        assert run([*arguments, "--execute"]) == 1
        out, error = capfd.readouterr()
        assert error == f"error: lesson 1, cell [2] `{cell.splitlines()[0]}`: {reason}\n" and out == ""
        notebook = nbformat.read(tmp_path / "out" / "lesson_1_planted.ipynb", as_version=4)
        assert notebook.cells[1].outputs[0].text == "fine\n"  # what ran is kept

    def test_a_cell_that_takes_too_long_is_named(self, monkeypatch, tmp_path, capfd):
        monkeypatch.setattr(making, "PATIENCE", 1)
        arguments = lesson_with(monkeypatch, tmp_path, "import time\ntime.sleep(60)")
        assert run([*arguments, "--execute"]) == 1
        assert capfd.readouterr().err == "error: lesson 1, cell [2] `import time`: not done after 1 s\n"


class TestProgram:
    def test_writes_what_is_asked_for_without_running_it(self, tmp_path, capsys):
        assert run(["--only", "3", "1", "--output-dir", str(tmp_path)]) == 0
        names = [f"{source.stem}.ipynb" for source in SOURCES]
        assert sorted(path.name for path in tmp_path.iterdir()) == [names[0], names[2]]
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"1. {TITLES[0]}: {tmp_path / names[0]}" and len(lines) == 2
        nbformat.validate(nbformat.read(tmp_path / names[2], as_version=4))

    def test_writes_the_solved_ones_beside_the_blank_ones(self, tmp_path, capsys):
        arguments = ["--only", "2", "--output-dir", str(tmp_path)]
        assert run(arguments) == run([*arguments, "--solved"]) == 0
        blank, solved = (tmp_path / f"{SOURCES[1].stem}{end}.ipynb" for end in ("", "_solved"))
        texts = [path.read_text(encoding="utf-8") for path in (blank, solved)]
        for told in ("your code here", "places = predict("):
            assert told in texts[0]
        assert "weight[f, c, i, j]" in texts[1] and "weight[f, c, i, j]" not in texts[0]

    def test_does_not_write_over_what_a_student_wrote(self, tmp_path, capsys):
        arguments = ["--only", "1", "--output-dir", str(tmp_path)]
        assert run(arguments) == run(arguments) == 0
        path = tmp_path / f"{SOURCES[0].stem}.ipynb"
        edited = json.loads(path.read_text(encoding="utf-8"))
        edited["cells"][-1]["source"] = ["my = 'answer'"]
        path.write_text(json.dumps(edited), encoding="utf-8")
        capsys.readouterr()
        assert run(arguments) == 2
        assert capsys.readouterr().err == (
            f"error: {path} was edited and stays: use another --output-dir, or --overwrite to lose it\n"
        )
        assert "my = 'answer'" in path.read_text(encoding="utf-8")
        assert run([*arguments, "--overwrite"]) == 0
        assert "my = 'answer'" not in path.read_text(encoding="utf-8")
        path.write_text("no notebook", encoding="utf-8")
        assert run(arguments) == 2

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (["--only", "11"], "--only 11 names no lesson, expected some of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
            (["--only", "x"], "argument --only: is 'x', expected a whole number >= 1 (see --help)"),
        ],
    )
    def test_says_in_one_line_what_is_wrong(self, arguments, error, capsys):
        assert run(arguments) == 2
        assert capsys.readouterr().err == f"error: {error}\n"

    def test_a_folder_that_cannot_be_written_is_one_line(self, tmp_path, capsys):
        (tmp_path / "file").touch()
        folder = tmp_path / "file" / "lessons"
        assert run(["--only", "1", "--output-dir", str(folder)]) == 2
        assert capsys.readouterr().err == f"error: --output-dir {folder} cannot be written: Not a directory\n"

    def test_says_which_extra_is_missing(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "jupytext", None)
        monkeypatch.delitem(sys.modules, "examples.lessons.making")
        assert run(["--output-dir", str(tmp_path)]) == 2
        line = "the lessons need the extra notebooks (jupytext is missing): pip install -e '.[notebooks]'"
        assert capsys.readouterr().err == f"error: {line}\n"


@pytest.fixture
def classroom(monkeypatch):
    """Imports the module of that name anew, with these variables in the environment."""

    def enter(**variables):
        for name in ("DATA_DIR", "LESSON_DATASET", "LESSON_SIZE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(
            "threadpoolctl.threadpool_limits", lambda limit: None
        )  # for lessons, not for tests
        monkeypatch.delitem(sys.modules, "examples.lessons.classroom", raising=False)
        return importlib.import_module("examples.lessons.classroom")

    return enter


class TestClassroom:
    def test_refuses_a_size_that_there_is_not(self, classroom):
        with pytest.raises(ValueError, match="LESSON_SIZE is 'smal', expected small or full"):
            classroom(LESSON_SIZE="smal")

    def test_says_that_mnist_cannot_be_had(self, classroom, tmp_path, capsys):
        assert classroom(DATA_DIR=str(tmp_path)).dataset(most=300).name == "digits"
        note = capsys.readouterr().out.splitlines()[0]
        assert str(tmp_path) in note and note.endswith(
            "do not compare with MNIST's (there the MLP beats the CNN)"
        )
        with pytest.raises(data.DataError, match="no mirror answered"):
            classroom(DATA_DIR=str(tmp_path), LESSON_DATASET="mnist").dataset()

    def test_refuses_a_data_set_that_there_is_not(self, classroom):
        with pytest.raises(
            ValueError, match="LESSON_DATASET is 'cifar', expected one of auto, mnist, digits"
        ):
            classroom(LESSON_DATASET="cifar").dataset()

    def test_says_what_it_loaded(self, classroom, capsys):
        small = classroom(LESSON_SIZE="small", LESSON_DATASET="digits").dataset()
        assert (len(small.train_images), len(small.test_images)) == (640, 200)
        assert capsys.readouterr().out.splitlines()[-1] == f"data set: {small}"
        assert len(classroom(LESSON_DATASET="digits").dataset(most=300).test_labels) == 100
