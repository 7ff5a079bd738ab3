"""The page's data, put together, and the page, written."""

import webbrowser
from pathlib import Path
from typing import Any

import numpy as np

from examples.playground import bundle, quotes, start
from examples.playground.student import examine

LIMITS = {False: 150_000, True: 400_000}  # bytes of the page, without and with the weights of MNIST


def page_data(
    seed: int = 42, weights: Path | None = None, model: Path | None = None, with_mnist: bool = True
) -> dict[str, Any]:
    """Everything that web/ reads. Raises WeightsError or ModelError."""
    images, labels = start.training_images(seed)
    state, digits_of = start.first_state(seed), None
    if weights is not None:
        name, given = start.read_weights(weights)
        if name == "MNISTCNN" and not with_mnist:
            raise start.WeightsError(f"--weights {weights} holds an MNISTCNN, which --no-mnist leaves out")
        state, digits_of = (given, None) if name == "TinyCNN" else (state, weights)
    first = int(np.argmax(labels == 1))
    x, label = images[first], int(labels[first])
    return {
        "start": {"x": x.tolist(), "state": start.lists(state), "label": label},
        "images": start.packed(images * 10, "i1"),  # tenths
        "labels": labels.tolist(),
        "stages": quotes.stages(),
        "mistakes": quotes.mistakes(quotes.names_in_javascript(bundle.module_text("mistakes"))),
        "numpy": start.by_numpy(state, x, label),
        "mnist": start.mnist(digits_of) if with_mnist else None,
        "student": examine(model, state, x, label) if model else None,
    }


def build(folder: Path, data: dict[str, Any], show: bool = False) -> Path:
    """Write the page into a folder; `show` opens it in the browser."""
    path = folder / "playground.html"
    text = bundle.page(data)
    path.write_text(text, encoding="utf-8")
    if show:
        webbrowser.open(path.resolve().as_uri())
    return path
