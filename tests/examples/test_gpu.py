"""The one command for a GPU, at its smallest on the CPU: what it leaves out, and what it refuses."""

import pytest
import torch

from examples import gpu as program
from examples.common import training
from examples.experiments import gpu
from examples.experiments.speedrun import PEAK, one_cycle


def test_all_parts_run_on_a_cpu_and_say_so(few_digits, monkeypatch, capsys):
    said = []
    monkeypatch.setattr(gpu, "python", lambda words: (0, str(said.append(words) or "well")))
    monkeypatch.setattr(gpu, "resumes", lambda *run: True)
    words = "--device cpu --dataset digits --seeds 1 --epochs 1 --steps 5"
    assert program.main(words.split()) == 0
    out = capsys.readouterr().out
    assert "no GPU is used" in out and all(name in out for name in program.PARTS)
    assert "left out" not in out and len(said) == 2
    assert out.count("not reached") <= 4 and "times as long" in out and "the same bits" in out


def test_what_the_time_does_not_suffice_for_is_named(few_digits, monkeypatch, capsys):
    def endless(*run):
        while True:
            pass

    monkeypatch.setattr(program, "PARTS", {"first": (lambda *run: True, 1), "second": (endless, 0.001)})
    assert program.main(["--device", "cpu", "--dataset", "digits", "--limit", "300"]) == 1
    assert "second\nleft out from here on: its 0 s are over" in capsys.readouterr().out


def test_a_part_that_fails_is_the_exit_code(few_digits, monkeypatch):
    for outcome, code in ((True, 0), (False, 1)):
        monkeypatch.setattr(program, "PARTS", {"part": (lambda *run, outcome=outcome: outcome, 1)})
        assert program.main(["--device", "cpu", "--dataset", "digits"]) == code


def test_what_takes_too_long_is_ended():
    with pytest.raises(TimeoutError, match="its 1 s are over"), program.at_most(1):
        gpu.python(["-c", "import time; time.sleep(60)"])
    with program.at_most(60):
        assert gpu.python(["-c", "print('one'); print('two'); exit(3)"]) == (3, "two")


@pytest.mark.slow
def test_a_resumed_run_is_compared_bit_for_bit(tmp_path, monkeypatch):
    assert gpu.resumes("digits", tmp_path, "cpu")
    python = gpu.python

    def another_seed(words):
        return python([*words, "--seed", 7] if "whole" in str(words) else words)

    monkeypatch.setattr(gpu, "python", another_seed)
    assert not gpu.resumes("digits", tmp_path, "cpu")
    with pytest.raises(RuntimeError, match="error: "):
        gpu.resumes("mnist", tmp_path / "none" / "of" / "it", "cuda:x")


def test_a_gpu_that_is_not_there_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        program.main(["--device", "cuda"])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and line.startswith("error: --device cuda requested but not available")


def test_a_recorded_step_follows_the_schedule(few_digits, monkeypatch):
    """The graph reads the rate where it lay when it was recorded: there the schedule must write it."""
    made, real = [], torch.optim.Adam

    def adam(parameters, lr, betas, fused, capturable):
        rate = torch.tensor(lr)  # as the backend makes it on a GPU
        made.append((rate, real(parameters, rate, betas, foreach=False)))
        return made[0][1]

    plain = [epoch.accuracy for epoch in one_cycle(few_digits, "torch", "cpu", 0, 2)]
    monkeypatch.setattr(training.torch.optim, "Adam", adam)
    held = [epoch.accuracy for epoch in one_cycle(few_digits, "torch", "cpu", 0, 2)]
    ((rate, optimizer),) = made
    assert held == pytest.approx(plain, abs=0.6)
    assert optimizer.param_groups[0]["lr"] is rate and float(rate) < PEAK / 25
