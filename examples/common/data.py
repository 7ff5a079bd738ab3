"""What the examples train on: MNIST, from a folder or a mirror, or the real digits inside scikit-learn."""

import gzip
import hashlib
import io
import os
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np

from examples.common.cli import Parser, fail

MEAN, STD = 0.1307, 0.3081  # of MNIST's training pixels, in 0..1
MIRRORS = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
]
TIMEOUT = 10  # seconds without a byte from a mirror
DEADLINE = 600  # seconds for all that a mirror sends
LARGEST = 64 * 2**20  # bytes of a file, packed or not: MNIST's largest has 47 million
FILES = {  # of MNIST/raw in the data directory, with their MD5
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


class DataError(Exception):
    """The data set cannot be had: `reason` in a few words, str() with what to do."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(f"{reason}: {remedy}")
        self.reason = reason


@dataclass(frozen=True)
class Dataset:
    """Images (M, 1, 28, 28) float32, normalised as the chapter does; labels (M,) int64 in 0..9.

    Raises ValueError for anything else.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def __post_init__(self):
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if images.shape[1:] != (1, 28, 28) or images.dtype != np.float32:
                found = f"{images.dtype} of shape {images.shape}"
                raise ValueError(f"{self.name}: {part}_images are {found}, expected float32 (M, 1, 28, 28)")
            if labels.shape != (len(images),) or labels.dtype != np.int64:
                found = f"{labels.dtype} of shape {labels.shape}"
                raise ValueError(f"{self.name}: {part}_labels are {found}, expected int64 ({len(images)},)")
            if labels.size and (labels.min() < 0 or labels.max() > 9):
                found = f"{labels.min()} to {labels.max()}"
                raise ValueError(f"{self.name}: {part}_labels run from {found}, expected 0 to 9")

    def __str__(self) -> str:
        return f"{self.name} ({len(self.train_images):,} training and {len(self.test_images):,} test images)"


def load(name: str, data_dir: Path) -> tuple[Dataset, str]:
    """The data set and, where "auto" had to do without MNIST, a line that says so ("" otherwise).

    Raises DataError.
    """
    if name == "digits":
        return load_digits(), ""
    try:
        return load_mnist(data_dir), ""
    except DataError as error:
        if name == "mnist":
            raise
        return load_digits(), f"{error.reason}: training on the 1,797 embedded 8x8 digits instead"


def add_flags(parser: Parser) -> None:
    """--dataset and --data-dir."""
    parser.add_argument(
        "--dataset", choices=["auto", "mnist", "digits"], default="auto", help="auto: mnist, else digits"
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Path("data"), help="folder that holds or gets MNIST/raw"
    )


def from_flags(args) -> Dataset:
    """The data set that the flags ask for; says so if it is another than MNIST, fails in one line."""
    try:
        dataset, instead = load(args.dataset, args.data_dir)
    except DataError as error:
        fail(str(error))
    if instead:
        print(instead, flush=True)
    return dataset


def load_mnist(data_dir: Path) -> Dataset:
    """MNIST from data_dir/MNIST/raw, downloaded into it if it is not there. Raises DataError."""
    raw = data_dir / "MNIST" / "raw"
    try:
        if not all((raw / file).is_file() for file in FILES):
            raw.mkdir(parents=True, exist_ok=True)
            download(raw)
        contents = {file: (raw / file).read_bytes() for file in FILES}
    except OSError as error:
        raise DataError(f"--data-dir {data_dir} cannot be used", str(error)) from error
    for file, md5 in FILES.items():
        found = hashlib.md5(contents[file], usedforsecurity=False).hexdigest()
        if found != md5:
            raise DataError(f"{raw / file} is damaged", f"its MD5 is {found}, expected {md5}; remove it")
    train_images, train_labels, test_images, test_labels = (idx(contents[file]) for file in FILES)
    return Dataset(
        "mnist",
        normalise(train_images / np.float32(255)),
        train_labels.astype(np.int64),
        normalise(test_images / np.float32(255)),
        test_labels.astype(np.int64),
    )


def idx(content: bytes) -> np.ndarray:
    """The bytes in a file of MNIST, after 0, 0, 8 (unsigned bytes), the number of axes and their lengths."""
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def download(raw: Path) -> None:
    """Fetch the missing files of MNIST, mirror after mirror. Raises DataError if every mirror fails."""
    print(f"MNIST is not in {raw}: downloading it", file=sys.stderr, flush=True)
    missing = [file for file in FILES if not (raw / file).is_file()]
    failures = []
    for mirror in MIRRORS:
        until = time.monotonic() + DEADLINE
        try:
            fetched = {file: fetch(f"{mirror}{file}.gz", FILES[file], until) for file in missing}
        except (OSError, HTTPException, EOFError, zlib.error) as error:
            failures.append(f"{mirror}: {error or type(error).__name__}")
            if isinstance(error, HTTPError):
                error.close()
            continue
        with tempfile.TemporaryDirectory(dir=raw, prefix="download-") as beside:
            for file, content in fetched.items():  # whole files only: nothing half done ever stands in raw
                Path(beside, file).write_bytes(content)
                os.replace(Path(beside, file), raw / file)
        return
    remedy = f"put {', '.join(missing)} there, or use --dataset digits ({'; '.join(failures)})"
    raise DataError(f"MNIST is not in {raw} and no mirror answered", remedy)


def fetch(url: str, md5: str, until: float) -> bytes:
    """What the gzip file at `url` holds, with this MD5. until: when time.monotonic() must not have passed.

    Raises OSError, HTTPException, EOFError or zlib.error.
    """
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
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise OSError(f"{url} holds something else, by its MD5")
    return content


def load_digits() -> Dataset:
    """The 1,797 digits of 8 x 8 pixels that scikit-learn carries (UCI optdigits), scaled to 28 x 28.

    360 of them, drawn once and for all, are the test set.
    """
    from scipy.ndimage import zoom
    from sklearn import datasets

    digits = datasets.load_digits()
    images = zoom(digits.images / 16, (1, 3.5, 3.5), order=1, grid_mode=True, mode="nearest")
    images, labels = normalise(images), digits.target.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(images))
    test, train = order[:360], order[360:]
    return Dataset("digits", images[train], labels[train], images[test], labels[test])


def normalise(pixels: np.ndarray) -> np.ndarray:
    """(M, 28, 28) in 0..1 -> (M, 1, 28, 28) float32 with MNIST's mean 0 and standard deviation 1."""
    return ((pixels - MEAN) / STD).astype(np.float32)[:, None]
