"""Images of your own: one .npz file with x_train, y_train, x_test and y_test, as Keras' mnist.npz has them.

    np.savez("mine.npz", x_train=..., y_train=..., x_test=..., y_test=...)

x_train and x_test  real numbers: (M, H, W) in grey, (M, H, W, C) or (M, C, H, W). At least 10 x 10 pixels and
                    fewer than 10 channels, so that C is the short axis.
y_train and y_test  whole numbers (M,) or (M, 1), the classes 0, 1, 2, ...; each has a training image
"""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from examples.common.data import Dataset
from examples.common.mnist_files import DataError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
SMALLEST = 10  # pixels of a side that ImageCNN takes


def load_npz(path: Path) -> Dataset:
    """The data set in a file; each channel has mean 0 and standard deviation 1 over the training images.

    Its `facts` are the file's SHA-256, image (C, H, W), classes, mean and std (one a channel, of the pixels
    as they are stored) and range, the darkest and the brightest pixel: 0 and 255 for bytes. Raises DataError.
    """
    try:
        content = path.read_bytes()
        arrays = read_arrays(content)
        return make_dataset(path.name, hashlib.sha256(content).hexdigest(), *arrays)
    except OSError as error:
        raise DataError(f"--data {path} cannot be read", str(error.strerror or error)) from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"--data {path}", str(error)) from error
    except MemoryError as error:
        raise DataError(f"--data {path}", "needs more memory than there is") from error


def read_arrays(content: bytes) -> list[np.ndarray]:
    """ARRAYS, in this order. Nothing is unpickled. Raises ValueError, and what zipfile raises."""
    if not content.startswith(b"PK"):
        raise ValueError(f"is no .npz file, expected what np.savez writes, with {', '.join(ARRAYS)}")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        if missing := [name for name in ARRAYS if name not in file.files]:
            raise ValueError(f"{', '.join(missing)} missing among {file.files}")
        return [read_array(file, name) for name in ARRAYS]


def read_array(file, name: str) -> np.ndarray:
    try:
        array = file[name]
    except ValueError as error:
        raise ValueError(f"{name} cannot be read: {error}") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} is no array, expected what np.savez writes")
    return array


def make_dataset(
    name: str, sha256: str, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> Dataset:
    """Raises ValueError that names the array, what it is and what was expected."""
    train, test = channels_first("x_train", x_train), channels_first("x_test", x_test)
    train_labels, test_labels = (
        labels_of(name, array, len(images))
        for name, array, images in (("y_train", y_train, train), ("y_test", y_test, test))
    )
    if train.shape[1:] != test.shape[1:]:
        raise ValueError(f"x_test has images of {test.shape[1:]}, expected {train.shape[1:]} as x_train's")
    present = np.unique(train_labels)
    if (gaps := present != np.arange(len(present))).any():
        found = f"a {present[-1]} but no {gaps.argmax()}"
        raise ValueError(f"y_train has {found}, expected 0, 1, 2, ... and an image of each")
    classes = len(present)
    if classes < 2:
        raise ValueError("y_train holds one class alone, expected at least two")
    if test_labels.max() >= classes:
        raise ValueError(
            f"y_test has a {test_labels.max()}, expected the classes of y_train, 0 to {classes - 1}"
        )
    mean, std = train.mean(axis=(0, 2, 3), dtype=np.float64), train.std(axis=(0, 2, 3), dtype=np.float64)
    if not std.any():
        raise ValueError("x_train is the same everywhere, expected images that differ")
    std = np.where(std == 0, 1, std)  # a channel that says nothing
    facts = {
        "sha256": sha256,
        "image": list(train.shape[1:]),
        "classes": classes,
        "mean": mean.tolist(),
        "std": std.tolist(),
        "range": [0.0, 255.0] if x_train.dtype == np.uint8 else [float(train.min()), float(train.max())],
    }
    images = (standardise(pixels, facts) for pixels in (train, test))
    return Dataset(name, next(images), train_labels, next(images), test_labels, classes, facts)


def standardise(pixels: np.ndarray, facts: dict) -> np.ndarray:
    """(M, C, H, W) as stored -> float32, with the mean and standard deviation of each channel in `facts`."""
    mean, std = (np.array(facts[name], np.float32)[:, None, None] for name in ("mean", "std"))
    return (pixels - mean) / std


def channels_first(name: str, images: np.ndarray) -> np.ndarray:
    """(M, H, W), (M, H, W, C) or (M, C, H, W) -> (M, C, H, W) float32. Raises ValueError."""
    expected = "expected (M, H, W), (M, H, W, C) or (M, C, H, W)"
    if images.dtype.kind not in "buif":
        raise ValueError(f"{name} has dtype {images.dtype}, expected real numbers")
    shape = images.shape
    if images.ndim not in (3, 4) or 0 in shape:
        raise ValueError(f"{name} has shape {shape}, {expected}")
    if images.ndim == 3:
        images = images[:, None]
    short = [axis for axis in (1, 3) if images.shape[axis] < SMALLEST]
    if len(short) != 1 or images.shape[2] < SMALLEST:
        limits = f"with H and W at least {SMALLEST} and C below {SMALLEST}"
        raise ValueError(f"{name} has shape {shape}, {expected} {limits}")
    with np.errstate(over="ignore"):
        images = np.ascontiguousarray(np.moveaxis(images, short[0], 1), np.float32)
    if not np.isfinite(images).all():
        raise ValueError(f"{name} holds a number that is not finite in float32 (NaN or infinity)")
    return images


def labels_of(name: str, labels: np.ndarray, count: int) -> np.ndarray:
    """(M,) or (M, 1) whole numbers from 0 on -> (M,) int64. Raises ValueError."""
    if labels.dtype.kind not in "ui":
        raise ValueError(f"{name} has dtype {labels.dtype}, expected whole numbers")
    if labels.shape not in ((count,), (count, 1)):
        raise ValueError(f"{name} has shape {labels.shape}, expected ({count},), one class an image")
    if labels.min() < 0:
        raise ValueError(f"{name} has a {labels.min()}, expected the classes 0, 1, 2, ...")
    return labels.reshape(count).astype(np.int64)
