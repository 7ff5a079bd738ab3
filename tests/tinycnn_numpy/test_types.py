"""A misspelt name on a layer is a type error, and what a student really writes is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy comes with the extra dev")
HOUSE = Path(__file__).parents[2]
RIGHT = """
import numpy as np
import tinycnn_numpy as tn
layer = tn.Conv2D(1, 2, 3, rng=np.random.default_rng(0))
out = layer(np.ones((1, 1, 4, 4), np.float32))
dx = layer.backward(out)
layer.weight[...] -= 0.1 * layer.dweight
model = tn.TinyCNN(rng=np.random.default_rng(0))
model.conv.weight[...] = 0
mean = tn.BatchNorm2D(2).eval().running_mean
"""
WRONG = ["layer.wieght", "tn.ReLU().cahce", "tn.Dropout(0.5)", "layer.backwards(out)", "layer.train('eval')"]


def errors_of(text: str, folder: Path) -> list[str]:
    (folder / "student.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(folder / "student.py")]
    environment = os.environ | {"MYPYPATH": str(HOUSE)}
    found = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    return [line for line in found.stdout.splitlines() if "student.py" in line and "error" in line]


@pytest.mark.slow
def test_a_misspelt_name_is_a_type_error(tmp_path):
    assert errors_of(RIGHT, tmp_path) == []
    lines = errors_of(RIGHT + "\n".join(WRONG), tmp_path)
    numbers = {int(line.split(":")[1]) for line in lines}
    first = len(RIGHT.splitlines()) + 1
    assert numbers == set(range(first, first + len(WRONG))), lines
