"""What users expect when something goes wrong: each fault is really caused, many in a child process."""

import errno
import json
import os
import pickle
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors.torch import save as torch_save

import tinycnn_numpy as tn
from examples import train_mnist
from examples.common import data, mnist_files
from examples.common.checkpoint import FILES
from parity import load_weights

HOUSE = Path(__file__).parents[2]
EPOCHS = 12
BACKENDS = pytest.mark.parametrize("backend", ["numpy", "torch"])
KILLS = int(os.environ.get("KILLS", "1"))  # how many for each backend
needs_flock = pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's limits")


def start(*arguments, before="", **options):
    """train_mnist on the digits in a child process, after the Python statements `before`."""
    imports = "import sys; from examples import train_mnist; from examples.common import cli as program"
    code = f"{imports}; {before}\nprogram.run(train_mnist.main)"
    command = [sys.executable, "-c", code, "--dataset", "digits", "--device", "cpu", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=HOUSE, text=True, **(pipes | options))


def finish(child):
    """(exit status, stdout, stderr)"""
    try:
        out, err = child.communicate(timeout=120)
    finally:
        child.kill()
    return child.returncode, out, err


def state(folder):
    """All that a run computed: weights, what the optimiser remembers, and the log without its seconds."""
    tensors = safetensors.numpy.load_file(folder / "checkpoint.safetensors")
    return {name: array.tobytes() for name, array in tensors.items()}, metrics(folder)


def metrics(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def one_error(err):
    """The one line that a person sees, without the place where the run was to go."""
    (line,) = err.strip().splitlines()
    assert line.startswith("error: ")
    return line


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """uninterrupted(backend) -> the folder of a run that nothing disturbed, and how long it trained."""
    known = {}

    def run(backend):
        if backend not in known:
            folder = tmp_path_factory.mktemp(backend)
            child = start("--backend", backend, "--epochs", EPOCHS, "--output-dir", folder)
            child.stdout.readline()
            begun = time.monotonic()
            assert finish(child)[0] == 0
            known[backend] = folder, time.monotonic() - begun
        return known[backend]

    return run


# kill -9


@pytest.mark.slow
@BACKENDS
@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_run_is_resumed_bit_for_bit(backend, kill, uninterrupted, tmp_path):
    whole, seconds = uninterrupted(backend)
    arguments = "--backend", backend, "--epochs", EPOCHS, "--output-dir", tmp_path
    child = start(*arguments)
    child.stdout.readline()
    time.sleep(random.uniform(0, seconds))
    child.kill()
    status, _, _ = finish(child)
    print(f"{backend}: exit {status} with {len(metrics(tmp_path))} of {EPOCHS} epochs in the log", end=" ")
    code, _, err = finish(start(*arguments, "--resume"))
    assert code == 0 and "Traceback" not in err
    assert state(tmp_path) == state(whole)
    ours, theirs = ((folder / "model.safetensors").read_bytes() for folder in (tmp_path, whole))
    assert ours == theirs


@pytest.mark.slow
def test_a_kill_between_checkpoint_and_log_loses_no_line(uninterrupted, tmp_path):
    whole, _ = uninterrupted("numpy")
    for torn in ("", '{"epoch": 1, "tra'):
        (tmp_path / "checkpoint.safetensors").write_bytes((whole / "checkpoint.safetensors").read_bytes())
        (tmp_path / "metrics.jsonl").write_text(torn)
        resume = f"--dataset digits --backend numpy --epochs {EPOCHS} --resume --output-dir {tmp_path}"
        train_mnist.main(resume.split())
        assert metrics(tmp_path) == metrics(whole)


@BACKENDS
def test_a_checkpoint_is_written_in_one_move(backend, tmp_path, monkeypatch):
    arguments = f"--dataset digits --backend {backend} --device cpu --output-dir {tmp_path} --epochs".split()
    train_mnist.main([*arguments, "1"])
    before, written = state(tmp_path), []

    def die_at_the_checkpoint(source, target, replace=os.replace):
        if Path(target).name == "checkpoint.safetensors":
            written.append(Path(source).stat().st_size)
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr("os.replace", die_at_the_checkpoint)  # the last moment at which a kill can come
    with pytest.raises(KeyboardInterrupt):
        train_mnist.main([*arguments, "2", "--resume"])
    assert state(tmp_path) == before
    assert written[0] > 100_000 and not list(tmp_path.glob("new-*"))  # epoch 2 was on its way


# two runs want one folder: see test_writers.py


@needs_flock
def test_a_folder_in_which_a_run_is_under_way_is_refused(few_digits, tmp_path, monkeypatch, capsys):
    from examples.common.checkpoint import Checkpoint

    arguments = f"--dataset digits --backend numpy --quiet --epochs 2 --output-dir {tmp_path}".split()
    codes, said, save = [], [], Checkpoint.save

    def a_second_run(self, log, *more):
        save(self, log, *more)
        for flag in ("--resume", "--overwrite"):
            with pytest.raises(SystemExit) as exit_:
                train_mnist.main([*arguments, flag])
            codes.append(exit_.value.code)
            said.append(one_error(capsys.readouterr().err))

    monkeypatch.setattr(Checkpoint, "save", a_second_run)
    train_mnist.main(arguments)
    in_use = f"error: --output-dir {tmp_path} is in use by another run: wait for its end"
    assert codes == [2] * 4 and all(line.startswith(in_use) for line in said)
    assert [row["epoch"] for row in metrics(tmp_path)] == [1, 2]
    monkeypatch.undo()
    train_mnist.main([*arguments, "--resume"])  # the lock has gone with the run


def test_where_folders_cannot_be_locked_a_run_says_so(few_digits, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("examples.common.checkpoint.fcntl", None)
    train_mnist.main(f"--dataset digits --backend numpy --quiet --epochs 1 --output-dir {tmp_path}".split())
    assert "cannot be locked here: start no second run in it" in capsys.readouterr().err


def test_a_link_that_waits_under_the_name_of_a_new_file_is_not_followed(few_digits, tmp_path, monkeypatch):
    """Whatever name a run draws, it makes a new file; what a killed run has left is removed."""
    from examples.common.checkpoint import replacing

    target, run = tmp_path / "thesis", tmp_path / "run"
    target.write_text("four years of work")
    run.mkdir()
    waiting = ["new-checkpoint.safetensors", "new-best-model.safetensors"]  # not of our making
    for name in (*waiting, "new-0123abcd-metrics.jsonl"):
        (run / name).symlink_to(target)
    arguments = f"--dataset digits --backend numpy --quiet --epochs 1 --output-dir {run}"
    train_mnist.main(arguments.split())
    assert target.read_text() == "four years of work"
    assert sorted(path.name for path in run.iterdir()) == sorted([*FILES, *waiting])
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    (run / "new-0-metrics.jsonl").symlink_to(target)
    with pytest.raises(FileExistsError), replacing(run / "metrics.jsonl") as path:
        path.write_text("")
    assert target.read_text() == "four years of work"


def test_files_are_made_with_the_rights_of_the_others(few_digits, tmp_path):
    train_mnist.main(f"--dataset digits --backend numpy --quiet --epochs 1 --output-dir {tmp_path}".split())
    (tmp_path / "plain").touch()
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


# Ctrl-C and SIGTERM


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "number", "code"), [("numpy", signal.SIGINT, 130), ("torch", signal.SIGTERM, 143)]
)
def test_an_interrupted_run_says_how_to_go_on(backend, number, code, tmp_path):
    folder = tmp_path / "a run"
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    arguments = ["--backend", backend, "--epochs", 500, "--seed", 7, "--output-dir", folder]
    child = start(*arguments, before=listen)
    assert any("epoch 2/" in line for line in child.stdout)
    time.sleep(random.uniform(0, 0.5))
    child.send_signal(number)
    status, _, err = finish(child)
    word, command = err.strip().splitlines()
    assert status == code and word.endswith("; the finished epochs are kept, go on with")
    program, *arguments = shlex.split(command)[1:]
    assert program == "-m" and arguments.pop(0) == "examples.train_mnist" and "--resume" in arguments
    epochs = len(metrics(folder))
    arguments[arguments.index("--epochs") + 1] = str(epochs + 1)
    assert train_mnist.main(arguments) == 0
    assert [row["epoch"] for row in metrics(folder)] == list(range(1, epochs + 2))


# a full disk, a folder that cannot be written


@pytest.mark.slow
@needs_linux
def test_a_file_that_may_not_grow_as_on_a_full_disk_leaves_the_checkpoint_before(uninterrupted, tmp_path):
    backend = "numpy"
    folder, _ = uninterrupted(backend)
    for file in FILES:
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    arguments = ["--backend", backend, "--output-dir", tmp_path, "--resume", "--epochs", EPOCHS + 1]
    code, _, err = finish(start(*arguments, before=limit))
    assert code == 2 and one_error(err).startswith(
        f"error: {tmp_path}/checkpoint.safetensors cannot be written"
    )
    assert "File too large; the last checkpoint is intact" in err
    assert state(tmp_path) == state(folder) and not list(tmp_path.glob("new-*"))


@needs_linux
def test_a_download_into_a_read_only_data_directory_fails():
    with pytest.raises(data.DataError, match=r"--data-dir /proc/1/map_files cannot be used"):
        data.load("mnist", Path("/proc/1/map_files"))


def test_a_data_directory_is_not_written_to_when_the_files_are_there(tmp_path, monkeypatch):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    real = HOUSE.parent / "shared" / "data" / "MNIST" / "raw"
    if not real.exists():
        pytest.skip("the whole of MNIST is not beside this checkout")
    for name in mnist_files.FILES:
        (raw / name).symlink_to(real / name)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    opened = []
    monkeypatch.setattr("io.open", watch_modes(open, opened))  # what pathlib calls
    assert data.load("mnist", tmp_path)[0].name == "mnist"
    assert opened and not set("wax+") & set("".join(opened))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def watch_modes(real_open, modes):
    def watched(file, mode="r", *arguments, **options):
        modes.append(mode)
        return real_open(file, mode, *arguments, **options)

    return watched


@needs_linux
def test_a_folder_that_cannot_be_made(capsys):
    with pytest.raises(SystemExit) as exit_:
        train_mnist.main(["--dataset", "digits", "--output-dir", "/proc/runs"])
    assert exit_.value.code == 2
    assert one_error(capsys.readouterr().err).startswith("error: --output-dir /proc/runs cannot be written: ")


# checkpoints that are not what they should be


@pytest.fixture
def refused(uninterrupted, tmp_path, capsys):
    """refused(content, *flags) -> what is said of a checkpoint with this content; it must stay as it is."""
    whole = (uninterrupted("numpy")[0] / "checkpoint.safetensors").read_bytes()

    def said(content, *flags):
        (tmp_path / "checkpoint.safetensors").write_bytes(content)
        with pytest.raises(SystemExit) as exit_:
            arguments = f"--dataset digits --backend numpy --epochs {EPOCHS} --resume --output-dir {tmp_path}"
            train_mnist.main([*arguments.split(), *flags])
        assert exit_.value.code == 2
        assert (tmp_path / "checkpoint.safetensors").read_bytes() == content
        return one_error(capsys.readouterr().err)

    return said, whole


def test_a_truncated_checkpoint_is_refused(refused):
    said, whole = refused
    for length in (0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        assert "checkpoint.safetensors is not a whole checkpoint" in said(whole[:length])


def test_no_flipped_bit_is_read_without_a_word(refused, uninterrupted, tmp_path):
    from examples.common.checkpoint import Checkpoint

    _, whole = refused
    rng = random.Random(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(0, header, 3), *(rng.randrange(header, len(whole)) for _ in range(300))]
    checkpoint = Checkpoint(tmp_path, {})
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        checkpoint.path.write_bytes(flipped)
        with pytest.raises(SystemExit):
            checkpoint.read()


def test_a_checkpoint_of_another_model_is_refused_name_by_name(refused, tmp_path):
    from examples.common.checkpoint import Checkpoint

    said, whole = refused
    model = tn.Sequential(flatten=tn.Flatten(), fc=tn.Dense(784, 10, rng=np.random.default_rng(0)))
    (tmp_path / "checkpoint.safetensors").write_bytes(whole)
    state = Checkpoint(tmp_path, {}).read()[1]
    optimizer = tn.Adam(model.parameters())
    Checkpoint(tmp_path, state["recipe"]).save(state["log"], model, optimizer)
    message = said((tmp_path / "checkpoint.safetensors").read_bytes())
    assert (
        "missing conv1.weight" in message and "fc.weight has shape (10, 784), expected (10, 800)" in message
    )


def test_a_checkpoint_that_cannot_be_read_is_not_called_damaged(tmp_path, capsys):
    (tmp_path / "checkpoint.safetensors").mkdir()
    with pytest.raises(SystemExit):
        train_mnist.main(f"--dataset digits --backend numpy --resume --output-dir {tmp_path}".split())
    message = one_error(capsys.readouterr().err)
    assert message.endswith("checkpoint.safetensors cannot be read: Is a directory")


def test_a_safetensors_file_of_someone_else_is_refused(refused):
    said, _ = refused
    assert "is not a whole checkpoint" in said(safetensors.numpy.save({"a": np.zeros(3)}))
    assert "is not a whole checkpoint" in said(torch_save({"a": torch.zeros(3, dtype=torch.bfloat16)}))


def with_state(content, change, tensors=None):
    """The checkpoint with other facts in its header, or other tensors, and a digest that fits them."""
    from examples.common.checkpoint import digest

    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    state = change(json.loads(header["__metadata__"]["state"].split(" ", 1)[1]))
    tensors = safetensors.numpy.load(content) if tensors is None else tensors
    text = json.dumps(state)
    return safetensors.numpy.save(tensors, {"state": f"{digest(tensors, text)} {text}"})


def log_with(**values):
    return lambda s: s | {"log": [s["log"][0] | values, *s["log"][1:]]}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: [], "its format is [], expected 1"),
        (lambda s: {name: value for name, value in s.items() if name != "format"}, "its format is missing"),
        (lambda s: s | {"format": 2}, "its format is 2, expected 1"),
        (lambda s: s | {"format": True}, "its format is true, expected 1"),
        (lambda s: s | {"recipe": None}, "recipe is missing, expected settings by name"),
        (lambda s: s | {"machine": "mine"}, 'machine is "mine", expected settings by name'),
        (lambda s: s | {"log": 3}, "log is 3, expected a list with an entry for each epoch"),
        (lambda s: s | {"log": ["one"]}, 'epoch 1 of the log is "one"'),
        (lambda s: s | {"log": s["log"][1:]}, "epoch is 2 in the log, expected 1"),
        (log_with(epoch=True), "epoch is true in the log, expected 1"),
        (log_with(test_accuracy=998.7), "epoch 1: test_accuracy is 998.7, expected 0 to 100"),
        (log_with(train_loss=None), "epoch 1: train_loss is missing, expected a finite number >= 0"),
    ],
)
def test_a_checkpoint_of_another_schema_is_one_line(change, named, refused):
    said, whole = refused
    assert f"is none of this program's checkpoints: {named}" in said(with_state(whole, change))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t | {"theirs.weight": np.zeros(1)}, "unexpected theirs.weight"),
        (lambda t: t | {"optimizer.exp_avg.99": np.zeros(1)}, "unexpected exp_avg.99"),
        (lambda t: {name: a for name, a in t.items() if "exp_avg.0" not in name}, "missing exp_avg.0"),
        (
            lambda t: t | {"optimizer.exp_avg.0": np.zeros((2, 2), "f")},
            "exp_avg.0 has shape (2, 2), expected",
        ),
        (lambda t: {name: a for name, a in t.items() if "model" in name}, "holds nothing of the optimiser"),
    ],
)
@BACKENDS
def test_an_optimiser_state_that_does_not_fit_is_one_line(
    backend, change, named, few_digits, tmp_path, capsys
):
    arguments = (
        f"--dataset digits --device cpu --backend {backend} --quiet --epochs 1 --output-dir {tmp_path}"
    )
    train_mnist.main(arguments.split())
    path = tmp_path / "checkpoint.safetensors"
    content = path.read_bytes()
    path.write_bytes(with_state(content, lambda s: s, change(safetensors.numpy.load(content))))
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        train_mnist.main([*arguments.split(), "--resume"])
    assert exit_.value.code == 2
    error = one_error(capsys.readouterr().err)
    assert f"{path} does not fit: " in error and named in error


@pytest.mark.parametrize(
    ("flags", "named"),
    [("--lr 0.01", "lr 0.001, and not 0.01"), ("--batch-size 32", "batch_size 64, and not 32")],
)
def test_a_run_is_not_resumed_with_other_settings(flags, named, refused):
    said, whole = refused
    assert said(whole, *flags.split()).endswith(f"is of a run with {named}")


def test_a_malicious_pickle_is_never_unpickled(refused, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'owned'}",)

    said, _ = refused
    content = pickle.dumps(Payload())
    assert "is not a whole checkpoint" in said(content)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(Exception, match="header"):
        load_weights(tn.MNISTCNN(rng=np.random.default_rng(0)), tmp_path / "model.safetensors")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in mnist_files.FILES:
        (raw / name).write_bytes(content)
    with pytest.raises(data.DataError, match="is damaged"):
        data.load("mnist", tmp_path)
    assert not (tmp_path / "owned").exists()
    pickle.loads(content)  # the payload is real
    assert (tmp_path / "owned").exists()


@pytest.mark.slow
def test_overwrite_begins_anew_and_resume_without_a_run_begins(uninterrupted, tmp_path, capsys):
    whole, _ = uninterrupted("numpy")
    arguments = (
        f"--dataset digits --backend numpy --epochs {EPOCHS} --quiet --output-dir {tmp_path / 'new'}".split()
    )
    train_mnist.main([*arguments, "--resume"])
    assert "there is nothing to resume" in capsys.readouterr().err
    (tmp_path / "new" / "checkpoint.safetensors").write_bytes(b"damaged")
    train_mnist.main([*arguments, "--overwrite"])
    assert state(tmp_path / "new") == state(whole)


@pytest.mark.slow
def test_a_finished_run_may_go_on(uninterrupted, tmp_path, capsys):
    whole, _ = uninterrupted("numpy")
    arguments = f"--dataset digits --backend numpy --quiet --output-dir {tmp_path}".split()
    for epochs in ("1", str(EPOCHS), str(EPOCHS)):
        train_mnist.main([*arguments, "--epochs", epochs, "--resume"])
    assert state(tmp_path) == state(whole)
    with pytest.raises(SystemExit):
        train_mnist.main([*arguments, "--epochs", "2", "--resume"])
    assert "--epochs 2 with --resume: the run" in capsys.readouterr().err


def test_another_machine_is_noted(uninterrupted, tmp_path, capsys, monkeypatch):
    whole, _ = uninterrupted("numpy")
    (tmp_path / "checkpoint.safetensors").write_bytes((whole / "checkpoint.safetensors").read_bytes())
    monkeypatch.setattr("platform.python_version", lambda: "4.0")
    train_mnist.main(
        f"--dataset digits --backend numpy --epochs {EPOCHS} --resume --output-dir {tmp_path}".split()
    )
    assert re.search(r"note: python was .* and is 4.0 now: results may differ", capsys.readouterr().err)


# memory, numbers, labels


@pytest.mark.slow
@needs_linux
@BACKENDS
def test_out_of_memory_names_the_batch_size(backend, tmp_path):
    limit = (
        "import resource, torch, sklearn.datasets, scipy.ndimage, matplotlib.figure, torchvision;"
        "import numpy, parity.proof; numpy.ones((500, 500)) @ numpy.ones((500, 500));"  # BLAS has its memory
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize() + 150_000_000;"
        "resource.setrlimit(resource.RLIMIT_AS, (used, used))"
    )
    arguments = ["--backend", backend, "--batch-size", 1400, "--output-dir", tmp_path]
    code, _, err = finish(start(*arguments, before=limit, env=os.environ | {"OMP_NUM_THREADS": "1"}))
    assert (code, one_error(err)) == (2, "error: out of memory with --batch-size 1400: try --batch-size 700")


@BACKENDS
def test_a_loss_that_is_not_finite_stops_at_that_step(backend, tmp_path, capfd):
    arguments = f"--dataset digits --device cpu --backend {backend} --output-dir {tmp_path} --epochs".split()
    train_mnist.main([*arguments, "1", "--quiet"])
    before = state(tmp_path)
    capfd.readouterr()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as exit_:
        digits = data.load_digits()
        digits.train_images[np.random.default_rng([42, 2]).permutation(1437)[64 * 3]] = np.nan
        patch.setattr(data, "load_digits", lambda: digits)
        train_mnist.main([*arguments, "2", "--resume", "--quiet"])
    error = one_error(capfd.readouterr().err)
    assert exit_.value.code == 3
    pattern = (
        r"the loss is nan in step 4 of this start, learning rate 0.001, largest gradient before it \d\.\d+"
    )
    assert re.search(pattern, error) and error.endswith("the last checkpoint is intact")
    assert state(tmp_path) == before


@pytest.mark.slow
@BACKENDS
def test_a_run_that_diverges_says_so_in_one_line(backend, tmp_path):
    arguments = ["--backend", backend, "--output-dir", tmp_path, "--lr", 1e30, "--quiet"]
    code, _, err = finish(start(*arguments))
    assert code == 3 and "learning rate 1e+30" in one_error(err)
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    from examples.common.checkpoint import Checkpoint

    model = tn.TinyCNN(rng=np.random.default_rng(0))
    model.conv.weight[0, 0, 0, 0] = np.inf
    log = [{"epoch": 1, "train_loss": 0.1, "test_accuracy": 9.8}]
    with pytest.raises(FloatingPointError, match="the loss is nan in the first step after epoch 1"):
        Checkpoint(tmp_path, {"lr": 0.1}).save(log, model, tn.Adam(model.parameters()))
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_is_not_called_intact_where_there_is_none(tmp_path, capsys, monkeypatch):
    digits = data.load_digits()
    digits.train_images[:] = np.nan
    monkeypatch.setattr(data, "load_digits", lambda: digits)
    arguments = f"--dataset digits --device cpu --quiet --output-dir {tmp_path}".split()
    with pytest.raises(SystemExit) as exit_:
        train_mnist.main(arguments)
    error = one_error(capsys.readouterr().err)
    assert exit_.value.code == 3 and error.endswith("begin anew with a smaller --lr")
    monkeypatch.undo()
    monkeypatch.setattr("os.fsync", lambda _: no_space())
    with pytest.raises(SystemExit) as exit_:
        train_mnist.main([*arguments, "--overwrite"])
    error = one_error(capsys.readouterr().err)
    assert exit_.value.code == 2 and error.endswith("cannot be written: No space left on device")


def no_space():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_labels": np.array([0, -1])}, "train_labels run from -1 to 0, expected 0 to 9"),
        ({"train_labels": np.array([0, 10])}, "train_labels run from 0 to 10, expected 0 to 9"),
        ({"train_labels": np.array([0])}, r"train_labels are int64 of shape \(1,\), expected int64 \(2,\)"),
        ({"test_labels": np.array([0.0])}, r"test_labels are float64 of shape \(1,\), expected int64 \(1,\)"),
        ({"test_images": np.zeros((1, 28, 28), "f")}, r"test_images are float32 of shape \(1, 28, 28\)"),
        ({"train_images": np.zeros((2, 1, 28, 28))}, "train_images are float64"),
    ],
)
def test_wrong_data_are_refused_before_anything_is_computed(change, message):
    right = {"train_images": np.zeros((2, 1, 28, 28), "f"), "train_labels": np.array([0, 9])}
    right |= {"test_images": np.zeros((1, 1, 28, 28), "f"), "test_labels": np.array([9])}
    data.Dataset("right", **right)
    with pytest.raises(ValueError, match=message):
        data.Dataset("wrong", **(right | change))


# where the output goes


@pytest.mark.slow
def test_nobody_reads_the_output_any_more(tmp_path):
    child = start("--backend", "numpy", "--epochs", 50, "--output-dir", tmp_path)
    assert "embedded 8x8 digits" in child.stdout.readline()
    assert "MNISTCNN on digits" in child.stdout.readline()
    child.stdout.close()
    child.wait(timeout=60)
    assert (child.returncode, child.stderr.read()) == (141, "")
    child.stderr.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize("closed", ["2>&-", pytest.param("<&- >&- 2>&-", marks=pytest.mark.slow)])
def test_a_closed_stream_stops_no_run(closed, tmp_path):
    arguments = f"--dataset digits --backend numpy --epochs 1 --output-dir {tmp_path}".split()
    program = [sys.executable, "-m", "examples.train_mnist", *arguments]
    child = subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", *program], cwd=HOUSE)
    assert finish(child)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


@pytest.mark.slow
@needs_linux
def test_a_full_disk_under_the_standard_output(tmp_path):
    with open("/dev/full", "w") as full:
        code, _, err = finish(start("--epochs", 1, "--output-dir", tmp_path, stdout=full))
    assert code == 2
    assert "the standard output cannot be written: No space left on device" in one_error(err.splitlines()[0])


@pytest.mark.slow
def test_a_file_gets_one_line_an_epoch_in_ascii(tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    folder = tmp_path / "é"
    child = start("--backend", "numpy", "--epochs", 2, "--output-dir", folder, env=environment)
    code, out, err = finish(child)
    assert (code, err) == (0, "") and "\r" not in out and out.isascii()
    assert len(out.splitlines()) == 5 and "epoch 2/2" in out.splitlines()[3]
    assert (folder / "model.safetensors").exists()
