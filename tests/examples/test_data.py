"""MNIST from a folder, a mirror, a second mirror, or from nowhere; and the digits that are always there."""

import gzip
import hashlib
import http.server
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from examples.common import data

REAL = Path(__file__).parents[3] / "shared" / "data"


def idx(array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def tiny_mnist(monkeypatch):
    """Four files in MNIST's format with 6 and 4 images, and the digests to go with them."""
    rng = np.random.default_rng(0)
    files = {}
    for part, count in (("train", 6), ("t10k", 4)):
        files[f"{part}-images-idx3-ubyte"] = idx(rng.integers(256, size=(count, 28, 28)))
        files[f"{part}-labels-idx1-ubyte"] = idx(rng.integers(10, size=count))
    zipped = {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
    monkeypatch.setattr(data, "FILES", {n: hashlib.md5(c).hexdigest() for n, c in files.items()})
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
    monkeypatch.setattr(data, "MIRRORS", [])
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
    monkeypatch.setattr(data, "MIRRORS", [address])
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
    monkeypatch.setattr(data, "MIRRORS", [bad, good])
    assert data.load("mnist", tmp_path)[0].name == "mnist"


def test_no_mirror_is_an_error_for_mnist_and_a_line_for_auto(tiny_mnist, tmp_path, monkeypatch, serve):
    address, _ = serve({})
    monkeypatch.setattr(data, "MIRRORS", [address])
    with pytest.raises(data.DataError, match=r"no mirror answered: put train-images-idx3-ubyte, .*127.0.0.1"):
        data.load("mnist", tmp_path)
    dataset, note = data.load("auto", tmp_path)
    assert dataset.name == "digits" and "\n" not in note
    assert note.endswith("no mirror answered: training on the 1,797 embedded 8x8 digits instead")


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
    monkeypatch.setattr(data, "LARGEST", 10_000, raising=False)
    monkeypatch.setattr(data, "MIRRORS", [serve(dict.fromkeys(tiny_mnist[1], body))[0]])
    with pytest.raises(data.DataError, match=f"127.0.0.1.*ubyte.gz {said}") as error:
        data.load("mnist", tmp_path)
    assert "\n" not in str(error.value) and list((tmp_path / "MNIST" / "raw").iterdir()) == []


def test_a_mirror_that_never_ends_is_left(tiny_mnist, tmp_path, monkeypatch, serve):
    monkeypatch.setattr(data, "DEADLINE", 0.3, raising=False)
    monkeypatch.setattr(data, "MIRRORS", [serve(tiny_mnist[1], drop=20)[0]])
    with pytest.raises(data.DataError, match=r"ubyte.gz had no end after 0.3 s"):
        data.load("mnist", tmp_path)


def test_only_the_missing_files_are_fetched(tiny_mnist, tmp_path, monkeypatch, serve):
    files, zipped = tiny_mnist
    raw = write(tmp_path, files)
    (raw / "t10k-labels-idx1-ubyte").unlink()
    address, server = serve(zipped)
    monkeypatch.setattr(data, "MIRRORS", [address])
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
