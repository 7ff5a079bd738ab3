"""python -m parity: what it prints, writes and refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import tinycnn_numpy as tn
from parity.__main__ import main

HOUSE = Path(__file__).parents[2]


def test_prints_the_table_and_exits_0(capsys):
    assert main(["--model", "TinyCNN", "--dtype", "float64", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert (
        "conv     dweight  (4, 1, 3, 3)" in out and out.splitlines()[-1] == "PARITY HOLDS: 72 tensors equal"
    )


@pytest.mark.slow
def test_writes_json(capsys, tmp_path):
    arguments = ["--model", "TinyCNN", "--dtype", "float32", "--json"]
    assert main(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["ok"] and len(printed["reports"]) == 6
    assert main([*arguments, str(tmp_path / "p.json")]) == 0
    assert json.loads((tmp_path / "p.json").read_text())["reports"] == printed["reports"]


def test_trains_as_many_steps_as_asked(capsys):
    assert main(["--model", "TinyCNN", "--dtype", "float64", "--steps", "7"]) == 0
    assert "TinyCNN, float64, Adam x 7 steps in lockstep" in capsys.readouterr().out


def test_exits_1_when_something_differs(capsys, monkeypatch):
    monkeypatch.setattr(tn.ReLU, "backward", lambda self, dout: dout * np.float32(1.5))
    assert main(["--model", "TinyCNN", "--dtype", "float32"]) == 1
    assert "PARITY BROKEN" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cuda"], "error: --device cuda requested but not available: use --device cpu"),
        (["--device", "mps"], "error: --device mps requested but not available: use --device cpu"),
        (["--steps", "0"], "error: --steps is 0, expected a whole number >= 1"),
        (["--seed", "-1"], "error: --seed is -1, expected a whole number >= 0"),
        (["--json", "no/where"], "error: --json no/where cannot be written: there is no folder no"),
    ],
)
def test_says_in_one_line_what_is_wrong(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert main(arguments) == 2
    assert capsys.readouterr().err.splitlines() == [message]


def test_a_reader_that_goes_away_is_no_error():
    command = [sys.executable, "-m", "parity", "explain"]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.close()
        assert child.wait() == 141 and child.stderr.read() == b""


def test_a_table_that_nobody_reads_is_no_error(tmp_path):
    file = tmp_path / "right.py"
    file.write_text("from tinycnn_numpy import ReLU as Right\n\n\nclass ReLU(Right):\n    pass\n")
    read, write = os.pipe()
    os.close(read)  # nobody reads from the first byte on
    check = [sys.executable, "-m", "parity", "check", str(file)]
    child = subprocess.run(check, cwd=HOUSE, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (child.returncode, child.stderr) == (141, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_a_closed_output_is_no_error(closed):
    template = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "parity", "template"]
    child = subprocess.run(template, cwd=HOUSE, stderr=subprocess.PIPE)
    assert (child.returncode, child.stderr) == (0, b"")
