"""What the examples train on: MNIST, or the smaller digits inside scikit-learn."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from examples.common import mnist_files
from examples.common.cli import Parser, fail
from examples.common.mnist_files import DataError, from_idx

NAMES = ("auto", "mnist", "digits")
MEAN, STD = 0.1307, 0.3081  # of MNIST's training pixels, in 0..1
EMBEDDED = "the 1,797 embedded 8x8 digits"
REMARK = "accuracies on them do not compare with MNIST's (there the MLP beats the CNN)"


@dataclass(frozen=True)
class Dataset:
    """Images (M, C, H, W) float32, normalised; labels (M,) int64 in 0..classes - 1; of any size and number.

    facts  what else tells this data set from another, JSON values by name; see own_images

    Raises ValueError for anything else.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int = 10
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if images.ndim != 4 or images.dtype != np.float32:
                found = f"{images.dtype} of shape {images.shape}"
                raise ValueError(f"{self.name}: {part}_images are {found}, expected float32 (M, C, H, W)")
            if labels.shape != (len(images),) or labels.dtype != np.int64:
                found = f"{labels.dtype} of shape {labels.shape}"
                raise ValueError(f"{self.name}: {part}_labels are {found}, expected int64 ({len(images)},)")
            if labels.size and (labels.min() < 0 or labels.max() >= self.classes):
                found = f"{labels.min()} to {labels.max()}"
                raise ValueError(
                    f"{self.name}: {part}_labels run from {found}, expected 0 to {self.classes - 1}"
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            found = f"{self.train_images.shape[1:]} and {self.test_images.shape[1:]}"
            raise ValueError(f"{self.name}: training and test images are {found}, expected one (C, H, W)")

    @property
    def image(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return self.train_images.shape[1:]

    def __str__(self) -> str:
        return f"{self.name} ({len(self.train_images):,} training and {len(self.test_images):,} test images)"


def load(name: str, data_dir: Path) -> tuple[Dataset, str]:
    """The data set and, unless it is MNIST, a line that says what it is ("" otherwise).

    Raises DataError.
    """
    if name == "digits":
        return load_digits(), f"{EMBEDDED}: {REMARK}"
    try:
        return load_mnist(data_dir), ""
    except DataError as error:
        if name == "mnist":
            raise
        return load_digits(), f"{error.reason}: training on {EMBEDDED} instead; {REMARK}"


def add_flags(parser: Parser) -> None:
    """--dataset and --data-dir."""
    parser.add_argument("--dataset", choices=NAMES, default="auto", help="auto: mnist, else digits")
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
    """MNIST from data_dir/MNIST/raw, which `mnist_files` fills if need be. Raises DataError."""
    raw = data_dir / "MNIST" / "raw"
    try:
        if not mnist_files.are_in(raw):
            mnist_files.obtain(raw)
        contents = {file: (raw / file).read_bytes() for file in mnist_files.FILES}
    except OSError as error:
        raise DataError(f"--data-dir {data_dir} cannot be used", str(error)) from error
    for file, md5 in mnist_files.FILES.items():
        found = hashlib.md5(contents[file], usedforsecurity=False).hexdigest()
        if found != md5:
            raise DataError(f"{raw / file} is damaged", f"its MD5 is {found}, expected {md5}; remove it")
    train_images, train_labels, test_images, test_labels = map(from_idx, contents.values())
    return Dataset(
        "mnist",
        normalise(train_images / np.float32(255)),
        train_labels.astype(np.int64),
        normalise(test_images / np.float32(255)),
        test_labels.astype(np.int64),
    )


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
