"""Several runs want one folder: one has it, the others say so in a line, and nothing is lost or torn."""

import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
import safetensors.numpy

HOUSE = Path(__file__).parents[2]
TRIALS = int(os.environ.get("TRIALS", "2"))  # of every kind of race
EPOCHS = 3

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and flock")


def race(folder, *writers, trials=TRIALS):
    """What tests/support/race.py found of these (seed, flags), for each trial."""
    command = [sys.executable, "tests/support/race.py", str(folder), json.dumps(writers), str(trials)]
    environment = os.environ | {"PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1"}
    child = subprocess.run(
        command, cwd=HOUSE, env=environment, check=True, capture_output=True, text=True, timeout=3600
    )
    return [json.loads(line) for line in child.stdout.splitlines()]


def state(folder):
    tensors = safetensors.numpy.load_file(folder / "run" / "checkpoint.safetensors")
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    log = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    weights = (folder / "run" / "model.safetensors").read_bytes()
    return {name: array.tobytes() for name, array in tensors.items()}, weights, log


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """seed -> the state that a run leaves which nothing disturbed."""
    folders = {seed: tmp_path_factory.mktemp("alone") for seed in (1, 2)}
    for seed, folder in folders.items():
        [found] = race(folder, (seed, f"--epochs {EPOCHS}"), trials=1)
        assert found["codes"] == [0]
    return {seed: state(folder / "0") for seed, folder in folders.items()}


def count_faults(trials, folder, alone, first_epoch=1):
    """How many trials lost something, tore something, or did not say it in one line and exit code 2."""
    faults = dict.fromkeys(("lost", "torn", "said"), 0)
    for i, found in enumerate(trials):
        refusal = f"error: --output-dir {folder / str(i) / 'run'} "
        said = [
            (code, len(err.splitlines())) in [(0, 0), (2, 1)] and err.startswith(refusal if code else "")
            for code, err in zip(found["codes"], found["said"], strict=True)
        ]
        faults["said"] += not (all(said) and 0 in found["codes"])
        faults["torn"] += found["torn"] > 0
        runs = [list(epochs) for _, epochs in groupby(found["saved"], key=lambda save: save[0])]
        whole = list(range(first_epoch, EPOCHS + 1))  # no run saves between two epochs of another, or twice
        orderly = all([epoch for _, epoch in run] == whole for run in runs)
        faults["lost"] += not (orderly and state(folder / str(i)) == alone[runs[-1][0][0]])
        faults["torn"] += bool(list((folder / str(i) / "run").glob("new-*")))
    codes = sorted({str(sorted(found["codes"])) for found in trials})
    reads = sum(found["reads"] for found in trials)
    print(f"{len(trials)} trials, exit codes {' '.join(codes)}, {reads} reads of a checkpoint: {faults}")
    return sum(faults.values())


@pytest.mark.slow
def test_of_two_writers_one_has_the_folder(alone, tmp_path):
    found = race(tmp_path, (1, f"--epochs {EPOCHS}"), (2, f"--epochs {EPOCHS}"))
    assert count_faults(found, tmp_path, alone) == 0


@pytest.mark.slow
def test_overwrite_beside_a_run_does_not_take_it_away(alone, tmp_path):
    found = race(tmp_path, (1, f"--epochs {EPOCHS}"), (2, f"--epochs {EPOCHS} --overwrite"))
    assert count_faults(found, tmp_path, alone) == 0


@pytest.mark.slow
def test_of_three_resumes_each_epoch_is_trained_once(alone, tmp_path):
    assert all(found["codes"] == [0] for found in race(tmp_path, (1, "--epochs 1")))
    found = race(tmp_path, *[(1, f"--epochs {EPOCHS} --resume")] * 3)
    assert count_faults(found, tmp_path, alone, first_epoch=2) == 0
