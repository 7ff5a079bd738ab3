"""What the page begins with: weights, images, NumPy's numbers to check itself by, the network of digits."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.data import Dataset
from examples.experiments.train_tinycnn import line_patterns
from parity import load_numpy_state, load_weights
from parity.exact import exact_run
from parity.record import run_stages

HERE = Path(__file__).parent
MNIST_WEIGHTS, TEN_DIGITS = HERE / "mnist.safetensors", HERE / "ten_digits.safetensors"
TRAINED_BY = "python -m examples.train_mnist --backend numpy --dataset mnist --epochs 5"  # seed 42
ACCURACY = 98.95  # of MNIST_WEIGHTS on the 10,000 test images, which a test computes

State = dict[str, np.ndarray]


class WeightsError(ValueError):
    """A file of weights that cannot be used; one line says which, and why."""


def lists(arrays: State) -> dict[str, Any]:
    return {name: array.tolist() for name, array in arrays.items()}


def first_state(seed: int) -> State:
    """TinyCNN's first weights, rounded so that a sum can be done again by hand."""
    state = tn.TinyCNN(rng=np.random.default_rng(seed), dtype=np.float64).state_dict()
    return {name: array.round(2) for name, array in state.items()}


def training_images(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Twenty lines under noise, rounded."""
    images, labels = line_patterns(20, np.random.default_rng(seed))
    return images.round(1), labels


def packed(array: Any, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()


def half_exponents(bounds: np.ndarray) -> np.ndarray:
    """The next lower power of 2**(1/2) for each bound, as twice its exponent; -128 for a bound of 0."""
    with np.errstate(divide="ignore"):
        return np.floor(2 * np.log2(bounds)).clip(-128, 127)


def by_numpy(state: State, x: np.ndarray, label: int) -> dict[str, dict[str, str]]:
    """Every tensor that tinycnn_numpy gives for one situation, x without the axis of images.

    bounds: how far another right answer may lie from NumPy's: each has parity's bound on its rounding.
    """
    model, module = tn.TinyCNN(rng=np.random.default_rng(0), dtype=np.float64), tt.TinyCNN().double()
    model.load_state_dict(state)
    load_numpy_state(module, state)
    labels, stages = np.array([label]), dict(model.named_layers())
    ours = run_stages(model, stages, x[None], labels=labels, loss_fn=tn.CrossEntropyLoss()).arrays
    exact = exact_run(dict(module.named_children()), x[None], labels=labels).tensors
    return {
        f"{stage}.{name}": {
            "values": packed(ours[stage, name], "<f8"),
            "bounds": packed(half_exponents(2 * (exact[stage, name].bound + exact[stage, name].slack)), "i1"),
        }
        for stage, name in exact
    }


def read_weights(path: Path) -> tuple[str, State]:
    """("TinyCNN" or "MNISTCNN", its state) of a safetensors file. Raises WeightsError."""
    if path.is_dir():
        raise WeightsError(f"--weights {path} is a folder, expected a safetensors file")
    try:
        with safe_open(path, "numpy") as file:
            dtypes = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118  # no mapping
        name = "MNISTCNN" if "conv1.weight" in dtypes else "TinyCNN"
        model = getattr(tn, name)(rng=np.random.default_rng(0), dtype=np.float64)
        load_weights(model, path)
    except OSError as error:
        raise WeightsError(f"--weights {path} cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        expected = "expected what parity.save_weights(model, FILE) writes"
        raise WeightsError(f"--weights {path} is no safetensors file ({error}), {expected}") from None
    except ValueError as error:
        raise WeightsError(f"--weights {path}: {error}; expected those of TinyCNN or MNISTCNN") from None
    if whole := [f"{key} is {dtype}" for key, dtype in dtypes.items() if "F" not in dtype]:
        raise WeightsError(f"--weights {path}: {', '.join(whole)}, expected floating-point numbers")
    state = model.state_dict()
    if not all(np.isfinite(array).all() for array in state.values()):
        wrong = [key for key, array in state.items() if not np.isfinite(array).all()]
        raise WeightsError(f"--weights {path}: {', '.join(wrong)} holds what is no finite number")
    return name, state


def mnist(path: Path | None) -> dict[str, Any]:
    """The network of digits: its weights (the library's unless a file is given) and ten test images."""
    own = path is None
    _, state = read_weights(MNIST_WEIGHTS if path is None else path)
    digits = load_file(TEN_DIGITS)

    return {
        "weights": {
            name: {"shape": list(array.shape), "base64": packed(array, "<f4")}
            for name, array in state.items()
        },
        "images": packed(digits["images"], "u1"),
        "labels": digits["labels"].tolist(),
        "accuracy": ACCURACY if own else None,
        "dataset": "MNIST",
        "command": TRAINED_BY if own else str(path),
    }


def ten_digits(dataset: Dataset) -> dict[str, np.ndarray]:
    """The first test image of each digit, as bytes."""
    first = [int(np.argmax(dataset.test_labels == digit)) for digit in range(10)]
    pixels = dataset.test_images[first, 0] * np.float32(0.3081) + np.float32(0.1307)
    return {"images": (pixels * 255).round().astype(np.uint8), "labels": dataset.test_labels[first]}


def save_ten_digits(dataset: Dataset) -> None:
    """Made TEN_DIGITS: save_ten_digits(examples.common.data.load_mnist(Path("data")))"""
    save_file(ten_digits(dataset), TEN_DIGITS)
