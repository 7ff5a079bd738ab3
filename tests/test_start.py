"""Nobody waits for a library that is not needed yet: --help, a mistyped flag, import tinycnn_numpy."""

import subprocess
import sys
from pathlib import Path

import pytest

from examples.__main__ import PROGRAMS

HOUSE = Path(__file__).parents[1]
SLOW = ["torch", "torchvision", "matplotlib", "sklearn", "scipy", "jax", "tqdm", "PIL"]
WORDS = ["parity", "parity check", "parity template", "parity explain", *(f"examples.{p}" for p in PROGRAMS)]
ASK = f"""
import contextlib, io, os, runpy, sys
sys.path.insert(0, os.getcwd())
for words in sys.argv[1:]:
    module, *rest = words.split()
    sys.argv = [module, *rest, "--help"]
    said = io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    slow = sorted(set({SLOW}) & set(sys.modules))
    helped = b"--help" in (said.flush() or said.buffer.getvalue())
    if slow or not helped:
        sys.exit(f"{{words}}: {{' '.join(slow) or 'no help'}}")
"""


def asked(*words, cwd=HOUSE):
    """What the first program to import a slow library before its help imports; "" if there is none."""
    child = subprocess.run(
        [sys.executable, "-c", ASK, *words], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    return child.stderr.strip()


def test_help_imports_no_slow_library():
    assert asked(*WORDS) == ""


@pytest.mark.parametrize("library", ["torch", "matplotlib", "scipy"])
def test_an_import_before_the_flags_is_found(library, tmp_path):
    parse = "import argparse\nargparse.ArgumentParser().parse_args()\n"
    (tmp_path / "late.py").write_text(f"{parse}import {library}\n")
    (tmp_path / "early.py").write_text(f"import {library}\n{parse}")
    assert asked("late", cwd=tmp_path) == ""
    program, *found = asked("late", "early", cwd=tmp_path).split()
    assert program == "early:" and library in found


def test_a_program_without_help_is_found(tmp_path):
    (tmp_path / "silent.py").write_text("import json\n")
    assert asked("silent", cwd=tmp_path) == "silent: no help"


def imported_by(line):
    """The modules outside the standard library and this package, by first name, that a line imports."""
    code = f"{line}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, check=True, timeout=300
    )
    return set(child.stdout.split()) - sys.stdlib_module_names


def test_importing_the_hand_written_side_costs_numpy():
    parts = "import numpy, numpy.ma, numpy.random"  # NumPy imports these two when they are first used
    assert imported_by("import tinycnn_numpy") - imported_by(parts) == {"tinycnn_numpy"}


def test_an_import_beyond_numpy_is_found():
    assert "safetensors" in imported_by("import tinycnn_numpy, safetensors") - imported_by("import numpy")
