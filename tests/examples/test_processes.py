"""Several processes compute what one computes: gradients, losses, whole runs."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from gradients_of_processes import BATCHES, DTYPES, case

import tinycnn_numpy as tn
from examples import train_mnist
from examples.common.processes import rank_and_count

HOUSE = Path(__file__).parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]


@pytest.mark.parametrize(
    ("environment", "place"),
    [({}, (0, 1)), ({"RANK": "0"}, (0, 1)), ({"WORLD_SIZE": "3", "RANK": "2"}, (2, 3))],
)
def test_the_environment_says_which_process_this_is(environment, place):
    assert rank_and_count(environment) == place


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RANK": "abc"}, "RANK is 'abc', expected a whole number from 0 to WORLD_SIZE - 1 = 0"),
        ({"RANK": ""}, "RANK is not set, expected"),
        ({"RANK": "-1"}, "RANK is '-1', expected"),
        ({"RANK": "1"}, "RANK is '1', expected a whole number from 0 to WORLD_SIZE - 1 = 0"),
        (
            {"RANK": "5", "WORLD_SIZE": "2"},
            "RANK is '5', expected a whole number from 0 to WORLD_SIZE - 1 = 1",
        ),
        ({"WORLD_SIZE": "2"}, "RANK is not set, expected"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two', expected a whole number >= 1"),
        ({"WORLD_SIZE": "0", "RANK": "0"}, "WORLD_SIZE is '0', expected"),
        ({"WORLD_SIZE": "1e3", "RANK": "0"}, "WORLD_SIZE is '1e3', expected"),
        ({"WORLD_SIZE": "9" * 5000, "RANK": "0"}, "WORLD_SIZE is '999"),
    ],
)
def test_an_odd_environment_is_one_line(environment, said, capsys):
    with pytest.raises(SystemExit) as exit_:
        rank_and_count(environment)
    lines = capsys.readouterr().err.splitlines()
    assert exit_.value.code == 2 and len(lines) == 1 and lines[0].startswith(f"error: {said}")


@pytest.mark.parametrize("odd", [{"RANK": "abc"}, {"WORLD_SIZE": "2", "RANK": "0"}], ids=str)
def test_processes_that_cannot_meet_are_one_line_of_the_program(odd, tmp_path):
    command = [sys.executable, "-m", "examples.train_mnist", "--dataset", "digits", "--output-dir", tmp_path]
    child = subprocess.run(
        command, cwd=HOUSE, env=os.environ | odd, capture_output=True, text=True, timeout=120
    )
    (line,) = child.stderr.splitlines()
    assert child.returncode == 2 and line.startswith("error: ") and "torchrun" in line


needs_orphans = pytest.mark.skipif(
    sys.platform == "win32", reason="no new parent is given to an orphan there"
)


@needs_orphans
def test_a_process_ends_with_its_launcher():
    rank = "from examples.common.processes import Processes; Processes('cpu'); print('here', flush=True); "
    rank += "import time; time.sleep(60); print('still here')"
    launcher = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {rank!r}])"
    environment = os.environ | {"TORCHELASTIC_RUN_ID": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", launcher], cwd=HOUSE, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "here\n"
    child.kill()
    assert child.communicate(timeout=100)[0] == ""  # the pipe ends with the last process that holds it


@pytest.mark.slow
@needs_orphans
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_run_ends_with_its_torchrun(backend, tmp_path):
    flags = f"--dataset digits --device cpu --backend {backend} --epochs 200 --output-dir {tmp_path}".split()
    program = [*TORCHRUN, "--nproc-per-node=2", "-m", "examples.train_mnist", *flags]
    child = subprocess.Popen(program, cwd=HOUSE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any("epoch 2/" in line for line in child.stdout)
    child.kill()
    out, _ = child.communicate(timeout=300)  # ends with the last rank, which may have no time for a word
    assert "epoch 200/" not in out


def one_process(batch, dtype):
    model, x, y = case(batch, dtype)
    loss_fn = tn.CrossEntropyLoss()
    loss = loss_fn(model(x), y)
    model.backward_weights(loss_fn.backward())
    return {name: parameter.grad for name, parameter in model.named_parameters()} | {"loss": loss}


def agree(gradients, wanted, dtype):
    """Whether all tensors are equal but for the order of at most 6 * 36 additions: sqrt(216) roundings."""
    eps = np.finfo(dtype).eps
    return all(
        np.abs(gradients[name] - right).max() <= 15 * eps * np.abs(right).max()
        for name, right in wanted.items()
    )


@pytest.fixture(scope="module", params=[pytest.param(n, marks=pytest.mark.slow) for n in (2, 3)])
def two_or_three(request, tmp_path_factory):
    folder, count = tmp_path_factory.mktemp("gradients"), request.param
    script = [f"--nproc-per-node={count}", "tests/support/gradients_of_processes.py", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(HOUSE)}
    subprocess.run(
        [*TORCHRUN, *script], cwd=HOUSE, env=environment, check=True, capture_output=True, timeout=120
    )
    return folder, count


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("side", ["numpy", "torch"])
def test_every_process_ends_with_the_gradients_of_one(side, batch, dtype, two_or_three):
    folder, count = two_or_three
    wanted = one_process(batch, dtype)
    for rank in range(count):
        found = dict(np.load(folder / f"{side}-{batch}-{np.dtype(dtype)}-{rank}.npz"))
        assert set(found) == set(wanted)
        assert found["conv.weight"].dtype == dtype and agree(found, wanted, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mean_of_unequal_means_is_rejected(dtype, two_or_three):
    folder, _ = two_or_three
    wrong = np.load(folder / f"wrong-5-{np.dtype(dtype)}-0.npz")
    assert not agree(wrong, one_process(5, dtype), dtype)


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_numpy_shares_in_threads(processes):
    """No process is needed to see the sum: here threads, and dx besides."""
    model, x, y = case(7, np.float64)
    barrier, arrays, shares = threading.Barrier(processes, timeout=10), {}, {}

    def work(rank):
        def all_reduce(array):
            arrays[rank] = array.copy()
            barrier.wait()
            array[...] = sum(arrays[r] for r in range(processes))
            barrier.wait()

        twin = case(7, np.float64)[0]
        parallel = tn.DataParallel(twin, rank, processes, all_reduce)
        loss_fn = tn.LossShare(tn.CrossEntropyLoss(), rank, processes)
        loss_fn(parallel(x), y)
        shares[rank] = (
            parallel.backward(loss_fn.backward()),
            {n: p.grad for n, p in parallel.named_parameters()},
        )

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loss_fn = tn.CrossEntropyLoss()
    loss_fn(model(x), y)
    dx = model.backward(loss_fn.backward())
    wanted = one_process(7, np.float64)
    for rank, (dx_share, gradients) in shares.items():
        np.testing.assert_allclose(dx_share, dx[rank::processes], rtol=0, atol=1e-15)
        assert agree(gradients | {"loss": wanted["loss"]}, wanted, np.float64)


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_the_mean_of_the_shares_is_the_loss_of_the_batch(processes):
    """Of 7 images, 8 processes leave one of them none."""
    model, x, y = case(7, np.float64)
    logits = model(x)
    losses = [
        tn.LossShare(tn.CrossEntropyLoss(), rank, processes)(logits[rank::processes], y)
        for rank in range(processes)
    ]
    assert np.mean(losses) == pytest.approx(tn.CrossEntropyLoss()(logits, y), rel=1e-14)


def test_backward_weights_adds_up_what_backward_adds_up():
    def twice(array):
        array *= 2

    model, x, _ = case(5, np.float64)
    dout = np.random.default_rng(0).standard_normal(model(x).shape)
    model.backward(dout)
    wanted = [2 * parameter.grad for parameter in model.parameters()]
    parallel = tn.DataParallel(model, 0, 1, twice)
    for backward in (parallel.backward, parallel.backward_weights):
        backward(dout)
        assert all(
            np.array_equal(p.grad, grad) for p, grad in zip(parallel.parameters(), wanted, strict=True)
        )


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_train_mnist_on_two_processes_is_train_mnist(backend, tmp_path, capsys):
    arguments = f"--dataset digits --device cpu --backend {backend} --epochs 3 --batch-size 359 --output-dir"
    arguments = arguments.split()  # 4 batches of 359 and one of 1, of which the second process sees nothing
    one, two = tmp_path / "one", tmp_path / "two"
    train_mnist.main([*arguments, str(one)])
    program = ["--nproc-per-node=2", "-m", "examples.train_mnist", *arguments, str(two)]
    child = subprocess.run(
        [*TORCHRUN, *program], cwd=HOUSE, check=True, capture_output=True, text=True, timeout=120
    )
    assert len(child.stdout.splitlines()) == 6  # the first speaks for both
    assert ", 2 processes" in child.stdout
    assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())
    logs = [
        [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (one, two)
    ]
    for ours, theirs in zip(*logs, strict=True):
        assert theirs["train_loss"] == pytest.approx(ours["train_loss"], rel=1e-4)
        assert theirs["test_accuracy"] == pytest.approx(ours["test_accuracy"], abs=0.3)
