"""What a trained MNISTCNN looks for, and where it finds it in a digit.

Section 31.3 of the chapter and exercise 31.3: the filters of the first convolution, and the feature maps of
both: what each filter answers at every place of one image, after the ReLU.
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from safetensors import SafetensorError, safe_open

import tinycnn_numpy as tn
import tinycnn_torch as tt
from examples.common.cli import fail
from examples.common.data import Dataset
from examples.common.figures import image_grid
from examples.experiments.shapes import outputs
from parity import load_numpy_state, load_weights, numpy_state
from parity.weights import Model


def feature_maps(model: Model, image: np.ndarray) -> dict[str, np.ndarray]:
    """What every stage of a model of either side makes of one image (C, H, W), by the stage's name.

    "relu1" gives (16, 26, 26) and "relu2" (32, 11, 11) for an MNISTCNN. Computed in the model's dtype.
    """
    x = np.asarray(image, next(iter(numpy_state(model).values())).dtype)[None]
    maps = outputs(model, torch.from_numpy(x) if isinstance(model, torch.nn.Module) else x)
    return {name: np.asarray(out)[0] for name, out in maps.items()}


def largest_difference(maps: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> float:
    """Of any entry of any stage, in units of the largest entry of that stage; infinite if stages differ."""
    shapes = [{name: array.shape for name, array in these.items()} for these in (maps, others)]
    if shapes[0] != shapes[1]:
        return np.inf
    return max(float(abs(maps[name] - others[name]).max() / abs(others[name]).max()) for name in others)


def both_in_float64(model: Model) -> tuple[tn.MNISTCNN, tt.MNISTCNN]:
    """The weights of an MNISTCNN in one of each side."""
    sides = tn.MNISTCNN(rng=np.random.default_rng(0), dtype=np.float64), tt.MNISTCNN().double()
    for side in sides:
        load_numpy_state(side, numpy_state(model))
    return sides


def load_model(path: Path) -> tuple[tn.MNISTCNN, str]:
    """The MNISTCNN of a file that train_mnist wrote, and the name of the data set that it was trained on.

    Fails in one line for a file that is missing, damaged or of another network.
    """
    model = tn.MNISTCNN(rng=np.random.default_rng(0))
    try:
        with safe_open(path, "np") as file:
            trained_on = (file.metadata() or {}).get("dataset", "an unnamed data set")
        load_weights(model, path)
    except OSError as error:
        fail(f"--model {path} cannot be read: {error.strerror or error}")
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        fail(f"--model {path} is no MNISTCNN of train_mnist: {error}")
    if not all(np.isfinite(array).all() for array in model.state_dict().values()):
        fail(f"--model {path} has weights that are not finite")
    return model, trained_on


def portrait(
    model: Model, trained_on: str, dataset: Dataset, digit: int
) -> tuple[list[str], dict[str, Figure]]:
    """Filters and feature maps of one test image: lines about them, and the pictures by name.

    trained_on  the name of the data set that the model has learned
    """
    filters = numpy_state(model)["conv1.weight"]
    F, _, KH, KW = filters.shape
    values = f"weights from {filters.min():.3f} to {filters.max():.3f}"
    lines = [f"conv1: {F} filters of {KH} x {KW}, stored as {filters.shape}, {values}"]
    image, label = dataset.test_images[digit], dataset.test_labels[digit]
    ours, theirs = (feature_maps(side, image) for side in both_in_float64(model))
    answer = int(ours["fc"].argmax())
    lines.append(
        f"test image {digit} of {dataset.name}: a {label}, the network (of {trained_on}) says {answer}"
    )
    for stage in ("relu1", "relu2"):
        silent = int((ours[stage].max(axis=(1, 2)) == 0).sum())
        most = f"activations up to {ours[stage].max():.2f}"
        lines.append(f"{stage}: {ours[stage].shape}, {most}, {silent} maps all zero")
    error = largest_difference(ours, theirs)
    lines.append(f"NumPy and PyTorch, float64: all maps agree within {error:.0e} of the largest activation")

    network = f"MNISTCNN trained on {trained_on}"
    title = f"Learned first-layer filters, {network}"
    figures = {"filters": image_grid(filters[:, 0], 8, title, name="filter", unit="weight")}
    shown = image[0], f"{dataset.name} test image {digit}: a {label}\n28 x 28 pixels"
    for number in (1, 2):
        maps = ours[f"relu{number}"]
        size = f"{maps.shape[1]} x {maps.shape[2]}"
        title = f"Feature maps after conv{number} and ReLU, {size} each, {network}"
        figures[f"maps{number}"] = image_grid(
            maps, 8, title, name="map", unit="activation (no unit)", beside=shown
        )
    return lines, figures
