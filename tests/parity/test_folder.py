"""A folder of submissions: a line for each whatever is in it, grades, and the mistakes that they share."""

import csv
import io
import json
import os

import pytest

from parity.__main__ import main
from parity.student import folder
from parity.student.folder import Row, as_csv, counted, row_of, submissions_in
from parity.student.submission import examine_file

RELU = """
class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask
    def backward(self, dout):
        return dout * self.mask
"""
WRONG = RELU.replace("x > 0", "x >= 0")
UNWRITTEN = "class ReLU:\n    def forward(self, x):\n        raise NotImplementedError\n"
CRASH = "import os\n" + RELU.replace("return x * self.mask", "os._exit(3)")


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


class TestWhatIsASubmission:
    def test_files_notebooks_and_folders_in_the_order_of_their_names(self, tmp_path):
        for name in ("b.py", "a.ipynb", "notes.txt", ".hidden.py", "C.py"):
            (tmp_path / name).write_text("")
        for name in ("several", "__pycache__", "empty"):
            (tmp_path / name).mkdir()
        for name in ("one.py", "two.py"):
            (tmp_path / "several" / name).write_text("")
        found, others = submissions_in(tmp_path)
        assert [path.name for path in found] == ["C.py", "a.ipynb", "b.py", "empty", "several"]
        assert others == ["notes.txt"]

    @pytest.mark.parametrize("name", ["homework.py", "homework.ipynb"])
    def test_a_folder_around_one_file_is_that_file(self, name, tmp_path):
        inside = tmp_path / "Doe_Jane_assignsubmission_file_"
        (inside / "__MACOSX").mkdir(parents=True)
        for path in (inside / name, inside / "__MACOSX" / f"._{name}"):
            path.write_text("")
        assert submissions_in(tmp_path) == ([inside / name], [])


class TestGrades:
    @pytest.mark.parametrize(
        "text", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\uff1d1", "=cmd|' /C calc'!A0"]
    )
    def test_no_cell_is_a_formula(self, text):
        (row,) = read(as_csv([Row(text, wrong=(text,), error=(text,), remarks=(text,))]))
        for name in ("name", "wrong", "error", "remarks"):
            assert row[name] == f"'{text}"

    @pytest.mark.parametrize("name", ['a,"b"\n=c.py', "caf\udce9.py", "a\x1b[31mb.py", "\u202egp.py"])
    def test_a_name_can_be_anything(self, name):
        text = as_csv([Row(name, 3.5, 10.0)])
        (row,) = read(text)
        assert len(text.splitlines()) == 2 and text.encode("utf-8").isascii()
        assert (row["points"], row["maximum"], row["ok"]) == ("3.5", "10.0", "no")

    def test_a_plain_number_and_a_plain_word_stay_as_they_are(self):
        (row,) = read(as_csv([Row("anna.py", 10.0, 10.0, True, ("ReLU", "Dense"))]))
        assert row["name"] == "anna.py" and row["ok"] == "yes" and row["right"] == "ReLU; Dense"

    def test_the_row_of_a_wrong_file(self, tmp_path):
        (tmp_path / "student.py").write_text(WRONG + UNWRITTEN.replace("ReLU", "Flatten"))
        row = row_of("anna", examine_file(tmp_path / "student.py"))
        assert row.wrong == ("ReLU dx",) and row.not_written == ("Flatten",) and not row.ok
        assert row.mistakes == ("ReLU dx [mask-includes-zero]",) and row.error == ()
        assert row.maximum == 20 and row.points == pytest.approx(
            10 - 10 / 12, abs=0.01
        )  # of six cases half a one

    def test_mistakes_are_counted_by_submission_the_most_frequent_first(self):
        rows = [Row("a", mistakes=("B", "C")), Row("b", mistakes=("C",)), Row("c", not_written=("Dense",))]
        assert counted(rows) == [("C", 2), ("B", 1), ("Dense is not written", 1)]
        assert folder.common(rows)[0] == "2 of 3: C"
        many = [Row("a", mistakes=tuple(f"mistake {i:02}" for i in range(40)))]
        assert folder.common(many)[-1] == "and 28 more"


class TestProgram:
    @pytest.fixture
    def of_students(self, tmp_path):
        folder = tmp_path / "class"
        folder.mkdir()
        for name, text in {
            "anna.py": RELU,
            "=bert.py": WRONG,
            "cleo.py": "class ReLU(",
            "dora.py": CRASH,
        }.items():
            (folder / name).write_text(text)
        (folder / "read me.txt").write_text("")
        return folder

    @pytest.mark.slow
    def test_one_row_a_submission_and_the_others_go_on(self, of_students, tmp_path, capsys):
        grades, results = tmp_path / "grades.csv", tmp_path / "all.json"
        flags = ["--csv", str(grades), "--json", str(results), "--require", "ReLU"]
        assert main(["check", str(of_students), "--each", *flags]) == 1
        rows = read(grades.read_text())
        assert [row["name"] for row in rows] == ["'=bert.py", "anna.py", "cleo.py", "dora.py"]
        assert [row["points"] for row in rows] == ["9.17", "10.0", "0.0", "0.0"]
        assert [row["ok"] for row in rows] == ["no", "yes", "no", "no"]
        assert "SyntaxError" in rows[2]["error"] and "exit code 3" in rows[3]["error"]
        out = capsys.readouterr().out
        assert out.startswith("left out: read me.txt\n=bert.py ")
        assert "1 of 4: ReLU dx [mask-includes-zero]" in out
        assert out.endswith("1 of 4 submissions are right, 2 with an error\n")
        found = json.loads(results.read_text())
        assert len(found["submissions"]) == 4 and found["mistakes"]["ReLU dx [mask-includes-zero]"] == 1

    @pytest.mark.slow
    def test_the_same_again_gives_the_same(self, of_students, tmp_path, capsys):
        texts = []
        for jobs in ("1", "3"):
            main(["check", str(of_students), "--each", "--csv", str(tmp_path / "g.csv"), "--jobs", jobs])
            texts.append((tmp_path / "g.csv").read_text() + capsys.readouterr().out)
        assert texts[0] == texts[1]

    @pytest.mark.slow
    def test_hints_hold_for_a_class_too(self, of_students, tmp_path, capsys):
        main(["check", str(of_students), "--each", "--csv", str(tmp_path / "g.csv"), "--hints", "none"])
        text = (tmp_path / "g.csv").read_text() + capsys.readouterr().out
        assert "ReLU" in text and "mask-includes-zero" not in text and "dx" not in text

    def test_a_process_that_ends_is_a_row(self, tmp_path, monkeypatch):
        monkeypatch.setattr(folder, "_examine", _ends)
        paths = [tmp_path / "a.py", tmp_path / "b.py"]
        rows = list(folder.examine_all(tmp_path, paths, "why", 1))
        assert [row.error for row in rows] == [("the examination ended with exit code 9",)] * 2

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["--csv", "g.csv"], "--csv g.csv needs --each: a line for each submission of a folder"),
            (["--each", "--picture", "a.png"], "--each goes with --csv and --json, not with --gradescope"),
            (["--each", "--jobs", "0"], "--jobs is 0, expected a whole number >= 1"),
            (["--each"], "holds no Python file, notebook or folder, expected one for each submission"),
        ],
    )
    def test_says_in_one_line_what_is_wrong(self, flags, message, tmp_path, capsys):
        assert main(["check", str(tmp_path), *flags]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1

    def test_each_needs_a_folder(self, capsys):
        assert main(["check", __file__, "--each"]) == 2
        assert "is a file, expected a folder of submissions" in capsys.readouterr().err


def _ends(*_):
    os._exit(9)
