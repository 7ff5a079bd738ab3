"""The autograder in folders as Gradescope has them, and the container, with a stand-in for docker."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
AUTOGRADER = HOUSE / "examples" / "autograder"
SCRIPTS = ["setup.sh", "run_autograder", "contain.sh"]
WORKING_RELU = """
class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask
    def backward(self, dout):
        return dout * self.mask
"""


@pytest.fixture
def autograder(tmp_path):
    """autograder(files, arguments) -> what Gradescope would read, in its folders below tmp_path."""
    shutil.copytree(AUTOGRADER, tmp_path / "source")
    (tmp_path / "submission").mkdir()

    def run(files, arguments="--points=points.json\n--hints=where\n", **environment):
        (tmp_path / "source" / "grade.args").write_text(arguments)
        for name, text in files.items():
            (tmp_path / "submission" / name).write_text(text)
        variables = {"AUTOGRADER_ROOT": str(tmp_path), "AUTOGRADER_PYTHON": sys.executable}
        variables |= {"PYTHONPATH": str(HOUSE), **environment}
        command = ["bash", str(tmp_path / "source" / "run_autograder")]
        done = subprocess.run(
            command, env=os.environ | variables, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / "results" / "results.json").read_text()), done.stdout

    return run


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_can_be_read_by_bash_and_run(script, tmp_path):
    assert subprocess.run(["bash", "-n", AUTOGRADER / script]).returncode == 0
    assert os.access(AUTOGRADER / script, os.X_OK)
    broken = tmp_path / "broken.sh"
    broken.write_text((AUTOGRADER / script).read_text() + "\nif true; then\n")
    assert subprocess.run(["bash", "-n", broken], capture_output=True).returncode != 0


@pytest.mark.slow
def test_a_submission_of_one_file(autograder):
    results, printed = autograder({"homework.py": WORKING_RELU})
    points = json.loads((AUTOGRADER / "points.json").read_text())
    assert sum(test["score"] for test in results["tests"]) == pytest.approx(points["ReLU"])
    assert sum(test["max_score"] for test in results["tests"]) == pytest.approx(sum(points.values()))
    missing = {test["name"] for test in results["tests"] if test["status"] == "failed"}
    assert missing == {f"{name}: is defined" for name in points if name != "ReLU"}
    assert "homework.py defines no class Conv2D" in printed


@pytest.mark.slow
def test_several_files_belong_together(autograder):
    two = {"layers.py": WORKING_RELU, "main.py": "from layers import ReLU\n"}
    results, _ = autograder(two, "--own\n--hints=none\n")
    (test,) = results["tests"]
    assert (test["name"], test["status"], test["score"]) == ("ReLU: all its cases", "passed", 10)


@pytest.mark.slow
def test_a_failure_of_the_autograder_is_not_the_student_s(autograder):
    results, _ = autograder({"homework.py": WORKING_RELU}, "--seed=-1\n")
    assert results["score"] == 0 and "failed with exit code 2: tell your instructor" in results["output"]


@pytest.mark.slow
def test_what_the_file_of_flags_holds_by_itself(autograder):
    results, _ = autograder({"homework.py": WORKING_RELU}, (AUTOGRADER / "grade.args").read_text())
    assert results["visibility"] == "visible" and results["stdout_visibility"] == "hidden"
    assert "seed" not in json.dumps(results)


class TestSetup:
    def installed(self, tmp_path, *beside):
        """Run setup.sh with a Python that writes down what it is asked."""
        (tmp_path / "source").mkdir()
        for name in beside:
            (tmp_path / "source" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "source" / name).touch()
        python = tmp_path / "python"
        python.write_text(
            f'#!/bin/bash\necho "$*" >> {tmp_path}/asked\n'
            f'if [ "$2" = venv ]; then mkdir -p {tmp_path}/venv/bin; cp "$0" {tmp_path}/venv/bin/python; fi\n'
        )
        python.chmod(0o755)
        variables = {"AUTOGRADER_ROOT": str(tmp_path), "AUTOGRADER_PYTHON": str(python)}
        command = ["bash", str(AUTOGRADER / "setup.sh")]
        done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)
        return done, (tmp_path / "asked").read_text()

    @pytest.mark.parametrize(
        ("beside", "what"),
        [
            (
                "tinycnn_side_by_side-0.2.0-py3-none-any.whl",
                "source/tinycnn_side_by_side-0.2.0-py3-none-any.whl",
            ),
            ("project/pyproject.toml", "source/project"),
        ],
    )
    def test_installs_what_lies_beside_it(self, beside, what, tmp_path):
        done, asked = self.installed(tmp_path, beside)
        assert done.returncode == 0, done.stderr
        assert asked.splitlines()[-1].endswith(f" {tmp_path}/{what}") and "-m pip install" in asked

    def test_nothing_beside_it_is_one_clear_line(self, tmp_path):
        done, asked = self.installed(tmp_path)
        assert done.returncode == 2 and "pip install" not in asked
        assert "holds 0 of tinycnn_side_by_side-*.whl and project/, expected one of them" in done.stderr


class TestContainer:
    def asked(self, tmp_path, engine="docker", *flags):
        """Run contain.sh on two submissions with a stand-in that writes down its arguments."""
        (tmp_path / "class").mkdir()
        (tmp_path / "results").mkdir()
        for name in ("a.py", "b, c.py"):
            (tmp_path / "class" / name).touch()
        stand_in = tmp_path / engine
        stand_in.write_text(
            f'#!/bin/bash\nprintf "%s\\n" "$@" >> {tmp_path}/asked; echo a page; exit ${{CODE:-1}}\n'
        )
        stand_in.chmod(0o755)
        command = ["bash", AUTOGRADER / "contain.sh", tmp_path / "class", tmp_path / "results", *flags]
        done = subprocess.run(
            command, env=os.environ | {"ENGINE": str(stand_in)}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        self.printed = done.stdout
        return (tmp_path / "asked").read_text().splitlines()

    def test_each_submission_is_shut_in(self, tmp_path):
        asked = self.asked(tmp_path, "docker", "--hints", "none")
        for flag in ("--network=none", "--read-only", "--cap-drop=ALL", "--pids-limit=128", "--memory=6g"):
            assert asked.count(flag) == 2, flag
        assert asked.count("--security-opt=no-new-privileges") == asked.count("--user") == 2
        mounts = [word for word in asked if word.startswith("type=bind")]
        assert len(mounts) == 4 and sum(word.endswith(",target=/submission,readonly") for word in mounts) == 2
        assert "/submission/b, c.py" in asked
        assert asked[-2:] == ["--hints", "none"]
        assert (tmp_path / "results" / "b, c.py" / "page.txt").read_text() == "a page\n"

    def test_a_container_that_does_not_start_is_said(self, tmp_path, monkeypatch):
        monkeypatch.setenv("CODE", "125")
        self.asked(tmp_path)
        said = [line for line in self.printed.splitlines() if "no result, exit code 125" in line]
        assert len(said) == 2

    def test_podman_keeps_the_user(self, tmp_path):
        asked = self.asked(tmp_path, "podman")
        assert asked.count("--userns=keep-id") == 2 and "--user" not in asked

    def test_the_readme_has_the_same_command(self):
        script, readme = ((AUTOGRADER / name).read_text() for name in ("contain.sh", "README.md"))
        flags = {word for word in script.split() if word.startswith("--") and "mount" not in word}
        flags -= {"--kill-after=10", "--json", "--userns=keep-id)"}
        assert len(flags) > 8 and [flag for flag in flags if flag not in readme] == []

    def test_two_folders_are_expected(self):
        done = subprocess.run(["bash", AUTOGRADER / "contain.sh", "nowhere"], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
